"""All that is stored of one run, found by whatever names it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from al_bench.errors import ConfigError, ResultsError, choose
from al_bench.paths import opened
from al_bench.results import ledger, manifest, parquet, settings
from al_bench.results.history import TrialPaths
from al_bench.results.schema import CURVE, ENGINE, IDENTITY, MEASURED

FILES = ("curves", "acquisitions", "manifests", "locks")  # folders of a run, with files of trials
SECONDS = tuple(name for name in MEASURED if name.startswith("seconds_"))
_COLUMNS = (
    *(*IDENTITY, "seed", "round"),
    *("num_labeled", "num_queried", "num_validation", "test_accuracy", "notes", "init_strategy"),
    *("setting", "total_steps", "label_access", *ENGINE, *SECONDS),
)


@dataclass(frozen=True)
class StoredRun:
    """A run on disk.

    Args:
        folder: The run's folder.
        seeds: The only ones that are meant, of a file that was named; ``None`` is all.
    """

    folder: Path
    seeds: tuple[int, ...] | None = None

    @cached_property
    def entries(self) -> list[ledger.Entry]:
        """What became of its trials, by seed."""
        return [entry for entry in ledger.status(self.folder) if self._covers(entry.seed)]

    @cached_property
    def manifests(self) -> list[dict[str, Any]]:
        """Of its trials, those that can be read, by seed."""
        paths = [TrialPaths(self.folder, entry.seed or 0).manifest for entry in self.entries]
        return [content for path in paths if (content := manifest.read(path)) is not None]

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Committed rounds, by seed and round; of damaged curves none."""
        schema = pa.schema([CURVE.field(name) for name in _COLUMNS])
        rows = []
        for path in self.curves:
            try:
                rows += parquet.read(path, schema).to_pylist()
            except (FileNotFoundError, ResultsError):
                continue
        return sorted(rows, key=lambda row: (row["seed"], row["round"]))

    @property
    def curves(self) -> list[Path]:
        """Files of the curves."""
        return [
            path for path in sorted(self.folder.glob("curves/seed=*.parquet")) if self._has(path)
        ]

    @cached_property
    def settings(self) -> dict[str, Any] | None:
        """All that decides its results, dotted key to value; ``None`` where nothing tells."""
        values = settings.of_run(self.folder)
        return None if values is None else dict(values)

    def name(self, key: str) -> str:
        """A name that its rounds or manifests have, such as ``strategy_label``; or nothing."""
        for content in (*self.rows[-1:], *self.manifests[-1:]):
            if content.get(key):
                return str(content[key])
        return ""

    @property
    def label(self) -> str:
        """Strategy, data and model in a phrase."""
        if not (strategy := self.name("strategy_label")):
            return f"run {self.folder.name}"
        network = f" ({self.name('network')})" if self.name("network") else ""
        return f"{strategy} on {self.name('task')}, {self.name('model')}{network}"

    def _covers(self, seed: int | None) -> bool:
        return self.seeds is None or seed in self.seeds

    def _has(self, path: Path) -> bool:
        number = path.stem.removeprefix("seed=")
        return number.isdecimal() and self._covers(int(number))


def find(word: str, root: Path) -> StoredRun:
    """The run that ``word`` names: its folder, a file in it, or its id.

    Args:
        word: As it was typed.
        root: The results folder in which ids are looked up.

    Raises:
        ConfigError: There is no such run, or there are several.
    """
    path = opened(word)
    if path.is_file():
        return _of_file(path)
    if path.is_dir():
        if _is_run(path):
            return StoredRun(path)
        below = _runs(path, "*")
        if len(below) == 1:
            return StoredRun(below[0])
        raise _several(f"{word} is no run", below, "al-bench status lists what there is.")
    if len(path.parts) != 1:
        raise ConfigError(f"There is no {word}.", "Name a run's folder, a file in it, or its id.")
    if not root.is_dir():
        raise ConfigError(f"There is no {word}, and no results folder {root}.", "Add results=…")
    matches = [run for run in _runs(root, "*/*/*/*") if run.name.startswith(word)]
    exact = [run for run in matches if run.name == word]
    if len(exact or matches) == 1:
        return StoredRun((exact or matches)[0])
    if matches:
        raise _several(f"Run id {word} in {root} is not one run", matches, "")
    ids = {run.name for run in _runs(root, "*/*/*/*")}
    hint = choose(word, ids) if 0 < len(ids) <= 20 else "al-bench status lists them."
    raise ConfigError(f"There is no run {word} in {root}.", hint)


def _of_file(path: Path) -> StoredRun:
    absolute = path.absolute()
    if path.name == "config.yaml" and _is_run(absolute.parent):
        return StoredRun(path.parent)
    number = absolute.name.removeprefix("seed=").partition(".")[0]
    if absolute.parent.name in FILES and number.isdecimal():
        return StoredRun(
            Path(*path.parts[:-2]) if len(path.parts) > 2 else absolute.parents[1], (int(number),)
        )
    raise ConfigError(
        f"{path} is no file of a run.",
        "Name a run's folder, or its curves/seed=0.parquet, manifests/seed=0.json, config.yaml.",
    )


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_dir() for name in FILES[:3])


def _runs(folder: Path, deepest: str) -> list[Path]:
    """Runs below a folder, down to where they lie in a results folder."""
    patterns = [deepest] if deepest != "*" else ["*", "*/*", "*/*/*", "*/*/*/*"]
    folders = {run for pattern in patterns for run in folder.glob(pattern)}
    return sorted(run for run in folders if not run.name.startswith(".") and _is_run(run))


def _several(message: str, runs: Sequence[Path], otherwise: str) -> ConfigError:
    if not runs:
        return ConfigError(f"{message}.", otherwise)
    names = ", ".join(map(str, runs[:3])) + (f" and {len(runs) - 3} more" if runs[3:] else "")
    return ConfigError(f"{message}: there are {names}.", "Name one of them.")
