"""Launchers of sweeps: the extras that bring them, and what is said of the chosen one."""

from importlib.util import find_spec
from typing import Any

from omegaconf import DictConfig, OmegaConf

from al_bench.errors import ConfigError

GROUP = "hydra/launcher"
# By what a launcher's name begins with: the extra that brings it.
EXTRAS = {"joblib": "joblib", "submitit": "slurm", "ray": "ray"}


def missing(choice: str) -> ConfigError | None:
    """An error that names the extra, where ``choice`` is a launcher that is not installed."""
    name = choice.partition("_")[0]
    if name not in EXTRAS or _is_installed(name):
        return None
    extra = EXTRAS[name]
    return ConfigError(
        f"There is no {GROUP}={choice} here: hydra-{name}-launcher is not installed.",
        f'It comes with uv pip install "al-bench[{extra}]", in a checkout -e ".[{extra}]".',
    )


def _is_installed(name: str) -> bool:
    try:
        return find_spec(f"hydra_plugins.hydra_{name}_launcher") is not None
    except ImportError:  # there is no plugin of Hydra at all
        return False


def kind(config: DictConfig) -> str:
    """The class of the launcher in a configuration with Hydra's own part."""
    return str(config.hydra.launcher.get("_target_")).rpartition(".")[2]


def chosen(config: DictConfig) -> str:
    """The choice of the launcher as one would type it."""
    return f"{GROUP}={config.hydra.runtime.choices.get(GROUP)}"


def plain(settings: Any) -> dict[str, Any]:
    """What a launcher was told, as plain mappings and lists."""
    content: Any = OmegaConf.to_container(settings, resolve=True)
    return content
