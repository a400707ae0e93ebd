"""Hydra reads each shipped file, and composes each combination of choices, once a process.

Values are applied to a copy. Copies are unpickled, which is several times faster than to copy.

Composing takes a tenth of a second, most tests do it, and few of them with choices of their own:
what they type differs in values, which Hydra applies to a composed configuration as ever.
``al-bench`` in a process of its own knows nothing of this.
"""

import pickle
from collections.abc import Hashable
from pathlib import Path
from typing import Any

from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.defaults_list import DefaultsList
from hydra.core.config_store import ConfigStore
from hydra.core.object_type import ObjectType

from al_bench.configuration.config_dir import config_dir

_create = config_loader_impl.create_defaults_list
_compose = ConfigLoaderImpl._compose_config_from_defaults_list
_load = ConfigRepository.load_config
_lists: dict[Hashable, DefaultsList] = {}
_composed: dict[int, bytes] = {}  # by the identity of the defaults that ``_lists`` keeps
_shipped: dict[tuple[str, str, str], bytes] = {}  # by provider, folder and file


def install() -> None:
    config_loader_impl.create_defaults_list = _defaults
    ConfigLoaderImpl._compose_config_from_defaults_list = _configuration
    ConfigRepository.load_config = _file


def _defaults(
    repo: Any, config_name: str, overrides_list: Any, prepend_hydra: bool, skip_missing: bool
) -> DefaultsList:
    values = [override for override in overrides_list if _is_value(override, repo)]
    choices = [o.input_line for o in overrides_list if not any(o is value for value in values)]
    stored = ConfigStore.instance().repo.get("schema.yaml")  # not where files are composed alone
    schema = stored and stored.node._metadata.object_type
    sources = [
        (source.provider, source.path, *_files(source.path)) for source in repo.get_sources()
    ]
    key = (config_name, *choices, prepend_hydra, skip_missing, schema, *sources)
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
        _composed[place] = pickle.dumps(_compose(loader, defaults=defaults, repo=repo))
    return pickle.loads(_composed[place])


def _file(repo: Any, config_path: str) -> Any:
    """What a file of Hydra or of al-bench says."""
    source = repo._find_object_source(config_path, ObjectType.CONFIG)
    if source is None or source.path not in (str(config_dir()), "hydra.conf"):
        return _load(repo, config_path)
    key = (source.provider, source.path, config_path)
    if key not in _shipped:
        _shipped[key] = pickle.dumps(_load(repo, config_path))
    return pickle.loads(_shipped[key])
