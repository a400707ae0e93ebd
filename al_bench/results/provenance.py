"""Where results come from: code, package versions, hardware, command."""

import functools
import os
import platform
import shlex
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

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
    """The command line of this process."""
    return (
        f"{Path(sys.argv[0]).name} {shlex.join(sys.argv[1:])}".rstrip()
    )  # argv[0] is "al-bench run"


@functools.cache
def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that decide results."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


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
    """Commit and uncommitted diff of al-bench's checkout and of the current folder's.

    Keys are ``"package"`` (absent when al-bench is installed rather than checked out) and
    ``"current_folder"`` (absent outside a repository, or when it is the same one); each holds
    ``commit`` and ``diff``. Both are absent without git.
    """
    package = Path(__file__).resolve().parent.parent
    found = {}
    tracked = _git(package, "ls-files", "--error-unmatch", "__init__.py") is not None
    package_root = _git(package, "rev-parse", "--show-toplevel") if tracked else None
    if package_root:
        found["package"] = _state(Path(package_root))
    current_root = _git(Path.cwd(), "rev-parse", "--show-toplevel")
    if current_root and current_root != package_root:
        found["current_folder"] = _state(Path(current_root))
    return found


def _state(repository: Path) -> dict[str, str]:
    return {
        "commit": _git(repository, "rev-parse", "HEAD") or "",
        "diff": _git(repository, "diff", "HEAD", "--no-ext-diff", "--no-color") or "",
    }


def _git(folder: Path, *arguments: str) -> str | None:
    return _output(["git", "-C", str(folder), *arguments])


def _gpus() -> list[str]:
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    return (_output(query) or "").splitlines()


def _output(arguments: list[str]) -> str | None:
    """What a command prints; ``None`` if it is missing, fails or takes too long."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            arguments,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=20,
            check=True,
            env=environment,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace").strip()


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
