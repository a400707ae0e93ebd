"""Where results come from: code, package versions, hardware, command."""

import contextlib
import functools
import os
import platform
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from al_bench.masking import masked_words
from al_bench.results.checkout import Checkout, Unreadable, installed
from al_bench.results.imported import source_of

PACKAGES = (
    "al-bench",
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "pyarrow",
    "hydra-core",
    "omegaconf",
)
# What they are imported by.
_MODULES = frozenset(
    {name.replace("-", "_") for name in PACKAGES} - {"scikit_learn", "hydra_core"}
    | {"sklearn", "hydra"}
)


def command() -> str:
    """The command line of this process, its secrets masked."""
    name = Path(sys.argv[0]).name  # of argv[0], which may be "al-bench run"
    return f"{name} {shlex.join(masked_words(sys.argv[1:]))}".rstrip()


@functools.cache
def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that decide results."""
    by_name = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            by_name[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return by_name


@functools.cache
def versions_of(imported: frozenset[str]) -> dict[str, str]:
    """Versions of installed packages, by the name they are installed by.

    Args:
        imported: The names they are imported by. One that belongs to no package is left out.
    """
    if not imported - _MODULES:  # to look through everything that is installed takes a while
        return {}
    owners = metadata.packages_distributions()
    names = {name for module in imported for name in owners.get(module, ())}
    return {name: metadata.version(name) for name in sorted(names)}


@functools.cache
def hardware() -> dict[str, Any]:
    """Operating system, processor, cores, memory in bytes, and GPUs with their driver."""
    return {
        "system": platform.platform(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_bytes": _memory_bytes(),
        "gpus": _gpus(),
    }


@functools.cache
def code() -> dict[str, dict[str, str]]:
    """Commit of al-bench's checkout, and how its package and configuration differ from that.

    No program of a repository's is run, neither here nor for ``code_of_own``.

    Returns:
        Under ``"package"``: ``commit`` and ``diff``, a patch. Empty where al-bench is installed
        rather than checked out, and where git is missing or cannot read the commit.
    """
    package = Path(__file__).resolve().parent.parent
    checkout = Checkout.around(package)
    with contextlib.suppress(Unreadable):
        if checkout is not None and checkout.has(package / "__init__.py"):
            diff = checkout.difference({}, [package, package.parent / "conf"])
            return {"package": {"commit": checkout.commit, "diff": diff}}
    return {}


@functools.cache
def code_of_own(names: frozenset[str]) -> dict[str, dict[str, str]]:
    """Commit of the checkouts that modules of one's own lie in, and how these differ from that.

    What lies beside the modules is not looked at.

    Args:
        names: Of the modules. One without a file, as a notebook's class, has no checkout.

    Returns:
        Under ``"own_code"``, and ``"own_code_2"`` and so on where there are more checkouts:
        ``commit``, empty before the first one, and ``diff``, a patch. Those that git cannot read
        are left out.
    """
    files: dict[Checkout, dict[Path, bytes]] = {}
    for name in sorted(names):
        source = source_of(name)
        if source is None or source.content is None:
            continue
        path = Path(os.path.realpath(source.path))
        checkout = Checkout.around(path)
        if checkout is not None:
            files.setdefault(checkout, {})[path] = source.content
    states = {}
    for number, (checkout, contents) in enumerate(files.items(), 1):
        with contextlib.suppress(Unreadable):
            state = {"commit": checkout.commit, "diff": checkout.difference(contents)}
            states["own_code" if number == 1 else f"own_code_{number}"] = state
    return states


def _gpus() -> list[str]:
    program = installed("nvidia-smi")
    if program is None:
        return []
    query = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    return (_output(query) or "").splitlines()


def _output(arguments: list[str]) -> str | None:
    """What a command prints; ``None`` if it is missing, fails or takes too long."""
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        process = subprocess.run(
            arguments,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=20,
            check=True,
            env=environment,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return process.stdout.decode(errors="replace").strip()


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
