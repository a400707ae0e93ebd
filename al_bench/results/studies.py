"""Studies on disk: the rows that a seed of a study has measured, its manifest and its lock.

``studies/<study>/<id>/`` holds ``config.yaml`` and for each seed ``seed=3.parquet`` and the
manifest ``seed=3.json``. The rows are written whole, before the manifest says that the seed is
done.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from al_bench.errors import place, words_of
from al_bench.results import atomic, damage, inside, locks, parquet
from al_bench.results.history import History, TrialPaths
from al_bench.results.identity import RunIdentity
from al_bench.results.manifest import DONE, FAILED, INTERRUPTED, Manifest
from al_bench.results.schema import SCHEMA_VERSION, engine_columns, table

logger = logging.getLogger(__name__)

# What all rows of a seed have in common, whichever study it is.
COMMON = pa.schema(
    [
        *(
            pa.field(name, pa.string(), nullable=False)
            for name in ("study", "study_id", "task", "model", "network", "training", "budget")
        ),
        pa.field("seed", pa.int64(), nullable=False),
    ]
)


def schema_of(columns: Sequence[pa.Field]) -> pa.Schema:
    """The columns of a study's file: those that all studies have, then its own."""
    return pa.schema([*COMMON, *columns])


class StudyFiles:
    """The files of a claimed seed of a study; ``claim`` makes one, ``close`` gives it back.

    Attributes:
        is_done: Whether the seed was finished before; then it stays as it is.
        history: Empty: a seed is measured in one go.
    """

    def __init__(
        self,
        paths: TrialPaths,
        lock: locks.TrialLock,
        identity: RunIdentity,
        engine: Mapping[str, Any],
        columns: Sequence[pa.Field],
    ) -> None:
        self.history = History([], [], None)
        self._rows = rows_of(paths)
        self._schema = schema_of(columns)
        self._paths = paths
        self._lock = lock
        self._identity = identity
        self._kept: dict[str, Mapping[str, Any]] = {}  # an account of what was written
        self._manifest = Manifest(manifest_of(paths), paths.name, identity.run_id)
        self.is_done = self._manifest.status == DONE and self._is_whole()
        if not paths.config.exists():
            atomic.write(paths.config, identity.config.encode(), paths.name)
        if not self.is_done:
            self._manifest.begin(identity, paths.seed, engine_columns(engine), rounds=0)

    def keep(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Store what was measured durably; what all rows have in common is filled in.

        Raises:
            ResultsError: The disk refuses, or the seed was taken over by another process.
        """
        identity = self._identity
        common = {
            "study": identity.strategy,
            "study_id": identity.run_id,
            **{name: getattr(identity, name) for name in COMMON.names if hasattr(identity, name)},
            "seed": self._paths.seed,
        }
        whole = table([{**row, **common} for row in rows], self._schema)
        metadata = {
            "schema_version": str(SCHEMA_VERSION),
            "study_id": identity.run_id,
            "config": identity.config,
        }
        data = parquet.encode(whole, metadata)
        self._lock.check()
        atomic.write(self._rows, data, self._paths.name)
        self._kept = {self._rows.name: damage.account(data, whole.num_rows)}

    def finish(self, reason: str) -> None:
        """The seed is done, its rows are kept, and it will not be measured again."""
        self._end(DONE, reason=reason, **{damage.FILES: self._kept})

    def fail(self, error: BaseException, traceback_text: str, round: int) -> None:
        """The seed failed; nothing of it is kept."""
        self._end(
            FAILED,
            error=words_of(error) or type(error).__name__,
            error_type=type(error).__name__,
            error_place=place(error),
            traceback=traceback_text,
        )

    def interrupt(self) -> None:
        """The seed was stopped from outside; it will be measured from its beginning."""
        self._end(INTERRUPTED)

    def close(self) -> None:
        """Give the seed back."""
        self._lock.release()

    def _end(self, status: str, **details: Any) -> None:
        self._lock.check()
        self._manifest.end(status, rounds=0, **details)

    def _is_whole(self) -> bool:
        """Whether the rows are those that were stored; others are kept aside."""
        recorded = self._manifest.content.get(damage.FILES, {}).get(self._rows.name)
        try:
            data = inside.read(self._rows)
        except FileNotFoundError:
            what = "is missing"
        else:
            account = {key: recorded[key] for key in ("size", "sha256")} if recorded else None
            if account == damage.account(data):
                return True
            what = damage.EDITED
            atomic.set_aside(self._rows)
        logger.warning("%s starts again: %s %s.", self._paths.name, self._rows, what)
        return False


def claim(
    root: Path,
    identity: RunIdentity,
    seed: int,
    engine: Mapping[str, Any],
    columns: Sequence[pa.Field],
) -> StudyFiles:
    """Take a seed of a study for this process.

    Args:
        root: The results folder.
        identity: The study, as its configuration makes it.
        seed: The seed.
        engine: ``Engine.columns``.
        columns: The study's own.

    Raises:
        TrialHeld: Another process has the seed.
        LedOutside: One of its files is a link.
        ResultsError: The folder cannot be written, or the disk is full.
    """
    paths = TrialPaths(Path(root).absolute() / identity.folder, seed)
    inside.require(paths.folder, paths.name)
    for path in (rows_of(paths), manifest_of(paths)):
        inside.require_regular(path)
    for folder in (paths.folder, paths.lock.parent):
        atomic.make_folder(folder)
    lock = locks.take(paths.lock)
    try:
        atomic.clean(paths.folder, paths.name)
        return StudyFiles(paths, lock, identity, engine, columns)
    except BaseException:
        lock.release()
        raise


def read(folder: Path, seeds: Iterable[int], columns: Sequence[pa.Field]) -> pa.Table:
    """The rows of these seeds, one after the other.

    Args:
        folder: ``studies/<study>/<id>``.
        seeds: Those that are done.
        columns: The study's own.

    Raises:
        ResultsError: A file cannot be read or is not what a study writes.
    """
    schema = schema_of(columns)
    tables = [parquet.read(rows_of(TrialPaths(folder, seed)), schema) for seed in seeds]
    return pa.concat_tables([one.replace_schema_metadata(None) for one in tables])


def rows_of(paths: TrialPaths) -> Path:
    """Where the rows of a seed are."""
    return paths.folder / f"{paths.name}.parquet"


def manifest_of(paths: TrialPaths) -> Path:
    """Where the manifest of a seed is."""
    return paths.folder / f"{paths.name}.json"
