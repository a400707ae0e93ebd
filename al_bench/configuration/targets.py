"""The class or function that a ``_target_`` names, and what was meant where there is none."""

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator, Set
from types import ModuleType
from typing import Any

from omegaconf import OmegaConf

from al_bench.configuration import own_path
from al_bench.errors import ConfigError, choose, error_line, within
from al_bench.results.imported import remember


class NotFound(ConfigError):
    """The module of a ``_target_`` is not there, as seen from this folder."""


def described(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every node of a configuration that describes an object, with its key.

    Args:
        node: The configuration from ``path`` on.
        path: Its own key, dotted.
    """
    if OmegaConf.is_dict(node):
        if "_target_" in node:
            yield path, node
        for name, child in node.items():
            yield from described(child, f"{path}.{name}")
    elif OmegaConf.is_list(node):
        for number, child in enumerate(node):
            yield from described(child, f"{path}[{number}]")


def locate(target: str, key: str = "_target_") -> Any:
    """What ``package.module.Class`` names. Hydra would print lines of its own.

    Args:
        target: With its dots.
        key: Where it was given, for errors.

    Raises:
        NotFound: There is no such module.
        ConfigError: It has no such class, or importing it fails.
    """
    message = f"{key}={target} cannot be loaded"
    part, rest = _module(target, message)
    _refuse_hidden(target, message)
    for name in rest:
        if not hasattr(part, name):
            owner = part.__name__
            hint = _near(name, part, f"{owner}.")
            raise ConfigError(f"{message}: {owner} has no {name!r}.", hint)
        part = getattr(part, name)
    return part


def _refuse_hidden(target: str, message: str) -> None:
    """Raise ConfigError where a module of one's own is meant and another one is found."""
    if sentence := own_path.hidden(target):
        raise ConfigError(f"{message}: {sentence}", "Rename it.")


def module_of(target: str) -> ModuleType:
    """The module in which ``package.module.Class`` is looked up; ConfigError as for ``locate``."""
    module: ModuleType = _module(target, f"_target_={target} cannot be loaded")[0]
    return module


def _module(target: str, message: str) -> tuple[Any, list[str]]:
    """The innermost module of a dotted name, and what follows it."""
    names = target.split(".")
    if len(names) < 2 or not all(names):
        raise ConfigError(f"{message}: it names no module.", "Write module.Class.")
    own_path.look_for(target)
    module: ModuleType | None = None
    for place, name in enumerate(names):
        path = ".".join(names[: place + 1])
        if module is not None and not hasattr(module, "__path__") and path not in sys.modules:
            return module, names[place:]
        try:
            with within(path):
                module = _imported(path)
        except ModuleNotFoundError as error:
            if error.name != path:  # the module is there, what it imports is not
                raise ConfigError(f"{message}: {error_line(error)}.", _of_import(error)) from error
            if module is not None and hasattr(module, name):
                return module, names[place:]
            _refuse_hidden(target, message)
            raise NotFound(
                f"{message}: there is no module {path!r}.", _hint(module, name)
            ) from error
        except Exception as error:  # whatever a user's module raises when it is imported
            hint = _of_import(error) if isinstance(error, ImportError) else None
            raise ConfigError(f"{message}: {error_line(error).rstrip('.')}.", hint) from error
    return module, []


def _imported(path: str) -> ModuleType:
    """The module, its source and that of what it imports read before anyone can edit them."""
    if path in sys.modules:
        return importlib.import_module(path)
    remember()
    module = importlib.import_module(path)
    remember(just_now=True)
    return module


def _of_import(error: ImportError) -> str | None:
    """What to do where a module of one's own lacks another one, or something in it."""
    name = error.name or ""
    if sentence := own_path.hidden(name):
        return f"{sentence} Rename it."
    if name in own_path.own_names() and isinstance(error, ModuleNotFoundError):
        return f"What a class imports is found in its own folder: move {name} there."
    return None


def _hint(package: ModuleType | None, name: str) -> str:
    if package is not None:
        inside = {module.name for module in pkgutil.iter_modules(package.__path__)}
        return _near(name, package, f"{package.__name__}.", inside)
    suggestion = choose(name, {*own_path.own_names(), "al_bench"})
    where = (
        "A class of your own is found from the folder you start al-bench in, and beside the folder "
        "of --config-dir."
    )
    return f"{suggestion} {where}" if suggestion.startswith("Did you mean") else where


def _near(name: str, owner: Any, prefix: str, modules: Set[str] = frozenset()) -> str:
    """What was meant among all that a module or class has, or else what is its own."""
    members = {
        key: value
        for key, value in vars(owner).items()
        if not key.startswith("_") and (inspect.isclass(value) or inspect.isfunction(value))
    }
    modules = {module for module in modules if not module.startswith("_")}
    suggestion = choose(name, modules | members.keys(), prefix)
    if suggestion.startswith("Did you mean"):
        return suggestion
    home = getattr(owner, "__module__", owner.__name__)
    defined_here = {key for key, value in members.items() if value.__module__ == home}
    return choose(name, modules | defined_here, prefix)
