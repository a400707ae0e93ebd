"""Presets of DDU say the published protocol."""

import pytest

from al_bench.configuration.composing import compose


def test_the_active_learning_preset_is_the_papers_protocol():
    composed = compose(["experiment=ddu/active_learning_mnist"])
    config = composed.config
    assert composed.is_sweep
    assert (composed.names["model"], composed.names["network"]) == ("ddu", "ddu_resnet18")
    assert (config.model.covariance, config.model.network.spectral) == ("class", 3.0)
    training = config.training
    assert (training.optimizer, training.learning_rate, training.weight_decay) == (
        *("adam", 0.001, 0.0005),
    )
    assert (training.batch_size, training.epoch_size, training.max_epochs) == (64, 5056, 20)
    assert (training.monitor, training.start) == (None, "cold")
    budget = config.budget
    assert (budget.init_size, budget.init_per_class) == (None, 2)
    assert (budget.batch_size, budget.total, budget.validation_size) == (5, 300, 6000)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "model", "expected"),
    [
        ("active_learning_mnist_ensemble", "deep_ensemble", {"model.num_members": 5}),
        (
            "active_learning_mnist_small",
            "ddu",
            {"pool.subset.size": 10000, "training.epoch_size": 1024, "training.max_epochs": 10,
             "budget.batch_size": 10, "budget.total": 200, "budget.validation_size": 0},
        ),
        (
            "active_learning_mnist_ensemble_small",
            "deep_ensemble",
            {"model.num_members": 3, "pool.subset.size": 10000, "budget.total": 200},
        ),
        (
            "active_learning_dirty_mnist",
            "ddu",
            {"pool.subset.size": 1000, "pool.contaminate.size": None,
             "pool.contaminate.labels": "own", "budget.validation_size": 6100,
             "budget.total": 300},
        ),
        (
            "active_learning_dirty_mnist_small",
            "ddu",
            {"pool.subset.size": 1000, "pool.contaminate.size": 9000,
             "pool.contaminate.source": "ambiguous_mnist_made", "budget.total": 200},
        ),
        (
            "active_learning_dirty_mnist_ensemble",
            "deep_ensemble",
            {"pool.subset.size": 1000, "model.num_members": 5, "budget.validation_size": 6100},
        ),
        (
            "active_learning_dirty_mnist_ensemble_small",
            "deep_ensemble",
            {"pool.contaminate.size": 9000, "model.num_members": 3, "training.max_epochs": 10},
        ),
        (
            "outliers_fashion",
            "ddu",
            {"pool.subset.size": 10000, "training.max_epochs": 20, "training.epoch_size": None,
             "training.weight_decay": 0.0005, "budget.total": None, "budget.init_size": None},
        ),
        ("outliers_fashion_ensemble", "deep_ensemble", {"model.num_members": 3}),
        ("outliers_fashion_sngp", "sngp", {"pool.subset.size": 10000, "training.max_epochs": 20}),
        ("dirty_mnist", "ddu", {"seeds": 3, "pool.contaminate.labels": "own"}),
        (
            "ood_cifar10",
            "ddu",
            {"training.learning_rate": 0.1, "training.momentum": 0.9, "training.batch_size": 128,
             "training.max_epochs": 350, "training.nesterov": None,
             "training.schedule.epochs": [150, 250], "training.schedule.gamma": 0.1,
             "training.augment.padding": 4, "budget.validation_size": 5000},
        ),
        ("ood_cifar10_ensemble", "deep_ensemble", {"model.num_members": 5}),
    ],
)  # fmt: skip
def test_the_others_differ_where_the_paper_or_two_cores_say_so(name, model, expected):
    composed = compose([f"experiment=ddu/{name}"])
    assert composed.is_sweep
    assert composed.names["model"] == model
    assert {key: composed.value(key) for key in expected} == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("outliers_fashion", ["mnist", "emnist_letters"]),
        ("dirty_mnist", ["fashion_mnist", "ambiguous_mnist_made"]),
        ("ood_cifar10", ["svhn", "cifar100"]),
    ],
)
def test_other_data_sets_are_those_of_the_figures(name, others):
    assert list(compose([f"experiment=ddu/{name}"]).config.evaluation.ood) == others
