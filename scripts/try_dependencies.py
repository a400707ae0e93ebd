"""Whether al-bench's tests pass with the lowest, the newest and the coming versions of others.

    python scripts/try_dependencies.py /tmp/environments
    python scripts/try_dependencies.py /tmp/environments --only lowest -- tests/stats -k paired

Makes an environment each below the folder with uv, which must be there already, installs al-bench
in it as it lies here with its tools, runs the fast tests or those that are named after ``--``, and
prints what was installed and how the tests ended as a table. All that the tests say is in
``FOLDER/NAME.txt``. Exits with 1 if a test failed in one of them.
"""

import argparse
import json
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from os import environ
from pathlib import Path

ROOT = Path(__file__).parents[1]
# What uv is told; a version that names a pre-release allows those of that package alone.
SETS = {
    "lowest": ["--resolution", "lowest-direct"],
    "newest": ["--upgrade"],
    "prerelease": [
        "--upgrade",
        "hydra-core>=1.4.0rc1",
        "omegaconf>=2.4.0rc1",
        "hydra-joblib-launcher>=1.4.0rc1",
    ],
}
FAST = ["-m", "not slow and not gpu and not network"]


def install(folder: Path, told: Sequence[str], python: str) -> None:
    """Make the environment anew."""
    subprocess.run(["uv", "venv", "--quiet", "--clear", "--python", python, folder], check=True)
    command = ["uv", "pip", "install", "--quiet", "--python", folder / "bin" / "python"]
    subprocess.run([*command, *told, "-e", f"{ROOT}[dev]"], check=True)


def versions(folder: Path) -> dict[str, str]:
    """What is installed in the environment."""
    command = ["uv", "pip", "list", "--format", "json", "--python", folder / "bin" / "python"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {package["name"]: package["version"] for package in json.loads(listed)}


def run_tests(folder: Path, arguments: Sequence[str]) -> tuple[bool, str]:
    """Whether the tests passed, and pytest's last line."""
    command = [folder / "bin" / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    log = folder.with_suffix(".txt")
    with log.open("w") as said:
        ended = subprocess.run(
            [*command, *FAST, *arguments],
            cwd=ROOT,
            env={**environ, "OMP_NUM_THREADS": "1"},
            stdout=said,
            stderr=subprocess.STDOUT,
            check=False,
        )
    lines = log.read_text(encoding="utf-8").splitlines() or ["nothing was said"]
    return ended.returncode == 0, lines[-1].strip("= ")


def table(found: dict[str, dict[str, str]], results: dict[str, str]) -> str:
    """Versions of what pyproject.toml names and the results, a column for each environment."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needs = [*project["dependencies"], "hydra-joblib-launcher", "hydra-submitit-launcher"]
    rows = [["", *found], ["---"] * (len(found) + 1)]
    for need in needs:
        name = need.partition(">")[0]
        rows.append([name, *(installed.get(name, "") for installed in found.values())])
    rows.append(["tests", *results.values()])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the environments are made")
    parser.add_argument("--only", choices=SETS, action="append", help="this one; may be repeated")
    parser.add_argument("--python", default=sys.executable, help="version or path of a Python")
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    typed = parser.parse_args(words[:end])
    passed, found, results = True, {}, {}
    for name in typed.only or SETS:
        folder = typed.folder.resolve() / name
        install(folder, SETS[name], typed.python)
        found[name] = versions(folder)
        well, results[name] = run_tests(folder, words[end + 1 :])
        passed &= well
    print(table(found, results))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
