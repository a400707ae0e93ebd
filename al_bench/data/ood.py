"""Test sets of other data that a model should be uncertain of: out of its distribution."""

from dataclasses import dataclass

from al_bench.data.base import Dataset, Inputs
from al_bench.data.beside import beside
from al_bench.errors import ConfigError


@dataclass(frozen=True, eq=False)
class OodSet:
    """The inputs of another data set's test set; its labels play no part.

    Args:
        name: In results.
        inputs: Normalised as the run's own are.
        fingerprint: Of the other data set beside the run's.
    """

    name: str
    inputs: Inputs
    fingerprint: str


def require_ood(name: str, other: Dataset, dataset: Dataset, dataset_name: str) -> OodSet:
    """The test set of another data set, checked.

    Args:
        name: In results.
        other: The other data set.
        dataset: The run's.
        dataset_name: That one's name in results.

    Raises:
        ConfigError: It is the run's own data set or has its name, or its inputs differ in shape.
    """
    if other.fingerprint == dataset.fingerprint or name == dataset_name:
        is_same = other.fingerprint == dataset.fingerprint
        raise ConfigError(
            f"evaluation.ood: {name} {'is' if is_same else 'has the name of'} the run's own data "
            "set.",
            "Name another one, such as evaluation.ood=[fashion_mnist].",
        )
    shown = beside(other, dataset, f"evaluation.ood: {name}")
    return OodSet(name, shown.test.inputs, shown.fingerprint)
