"""Results that may be read and not written, by a user who is not their owner."""

import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path

import nobody
import pytest

from al_bench import cli

TINY = ("training.max_epochs=1", "training.epoch_size=64", "budget.total=30", "seeds=2")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="drops to another user"),
]


@pytest.fixture(scope="module")
def base():
    """A folder that everyone can reach, with small results that nobody may write."""
    folder = Path(tempfile.mkdtemp(prefix="al-bench-read-only-"))
    folder.chmod(0o755)
    before = os.getcwd(), list(sys.path)
    os.chdir(folder)
    try:
        assert cli.main(["run", "-m", "strategy=random,bald", *TINY, "results=r"]) == 0
    finally:
        os.chdir(before[0])
        sys.path[:] = before[1]
    forbid(folder / "r")
    out = folder / "out"
    out.mkdir()
    out.chmod(0o777)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def as_nobody(base):
    with nobody.terminal(base) as run:
        yield run


def forbid(folder):
    """Nobody may write here."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)


def listing(folder):
    found = {}
    for path in sorted([folder, *folder.rglob("*")]):
        of = path.lstat()
        found[path] = (stat.filemode(of.st_mode), of.st_size, of.st_mtime_ns, of.st_ctime_ns)
    return found


READING = {
    "status": ["status", "r"],
    "status check": ["status", "r", "check=true"],
    "compare": ["compare", "r"],
    "info": ["info", "RANDOM"],
    "list": ["list", "strategies"],
    "plot": ["plot", "r", "out=out/figures"],
    "report": ["report", "r", "out=out/report.html"],
    "export": ["export", "r", "out=out/curves.csv"],
    "merge": ["export", "r", "merge=out/merged"],
    "rerun": ["rerun", "RANDOM/manifests/seed=0.json"],
    "transfer": ["transfer", "r", "model=deterministic", "dry_run=true"],
    "run": ["run", "strategy=random", *TINY, "results=r", "dry_run=true"],
}


def typed(base, words):
    (random,) = (base / "r" / "digits" / "mc_dropout" / "random").glob("*")
    return [word.replace("RANDOM", str(random.relative_to(base))) for word in words]


@pytest.mark.promise("Looking at results runs nothing of theirs")
@pytest.mark.parametrize("words", READING.values(), ids=list(READING))
def test_what_only_reads_writes_nothing_and_says_nothing_of_folders_that_are_not_theirs(
    base, as_nobody, words
):
    before = listing(base / "r")
    code, out, err = as_nobody(*typed(base, words))
    assert (code, err) == (0, ""), out
    assert "matplotlib" not in out
    assert listing(base / "r") == before


@pytest.mark.parametrize(
    "words",
    [
        ["run", "strategy=random", "training.max_epochs=2", *TINY[1:], "results=r"],
        ["transfer", "r", "model=deterministic"],
        ["plot", "r"],
        ["export", "r", "out=r/curves.csv"],
    ],
    ids=lambda words: words[0] + " " + words[-1],
)
def test_commands_that_must_write_say_so_in_a_line_with_what_to_type(base, as_nobody, words):
    before = listing(base / "r")
    code, out, err = as_nobody(*typed(base, words))
    assert code == 1
    (line,) = err.splitlines()
    assert line.startswith("al-bench: No permission to write ")
    assert "Make the folder writable or choose another" in line
    assert "Traceback" not in out
    assert listing(base / "r") == before


@pytest.mark.promise("One odd file is named and left out")
@pytest.mark.parametrize("what", ["", "manifests", "curves", "manifests/seed=0.json"])
def test_what_may_not_be_read_is_named_and_left_out(base, as_nobody, what):
    folder = base / f"odd-{what.replace('/', '-')}"
    shutil.copytree(base / "r", folder)
    (random,) = (folder / "digits" / "mc_dropout" / "random").glob("*")
    (random / what).chmod(0)
    try:
        words = {
            "status": ["status", str(folder)],
            "export": ["export", str(folder), "out=out/some.csv"],
            "merge": ["export", str(folder), f"merge=out/merged-{folder.name}"],
            "report": ["report", str(folder), "baseline=bald", "out=out/odd.html"],
            "rerun": ["rerun", str(random / "manifests" / "seed=0.json")],
        }
        for name, line in words.items():
            code, out, err = as_nobody(*line)
            assert "Traceback" not in out + err, (name, err)
            assert "verbose=true" not in err, (name, err)
            assert code in (0, 1), name
            assert "is missing" not in out + err, (name, out, err)
            told = err.splitlines()
            assert len(set(told)) == len(told), (name, err)
            if name == "rerun":
                assert (code, len(err.splitlines())) == (1, 1) or what == "curves", err
            elif name not in ("export", "report") or not what.startswith("manifests/"):
                assert str(random / what) in (out + err).replace("\n", ""), (name, out, err)
    finally:
        (random / what).chmod(0o755)
