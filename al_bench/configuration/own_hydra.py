"""Hydra over al-bench's configuration, apart from the one that an application may be using.

It is the one module for what differs between Hydra's versions, and for what Hydra keeps to itself:
the public functions print and exit, or leave their state to the whole process.
"""

import argparse
import contextlib
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra import __version__, version
from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra as Hydra
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf

from al_bench.configuration.config_dir import config_dir
from al_bench.configuration.targets import locate
from al_bench.errors import ConfigError
from al_bench.paths import opened

CONFIG_NAME = "config"
BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
OF_CLASSES = ("dataset", "model", "strategy", "target", "training")  # choices that are objects
# Hydra 1.3 wants to be told whose behavior it has and replaces what is stored; later ones warn of
# the first, and ask to be told the second.
_IS_1_3 = __version__.startswith("1.3.")
BASE = {"version_base": "1.3"} if _IS_1_3 else {}
_REPLACE: dict[str, Any] = {} if _IS_1_3 else {"replace": True}
_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_OWNED = (GlobalHydra, HydraConfig, JobRuntime, version.VersionBase)
_one_at_a_time = threading.RLock()  # Hydra's state belongs to the process


@contextlib.contextmanager
def started(schema: type, folder: str | Path | None = None) -> Iterator[Hydra]:
    """Within this context Hydra is al-bench's; what it was before comes back.

    Args:
        schema: What the top level of the configuration is checked against.
        folder: A further folder of configuration (``--config-dir``).
    """
    store = ConfigStore.instance()
    with _one_at_a_time:
        Plugins.instance()  # found once a process, with the configuration that they store
        before: dict[type, Any] = _taken()
        stored = {name: dict(n) if isinstance(n, dict) else n for name, n in store.repo.items()}
        try:
            if BASE:
                version.setbase(BASE["version_base"])
            _register(OmegaConf)("opened", lambda path: str(opened(path)), replace=True)
            store.store(name="schema", node=schema, **_REPLACE)
            path = create_config_search_path(str(config_dir()))
            if folder is not None:
                where, anchor = f"file://{Path(folder).resolve()}", SearchPathQuery("schema", None)
                path.prepend(provider="command-line", path=where, anchor=anchor)
            yield Hydra.create_main_hydra2("al-bench", path)
        finally:
            _taken()
            Singleton._instances.update(before)
            ConfigStore.instance().repo = stored


def _register(omegaconf: Any) -> Any:
    """The function that adds a resolver; OmegaConf 2.3 has an older one by the later one's name."""
    return omegaconf.register_new_resolver if _IS_1_3 else omegaconf.register_resolver


def _taken() -> dict[type, Any]:
    """Hydra's own state, taken away; a launcher may have put another mapping in its place."""
    instances = Singleton._instances
    return {kind: instances.pop(kind) for kind in _OWNED if kind in instances}


def compose(hydra: Hydra, words: Sequence[str]) -> DictConfig:
    """The configuration of these words with Hydra's own part; logging is left alone."""
    store_classes(words)
    return hydra.compose_config(CONFIG_NAME, list(words), RunMode.RUN)


def flags() -> argparse.ArgumentParser:
    """What reads Hydra's own flags."""
    parser: argparse.ArgumentParser = get_args_parser()
    return parser


def launching(
    hydra: Hydra, config: DictConfig, task: Callable[[Any], Any]
) -> tuple[Launcher, Callbacks]:
    """The launcher of a sweep, which does ``task`` for each job, and who is told of the sweep."""
    callbacks = Callbacks(config)
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=HydraContext(config_loader=hydra.config_loader, callbacks=callbacks),
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
        key, _, value = word.lstrip("+").partition("=")
        group = key.partition("@")[0]
        if group == "dataset" and value.endswith((".npz", ".npy")):
            raise ConfigError(
                f"{word}: a file is no data set.", f"Write dataset=arrays dataset.path={value}."
            )
        if group in OF_CLASSES and _CLASS.fullmatch(value):
            locate(value, key)
            node = {"_target_": value}
            ConfigStore.instance().store(name=value, node=node, group=group, **_REPLACE)
