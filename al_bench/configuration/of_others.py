"""What a preset or a study says once, for those of several choices that have it."""

from omegaconf import DictConfig, OmegaConf

from al_bench.configuration.building import parameters_of

LOSSES = "selection.irreducible"
COUNTED = ("strategy", "model")  # some of each have a num_samples


def drop_of_others(config: DictConfig) -> None:
    """Take away what is said of irreducible losses or samples where the choice has none.

    Args:
        config: A run's configuration, changed in place.
    """
    node = OmegaConf.select(config, LOSSES)
    if OmegaConf.is_dict(node) and "_target_" not in node:
        del config.selection["irreducible"]
    for group in COUNTED:
        node = config[group]
        if OmegaConf.is_dict(node) and "num_samples" in node and _lacks_samples(node):
            del node["num_samples"]


def _lacks_samples(node: DictConfig) -> bool:
    parameters = parameters_of(node)
    return parameters is not None and "num_samples" not in parameters
