"""Hydra over al-bench's configuration, apart from the one that an application may be using.

It is the one module for what differs between Hydra's versions, and for Hydra's state, which the
public functions leave to the whole process.
"""

import contextlib
import copy
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from hydra import __version__, initialize_config_dir, version
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime
from hydra.plugins.config_source import ConfigResult
from hydra.plugins.launcher import Launcher
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf

from al_bench.configuration.building import build
from al_bench.configuration.config_dir import config_dir
from al_bench.configuration.overrides import key_of, value_of
from al_bench.configuration.targets import locate
from al_bench.errors import ConfigError, error_line
from al_bench.paths import opened

CONFIG_NAME = "config"
VERSION = __version__
# Groups of which a class is a choice.
OF_CLASSES = ("dataset", "model", "strategy", "selection", "study", "target", "training")
# What the files of a group bring along, and a class of one's own in their place does too.
BROUGHT: dict[str, list[Any]] = {
    "selection": [
        "_self_",
        {"override /strategy@_global_.strategy": None},
        {"override /budget@_global_.budget": "steps"},
        {"override /training@_global_.training": "steps"},
    ],
    "study": [
        "_self_",
        {"override /strategy@_global_.strategy": None},
        {"override /budget@_global_.budget": "initial"},
    ],
}
# Hydra 1.3 wants to be told whose behavior it has and replaces what is stored; later ones warn of
# the first, and ask to be told the second.
_IS_1_3 = VERSION.startswith("1.3.")
BASE = {"version_base": "1.3"} if _IS_1_3 else {}
_REPLACE: dict[str, Any] = {} if _IS_1_3 else {"replace": True}
PAGES = ["all", "config", "defaults", "defaults-tree", "plugins", "searchpath"]  # of --info
if not _IS_1_3:
    PAGES.append("aliases")
_UNFORESEEN = (AssertionError, AttributeError, TypeError, ValueError)
_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_OWNED = (GlobalHydra, HydraConfig, JobRuntime, version.VersionBase)
_one_at_a_time = threading.RLock()  # Hydra's state belongs to the process


class Hydra(Protocol):
    """What al-bench asks of the object in which Hydra holds the search path."""

    config_loader: ConfigLoader

    def compose_config(
        self,
        config_name: str,
        overrides: list[str],
        run_mode: RunMode,
        with_log_configuration: bool = False,
    ) -> DictConfig:
        """The configuration of these words."""

    def run(self, config_name: str, task_function: Callable[[Any], Any], overrides: Any) -> Any:
        """Compose one job and do it."""


