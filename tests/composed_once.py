"""Hydra composes each combination of choices once a process; values are applied to a copy.

Composing takes a tenth of a second, most tests do it, and few of them with choices of their own:
what they type differs in values, which Hydra applies to a composed configuration as ever.
``al-bench`` in a process of its own knows nothing of this.
"""

import contextlib
import copy
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.defaults_list import DefaultsList
from hydra.core.config_store import ConfigStore

from al_bench.configuration.config_dir import config_dir

_read: dict[Hashable, dict[str, Any]] = {}
_lists: dict[Hashable, DefaultsList] = {}
_composed: dict[int, Any] = {}  # by the identity of the defaults that ``_lists`` keeps

_search = ConfigLoaderImpl._process_config_searchpath
_create = config_loader_impl.create_defaults_list
_compose = ConfigLoaderImpl._compose_config_from_defaults_list


def install() -> None:
    _put(_searched, _defaults, _configuration)


@contextlib.contextmanager
def uninstalled() -> Iterator[None]:
    """Within this context Hydra is as it is."""
    _put(_search, _create, _compose)
    try:
        yield
    finally:
        install()


def _put(search: Any, create: Any, compose: Any) -> None:
    ConfigLoaderImpl._process_config_searchpath = search
    config_loader_impl.create_defaults_list = create
    ConfigLoaderImpl._compose_config_from_defaults_list = compose


def _searched(loader: Any, config_name: str | None, overrides: Any, repo: Any) -> None:
    """Hydra reads its first file for the folders that are named there; here it changes nothing."""
    repo.cache = _read.setdefault((config_name, *_sources(repo)), {})
    _search(loader, config_name, overrides, repo)
    repo.cache = {}


def _defaults(
    repo: Any, config_name: str, overrides_list: Any, prepend_hydra: bool, skip_missing: bool
) -> DefaultsList:
    values = [override for override in overrides_list if _is_value(override, repo)]
    choices = [o.input_line for o in overrides_list if not any(o is value for value in values)]
    stored = ConfigStore.instance().repo.get("schema.yaml")  # not where files are composed alone
    schema = stored and stored.node._metadata.object_type
    key = (config_name, *choices, prepend_hydra, skip_missing, schema, *_sources(repo))
    if key not in _lists:
        _lists[key] = _create(repo, config_name, overrides_list, prepend_hydra, skip_missing)
    known = _lists[key]
    return DefaultsList(known.defaults, known.defaults_tree, values, known.overrides)


def _is_value(override: Any, repo: Any) -> bool:
    """Whether Hydra takes it for a value, which has no part in what is composed of which files."""
    if override.is_sweep_override():
        return False
    is_choice = repo.group_exists(override.key_or_group)
    return not is_choice or isinstance(override.value(), dict)


def _sources(repo: Any) -> list[Hashable]:
    """Where files are looked for, and what lies there that may change."""
    return [(source.provider, source.path, *_files(source.path)) for source in repo.get_sources()]


def _files(folder: str) -> list[tuple[str, int, int]]:
    """What lies in a user's own folder, as long as nobody touches it."""
    if folder == str(config_dir()) or not Path(folder).is_absolute():
        return []
    facts = [(str(path), path.stat()) for path in sorted(Path(folder).rglob("*"))]
    return [(name, fact.st_mtime_ns, fact.st_size) for name, fact in facts]


def _configuration(loader: Any, defaults: Any, repo: Any) -> Any:
    place = id(defaults)
    if place not in _composed:
        if all(defaults is not known.defaults for known in _lists.values()):
            return _compose(loader, defaults=defaults, repo=repo)
        _composed[place] = _compose(loader, defaults=defaults, repo=repo)
    return copy.deepcopy(_composed[place])
