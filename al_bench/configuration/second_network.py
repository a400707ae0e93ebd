"""The network of irreducible losses, where they name a choice of one."""

from collections.abc import Callable, Sequence

from omegaconf import DictConfig, OmegaConf

from al_bench.configuration.second_dataset import with_parameters
from al_bench.errors import ConfigError

KEY = "selection.irreducible"


def add_second_network(
    config: DictConfig, folders: Sequence[str], load: Callable[[list[str]], DictConfig]
) -> None:
    """Where irreducible losses name a choice of ``model/network``, put in what builds it.

    Args:
        config: A run's configuration, changed in place.
        folders: Overrides that add folders of configuration.
        load: Composes a configuration from overrides.

    Raises:
        ConfigError: There is no such network, or it has no such parameter.
    """
    node = OmegaConf.select(config, KEY)
    if not (OmegaConf.is_dict(node) and {"network", "parameters"} <= node.keys()):
        return
    name = node.network
    if name is None or OmegaConf.is_dict(name):
        return
    if not isinstance(name, str):
        raise ConfigError(
            f"{KEY}.network must be a choice of model/network, got {name!r}.",
            f"Use {KEY}.network=small_cnn; al-bench list networks shows more.",
        )
    choice = load([*folders, f"model/network={name}"]).model.network
    node.network = with_parameters(f"{KEY}.parameters", node.parameters, choice)
    node.parameters = None
