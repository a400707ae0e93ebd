"""Replaying a stored order through the public door."""

import shutil

import pytest
import torch
from pool_views import FakeView, log_probs, seeded

from al_bench import notebook
from al_bench.checking.checks import declares_what_it_needs
from al_bench.errors import ConfigError, ResultsError
from al_bench.results.frame import read_acquisitions
from al_bench.strategies.replay import Replay

FAST = (
    "training.max_epochs=1",
    "training.epoch_size=64",
    "model.num_samples=2",
    "budget.total=35",
    "seeds=2",
)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The folder of a run that margin made, and what it bought."""
    results = tmp_path_factory.mktemp("stored")
    curves = notebook.run(*FAST, "strategy=margin", f"results={results}")
    (folder,) = results.glob("digits/*/margin/*")
    assert set(curves["seed"]) == {0, 1}
    return folder


def order(folder, seed):
    bought = read_acquisitions(folder, ["seed", "round", "rank", "index", "label", "score"])
    bought = bought[bought["seed"] == seed].sort_values(["round", "rank"], na_position="first")
    return bought.reset_index(drop=True)


def replayed(tmp_path, run, *overrides):
    notebook.run(*FAST, "strategy=replay", f"strategy.run={run}", f"results={tmp_path}", *overrides)
    (folder,) = tmp_path.glob("digits/*/replay/*")
    return folder


def test_every_seed_buys_its_own_points_again(tmp_path, stored):
    folder = replayed(tmp_path, stored)
    for seed in (0, 1):
        assert order(folder, seed).equals(order(stored, seed))
    assert not order(stored, 0)["index"].equals(order(stored, 1)["index"])


@pytest.mark.slow
def test_another_model_and_batch_size_may_follow_the_order(tmp_path, stored):
    more = ["training.learning_rate=0.01", "budget.batch_size=7"]
    folder = replayed(tmp_path, stored, *more)
    for seed in (0, 1):
        assert order(folder, seed)["index"].equals(order(stored, seed)["index"])


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["seeds=[2]"], "no seed of it begins with the 20 labels"),
        (["streams.initial=1"], "no seed of it begins"),
        (["strategy.seed=1", "seeds=[0]"], "its seed 1 does not begin"),
        (["streams.split=1", "pool=[subset]", "pool.subset.size=900"], "cannot be replayed here"),
        (["budget.total=40"], "ends after 35 labels. Use budget.total=35"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_was_not_stored_is_refused(tmp_path, stored, overrides, said):
    with pytest.raises(ResultsError, match=said):
        replayed(tmp_path, stored, *overrides)


def test_what_is_no_single_run_is_refused(tmp_path, stored):
    with pytest.raises(ConfigError, match="is no folder"):
        Replay(str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"strategy\.seed"):
        Replay(str(stored), seed=-1)
    shutil.copytree(stored, tmp_path / "margin" / stored.name)
    notebook.run(*FAST, "strategy=random", "seeds=1", f"results={tmp_path}")
    strategy = Replay(str(tmp_path))
    declares_what_it_needs(strategy)
    with pytest.raises(ConfigError, match="holds 2 runs"):
        strategy.select(FakeView(log_probs(5, 2, 3)), 1, seeded(0))


@pytest.mark.slow
def test_seeds_that_begin_alike_must_be_named(tmp_path):
    """An empty initial set fits every stored order."""
    results = tmp_path / "stored"
    empty = ["budget.init_per_class=null", "budget.init_size=0", "budget.total=4"]
    empty += ["budget.batch_size=2"]
    notebook.run(*FAST, *empty, "strategy=random", f"results={results}")
    (folder,) = results.glob("digits/*/random/*")
    with pytest.raises(ResultsError, match=r"begin alike\. Name one: strategy\.seed=0"):
        replayed(tmp_path / "one", folder, *empty)
    mine = replayed(tmp_path / "two", folder, "strategy.seed=1", "seeds=[1]", *empty)
    assert order(mine, 1)["index"].equals(order(folder, 1)["index"])
    assert torch.tensor(order(mine, 1)["score"].to_numpy("float64", na_value=0)).eq(0).all()
