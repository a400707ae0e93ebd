"""Trials on disk: claimed, continued from their last committed round, committed round by round.

A commit writes the checkpoint (warm start only), the acquisitions and then the curve, each whole
and durable before the next. The curve's row is the commit: what lies beyond it does not count.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import pyarrow as pa

from al_bench.errors import ConfigError, place, words_of
from al_bench.results import (
    atomic,
    configured,
    damage,
    inside,
    locks,
    parquet,
    plain,
    settings,
    spending,
)
from al_bench.results.history import (
    BOUGHT,
    CHECKPOINT,
    CHECKPOINT_DIGEST,
    History,
    TrialPaths,
    digest,
    encode_checkpoint,
    load_history,
)
from al_bench.results.identity import RunIdentity
from al_bench.results.manifest import DONE, FAILED, INTERRUPTED, Manifest, read
from al_bench.results.schema import (
    ACQUISITIONS,
    CURVE,
    ENGINE,
    SCHEMA_VERSION,
    engine_columns,
    row_in_full,
    table,
)

logger = logging.getLogger(__name__)

Resume = Literal["same", "any"]


class Store:
    """The results folder.

    Args:
        root: Where runs have their folders; made when the first trial is claimed.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root).absolute()

    def claim(
        self,
        identity: RunIdentity,
        seed: int,
        engine: Mapping[str, Any],
        resume: Resume = "same",
    ) -> "TrialFiles":
        """Take a trial for this process, with what it has already done.

        A trial that is done stays as it is, unless its curve or its acquisitions are not what its
        manifest says: then they are kept aside and it starts again. One that is half done goes on
        after its last committed round if that round was computed by the same engine, or by
        whichever with ``resume="any"``; otherwise it starts again, and what it had is replaced by
        its first commit.

        Args:
            identity: The run.
            seed: The trial.
            engine: The columns named in ``schema.ENGINE``; ``numerics_version`` is added where it
                is not among them.
            resume: ``"same"`` or ``"any"``.

        Raises:
            TrialHeld: Another process has the trial.
            LedOutside: One of the trial's files is a link.
            ResultsError: The folder cannot be written, or the disk is full.
        """
        if resume not in ("same", "any"):
            raise ConfigError(f"resume must be same or any, got {resume!r}.")
        columns = engine_columns(engine)
        if set(columns) != set(ENGINE):
            raise ValueError(f"engine columns must be {ENGINE}, got {tuple(columns)}")
        paths = TrialPaths(self.root / identity.folder, seed)
        inside.require(paths.folder, paths.name)
        for folder in paths.folders:
            atomic.make_folder(folder)
        lock = locks.take(paths.lock)
        try:
            for folder in (*paths.folders, paths.checkpoint(0).parent):
                atomic.clean(folder, paths.name)
            return TrialFiles(paths, lock, identity, columns, resume)
        except BaseException:
            lock.release()
            raise


