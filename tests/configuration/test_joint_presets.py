"""Presets of joint predictions say their protocol, and what holds for some of their arms."""

import pytest

from al_bench.configuration.composing import compose


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "samples"), [("random", None), ("bald", 20)])
def test_rounds_of_20_to_90_labels_buy_and_are_reweighted(strategy, samples):
    composed = compose(["experiment=joint/obi_mnist_small", f"strategy={strategy}"])
    config = composed.config
    assert composed.is_sweep
    assert (composed.names["dataset"], composed.names["network"]) == ("mnist", "batchbald_cnn")
    budget = config.budget
    assert (budget.init_size, budget.batch_size, budget.total) == (20, 5, 95)
    assert budget.validation_size == 1024
    assert config.evaluation.online is True
    assert (config.model.num_samples, config.pool.subset.size) == (500, 10_000)
    assert config.strategy.get("num_samples") == samples
    assert (composed.names["training"], config.training.patience) == ("stochastic", 20)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mc_dropout", "deep_ensemble", "last_layer_laplace"])
def test_models_have_the_samples_that_they_can_have(model):
    config = compose(["experiment=joint/cross_entropies", f"model={model}"]).config
    assert config.model.get("num_samples") == (None if model == "deep_ensemble" else 100)
    assert config.model.get("num_members") == (5 if model == "deep_ensemble" else None)
    assert (config.budget.init_size, config.budget.total) == (60, 60)
