"""Paths at which no file or folder can be end in one line, as bad input of whatever has them."""

import pytest

LONG = "x" * 300
DEEP = "/".join(["deep"] * 1000)


@pytest.fixture
def folder(tmp_path):
    """A file and a folder in the way."""
    (tmp_path / "afile").write_text("no folder")
    (tmp_path / "two").mkdir()


def refused(answer):
    code, out, err = answer
    assert (code, out) == (2, "")
    assert err.startswith("al-bench: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("key", ["results", "dataset.path", "dataset.root"])
@pytest.mark.parametrize("path", [LONG, f"two/{LONG}"])
def test_a_name_that_is_too_long_is_told_with_its_key(al_bench, key, path):
    err = refused(al_bench("run", f"{key}={path}"))
    assert f"{key} is no path. The name xxxxxxxxxxxxxxxxxxxx… has 300 bytes" in err
    assert f"Type a shorter {key}=…" in err


def test_a_path_that_is_too_long_as_a_whole_is_told_so(al_bench):
    err = refused(al_bench("run", f"results={DEEP}"))
    assert "The path deep/deep/deep/deep/… has 4999 bytes" in err


@pytest.mark.parametrize(
    "words",
    [
        ["status", LONG],
        ["compare", LONG],
        ["compare", f"out={LONG}.csv"],
        ["plot", f"out={LONG}"],
        ["export", f"merge={LONG}"],
        ["info", LONG],
        ["run", "--config-dir", LONG],
        ["list", "models", f"config_dir={LONG}"],
    ],
)
def test_so_is_that_of_every_command(al_bench, words):
    assert "The name xxxxxxxxxxxxxxxxxxxx… has 30" in refused(al_bench(*words))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "results=afile"], "results=afile: afile is a file, and a folder is needed."),
        (["run", "results=afile/x"], "results=afile/x: afile is a file, and a folder is needed."),
        (["run", "-m", "seeds=1", "results=/dev/null"], "/dev/null is a file, and a folder"),
        (["study", "fisher", "results=afile"], "afile is a file, and a folder is needed."),
        (["plot", "out=afile"], "out must be a folder, and afile is a file, got 'afile'."),
        (["export", "merge=afile/all"], "merge must be a folder, and afile is a file"),
        (
            ["compare", "out=two"],
            "out must be a file, and two is a folder, got 'two'. Try out=two/comparison.csv.",
        ),
        (["report", "out=two"], "out=two is a folder. Use out=two/report.html."),
        (["export", "out=two"], "Try out=two/curves.csv."),
    ],
)
def test_a_file_is_no_folder_and_a_folder_no_file(al_bench, folder, words, message):
    assert message in refused(al_bench(*words))
