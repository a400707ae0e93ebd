"""The digits are the data set that needs no download, always split alike."""

import torch

from al_bench.data.digits import Digits

CPU = torch.device("cpu")


def test_digits_are_all_there_and_the_test_set_is_balanced() -> None:
    dataset = Digits().load()
    assert len(dataset.train) == 1297
    assert len(dataset.test) == 500
    assert dataset.num_classes == 10
    assert dataset.test.labels.bincount().tolist() == [50] * 10
    assert dataset.train.labels.bincount().min() > 120
    assert dataset.train.inputs.input_shape == (1, 8, 8)


def test_digits_are_the_same_content_each_time() -> None:
    first, second = Digits().load(), Digits().load()
    assert first.fingerprint == second.fingerprint == "488bea75011656eb7a54ca153489a7bc"


def test_digits_are_those_that_scikit_learn_reads(monkeypatch) -> None:
    monkeypatch.setattr("al_bench.data.digits.find_spec", lambda name: None)
    assert Digits().load().fingerprint == "488bea75011656eb7a54ca153489a7bc"


def test_training_digits_are_standardised() -> None:
    train = Digits().load().train
    inputs = train.inputs.gather(torch.arange(len(train)), CPU)
    assert inputs.dtype == torch.float32
    assert abs(inputs.mean()) < 1e-3
    assert abs(inputs.std() - 1) < 1e-3


def test_inputs_first_read_without_gradients_can_still_be_trained_on() -> None:
    inputs = Digits().load().train.inputs
    with torch.inference_mode():
        inputs.gather(torch.arange(3), CPU)
    layer = torch.nn.Conv2d(1, 2, 3)
    layer(inputs.gather(torch.arange(3), CPU)).sum().backward()
    assert layer.weight.grad is not None
