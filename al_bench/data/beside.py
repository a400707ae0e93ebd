"""Another data set beside a run's own: inputs of the same shape, normalised alike."""

import dataclasses

import torch

from al_bench.data.base import Dataset, Examples, Inputs, TensorInputs
from al_bench.errors import ConfigError


def beside(other: Dataset, dataset: Dataset, called: str) -> Dataset:
    """``other`` as a model of ``dataset`` is shown it.

    Images of one kind are normalised alike, since a model's preprocessing cannot know outliers.

    Args:
        other: Another data set.
        dataset: The run's.
        called: The other one in errors, ``pool.contaminate.source=emnist``.

    Raises:
        ConfigError: Inputs differ in shape.
    """
    shape, wanted = other.train.inputs.input_shape, dataset.train.inputs.input_shape
    if shape != wanted:
        raise ConfigError(
            f"{called} has inputs of shape {shape}; the data set's are {wanted}.",
            "Choose a data set of the same shape.",
        )
    train, test = (
        Examples(_normalized_as(half.inputs, dataset.train.inputs), half.labels)
        for half in (other.train, other.test)
    )
    return dataclasses.replace(other, train=train, test=test)


def _normalized_as(inputs: Inputs, model: Inputs) -> Inputs:
    if not (isinstance(inputs, TensorInputs) and isinstance(model, TensorInputs)):
        return inputs
    if inputs.values.dtype != torch.uint8 or model.values.dtype != torch.uint8:
        return inputs
    return dataclasses.replace(inputs, mean=model.mean, std=model.std, _resident={})
