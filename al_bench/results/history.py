"""What a trial has done so far, as its files tell it, and where those files are."""

import io
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa

from al_bench.results import atomic, inside, parquet
from al_bench.results.schema import ACQUISITIONS, CURVE

CHECKPOINT = b"checkpoint"  # in the footer of a curve: name of the file that a warm start needs
CHECKPOINT_DIGEST = b"checkpoint_digest"  # and SHA-256 of what is in it
BOUGHT = b"bought"  # in the footer of a curve: ``digest`` of the acquisitions it needs

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class History:
    """The committed rounds of a trial.

    Args:
        rows: Curve rows, oldest first.
        acquisitions: Acquisitions of those rounds in the order of purchase, the initial set first.
        checkpoint: What the last round left for a warm start; ``None`` if it left nothing.
    """

    rows: list[dict[str, Any]]
    acquisitions: list[dict[str, Any]]
    checkpoint: dict[str, Any] | None


@dataclass(frozen=True)
class TrialPaths:
    """Where the files of a trial are.

    Args:
        folder: The run's folder.
        seed: The trial's seed.
    """

    folder: Path
    seed: int

    @classmethod
    def of(cls, file: Path) -> "TrialPaths | None":
        """Those of the trial that a file ``…/RUN/KIND/seed=3.ENDING`` is of.

        ``None`` where the file has no such name: ``seed=03`` is nobody's.
        """
        number = file.stem.removeprefix("seed=")
        paths = cls(file.parent.parent, int(number) if number.isdecimal() else -1)
        return paths if file.stem == paths.name else None

    @property
    def name(self) -> str:
        """The trial's name within its run."""
        return f"seed={self.seed}"

    @property
    def config(self) -> Path:
        """The run's configuration, shared by its trials."""
        return self.folder / "config.yaml"

    @property
    def curve(self) -> Path:
        """A row a round."""
        return self.folder / "curves" / f"{self.name}.parquet"

    @property
    def acquisitions(self) -> Path:
        """A row a labeled point."""
        return self.folder / "acquisitions" / f"{self.name}.parquet"

    @property
    def manifest(self) -> Path:
        """Status and provenance."""
        return self.folder / "manifests" / f"{self.name}.json"

    @property
    def lock(self) -> Path:
        """Held while a process works on the trial; never removed."""
        return self.folder / "locks" / f"{self.name}.lock"

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders every trial needs."""
        files = (self.config, self.curve, self.acquisitions, self.manifest, self.lock)
        return tuple(file.parent for file in files)

    def checkpoint(self, round: int) -> Path:
        """The weights that round left for the next (warm start only)."""
        return self.folder / "checkpoints" / f"{self.name}.round={round}.pt"

    def checkpoints(self) -> list[Path]:
        """The checkpoints that are there."""
        return sorted((self.folder / "checkpoints").glob(f"{self.name}.round=*.pt"))


class _Unusable(Exception):
    """The files do not make up a history."""


def load_history(paths: TrialPaths, run_id: str, finished: bool) -> History:
    """The trial's committed rounds; empty if there are none or they cannot be continued.

    A damaged file is moved aside as ``*.damaged``, with a warning. Only for the lock's holder.

    Args:
        paths: The trial.
        run_id: The run the files must belong to.
        finished: The trial is done: only its curve is read.
    """
    try:
        curve = _read(paths.curve, CURVE, run_id, paths.seed)
        if curve is None:
            return History([], [], None)
        rows = curve.to_pylist()
        if [row["round"] for row in rows] != list(range(len(rows))):
            _set_aside(paths.curve, "its rounds are not 0, 1, 2 ...")
        if finished:
            return History(rows, [], None)
        acquisitions = _read(paths.acquisitions, ACQUISITIONS, run_id, paths.seed)
        if acquisitions is None:
            raise _Unusable(f"{paths.acquisitions} is missing")
        committed = [
            row
            for row in acquisitions.to_pylist()
            if row["round"] is None or row["round"] < len(rows)
        ]
        metadata = curve.schema.metadata or {}
        if metadata.get(BOUGHT, b"").decode() not in ("", digest(committed)):
            _set_aside(paths.acquisitions, "the curve was computed with others")
        checkpoint = None
        if CHECKPOINT in metadata:
            path = paths.checkpoint(len(rows) - 1)
            checkpoint = _load_checkpoint(path, metadata.get(CHECKPOINT_DIGEST))
    except _Unusable as reason:
        logger.warning("%s in %s starts again: %s.", paths.name, paths.folder, reason)
        return History([], [], None)
    return History(rows, committed, checkpoint)


def digest(acquisitions: Sequence[Mapping[str, Any]]) -> str:
    """Stands for the points and answers that a curve was computed with, in their order."""
    pairs = [[row["index"], row["label"]] for row in acquisitions]
    return sha256(json.dumps(pairs).encode()).hexdigest()


def encode_checkpoint(content: Mapping[str, Any]) -> bytes:
    """The file from which ``load_history`` has it again: tensors and plain values."""
    import torch

    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    return buffer.getvalue()


def _load_checkpoint(path: Path, expected: bytes | None) -> dict[str, Any]:
    """The checkpoint, if it is the one of this digest (``None``: from before there were any)."""
    import torch

    try:
        data = inside.read(path)
    except OSError as error:
        what = "is missing" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise _Unusable(f"{path} {inside.wrong(path) or what}") from error
    if expected is not None and sha256(data).hexdigest() != expected.decode():
        _set_aside(path, "it is not what was stored")
    try:
        content: dict[str, Any] = torch.load(
            io.BytesIO(data), map_location="cpu", weights_only=True
        )
    except Exception:  # whatever torch stumbles over; its advice is to load it unsafely
        content = {}
    weights = content.get("weights") if isinstance(content, dict) else None
    if weights is None or (expected is None and not _are_weights(weights)):
        _set_aside(path, "it holds no weights that can be read")
    return content


def _are_weights(value: Any) -> bool:
    import torch

    return isinstance(value, list) and all(
        isinstance(network, dict)
        and all(isinstance(name, str) for name in network)
        and all(isinstance(tensor, torch.Tensor) for tensor in network.values())
        for network in value
    )


def _read(path: Path, schema: pa.Schema, run_id: str, seed: int) -> pa.Table | None:
    """The file's table, ``None`` without a file."""
    try:
        table = parquet.read(path, schema)
    except FileNotFoundError:
        return None
    except parquet.DamagedFile as error:
        _set_aside(path, error.message)
    owners = {(row["run_id"], row["seed"]) for row in table.select(["run_id", "seed"]).to_pylist()}
    if owners - {(run_id, seed)}:
        _set_aside(path, "it belongs to another trial")
    return table


def _set_aside(path: Path, reason: str) -> NoReturn:
    aside = atomic.set_aside(path)
    raise _Unusable(f"{path} was damaged and is kept as {aside.name} ({reason})")
