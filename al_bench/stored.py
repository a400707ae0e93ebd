"""A stored run as a configuration again: what it was made with, with a few keys changed."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from al_bench.config import Composed, RunConfig
from al_bench.errors import ConfigError, ResultsError
from al_bench.masking import masked_keys
from al_bench.paths import keys_in
from al_bench.results import configured, inside, manifest
from al_bench.results.history import TrialPaths

GROUPS = (
    "dataset",
    "pool",
    "model",
    "network",
    "training",
    "budget",
    "strategy",
    "init_strategy",
)


@dataclass(frozen=True)
class StoredTrial:
    """A trial on disk.

    Args:
        paths: Its files.
        content: Its manifest.
        config: The resolved configuration of its run, which is the one in the footer of its curve
            where ``config.yaml`` is no longer what was stored.
    """

    paths: TrialPaths
    content: Mapping[str, Any]
    config: DictConfig

    @classmethod
    def at(cls, path: Path) -> "StoredTrial":
        """The trial of a manifest, ``…/manifests/seed=3.json``.

        Raises:
            ConfigError: The path names no manifest.
            ResultsError: The manifest or the run's configuration cannot be read, or was changed and
            is not known from elsewhere.
        """
        seed = path.name.removeprefix("seed=").removesuffix(".json")
        if path.parent.name != "manifests" or path.name != f"seed={seed}.json":
            raise ConfigError(
                f"{path} is not the manifest of a trial.",
                "Name one such as results/digits/mc_dropout/bald/RUN/manifests/seed=0.json.",
            )
        if not path.is_file():
            raise ConfigError(f"There is no manifest {path}.", "al-bench status lists trials.")
        content = manifest.read(path)
        if content is None or not seed.isdecimal():
            raise ResultsError(f"{path} cannot be read as a manifest.")
        paths = TrialPaths(path.parent.parent, int(seed))
        footer = configured.instead(paths, content)
        try:
            config = (
                OmegaConf.load(io.StringIO(inside.read(paths.config).decode()))
                if footer is None
                else OmegaConf.create(footer)
            )
        except (OSError, ValueError, YAMLError) as error:
            raise ResultsError(f"{paths.config} cannot be read: {error}.") from error
        if not isinstance(config, DictConfig):
            raise ResultsError(f"{paths.config} is not a configuration.")
        # Keys that are younger than the run have their defaults, which mean what was then.
        whole = OmegaConf.merge(OmegaConf.structured(RunConfig), config)
        assert isinstance(whole, DictConfig)
        return cls(paths, content, whole)

    @property
    def places(self) -> list[str]:
        """The keys that may be typed anew: where something lies, and what was masked."""
        container: Any = OmegaConf.to_container(self.config)
        return [*keys_in(container), *masked_keys(container)]

    def composed(self, changes: Mapping[str, Any], **names: str) -> Composed:
        """The configuration with some keys changed, as ``prepare`` takes it.

        Args:
            changes: Dotted key to new value; a whole group may be replaced.
            names: Names of groups that were replaced, and ``strategy_label``.

        Raises:
            ConfigError: A value was masked when it was stored, and is not among the changes.
        """
        config = self.config.copy()
        OmegaConf.set_struct(config, False)
        for key, value in changes.items():
            OmegaConf.update(config, key, value, merge=False)
        require_unmasked(config)
        label = names.pop("strategy_label", str(self.content["strategy_label"]))
        known = {name: str(self.content.get(name) or "") for name in GROUPS}
        return Composed(config, {**known, **names}, label, is_sweep=False)


def require_unmasked(config: DictConfig) -> None:
    """Raise ConfigError where a value is missing from what is stored, since it is a secret."""
    left = masked_keys(OmegaConf.to_container(config))
    if left:
        raise ConfigError(
            f"{' and '.join(left)} {'is' if len(left) == 1 else 'are'} masked in what is stored.",
            f"Add {' '.join(f'{key}=…' for key in left)} as for al-bench run.",
        )
