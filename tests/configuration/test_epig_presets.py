"""Presets of EPIG say the published counts, whose parts lie apart there and in the pool here."""

import pytest

from al_bench.budget import Budget
from al_bench.configuration.building import build
from al_bench.configuration.composing import compose

# Points of each class in the paper's pool; initial, validation and target points come on top.
POOLS = {
    "uci_vowel": [26] * 11,
    "uci_satellite": [536, 240, 481, 208, 235, 519],
    "uci_magic": [4980, 2700],
    "curated_mnist": [4000] * 10,
    "unbalanced_mnist": [400] * 5 + [4000] * 5,
    "redundant_mnist": [4000, 4000, 32000],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", POOLS)
def test_the_pool_has_what_is_published_once_all_else_has_left_it(name):
    config = compose([f"experiment=epig/{name}"]).config
    budget = build(config.budget, "budget")
    assert isinstance(budget, Budget)
    assert (budget.batch_size, budget.total, config.seeds) == (1, 300, 20)
    counts = config.pool.imbalance.counts
    apart = zip(
        budget.initial_counts(len(counts)),
        budget.validation_counts(len(counts)),
        config.target.counts,
        strict=True,
    )
    left = [count - sum(taken) for count, taken in zip(counts, apart, strict=True)]
    assert left == POOLS[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["uci_vowel", "uci_satellite", "uci_magic"])
def test_networks_are_trained_and_looked_at_as_published(name):
    forest = compose([f"experiment=epig/{name}"])
    composed = compose([f"experiment=epig/{name}_mlp"])
    config = composed.config
    assert (forest.names["model"], composed.names["model"]) == ("random_forest", "mc_dropout")
    assert config.pool == forest.config.pool
    assert config.target == forest.config.target
    training = config.training
    assert (training.learning_rate, training.patience, training.batch_size) == (0.1, 10000, None)
    assert (training.monitor, training.monitor_every, training.monitor_samples) == ("nll", 100, 100)
    assert (composed.names["network"], config.model.network.dropout) == ("epig_mlp", 0.1)


@pytest.mark.slow
def test_epig_is_told_the_task_or_not_on_the_same_pool():
    known = compose(["experiment=epig/redundant_mnist_small", "strategy=epig"])
    unknown = compose(["experiment=epig/redundant_mnist_small_pool"])
    assert list(known.config.target.proportions) == [1, 1, 0]
    assert unknown.config.target is None
    for group in ("pool", "budget", "model", "training", "strategy"):
        assert known.config[group] == unknown.config[group]
