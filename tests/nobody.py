"""al-bench as a user who may not write, in processes of their own."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Imports once, then a process of its own for each line: what is typed, answered with what came out.
_TERMINAL = """
import json, os, sys, traceback
sys.path[:] = sys.argv.pop(1).split(":")
import hydra, pandas, pyarrow.parquet, torch
from al_bench.cli import main
sys.argv[:] = ["al-bench"]
for line in sys.stdin:
    streams = [os.open(os.devnull, os.O_RDONLY), os.memfd_create("out"), os.memfd_create("err")]
    child = os.fork()
    if child == 0:
        code = 1
        try:
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
            code = main(json.loads(line))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said = [os.pread(stream, os.fstat(stream).st_size, 0).decode() for stream in streams[1:]]
    for stream in streams:
        os.close(stream)
    print(json.dumps([code, *said]), flush=True)
"""


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


@contextlib.contextmanager
def terminal(base: Path) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """``al-bench WORDS`` by nobody where the tests run as root, else by who runs them.

    Args:
        base: A folder that everyone can reach; it is the current one.

    Yields:
        Calls with what is typed give exit code, standard output and standard error.
    """
    if os.getuid() == 0:
        python, needed, paths = _python(base)
        user: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []}
    else:
        python, needed, paths, user = sys.executable, {}, [p for p in sys.path if p], {}
    with subprocess.Popen(
        [python, "-c", _TERMINAL, ":".join(paths)],
        env={"PATH": os.defpath, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        | needed
        | {"HOME": "/proc"},
        cwd=base,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        **user,
    ) as process:

        def run(*words: str) -> tuple[int, str, str]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(words) + "\n")
            process.stdin.flush()
            code, out, err = json.loads(process.stdout.readline())
            return code, out, err

        yield run