class TrialFiles:
    """The files of a claimed trial; ``Store.claim`` makes one, leaving the ``with`` gives it back.

    Attributes:
        history: What the trial had done when it was claimed, up to its last committed round; of a
            finished trial the rows alone.
        is_done: Whether the trial was finished before; then nothing can be committed.
        folder: The run's folder.
        seed: The trial's seed.
    """

    def __init__(
        self,
        paths: TrialPaths,
        lock: locks.TrialLock,
        identity: RunIdentity,
        engine: dict[str, Any],
        resume: Resume,
    ) -> None:
        self.folder = paths.folder
        self.seed = paths.seed
        self._paths = paths
        self._lock = lock
        self._identity = identity
        self._engine = engine
        self._manifest = Manifest(paths.manifest, paths.name, identity.run_id)
        self._accounts: dict[Path, dict[str, Any]] = {}  # of the files that it has written
        finished = self._manifest.status == DONE
        damages = damage.find(paths, self._manifest.content, thorough=True) if finished else []
        if any(damage.hurts(paths, one) for one in damages):
            self._set_aside(damages)
            finished = False
        self.history = load_history(paths, identity.run_id, finished)
        self.is_done = finished and bool(self.history.rows)
        self._restore_config()
        if self.is_done:
            self._tell(damages)
            self._remove_checkpoints(keep=None)
            return
        if resume == "same" and self.history.rows:
            self._require_same_engine(self.history.rows[-1])
        self._curve = table(self.history.rows, CURVE)
        self._acquisitions = table(self.history.acquisitions, ACQUISITIONS)
        self._metadata = {
            "schema_version": str(SCHEMA_VERSION),
            "run_id": identity.run_id,
            "config": _config_json(identity.config),
            "config_digest": settings.digest(identity.config),
        }
        if identity.protocol:
            self._metadata["protocol"] = identity.protocol
        self._manifest.begin(identity, self.seed, engine, self.num_rounds)

    @property
    def num_rounds(self) -> int:
        """Committed rounds of this trial."""
        return len(self.history.rows) if self.is_done else self._curve.num_rows

    def commit(
        self,
        row: Mapping[str, Any],
        acquisitions: Sequence[Mapping[str, Any]],
        checkpoint: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Store one round durably. If this raises, the round is not stored and may be repeated.

        Args:
            row: The round's curve row; identity, seed and engine columns are filled in.
            acquisitions: The points this round bought, best first; at round 0 also the initial
                set, with round ``None``. The run id and the seed are filled in.
            checkpoint: What a warm start needs, for ``torch.save``: tensors and plain values.

        Returns:
            The curve row with what was filled in.

        Raises:
            ResultsError: The disk refuses, or the trial was taken over by another process.
        """
        if self.is_done:
            raise ValueError("a finished trial cannot be continued")
        round = self.num_rounds
        if row.get("round") != round:
            raise ValueError(f"the next round is {round}, got {row.get('round')}")
        allowed = {round, None} if round == 0 else {round}
        if any(point.get("round") not in allowed for point in acquisitions):
            raise ValueError(f"acquisitions of round {round} must say so")
        keys = {"run_id": self._identity.run_id, "seed": self.seed}
        full = row_in_full(row, self._identity.columns, self.seed, self._engine)
        curve = _append(self._curve, [full], CURVE)
        points = [{**point, **keys} for point in acquisitions]
        acquired = _append(self._acquisitions, points, ACQUISITIONS)
        acquired_bytes = parquet.encode(acquired, self._metadata)
        warm, checkpoint_bytes = {}, b""
        if checkpoint is not None:
            checkpoint_bytes = encode_checkpoint(checkpoint)
            warm = {
                CHECKPOINT.decode(): self._paths.checkpoint(round).name,
                CHECKPOINT_DIGEST.decode(): sha256(checkpoint_bytes).hexdigest(),
            }
        answers = digest(acquired.select(["index", "label"]).to_pylist())
        metadata = self._metadata | warm | {BOUGHT.decode(): answers}
        curve_bytes = parquet.encode(curve, metadata)

        self._lock.check()
        if round == 0:
            # Rounds of an abandoned start must be gone before anything of this one is there.
            atomic.remove(self._paths.curve)
        if checkpoint is not None:
            path = self._paths.checkpoint(round)
            atomic.make_folder(path.parent)
            atomic.write(path, checkpoint_bytes, self._paths.name)
        atomic.write(self._paths.acquisitions, acquired_bytes, self._paths.name)
        self._lock.check()  # again: this process may have been stopped in between
        atomic.write(self._paths.curve, curve_bytes, self._paths.name)
        self._curve, self._acquisitions = curve, acquired
        self._accounts |= {
            self._paths.acquisitions: damage.account(acquired_bytes, acquired.num_rows),
            self._paths.curve: damage.account(curve_bytes, curve.num_rows),
        }
        if checkpoint is not None:
            self._remove_checkpoints(keep=round)
        return full

    def finish(self, reason: str) -> None:
        """The trial is done, for ``reason`` (which stop rule); it will not be restarted."""
        files = damage.accounts(self._paths, self._manifest.content, self._accounts)
        self._end(DONE, reason=reason, **{damage.FILES: files})
        self._remove_checkpoints(keep=None)

    def fail(self, error: BaseException, traceback_text: str, round: int) -> None:
        """The trial failed in ``round``; the rounds before are kept."""
        text = words_of(error) or type(error).__name__
        self._end(
            FAILED,
            error=text,
            error_type=type(error).__name__,
            error_place=place(error),
            traceback=traceback_text,
            failed_round=round,
        )

    def interrupt(self) -> None:
        """The trial was stopped from outside; it will go on where it was."""
        self._end(INTERRUPTED)

    def close(self) -> None:
        """Give the trial back."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _require_same_engine(self, last: Mapping[str, Any]) -> None:
        """Forget the rounds of another engine: float sums differ, so curves must not be mixed."""
        differing = [name for name in ENGINE if last[name] != self._engine[name]]
        if not differing:
            return
        changes = ", ".join(f"{name} {last[name]} -> {self._engine[name]}" for name in differing)
        logger.warning(
            "%s in %s has %d rounds of another engine (%s) and starts again. "
            "Use resume=any to go on all the same.",
            self._paths.name,
            self.folder,
            len(self.history.rows),
            changes,
        )
        self.history = History([], [], None)

    def _set_aside(self, damages: Sequence[damage.Damage]) -> None:
        """Keep curve and acquisitions out of the way: they are computed again together."""
        what = "; ".join(map(str, damages))
        logger.warning("%s in %s starts again: %s.", self._paths.name, self.folder, what)
        for path in (self._paths.curve, self._paths.acquisitions):
            if path.exists():
                atomic.set_aside(path)

    def _restore_config(self) -> None:
        """Have ``config.yaml`` say what this run is, as the footers of its curves do."""
        path, text = self._paths.config, self._identity.config
        recorded = self._manifest.content.get(damage.FILES, {}).get(path.name)
        try:
            data = inside.read(path)
        except FileNotFoundError:
            data = None
        if data is not None:
            is_stored = recorded is not None and damage.account(data) == recorded
            disagreement = self._disagreement(data)
            if is_stored or data == text.encode() or (recorded is None and disagreement is None):
                self._record_config(data)
                return
            aside = atomic.set_aside(path)
            reason = disagreement or f"{path} is not what was stored"
            logger.warning("%s It is kept as %s and written anew.", reason, aside.name)
        elif self.history.rows or recorded is not None:
            logger.warning("%s was missing and is written anew.", path)
        text = self._config_of_then(recorded) or text
        atomic.write(path, text.encode(), self._paths.name)
        self._record_config(text.encode())

    def _config_of_then(self, recorded: Any) -> str | None:
        """``config.yaml`` with the device, seeds and folders of then, as trials have recorded it.

        It is in the footers of curves, not always in those of the trials that recorded it.
        """
        manifests = sorted(self._paths.manifest.parent.glob("seed=*.json"))
        files = [(read(path) or {}).get(damage.FILES, {}) for path in manifests]
        footers = map(configured.in_footer, sorted(self._paths.curve.parent.glob("seed=*.parquet")))
        texts = [configured.as_yaml(footer) for footer in footers if footer is not None]
        for account in (recorded, *(one.get(self._paths.config.name) for one in files)):
            for text in texts:
                data = text.encode()
                if damage.account(data) == account and self._disagreement(data) is None:
                    return text
        return None

    def _disagreement(self, data: bytes) -> str | None:
        """What a ``config.yaml`` says that another run would; ``None`` if nothing does."""
        if data == self._identity.config.encode():
            return None
        if not configured.is_yaml(data):
            return f"{self._paths.config} cannot be read."
        metadata = {b"config": _config_json(self._identity.config).encode()}
        return settings.disagreement(self.folder, metadata)

    def _record_config(self, data: bytes) -> None:
        """Bring the record of a finished trial up to date: the file is shared with others."""
        files = self._manifest.content.get(damage.FILES)
        account = damage.account(data)
        if self.is_done and files and files.get(self._paths.config.name) != account:
            self._manifest.account({**files, self._paths.config.name: account})

    def _tell(self, damages: Sequence[damage.Damage]) -> None:
        """Say what is wrong beside a finished trial and cannot be made again."""
        for one in damages:
            if one.path != self._paths.config:
                logger.warning("%s in %s is done, but %s.", self._paths.name, self.folder, one)

    def _end(self, status: str, **details: Any) -> None:
        if self.is_done:
            raise ValueError("a finished trial has its outcome already")
        self._lock.check()
        last = {
            name: self._curve.column(name)[-1].as_py() if self.num_rounds else None
            for name in (spending.LABELS, spending.STEPS)
        }
        self._manifest.end(status, self.num_rounds, **last, **details)

    def _remove_checkpoints(self, keep: int | None) -> None:
        exempt = None if keep is None else self._paths.checkpoint(keep)
        for path in self._paths.checkpoints():
            if path != exempt:
                atomic.remove(path)


def _append(old: pa.Table, rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    return pa.concat_tables([old, table(rows, schema)]).combine_chunks()


def _config_json(text: str) -> str:
    return json.dumps(plain.from_yaml(text.encode()))
