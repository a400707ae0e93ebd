"""A stored run as a configuration again: what it was made with, with a few keys changed."""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from al_bench.configuration import shipped, trust
from al_bench.configuration.composing import Composed
from al_bench.configuration.schema import CHOOSERS, REQUIRED, RunConfig
from al_bench.configuration.trust import Trust
from al_bench.errors import ConfigError, ResultsError
from al_bench.masking import masked_keys
from al_bench.paths import check_moved, keys_in
from al_bench.results import configured, manifest, plain
from al_bench.results.history import TrialPaths
from al_bench.text.visible import in_a_line

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
# What a command does, and how: a stored run says nothing of it, only what is typed now does.
TYPED = (
    "results",
    "workers",
    "together",
    "resume",
    "on_error",
    "dry_run",
    "verbose",
    "baseline",
    "max_seeds",
    "look_every",
)


@dataclass(frozen=True)
class StoredTrial:
    """A trial on disk.

    Args:
        paths: Its files.
        content: Its manifest.
        config: The resolved configuration of its run, which is the one in the footer of its curve
            where ``config.yaml`` is no longer what was stored. What is typed anew has its defaults.
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
        paths = TrialPaths.of(path)
        if paths is None or path.parent.name != "manifests" or path.suffix != ".json":
            raise ConfigError(
                f"{path} is not the manifest of a trial.",
                "Name one such as results/digits/mc_dropout/bald/RUN/manifests/seed=0.json.",
            )
        if not _is_there(path):
            raise ConfigError(f"There is no manifest {path}.", "al-bench status lists trials.")
        content = manifest.read(path)
        if content is None:
            raise ResultsError(f"{path} cannot be read as a manifest.")
        footer = configured.instead(paths, content)
        if footer is not None:
            _check_edited(paths.config, footer)
        return cls(paths, content, read(paths.config, footer))

    @property
    def places(self) -> list[str]:
        """The keys that may be typed anew: where something lies, and what was masked."""
        return places(self.config)

    def composed(self, changes: Mapping[str, Any], trust: Trust, **names: str) -> Composed:
        """The configuration with some keys changed, as ``prepare`` takes it.

        Args:
            changes: Dotted key to new value; a whole group may be replaced.
            trust: Which classes the configuration may name beside al-bench's.
            names: Names of groups that were replaced, and ``strategy_label``.

        Raises:
            ConfigError: A value was masked when it was stored, and is not among the changes; or it
                names a class that may not be built.
        """
        require_buildable(self.config, self.content, trust, self.paths.config, list(changes))
        config = self.config.copy()
        OmegaConf.set_struct(config, False)
        for key, value in changes.items():
            OmegaConf.update(config, key, value, merge=False)
        require_unmasked(config)
        label = names.pop("strategy_label", str(self.content["strategy_label"]))
        stored = {name: str(self.content.get(name) or "") for name in GROUPS}
        return Composed(config, {**stored, **names}, label, is_sweep=False)


def read(path: Path, instead: Mapping[str, Any] | None = None) -> DictConfig:
    """The configuration of a run: every key of ``RunConfig``, nothing downloaded or resolved.

    Args:
        path: ``config.yaml`` of the run.
        instead: What is known of it from elsewhere.

    Raises:
        ResultsError: It cannot be read, or holds what no stored configuration does.
    """
    try:
        content = dict(plain.read(path) if instead is None else instead)
    except OSError as error:
        raise ResultsError(f"{path} cannot be read: {error.strerror or error}.") from error
    except plain.Unfit as error:
        raise ResultsError(f"{path} cannot be read: {error}.") from error
    _check_keys(content, path)
    if content.get("selection") is None and not isinstance(content.get("strategy"), Mapping):
        raise ResultsError(f"{path}: strategy is no mapping of keys to values.")
    for key in (*REQUIRED, *CHOOSERS, "streams", "init_strategy", "target"):
        is_optional = key not in REQUIRED or key == "pool"
        value = content.get(key)
        if not isinstance(value, Mapping) and not (is_optional and value is None):
            raise ResultsError(f"{path}: {key} is no mapping of keys to values.")
    content["streams"] = content.get("streams") or {}
    for node in _nodes(content):
        if "download" in node:
            node["download"] = False
    values = {key: value for key, value in content.items() if key not in TYPED}
    try:
        # Keys that are younger than the run have their defaults, which mean what was then.
        whole = OmegaConf.merge(OmegaConf.structured(RunConfig), OmegaConf.create(values))
    except (OmegaConfBaseException, ValueError) as error:
        problem = str(error).splitlines()[0].rstrip(".")
        raise ResultsError(f"{path} cannot be read: {problem}.") from error
    assert isinstance(whole, DictConfig)
    if missing := sorted(OmegaConf.missing_keys(whole)):
        raise ResultsError(f"{path} has no value of {in_a_line(missing[0])}.")
    return whole


def read_part(
    path: Path, seed: int, groups: Sequence[str], moved: Mapping[str, str], trust: Trust
) -> DictConfig:
    """Some groups of the configuration of a run, which may be built.

    Args:
        path: ``config.yaml`` of the run.
        seed: A trial of it, whose manifest knows the code that it was made with.
        groups: Those that are kept.
        moved: Dotted key to where something lies now.
        trust: Which classes the configuration may name beside al-bench's.

    Raises:
        ConfigError: Nothing can be moved at such a key, a value is masked, or a class that may not
            be built is named.
        ResultsError: It cannot be read, or holds what no stored configuration does.
    """
    config = read(path)
    check_moved(moved, places(config))
    config = OmegaConf.masked_copy(config, list(groups))
    content = manifest.read(TrialPaths(path.parent, seed).manifest) or {}
    require_buildable(config, content, trust, path)
    for key, place in moved.items():
        OmegaConf.update(config, key, place)
    require_unmasked(config)
    return config


def places(config: DictConfig) -> list[str]:
    """The keys of a stored configuration that may be typed anew: paths, and what was masked."""
    container: Any = OmegaConf.to_container(config)
    return [*keys_in(container), *masked_keys(container)]


def require_buildable(
    config: DictConfig,
    content: Mapping[str, Any],
    permission: Trust,
    path: Path,
    but: Sequence[str] = (),
) -> None:
    """Raise ConfigError unless all that a stored configuration names may be built.

    Args:
        config: From ``read``.
        content: The manifest of one of its trials, which knows the code that it was made with.
        permission: What the user has typed about that.
        path: ``config.yaml``, for errors.
        but: Keys whose values are replaced.
    """
    code = content.get("own_code")
    container: Any = OmegaConf.to_container(config)
    trust.require(container, code if isinstance(code, Mapping) else {}, permission, path, but)


def _check_keys(content: Mapping[str, Any], path: Path) -> None:
    """Raise ResultsError where this is more than the configuration of a run."""
    for key, value in content.items():
        if key not in RunConfig.__dataclass_fields__ or (key == "tracker" and value is not None):
            raise ResultsError(
                f"{path} has a key {str(key)[:80]!r}, which no stored configuration has.",
                "It is not used. Take that out of it, or ask who sent it.",
            )


def _is_there(path: Path) -> bool:
    """Whether there is such a file; also where nobody may look, which reading then tells."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except PermissionError:
        return True
    except OSError:
        return False


def _check_edited(path: Path, footer: Mapping[str, Any]) -> None:
    """Raise ResultsError where a file that is not used asks for what its run did not name.

    A slip of an editor is told and passed over; that is none.
    """
    try:
        content = plain.read(path)
    except (OSError, plain.Unfit):
        return
    _check_keys(content, path)
    targets = {str(one.target) for one in shipped.parts_of(footer)}
    for one in shipped.parts_of(content):
        if not one.is_shipped and str(one.target) not in targets:
            raise ResultsError(
                f"{path} names {one}, which its run did not.",
                "It is not used. Take that out of it, or ask who sent it.",
            )


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in plain mappings and lists."""
    if isinstance(value, dict):
        yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        yield from _nodes(one)


def require_unmasked(config: DictConfig) -> None:
    """Raise ConfigError where a value is missing from what is stored, since it is a secret."""
    keys = masked_keys(OmegaConf.to_container(config))
    if keys:
        raise ConfigError(
            f"{' and '.join(keys)} {'is' if len(keys) == 1 else 'are'} masked in what is stored.",
            f"Add {' '.join(f'{key}=…' for key in keys)} as for al-bench run.",
        )
