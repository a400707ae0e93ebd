"""Where one's own modules are found: after everything that is installed, and nowhere else."""

import ast
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from pkgutil import iter_modules

from al_bench.errors import near
from al_bench.results.imported import find, is_own
from al_bench.results.source_hash import decoded, parsed

_beside: list[str] = []  # searched before the current folder: what holds that of --config-dir
_added: list[str] = []  # what has been added to sys.path


def look_beside(folder: Path | None) -> None:
    """Let modules be looked for beside a folder, until this is called again.

    Args:
        folder: Of ``--config-dir``; ``None`` where there is none.
    """
    search([] if folder is None else [str(folder.parent)])


def look_for(target: str, *, here: bool = True) -> None:
    """Make the folder importable that alone has what is named: beside another, else this one.

    What is installed is found first, then what lies beside ``--config-dir``.

    Args:
        target: ``my_module.Class``.
        here: Whether to look in the current folder too.
    """
    for folder, spec in _sole_folders(target):
        if here or folder in _beside:
            _add(folder)
            if spec.origin is not None:  # else it is a folder, and others may add to it
                return


def would_run(target: str) -> str | None:
    """The file, or folder, in which ``look_for`` would find what is named; ``None`` for none."""
    return next((spec.origin or folder for folder, spec in _sole_folders(target)), None)


def _sole_folders(target: str) -> Iterator[tuple[str, ModuleSpec]]:
    """The folders that alone have the module, and what it is there."""
    top = target.partition(".")[0]
    visible = find(top)
    if top != "__main__" and (visible is None or visible.origin is None):
        for folder in searched():
            spec = PathFinder.find_spec(top, [folder])
            if spec is not None:
                yield folder, spec


def _add(folder: str) -> None:
    """Let modules be found in a folder, after all others."""
    if folder in sys.path:
        return
    import_module("torch")  # it tries for modules that it can do without, and is not to find these
    for module in iter_modules([folder]):
        spec = find(module.name)
        if spec is not None and spec.origin is None:
            import_module(module.name)  # no __init__.py: a file in the new folder would hide it
        elif spec is None and module.name in sys.stdlib_module_names:
            sys.modules[module.name] = None  # type: ignore[assignment]  # another system has it
    sys.path.append(folder)
    _added.append(folder)


def searched() -> list[str]:
    """Folders in which modules are looked for that are named, in their order."""
    try:
        return list(dict.fromkeys([*_beside, os.getcwd()]))
    except OSError:  # the current one is gone
        return list(_beside)


def search(folders: Sequence[str]) -> None:
    """Let modules be looked for in these folders, then in the current one.

    Args:
        folders: Those ``searched`` by the process that has started this one.
    """
    _beside[:] = folders


@contextlib.contextmanager
def unseen() -> Iterator[None]:
    """Within this context a process may be started that is not to find what was added before."""
    before = list(sys.path)
    sys.path[:] = [folder for folder in before if folder not in _added]
    try:
        yield
    finally:
        sys.path[:] = before


def own_names() -> set[str]:
    """The modules of one's own that may be named."""
    return {module.name for module in iter_modules(searched())}


def hidden(target: str) -> str:
    """A sentence on a module of one's own where another one of its name is found first.

    Args:
        target: ``random.Mine``, or the module alone. Where the other module has that too, one's own
            is meant only if its file defines it, and never in place of al-bench's.

    Returns:
        The sentence; empty where there is no such module, or it is not meant.
    """
    top, _, rest = target.partition(".")
    first = rest.partition(".")[0]
    visible = find(top)
    if visible is None:
        return ""
    is_there = first and (hasattr(sys.modules.get(top), first) or find(f"{top}.{first}"))
    is_installed = not visible.has_location or not is_own(Path(visible.origin))
    for folder in dict.fromkeys([*searched(), *sys.path]):
        spec = PathFinder.find_spec(top, [folder])
        if spec is None or spec.origin == visible.origin:
            continue
        file = Path(spec.origin or os.path.join(folder, top))
        if not is_own(file) or os.path.realpath(file) == os.path.realpath(visible.origin or ""):
            continue
        if not is_there or (is_installed and top != "al_bench" and _defines(file, first)):
            kind = "installed module" if is_installed else "module"
            kind = "Python's own module" if top in sys.stdlib_module_names else f"the {kind}"
            where = f" ({visible.origin})" if visible.has_location else ""
            return f"{near(file)} is hidden by {kind} {top}{where}."
    return ""


def _defines(file: Path, name: str) -> bool:
    """Whether the top level of a Python file defines or imports ``name``."""
    try:
        tree = parsed(decoded(file.read_bytes()))
    except (OSError, SyntaxError, ValueError):
        return False
    return any(name in _bound(node) for node in tree.body)


def _bound(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name for alias in node.names]
    return [getattr(node, "name", "")]
