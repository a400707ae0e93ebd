"""``al-bench compare`` as one types it."""

import json
import re

import pandas as pd
import pytest

from al_bench import cli
from al_bench.running import notebook


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two strategies of three seeds."""
    folder = tmp_path_factory.mktemp("compare") / "results"
    for name in ("random", "entropy"):
        notebook.run(
            "training.max_epochs=1",
            "training.epoch_size=64",
            "model.num_samples=2",
            "model/network=mlp",  # the quickest
            "model.network.hidden=[16]",
            "budget.total=50",
            "seeds=3",
            f"strategy={name}",
            f"results={folder}",
        )
    return folder


@pytest.mark.slow
def test_the_terminal_says_what_holds(results, capsys):
    assert cli.main(["compare", str(results), "reach=0.3"]) == 0
    out = capsys.readouterr().out
    assert "less random" in out
    assert "verdict" in out
    assert "labels to 30 %" in out
    assert "Only 3 seeds" in out


@pytest.mark.slow
def test_what_is_neither_good_nor_bad_is_compared_and_nothing_is_saved(results, capsys):
    metric = "metric=test_entropy"
    assert cli.main(["compare", str(results), metric]) == 0
    out = capsys.readouterr().out
    assert "higher/ties/lower" in out
    assert "low, middle and high third of the labels" in out
    for word in ("saved", "better", "worse", "wins"):
        assert word not in out
    for format in ("csv", "json", "markdown", "latex"):
        assert cli.main(["compare", str(results), metric, f"format={format}"]) == 0
    page = results.parent / "page.html"
    assert cli.main(["report", str(results), metric, f"out={page}"]) == 0
    assert "seeds higher" in page.read_text()
    assert cli.main(["compare", str(results), metric, "reach=1"]) == 2
    said = "test_entropy is neither to be raised nor lowered; leave reach out."
    assert said in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("format", ["csv", "json", "markdown", "latex"])
def test_formats_go_to_the_terminal_or_a_file(results, format, capsys, tmp_path):
    assert cli.main(["compare", str(results), f"format={format}"]) == 0
    shown = capsys.readouterr().out
    out = tmp_path / "table"
    assert cli.main(["compare", str(results), f"format={format}", f"out={out}"]) == 0
    assert out.read_text() == shown
    assert "entropy" in shown


@pytest.mark.slow
def test_csv_json_and_parquet_hold_the_same_numbers(results, tmp_path, capsys):
    for format in ("csv", "json", "parquet"):
        words = ["compare", str(results), f"format={format}", f"out={tmp_path / format}"]
        assert cli.main(words) == 0
    csv = pd.read_csv(tmp_path / "csv")
    parquet = pd.read_parquet(tmp_path / "parquet")
    rows = json.loads((tmp_path / "json").read_text())
    for name in ("area", "difference", "p_holm"):
        assert parquet[name].tolist() == pytest.approx(csv[name].tolist(), nan_ok=True)
        known = [row[name] for row in rows if row[name] is not None]
        assert known == pytest.approx(csv[name].dropna().tolist())


@pytest.mark.slow
def test_the_margin_is_in_points_as_it_is_printed(results, capsys):
    assert cli.main(["compare", str(results), "margin=1.5"]) == 0
    assert "Margin of equivalence ±1.5." in capsys.readouterr().out
    assert cli.main(["compare", str(results), "margin=1.5", "format=json"]) == 0
    assert {row["margin"] for row in json.loads(capsys.readouterr().out)} == {0.015}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["reach=90"], "reach must lie between 0 and 1 for test_accuracy, got 90"),
        (["nowhere"], "There is no results folder nowhere"),
        (["format=xml"], "format must be a known name, got 'xml'"),
        (["format=parquet"], "format=parquet needs a file"),
        (["basline=random"], "has no key 'basline'"),
        (["baseline=bald"], "There is no baseline 'bald'"),
        (["margin=-1"], "margin must be a number from 0, got '-1'"),
    ],
)
def test_wrong_input_is_one_line(results, words, message, capsys):
    given = words if words[0] == "nowhere" else [str(results), *words]
    assert cli.main(["compare", *given]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_a_narrow_terminal_loses_nothing(results, capsys, monkeypatch):
    for name, value in {"FORCE_COLOR": "1", "COLUMNS": "60"}.items():
        monkeypatch.setenv(name, value)
    assert cli.main(["compare", str(results)]) == 0
    lines = re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    table = [line for line in lines if line[:1] in "┏┃┡│└"]
    assert max(map(len, table)) <= 60
    assert not any("…" in line for line in table)
    assert next(n for n, line in enumerate(lines) if line.startswith("┏")) <= 2  # lines of title


@pytest.mark.slow
def test_a_file_that_cannot_be_written_is_a_failure(results, tmp_path, capsys):
    (tmp_path / "no").write_text("a file, not a folder")
    words = ["compare", str(results), "format=csv", f"out={tmp_path / 'no' / 'x.csv'}"]
    assert cli.main(words) == 1
    assert "Cannot write" in capsys.readouterr().err


def test_an_empty_folder_is_a_failure(tmp_path, capsys):
    assert cli.main(["compare", str(tmp_path)]) == 1
    assert "No curves under" in capsys.readouterr().err


@pytest.mark.slow
def test_of_one_arm_nothing_is_shown_that_takes_two(results, capsys):
    alone = str(results / "digits" / "mc_dropout" / "random")
    assert cli.main(["compare", alone]) == 0
    out = capsys.readouterr().out
    assert "random: the only arm, so there is nothing to compare it with." in out
    for word in ("less random", "verdict", "third", "saved"):
        assert word not in out
    assert cli.main(["compare", alone, "reach=0.01"]) == 0
    out = capsys.readouterr().out
    assert "labels to 1 %" in out
    assert "saved" not in out
