"""Presets of dynamicAL say the published protocol."""

import pytest

from al_bench.configuration.composing import compose


def test_the_cnn_preset_is_the_papers_protocol():
    composed = compose(["experiment=dynamical/cnn_500"])
    config = composed.config
    assert composed.is_sweep
    assert (composed.names["model"], composed.names["network"]) == ("deterministic", "tutorial_cnn")
    assert config.model.network.dropout == 0
    training = config.training
    assert (training.optimizer, training.learning_rate) == ("adam", 0.001)
    assert (training.batch_size, training.epoch_size, training.start) == (128, None, "warm")
    assert (training.stop_train_accuracy, training.stop_after) == (0.97, 10)
    assert (training.min_epochs, training.max_epochs, training.monitor) == (1, 500, None)
    budget = config.budget
    assert (budget.init_size, budget.batch_size, budget.total) == (500, 500, 5000)
    assert budget.validation_size == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cnn_250", {"budget.batch_size": 250, "budget.total": 2750}),
        ("cnn_1000", {"budget.batch_size": 1000, "budget.total": 9500}),
        ("cnn_500_cold", {"training.start": "cold", "training.stop_train_accuracy": 0.99}),
        ("resnet_500", {"model.network.dropout": 0, "model.network.width": 64}),
        ("resnet_1000", {"model.network.dropout": 0, "budget.total": 9500}),
        ("resnet_500_cold", {"training.start": "cold", "training.max_epochs": 500}),
        ("resnet_500_small", {"model.network.width": 16, "budget.total": 2000, "seeds": 3}),
        ("svhn_500", {"budget.batch_size": 500, "training.start": "warm"}),
        ("svhn_1000", {"budget.batch_size": 1000, "budget.total": 9500}),
        ("svhn_500_cold", {"training.start": "cold", "training.stop_train_accuracy": 0.99}),
        ("svhn_splits", {"budget.total": 1500}),
    ],
)
def test_its_siblings_differ_where_the_paper_says_so(name, expected):
    composed = compose([f"experiment=dynamical/{name}"])
    assert composed.is_sweep
    networks = {"cnn": "tutorial_cnn", "resnet": "resnet18", "svhn": "vgg11"}
    assert composed.names["network"] == networks[name.partition("_")[0]]
    assert composed.names["dataset"] == ("svhn" if "svhn" in name else "cifar10")
    assert composed.config.training.stop_after == 10
    assert {key: composed.value(key) for key in expected} == expected
