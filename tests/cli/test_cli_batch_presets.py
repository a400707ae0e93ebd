"""Presets of BatchBALD and of stochastic batches run from end to end, each its whole sweep."""

import pytest

CUT = (
    "seeds=1",
    "training.max_epochs=1",
    "training.epoch_size=16",
    "training.batch_size=8",
    "model.num_samples=2",
    "budget.total=24",
    "budget.validation_size=4",
)
SUBSET = (*CUT, "pool.subset.size=60")


FULL = {  # each with a small sibling, which runs below
    "batchbald/mnist": 3,
    "batchbald/emnist": 3,
    "batchbald/sieve_bald": 3,
    "stochastic/repeated_mnist": 7,
    "stochastic/repeated_mnist_batchbald": 1,
    "stochastic/emnist": 6,
    "stochastic/emnist_batchbald": 1,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FULL)
def test_each_full_sweep_is_planned_with_its_arms(handfuls, al_bench, name):
    words = ("seeds=2", "budget.total=24", "budget.validation_size=4", "dry_run=true")
    code, out, err = al_bench("run", f"experiment={name}", *words)
    assert (code, err) == (0, ""), out
    assert out.count("seeds      2 (0–1)\n") == FULL[name]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words", "arms"),
    [
        ("batchbald/mnist_batch_sizes", CUT, 6),
        ("batchbald/repeated_mnist", CUT, 5),
        ("batchbald/repeated_mnist_small", SUBSET, 3),
        ("batchbald/emnist_small", SUBSET, 3),
        ("batchbald/sieve_bald_small", SUBSET, 3),
        ("stochastic/repeated_mnist_batch_sizes", CUT, 9),
        ("stochastic/repeated_mnist_coldness", (*CUT, "strategy.rule.beta=1,8"), 6),
        ("stochastic/repeated_mnist_scores", CUT, 6),
        ("stochastic/repeated_mnist_small", SUBSET, 4),
        ("stochastic/repeated_mnist_batchbald_small", SUBSET, 1),
        ("stochastic/emnist_small", SUBSET, 4),
        ("stochastic/emnist_batchbald_small", (*SUBSET, "strategy.num_samples=2"), 1),
    ],
)
def test_each_sweep_buys_its_budget(handfuls, al_bench, curves, name, words, arms):
    code, out, err = al_bench("run", f"experiment={name}", *words, "device=cpu")
    assert (code, err) == (0, ""), out
    frame = curves()
    assert frame["run_id"].nunique() == arms
    empty = name.partition("/")[2].startswith("emnist")
    assert frame.groupby("run_id")["num_labeled"].min().tolist() == [0 if empty else 20] * arms
    assert frame.groupby("run_id")["num_labeled"].max().tolist() == [24] * arms
