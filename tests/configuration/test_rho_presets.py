"""Presets of RHO-LOSS say the published protocol, and what holds for some of their selections."""

import pytest

from al_bench.configuration.composing import compose


def test_the_mnist_preset_is_the_papers_protocol():
    composed = compose(["experiment=rho/mnist_noise"])
    config = composed.config
    assert config.model.network["_target_"].endswith("rho_mlp")
    assert config.model.network.dropout == 0
    training = config.training
    assert (training.optimizer, training.learning_rate) == ("adamw", 0.001)
    assert (training.weight_decay, training.batch_size) == (0.01, 32)
    budget = config.budget
    assert (budget.passes, budget.holdout_size, budget.holdout_labels) == (20, 0.5, "clean")
    assert config.pool.label_noise.rate == 0.09
    assert composed.names["model"] == "deterministic"


@pytest.mark.slow
@pytest.mark.parametrize(("selection", "epochs"), [("uniform", None), ("rho_loss", 60)])
def test_what_is_said_of_irreducible_losses_is_for_selections_that_have_them(selection, epochs):
    composed = compose(["experiment=rho/cifar10_small", f"selection={selection}"])
    node = composed.config.selection.get("irreducible")
    assert (None if node is None else node.training.max_epochs) == epochs
    assert composed.strategy_label.startswith(selection)
    assert composed.config.training.augment is not None


def test_human_labels_are_named_and_stay_in_the_holdout():
    config = compose(["experiment=rho/cifar10_small_human"]).config
    assert (config.pool.label_noise.kind, config.pool.label_noise.array) == ("file", "aggre_label")
    assert config.budget.holdout_labels == "pool"
