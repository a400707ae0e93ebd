"""Keys that are paths: what they are, how they are read, and where they lead.

One rule by name, so that parameters of users' own classes are known too: a key is a path when it is
``results``, when its last part is ``path``, ``root``, ``folder`` or ``file`` or ends with one of
these after an underscore, or when it is a strategy's ``run``. Its value is text as it was typed.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from al_bench.errors import ConfigError, choose, too_long

_NAMES = re.compile(r"(.*_)?(path|root|folder|file)")
_STRATEGY = re.compile(r"(init_)?strategy\.(.*\.)?run")


def is_path(key: str) -> bool:
    """Whether a key such as ``dataset.root`` is that of a path."""
    group, sign, name = key.rpartition(".")
    if not sign or group.startswith("hydra"):
        return key == "results"
    return bool(_NAMES.fullmatch(name) or _STRATEGY.fullmatch(key))


def opened(path: str | os.PathLike[str]) -> Path:
    """The place that a path leads to: ``~`` is the home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # ~name of nobody: a folder may be called so
        return Path(path)


def refuse_unusable(key: str, value: Any) -> None:
    """Raise ConfigError where the text of a path can be none.

    An empty one would be the current folder, one that is too long can be no name, and results go
    to a folder, not to a file.
    """
    if not is_path(key) or not isinstance(value, str):
        return
    if not value:
        raise ConfigError(f"{key} is empty.", "Name a file or a folder; . is the current one.")
    if sentence := too_long(opened(value)):
        raise ConfigError(f"{key} is no path. {sentence}", f"Type a shorter {key}=….")
    if key == "results" and (file := file_in_the_way(opened(value))):
        raise ConfigError(
            f"results={value}: {file} is a file, and a folder is needed.",
            "Move it away, or choose another folder with results=….",
        )


def file_in_the_way(folder: Path) -> Path | None:
    """What is there and no folder, of a folder or of those above it; ``None`` where nothing is."""
    for place in (folder, *folder.parents):
        if os.path.isdir(place):
            return None
        if os.path.lexists(place):
            return place
    return None


def keys_in(config: Mapping[str, Any], before: str = "") -> list[str]:
    """The keys of all paths in a configuration (plain mappings and values), in their order."""
    keys = []
    for name, value in config.items():
        key = f"{before}{name}"
        if isinstance(value, Mapping):
            keys += keys_in(value, f"{key}.")
        elif isinstance(value, str) and "." in key and is_path(key):
            keys.append(key)
    return keys


def check_moved(moved: Mapping[str, str], valid: Sequence[str]) -> None:
    """Raise ConfigError unless every key of ``moved`` is ``valid``."""
    for key in moved:
        if key not in valid:
            raise ConfigError(f"What is stored has no {key}.", choose(key, valid))
