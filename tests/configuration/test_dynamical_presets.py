"""Presets of dynamicAL say the published protocol."""

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
