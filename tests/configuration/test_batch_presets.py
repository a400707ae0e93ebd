"""Presets of BatchBALD and of stochastic batches say the published protocols."""

import pytest

from al_bench.configuration.composing import compose


@pytest.mark.slow
def test_balanced_emnist_begins_without_labels():
    composed = compose(["experiment=batchbald/emnist"])
    config = composed.config
    assert composed.is_sweep
    assert (composed.names["network"], config.dataset.split) == ("emnist_cnn", "balanced")
    assert (config.training.epoch_size, config.training.max_epochs) == (20_224, 40)
    budget = config.budget
    assert (budget.init_size, budget.init_per_class) == (0, None)
    assert (budget.batch_size, budget.total, budget.validation_size) == (5, 300, 16_384)
    assert (config.model.num_samples, config.seeds) == (10, 6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "stochastic/repeated_mnist",
            {"pool.repeat.copies": 4, "pool.repeat.noise_std": 0.1, "model.num_samples": 100,
             "training.weight_decay": 0.0005, "training.patience": 20, "budget.total": 300,
             "budget.batch_size": 10, "budget.validation_size": 4096, "seeds": 5},
        ),
        ("stochastic/repeated_mnist_batchbald", {"budget.batch_size": 5, "budget.total": 300}),
        (
            "stochastic/repeated_mnist_small",
            {"pool.subset.size": 10_000, "pool.repeat.copies": 4, "model.num_samples": 20,
             "training.max_epochs": 10, "training.weight_decay": 0.0, "budget.init_per_class": 2,
             "budget.batch_size": 10, "budget.total": 150, "seeds": 5},
        ),
        (
            "stochastic/repeated_mnist_batchbald_small",
            {"pool.repeat.copies": 4, "budget.batch_size": 5, "budget.total": 150},
        ),
        (
            "stochastic/emnist",
            {"budget.init_size": 0, "budget.batch_size": 10, "budget.validation_size": 16_384,
             "training.max_epochs": 120, "model.num_samples": 100},
        ),
        (
            "stochastic/emnist_batchbald",
            {"strategy.num_samples": 20, "model.num_samples": 100, "budget.batch_size": 5},
        ),
        ("stochastic/emnist_batchbald_small", {"model.num_samples": 20, "budget.total": 150}),
        ("batchbald/sieve_bald", {"budget.total": 320, "model.num_samples": 100}),
    ],
)  # fmt: skip
def test_the_others_differ_where_the_papers_or_two_cores_say_so(name, expected):
    composed = compose([f"experiment={name}"])
    assert composed.is_sweep
    assert {key: composed.value(key) for key in expected} == expected
