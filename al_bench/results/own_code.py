"""One's own code that decides a result: the modules of classes, and what they import, hashed."""

import ast
import inspect
import linecache
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from al_bench.errors import AlBenchError, ConfigError
from al_bench.results.imported import file_of, find, remember, source_of
from al_bench.results.source_hash import decoded, differing, parsed, source_hash

_PLAIN = (bool, int, float, complex, str, bytes, type(None))


@dataclass(frozen=True)
class OwnCode:
    """What a result depends on beside al-bench.

    Args:
        hashes: ``source_hash`` of every module of one's own, by its name; of what a notebook
            defines, by the name of the class or function.
        packages: The installed packages that these import, by the name they are imported by.
    """

    hashes: Mapping[str, str]
    packages: frozenset[str]


def own_code(items: Iterable[Any]) -> OwnCode:
    """The code of these classes, functions and modules that is one's own, to the end.

    Followed are the imports of a module, wherever in it they stand, to other modules of one's own.

    Args:
        items: Classes (with their bases), functions, modules; those of others count for nothing.

    Raises:
        ConfigError: A class has no source that could be found again, or its file was edited after
            it was imported.
    """
    remember()
    hashes: dict[str, str] = {}
    packages: set[str] = set()
    visited: set[str] = set()
    stack: list[Any] = list(items)
    while stack:
        item = stack.pop()
        if isinstance(item, ModuleType):
            item = item.__name__
        if isinstance(item, str):
            if item not in visited:
                visited.add(item)
                stack += _module(item, hashes, packages)
        elif inspect.isclass(item):
            stack += [one for base in item.__mro__ for one in _home(base, hashes)]
        elif inspect.isfunction(item):
            stack += _home(item, hashes)
    return OwnCode(dict(sorted(hashes.items())), frozenset(packages))


def require_unedited(hashes: Mapping[str, str], now: Mapping[str, str] | None = None) -> None:
    """Raise AlBenchError where this process runs other code than what has these hashes.

    Args:
        hashes: Those of ``own_code`` when the sweep began.
        now: Those of this process; ``None`` for those of the same modules as imported by now:
            what a function imports only when it is called may have been edited until then.
    """
    if now is None and hashes:
        remember()
        sources = {name: source_of(name) for name in hashes if name in sys.modules}
        now = {**hashes} | {
            name: source_hash(source.content or b"")
            for name, source in sources.items()
            if source is not None
        }
    now = now or {}
    differ = differing(hashes, now)
    if differ:
        raise AlBenchError(
            f"{', '.join(differ)} {'was' if len(differ) == 1 else 'were'} edited while the sweep "
            "ran: this process runs other code than the one that began.",
            "Start it again; what the edited code computes is a run of its own.",
        )


def _module(name: str, hashes: dict[str, str], packages: set[str]) -> list[str]:
    """Hash a module if it is one's own; the names of what it imports."""
    source = source_of(name)
    if source is None:
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and _is_there(name):
            packages.add(top)
        return []
    if source.content is None:
        raise ConfigError(
            f"{source.path} was edited after this process had imported it.",
            "Start Python again, in a notebook the kernel, or reload the module.",
        )
    hashes[name] = source_hash(source.content)
    is_package = getattr(find(name), "submodule_search_locations", None) is not None
    return sorted(imports(source.content, name if is_package else name.rpartition(".")[0]))


def _is_there(name: str) -> bool:
    return name in sys.modules or find(name) is not None


@lru_cache(maxsize=1024)
def imports(source: bytes, package: str) -> frozenset[str]:
    """Names of all that may be a module among what Python source imports, packages above included.

    Args:
        source: A file's content.
        package: What its relative imports are relative to; empty for none.
    """
    try:
        tree = parsed(decoded(source))
    except (SyntaxError, ValueError):
        return frozenset()
    names = {name for node in ast.walk(tree) for name in _imported_by(node, package)}
    if package:
        names.add(package)
    parts = [name.split(".") for name in names if name]
    return frozenset(".".join(p[:n]) for p in parts for n in range(1, len(p) + 1))


