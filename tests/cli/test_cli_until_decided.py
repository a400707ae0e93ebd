"""``seeds=until_decided`` on the command line: trained, stopped, gone on with, refused."""

import json
import re

import numpy as np
import pytest
from every_launcher import LOCAL

# Picks the first points, which are all of one class: far worse than random on every seed.
FIRST = """
import torch
from al_bench.strategies.base import Selection

class First:
    needs = frozenset()

    def select(self, view, batch_size, generator):
        positions = torch.arange(batch_size)
        return Selection(positions, torch.zeros(batch_size, dtype=torch.float64))
"""
SEQUENTIAL = ("seeds=until_decided", "baseline=random")


@pytest.fixture
def sweep(al_bench, tmp_path):
    """A sweep of a forest on a few points: the baseline, and an arm that is worse."""
    rng = np.random.default_rng(0)
    y, y_test = np.sort(rng.integers(0, 4, 200)), rng.integers(0, 4, 100)
    centers = 4 * np.eye(4, 6)
    x, x_test = (rng.normal(size=(len(own), 6)) + centers[own] for own in (y, y_test))
    arrays = {"x_train": x, "y_train": y, "x_test": x_test, "y_test": y_test}
    np.savez(tmp_path / "four.npz", **arrays)
    (tmp_path / "first_picks.py").write_text(FIRST)
    data = ("dataset=arrays", "dataset.path=four.npz", "model=random_forest")
    budget = ("budget.init_size=4", "budget.batch_size=10", "budget.total=24")

    def run(*words):
        return al_bench("run", *data, *budget, *words)

    return run


def seeds_of(results, strategy):
    paths = results.glob(f"*/*/{strategy}/*/manifests/seed=*.json")
    found = {path.stem: json.loads(path.read_text())["status"] for path in paths}
    assert set(found.values()) == {"done"}
    return sorted(int(name.removeprefix("seed=")) for name in found)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [[], LOCAL])
def test_seeds_are_added_until_an_arm_is_decided(sweep, al_bench, tmp_path, launcher):
    words = ("-m", "strategy=random,first_picks.First", *SEQUENTIAL, "max_seeds=7", "look_every=3")
    code, out, err = sweep(*words, "dry_run=true")
    assert (code, err) == (0, "")
    assert "looks after 3, 6, 7 seeds. With fewer than 6 seeds an arm cannot be decided" in out
    assert out.count("seeds      7 (0–6)") == 2
    assert "2 jobs in all: time not known\n" in out
    assert not (tmp_path / "results").exists()

    code, out, err = sweep(*words, *launcher)
    assert code == 0, out + err
    assert out.count("Look ") == 2
    assert re.search(r"first_picks.First +│ +3 │ +-\d+\.\d\d │ open", out)
    assert re.search(r"first_picks.First +│ +6 │ +-\d+\.\d\d │ worse, with 6 seeds", out)
    assert "first_picks.First is worse than random, 6 seeds." in out
    assert "4 jobs, 12 done" in out
    results = tmp_path / "results"
    assert seeds_of(results, "random") == seeds_of(results, "first_picks.First") == [*range(6)]

    _, status, _ = al_bench("status")
    assert "12 done\n" in status  # and nothing is planned
    _, compared, _ = al_bench("compare")
    assert "with looks after 3, 6, 7: first_picks.First worse (6 seeds)" in compared
    _, out, _ = sweep(*words, "dry_run=true")
    assert re.search(r"2 jobs in all: (about|less than) .* without a launcher\n", out)
    code, again, _ = sweep(*words, *launcher)
    assert code == 0
    assert "round 0/" not in again  # all of it is stored
    assert "first_picks.First is worse than random, 6 seeds." in again


@pytest.mark.slow
def test_it_is_the_run_that_fixed_seeds_are(sweep, tmp_path):
    sweep("-m", "strategy=random,first_picks.First", "seeds=2")
    sweep("-m", "strategy=random,first_picks.First", *SEQUENTIAL, "max_seeds=6", "look_every=6")
    assert len(list(tmp_path.glob("results/*/*/*/*/"))) == 2
    assert seeds_of(tmp_path / "results", "random") == [*range(6)]


REFUSED = [
    (["strategy=random", *SEQUENTIAL], "is for a sweep, whose arms it compares"),
    (["strategy=random", "baseline=random"], "baseline=random has a meaning for seeds=until"),
    (["-m", "strategy=random,bald", "look_every=2"], "look_every=2 has a meaning for"),
    (["-m", "strategy=random,bald", "seeds=until_decided"], "Add for example baseline=random"),
    (["-m", "selection=uniform,loss", "seeds=until_decided"], "Add for example baseline=uniform"),
    (["-m", "strategy=random,bald", "seeds=until_decide"], "seeds=until_decide is neither"),
    (["-m", "strategy=margin,bald", *SEQUENTIAL], "baseline=random is not among the strat"),
    (["-m", "strategy=random", *SEQUENTIAL], "There is no arm beside baseline=random."),
    (
        ["-m", "strategy=random,bald", *SEQUENTIAL, "max_seeds=10,20"],
        "differ in max_seeds, of which a sweep has one",
    ),
    (["-m", "strategy=random,bald", *SEQUENTIAL, "look_every=x"], "must be a whole number"),
    (["-m", "strategy=random,bald", *SEQUENTIAL, "max_seeds=9", "look_every=10"], "is more than"),
    (["-m", "strategy=random,bald", *SEQUENTIAL, "max_seeds=3"], "can decide nothing: so few"),
    (["-m", "strategy=random,bald", *SEQUENTIAL, "max_seeds=3", "look_every=3"], "Try max_seeds=2"),
]


@pytest.mark.parametrize(
    ("words", "said"),
    [pytest.param(*case, marks=[pytest.mark.slow][: n % 4]) for n, case in enumerate(REFUSED)],
)
def test_what_cannot_be_decided_is_refused_in_one_line(al_bench, tmp_path, words, said):
    code, out, err = al_bench("run", *words)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "results").exists()


def test_from_python_its_keys_are_refused_too():
    from al_bench.errors import ConfigError
    from al_bench.running import notebook

    with pytest.raises(ConfigError, match="baseline=random has a meaning"):
        notebook.trials("baseline=random")
    with pytest.raises(ConfigError, match="is for a sweep"):
        notebook.trials("seeds=until_decided", "baseline=random")
