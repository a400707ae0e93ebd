"""The page on extending al-bench, followed to the letter, in a folder outside of it.

One each of strategy, score, data set, network, recipe, model with a capability of its own, and
figure: no file of al-bench is touched, and nothing is registered but the line that the page shows.
"""

import re
import sys
from pathlib import Path

import pytest

from al_bench import cli
from al_bench.models.capabilities import CAPABILITIES

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
NAMED = re.compile(r"^`([\w/]+\.(?:py|yaml))`:\n\n```\w+\n(.*?)^```", re.DOTALL | re.MULTILINE)
RUNS = {  # folders of results, and how many runs of each
    "digits/mc_dropout/farthest": 1,
    "digits/mc_dropout/my_strategy.FarthestFromMean*": 1,
    "digits/mc_dropout/entropy*": 1,
    "digits/mc_dropout/random": 1,
    "my_data.Rings/mc_dropout/entropy": 1,
    "my_data.Rings/mc_dropout/bald": 1,
    "digits/with_distance/my_model.Distant": 1,
}


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A folder with the files of the page, in which al-bench is started."""
    files = dict(NAMED.findall(PAGE.read_text()))
    assert len(files) == len(blocks("python")) + len(blocks("yaml")) == 11
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", ["al-bench"])
    before = dict(CAPABILITIES)
    yield tmp_path
    CAPABILITIES.clear()
    CAPABILITIES.update(before)
    for name in files:
        sys.modules.pop(name.removesuffix(".py"), None)


@pytest.mark.slow
def test_every_command_of_the_page_does_what_it_says(outside, capfd):
    quick = ["training.max_epochs=1", "training.epoch_size=64", "budget.total=30", "seeds=1"]
    said = []
    for line in (line for block in blocks("sh") for line in block.splitlines()):
        program, verb, *words = line.split()
        assert program == "al-bench"
        typed = {word.lstrip("+").partition("=")[0] for word in words}
        more = quick if verb == "run" or ("model=" in line and verb == "check") else []
        added = [word for word in more if word.partition("=")[0] not in typed]
        if "training=my_recipe.Rectified" in words:  # has no keys of its own file
            added = ["+" * word.startswith("training.") + word for word in added]
        code = cli.main([verb, *words, *added])
        told = capfd.readouterr()
        # One epoch teaches no model to predict, so that of a check only the properties are read.
        assert code == 0, (line, told)
        said += told.out.splitlines()
    for pattern, count in RUNS.items():
        assert len(list(outside.glob(f"results/{pattern}/*/curves/seed=0.parquet"))) == count
    assert any("Farthest from the mean" in line for line in said)
    assert "pass  Distances from the labeled set are a number a point" in said
    assert (outside / "results" / "plots" / "final_test_accuracy.png").stat().st_size > 1000
    (shown,) = blocks("text")
    assert [line for line in shown.splitlines() if line not in said] == ["…"]
    code = cli.main(["run", "strategy=my_model.Distant", "dry_run=true"])
    refusal = capfd.readouterr().err
    assert code == 2
    for quoted in ("needs a distance from the labeled set, which model=mc_dropout", "Use model=my"):
        assert quoted in refusal
        assert quoted.split(",")[0] in " ".join(PAGE.read_text().split())