def _imported_by(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = _absolute(node.module or "", node.level, package)
        yield base
        for alias in node.names:
            names = _public(base) if alias.name == "*" else [alias.name]
            yield from (f"{base}.{name}" for name in names if base)
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        function = node.func
        name = getattr(function, "attr", getattr(function, "id", ""))
        argument = node.args[0].value
        if name in ("import_module", "__import__") and isinstance(argument, str):
            level = len(argument) - len(argument.lstrip("."))
            yield _absolute(argument.lstrip("."), level, package)


def _absolute(name: str, level: int, package: str) -> str:
    if not level:
        return name
    above = package.split(".")
    return ".".join(part for part in [*above[: len(above) - level + 1], name] if part)


def _public(name: str) -> list[str]:
    """What ``from name import *`` imports that may be modules."""
    exports = getattr(sys.modules.get(name), "__all__", ())
    return [one for one in exports if isinstance(one, str)]


def _home(item: Any, hashes: dict[str, str]) -> list[Any]:
    """The module of a class or function; where a notebook defines it, all that it uses."""
    name = str(item.__module__)
    module = sys.modules.get(name)
    if name in sys.stdlib_module_names or file_of(module) is not None:
        return [name]
    if module is None or getattr(module, "__spec__", None) is not None:
        return []  # a package calls its module otherwise, or it is compiled
    label = f"{name}.{item.__qualname__}"
    if label in hashes:
        return []
    definition = _definition(item)
    if definition is None:
        raise ConfigError(
            f"The source of {label} cannot be found, so that a change of it would go unseen.",
            "Write it into a file in this folder and name that: my_module.Class.",
        )
    names = {node.id for node in ast.walk(parsed(definition)) if isinstance(node, ast.Name)}
    variables = {key: value for key, value in vars(module).items() if key in names}
    values = {key: value for key, value in variables.items() if _is_plain(value)}
    if inspect.isclass(item):
        attributes = {f"{item.__name__}.{key}": value for key, value in vars(item).items()}
        values |= {k: v for k, v in attributes.items() if _is_plain(v) and "__" not in k}
    assignments = "".join(f"{key} = {_text(value)}\n" for key, value in sorted(values.items()))
    hashes[label] = source_hash(f"{definition}\n{assignments}".encode())
    return [value for key, value in variables.items() if key not in values]


def _definition(item: Any) -> str | None:
    """The source of a class or function that was typed: the part of its cell that defines it."""
    for lines in _cells(item):
        text = "".join("\n" if line.startswith(("%", "!")) else line for line in lines)
        try:
            nodes = ast.walk(parsed(text))
        except SyntaxError:
            continue
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        name = item.__name__
        definitions = [node for node in nodes if isinstance(node, kinds) and node.name == name]
        if definitions:  # of several the last one counts
            node = max(definitions, key=lambda one: one.lineno)
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            return textwrap.dedent("\n".join(text.split("\n")[first - 1 : node.end_lineno]))
    return None


def _cells(item: Any) -> Iterator[list[str]]:
    """Cells that may define it: those of its functions, then every one, the latest first."""
    inside = list(vars(item).values()) if inspect.isclass(item) else [item]
    for one in inside:
        function = inspect.unwrap(getattr(one, "fget", getattr(one, "__func__", one)))
        if inspect.isfunction(function):
            yield linecache.getlines(function.__code__.co_filename)
    for name in reversed(list(linecache.cache)):
        if not Path(name).exists():
            yield linecache.getlines(name)


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_plain(one) for pair in value.items() for one in pair)
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(map(_is_plain, value))
    return isinstance(value, _PLAIN)


def _text(value: Any) -> str:
    return repr(sorted(map(repr, value)) if isinstance(value, (set, frozenset)) else value)
