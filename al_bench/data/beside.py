"""Another data set beside a run's own: inputs of the same shape, normalised alike."""

import dataclasses

import torch

from al_bench.data.base import Dataset, Examples, Inputs, Normalized, TensorInputs
from al_bench.errors import ConfigError


def beside(other: Dataset, dataset: Dataset, called: str) -> Dataset:
    """``other`` as a model of ``dataset`` is shown it.

    Its values, as they are stored, are normalised by the moments of ``dataset``, since a model's
    preprocessing cannot know outliers. Inputs of a class that is not ``Normalized`` stay as they
    are.

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
    return dataclasses.replace(
        other, train=train, test=test, fingerprint=_fingerprint(other, train.inputs)
    )


def _normalized_as(inputs: Inputs, model: Inputs) -> Inputs:
    if not (isinstance(inputs, Normalized) and isinstance(model, Normalized)):
        return inputs  # of a class of the user's own
    return inputs if inputs.moments == model.moments else inputs.normalized_by(model.moments)


def _fingerprint(other: Dataset, shown: Inputs) -> str:
    """Changed where a run's id must be another one than when such inputs kept their own moments."""
    own = other.train.inputs
    kept = shown is own or (isinstance(own, TensorInputs) and own.values.dtype == torch.uint8)
    return other.fingerprint if kept else f"{other.fingerprint} normalized"
