"""al-bench as a user who may not write, in a process of its own."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

_MAIN = "import sys; sys.path[:] = sys.argv.pop(1).split(':'); sys.argv[0] = 'al-bench'\n"
_MAIN += "from al_bench.cli import main\nsys.exit(main(sys.argv[1:]))"


@cache
def _python(base: Path) -> tuple[str, dict[str, str], list[str]]:
    """An interpreter that anyone can reach, what it needs set, and where modules lie.

    One in the folder of root alone is linked file by file below ``base``.
    """
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = Path(sys.base_prefix, "lib")
    linked = base / "python"
    ignored = shutil.ignore_patterns("site-packages", "test", "config-*")
    shutil.copytree(library / name, linked / "lib" / name, copy_function=_link, ignore=ignored)
    for shared in library.glob("libpython*"):
        _link(str(shared.resolve()), str(linked / "lib" / shared.name))
    (linked / "bin").mkdir()
    _link(os.path.realpath(sys.executable), str(linked / "bin" / "python3"))
    own = [str(linked / "lib" / name), str(linked / "lib" / name / "lib-dynload")]
    others = [path for path in sys.path if path and not path.startswith(sys.base_prefix)]
    python, libraries = str(linked / "bin" / "python3"), str(linked / "lib")
    return python, {"LD_LIBRARY_PATH": libraries, "PYTHONHOME": str(linked)}, own + others


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def run(base: Path, cwd: Path, *words: str, **environment: str) -> tuple[int, str, str]:
    """``al-bench WORDS`` by nobody where the tests run as root, else by who runs them.

    Args:
        base: A folder that everyone can reach; for all calls the same.
        cwd: The current folder.
        words: What is typed.
        environment: Variables beside the ones that are needed.

    Returns:
        Exit code, standard output, standard error.
    """
    if os.getuid() == 0:
        python, needed, paths = _python(base)
        user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
    else:
        python, needed, paths, user = sys.executable, {}, [p for p in sys.path if p], {}
    done = subprocess.run(
        [python, "-c", _MAIN, ":".join(paths), *words],
        env={"PATH": os.defpath, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        | needed
        | {"HOME": "/proc"}
        | environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        **user,
    )
    return done.returncode, done.stdout, done.stderr
