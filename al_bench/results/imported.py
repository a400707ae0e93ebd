"""The source of one's own modules, as this process has imported it.

A module is one's own when its file is neither al-bench's nor an installed package's nor Python's:
those have versions.
"""

import importlib.util
import inspect
import os
import sys
import sysconfig
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

_START = time.time()
_OURS = Path(__file__).resolve().parent.parent
_INSTALLED = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class Source:
    """What is in the file of a module.

    Args:
        path: The file.
        spec: Of the module as it was imported; ``None`` where it was not when this was read.
        content: ``None`` where the file was changed after the module was imported.
    """

    path: Path
    spec: Any
    content: bytes | None


_sources: dict[str, Source] = {}  # by module; what it was made of, whatever the file has by now
_specs: dict[str, Any] = {}  # every module that was looked at, with its spec: a reload has another


def remember(*, just_now: bool = False) -> None:
    """Read the source of one's own modules that were imported since the last call.

    Called around each import that al-bench makes, before there is time to edit a file.

    Args:
        just_now: They were imported a moment ago.
    """
    for name, module in list(sys.modules.items()):
        spec = _spec(module)
        if name in _specs and _specs[name] is spec:
            continue
        is_again = name in _specs
        _specs[name] = spec
        file = file_of(module)
        if file is not None and not _is_elsewhere(str(file)) and is_own(file):
            _sources[name] = _read(name, module, file, is_sure=just_now or is_again)


def source_of(name: str) -> Source | None:
    """The source of one's own module as it was imported, or as it lies there if it is not yet.

    ``None`` where there is no such module, or it is not one's own or has no file.
    """
    module = sys.modules.get(name)
    if module is None:
        spec = find(name)
        file = Path(spec.origin) if spec is not None and spec.has_location else None
        return _read(name, None, file, is_sure=True) if file is not None and is_own(file) else None
    file = file_of(module)
    if file is None or not is_own(file):
        return None
    if name not in _sources or _sources[name].spec is not _spec(module):
        _sources[name] = _read(name, module, file, is_sure=False)
    return _sources[name]


def file_of(module: Any) -> Path | None:
    """The file of a module; ``None`` where it has none."""
    file = module.__dict__.get("__file__") if isinstance(module, ModuleType) else None
    return Path(file) if isinstance(file, str) else None


def _spec(module: Any) -> Any:
    return module.__dict__.get("__spec__") if isinstance(module, ModuleType) else None


def find(name: str) -> Any:
    """The spec of a module, imported or not; nothing is imported. ``None`` where there is none."""
    if name in sys.modules:
        return _spec(sys.modules[name])
    parent = name.rpartition(".")[0]
    path = None
    if parent:
        above = sys.modules.get(parent) or find(parent)
        path = getattr(above, "__path__", getattr(above, "submodule_search_locations", None))
        if path is None:
            return None
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(name, path, None)
        except Exception:  # of whoever put it there
            continue
        if spec is not None:
            return spec
    return None


def is_own(file: Path) -> bool:
    """Whether a file is neither al-bench's nor installed nor Python's, wherever links lead."""
    return not _is_elsewhere(os.path.realpath(file))


@cache
def _elsewhere() -> tuple[str, ...]:
    python = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib"))
    folders = (str(_OURS), *python, *map(os.path.realpath, python))
    return tuple(os.path.join(folder, "") for folder in folders)


def _is_elsewhere(path: str) -> bool:
    installed = any(f"{os.sep}{name}{os.sep}" in path for name in _INSTALLED)
    return installed or path.startswith(_elsewhere())


def _read(name: str, module: ModuleType | None, file: Path, *, is_sure: bool) -> Source:
    spec = _spec(module)
    try:
        content: bytes | None = file.read_bytes()
    except OSError:
        content = _in_archive(name)
    if module is not None and content is not None:
        is_edited = _is_edited(spec, file, content)
        if is_edited is None and not is_sure:
            is_edited = file.stat().st_mtime > _START and not _runs(module, content)
        content = None if is_edited else content
    return Source(file, spec, content)


def _in_archive(name: str) -> bytes | None:
    try:
        source = find(name).loader.get_source(name)
    except Exception:  # whatever loaders do
        return None
    return None if source is None else source.encode()


def _is_edited(spec: Any, file: Path, content: bytes) -> bool | None:
    """Whether a module was made from other source; ``None`` where that cannot be told.

    Importing a file, Python notes beside its bytecode which source it was made from.
    """
    if type(getattr(spec, "loader", None)) is not SourceFileLoader or not spec.cached:
        return None
    if sys.dont_write_bytecode:
        return None
    try:
        status = file.stat()
        with open(spec.cached, "rb") as bytecode:
            header = bytecode.read(16)
    except OSError:
        return None
    if len(header) < 16 or not os.access(Path(spec.cached).parent, os.W_OK):
        return None  # it may be older than the source, and stay so
    if int.from_bytes(header[4:8], "little"):
        return importlib.util.source_hash(content) != header[8:]
    stamp = (int.from_bytes(header[8:12], "little"), int.from_bytes(header[12:], "little"))
    return stamp != (int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF)


def _runs(module: ModuleType, content: bytes) -> bool:
    """Whether every function of a module is one of this source, line by line."""
    try:
        with warnings.catch_warnings(action="ignore"):
            code = compile(content, module.__file__ or "", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    owners = [vars(module), *(vars(one) for one in vars(module).values() if inspect.isclass(one))]
    functions = [one for owner in owners for one in owner.values() if inspect.isfunction(one)]
    running = [one.__code__ for one in functions if one.__code__.co_filename == module.__file__]
    compiled = set(_codes(code))
    return all(one in compiled for one in running)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _codes(inner)
