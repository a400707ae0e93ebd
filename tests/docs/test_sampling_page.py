"""The page on active sampling: its selection is a selection, its table is complete."""

import re
import sys
from pathlib import Path

import pytest
from selection_files import NAMES

from al_bench import cli
from al_bench.checking.candidates import candidates
from al_bench.checking.selections import choice_is_well_formed
from al_bench.checking.views import seeded

PAGE = (Path(__file__).parents[2] / "docs" / "sampling.md").read_text()
BLOCKS = {
    language: re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    for language in ("python", "yaml", "sh")
}
SHORTHANDS = {"rho_loss_two_halves"}  # of rho_loss and another word


def test_every_selection_is_in_a_table_of_the_page():
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == set(NAMES) - SHORTHANDS


def test_its_selection_takes_twenty_lines_and_is_one():
    (code,) = BLOCKS["python"]
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    made = {"__name__": "my_selection"}
    exec(code, made)
    selection = made["MiddleLoss"]()
    choice_is_well_formed(selection)
    view = candidates()["ordinary"]()
    losses = view.losses()
    (first,) = selection.choose(view, 1, seeded(0)).positions.tolist()
    distance = (losses - losses.quantile(0.75)).abs()
    assert float(distance[first]) == float(distance.min())


@pytest.mark.slow
def test_its_commands_do_what_they_say(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "my_selection.py").write_text(BLOCKS["python"][0])
    file = tmp_path / "mine" / "selection" / "middle.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(BLOCKS["yaml"][0])
    quick = ("model=deterministic", "budget.passes=2", "results=there", "seeds=1")
    for line in BLOCKS["sh"][-1].splitlines():
        _, verb, *words = line.split()
        words = [word for word in words if not word.startswith("seeds")]
        assert cli.main([verb, *words, *(quick if verb == "run" else ())]) == 0, capfd.readouterr()
    words = ["run", "--config-dir", "mine", "selection=middle", *quick]
    assert cli.main(words) == 0, capfd.readouterr()
    sys.modules.pop("my_selection", None)
