"""The key ``epochs`` of studies that look at networks while they are trained."""

from collections.abc import Sequence

from al_bench.errors import ConfigError, keyed, require_list, require_whole
from al_bench.training.recipe import Recipe


def check_epochs(epochs: Sequence[int]) -> None:
    """Raise ConfigError unless these are counts of epochs, ascending."""
    require_list("epochs", epochs)
    if not epochs:
        raise ConfigError(f"{keyed('epochs')}=[] is empty.", f"Try {keyed('epochs')}=[0,10].")
    for count in epochs:
        require_whole("epochs", count, 0)
    if list(epochs) != sorted(set(epochs)):
        raise ConfigError(
            f"{keyed('epochs')}={list(epochs)} must ascend.", f"Try {keyed('epochs')}=[0,10]."
        )


def check_trained(epochs: Sequence[int], recipe: Recipe) -> None:
    """Raise ConfigError where a network is looked at after more epochs than it is trained."""
    if epochs[-1] > recipe.max_epochs:
        raise ConfigError(
            f"{keyed('epochs')} has {epochs[-1]}, and training.max_epochs={recipe.max_epochs}.",
            f"Add training.max_epochs={epochs[-1]}.",
        )