class FurtherFolder(SearchPathPlugin):
    """Puts the folder of ``--config-dir``, where there is one, behind al-bench's own."""

    folder: ClassVar[Path | None] = None

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Called by Hydra while it starts."""
        if self.folder is not None:
            search_path.append(provider="command-line", path=f"file://{self.folder}")


class ReadOnce:
    """Hydra's repository of configuration files, of which each is read once.

    Hydra reads the forty files of a job anew for every job, which is much of composing it.

    Args:
        repository: Of Hydra's loader; it finds the files, and does all else.
    """

    def __init__(self, repository: Any) -> None:
        self._repository = repository
        self._read: dict[str, ConfigResult] = {}

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """Look for files there, where none has been read yet."""
        self._repository.initialize_sources(config_search_path)
        self._read = {}

    def load_config(self, config_path: str) -> ConfigResult | None:
        """What a file holds, for the caller to change; ``None`` where there is no such file."""
        if config_path not in self._read:
            found = self._repository.load_config(config_path)
            if found is None:  # a class may get that name yet
                return None
            self._read[config_path] = found
        return copy.deepcopy(self._read[config_path])

    def __getattr__(self, name: str) -> Any:
        if name == "_repository":  # of one that is being unpickled
            raise AttributeError(name)
        return getattr(self._repository, name)

    def __deepcopy__(self, memo: Any) -> "ReadOnce":
        """What Hydra makes for each job, which may look for files elsewhere."""
        twin = ReadOnce(copy.copy(self._repository))
        twin._read = self._read
        return twin


class Callbacks:
    """The objects of ``hydra.callbacks``, which are told of a sweep and of its jobs.

    What one of them raises is a warning. The end of something is told to the last of them first.

    Args:
        config: Of the sweep.
    """

    def __init__(self, config: DictConfig) -> None:
        nodes = OmegaConf.select(config, "hydra.callbacks") or {}
        self._callbacks = [build(node, f"hydra.callbacks.{name}") for name, node in nodes.items()]

    def on_multirun_start(self, **about: Any) -> None:
        """The sweep begins."""
        self._tell("on_multirun_start", self._callbacks, about)

    def on_multirun_end(self, **about: Any) -> None:
        """All jobs of the sweep have ended."""
        self._tell("on_multirun_end", self._callbacks[::-1], about)

    def on_job_start(self, **about: Any) -> None:
        """A job begins, in its process."""
        self._tell("on_job_start", self._callbacks, about)

    def on_job_end(self, **about: Any) -> None:
        """A job has ended, in its process."""
        self._tell("on_job_end", self._callbacks[::-1], about)

    def _tell(self, event: str, callbacks: Sequence[Any], about: Mapping[str, Any]) -> None:
        for one in callbacks:
            try:
                getattr(one, event)(**about)
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
                warnings.warn(f"{type(one).__name__}.{event} raised {problem}", stacklevel=2)


@contextlib.contextmanager
def started(schema: type, folder: str | Path | None = None) -> Iterator[Hydra]:
    """Within this context Hydra is al-bench's; what it was before comes back.

    Args:
        schema: What the top level of the configuration is checked against.
        folder: A further folder of configuration (``--config-dir``).
    """
    store = ConfigStore.instance()
    with _one_at_a_time:
        # Hydra finds its plugins once a process, with the configuration that they store.
        Plugins.instance().register(FurtherFolder)
        before: dict[type, Any] = _state_removed()
        stored = {name: dict(n) if isinstance(n, dict) else n for name, n in store.repo.items()}
        try:
            _register(OmegaConf)("opened", lambda path: str(opened(path)), replace=True)
            store.store(name="schema", node=schema, **_REPLACE)
            FurtherFolder.folder = None if folder is None else Path(folder).resolve()
            try:
                initialize_config_dir(str(config_dir()), "al-bench", **BASE)
            finally:
                FurtherFolder.folder = None
            hydra: Any = GlobalHydra.instance().hydra
            loader = hydra.config_loader
            loader.repository = ReadOnce(loader.repository)
            yield hydra
        finally:
            _state_removed()
            Singleton._instances.update(before)
            ConfigStore.instance().repo = stored


def _register(omegaconf: Any) -> Any:
    """The function that adds a resolver; OmegaConf 2.3 has an older one by the later one's name."""
    return omegaconf.register_new_resolver if _IS_1_3 else omegaconf.register_resolver


def _state_removed() -> dict[type, Any]:
    """Hydra's own state, taken away; a launcher may have put another mapping in its place."""
    instances = Singleton._instances
    return {kind: instances.pop(kind) for kind in _OWNED if kind in instances}


def compose(hydra: Hydra, words: Sequence[str]) -> DictConfig:
    """The configuration of these words with Hydra's own part; logging is left alone.

    Raises:
        ConfigError: There is no such class, or Hydra has not foreseen the words.
        HydraException, OmegaConfBaseException, YAMLError, UnicodeDecodeError: Their complaints.
    """
    store_classes(words)
    try:
        return hydra.compose_config(CONFIG_NAME, list(words), RunMode.RUN)
    except _UNFORESEEN as error:
        if type(error) not in _UNFORESEEN:  # a subclass, which is a complaint
            raise
        suspects = [word for word in words if key_of(word).startswith("hydra")] or words
        raise ConfigError(
            f"Hydra makes no configuration of {' '.join(suspects)}: {error_line(error)}.",
            "Leave out what sets a part of it that is not there.",
        ) from error


def launching(
    hydra: Hydra, config: DictConfig, task: Callable[[Any], Any]
) -> tuple[Launcher, Callbacks]:
    """The launcher of a sweep, which does ``task`` for each job, and who is told of the sweep."""
    callbacks = Callbacks(config)
    untyped: Any = callbacks  # Hydra asks for its own class of them
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=HydraContext(config_loader=hydra.config_loader, callbacks=untyped),
        task_function=task,
        config=config,
    )
    return launcher, callbacks


def store_classes(words: Sequence[str]) -> None:
    """Let a class be a choice like any other: ``strategy=package.Class`` needs no file.

    Raises:
        ConfigError: There is no such class, or it is a file of arrays.
    """
    for word in words:
        key, value = key_of(word), value_of(word)
        group = key.partition("@")[0]
        if group == "dataset" and value.endswith((".npz", ".npy")):
            raise ConfigError(
                f"{word}: a file is no data set.", f"Write dataset=arrays dataset.path={value}."
            )
        if group in OF_CLASSES and _CLASS.fullmatch(value):
            locate(value, key)
            node = {"defaults": BROUGHT.get(group, ["_self_"]), "_target_": value}
            ConfigStore.instance().store(name=value, node=node, group=group, **_REPLACE)
