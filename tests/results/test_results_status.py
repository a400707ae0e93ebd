"""``al-bench status`` as one types it: what is asked for, of which folders, on which terminal."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fake_trials import ENGINE, IDENTITY, run_trial

from al_bench import cli
from al_bench.results.store import Store

DONE = ("done", "3–4, 7", "0123456789ab")  # cells of the row of ``long_names``


@pytest.fixture
def long_names(tmp_path: Path) -> Path:
    """Three trials whose names fill a terminal by themselves."""
    own = "my_strategy.FarthestFromMean"
    identity = replace(IDENTITY, strategy=own, strategy_label=f"{own}(power=3)", task="x" * 140)
    for seed in (3, 4, 7):
        with Store(tmp_path).claim(identity, seed, ENGINE) as files:
            files.finish("budget")
    return tmp_path


@pytest.fixture
def table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Path, int], list[str]]:
    """The lines of the table that a terminal of some width shows of a folder."""

    def shown(folder: Path, width: int) -> list[str]:
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(width))
        assert cli.main(["status", str(folder)]) == 0
        lines = re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
        return [line for line in lines if line[:1] in "┏┃┡│└"]

    return shown


def cells(table: list[str]) -> list[list[str]]:
    """The cells of each line that is no heading, in their columns."""
    lines = [line.split("│")[1:-1] for line in table if line[0] == "│"]
    return [[cell.strip() for cell in line] for line in lines]


@pytest.mark.parametrize("width", [40, 80, 160])
def test_names_give_way_and_what_is_asked_for_stays_whole(
    long_names: Path, width: int, table: Callable[[Path, int], list[str]]
) -> None:
    lines = table(long_names, width)
    assert max(map(len, lines)) <= max(width, 70)
    rows = cells(lines)
    for cell in DONE:
        assert cell in rows[0]
    names = ["".join(row[place] for row in rows) for place in range(3)]
    assert names == ["x" * 140, "mc_dropout", "my_strategy.FarthestFromMean(power=3)"]


def test_many_seeds_are_broken_between_them(
    long_names: Path, table: Callable[[Path, int], list[str]]
) -> None:
    for seed in (10, 12, 14, 16):
        run_trial(long_names, seed=seed, rounds=1)
    lines = table(long_names, 80)
    assert max(map(len, lines)) <= 80
    seeds = " ".join(row[4] for row in cells(lines)).split()
    assert seeds == ["10,", "12,", "14,", "16", "3–4,", "7"]


def test_a_state_that_nothing_is_in_is_told_beside_what_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["status", str(tmp_path), "state=planned"]) == 0
    assert capsys.readouterr().out == "nothing yet\n"
    run_trial(tmp_path)
    run_trial(tmp_path, seed=4, rounds=2)
    assert cli.main(["status", str(tmp_path), "state=planned"]) == 0
    assert capsys.readouterr().out == "none planned, 1 done, 1 stale\n"


def test_each_folder_has_a_table_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_trial(Path("lap"))
    run_trial(Path("clu"), rounds=2)
    assert cli.main(["status", "lap", "clu", "./lap"]) == 0
    out = capsys.readouterr().out
    assert out.count("┏") == 2
    assert "\nlap: 1 done\n" in out
    assert out.endswith("\nclu: 1 stale\n")
    assert cli.main(["status", "lap", "nowhere"]) == 2
    assert "no results folder nowhere" in capsys.readouterr().err
