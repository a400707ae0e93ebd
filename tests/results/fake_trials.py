"""A trial whose every number depends on all that came before, so that a corrupted state shows."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from al_bench.results.history import TrialPaths
from al_bench.results.identity import RunIdentity
from al_bench.results.ood import QUANTITIES
from al_bench.results.schema import MEASURED
from al_bench.results.store import Store, TrialFiles

ROUNDS = 3
BATCH = 2
IDENTITY = RunIdentity(
    run_id="0123456789ab",
    protocol_id="ba9876543210",
    task="classification",
    dataset="digits",
    pool="plain",
    model="mc_dropout",
    network="mlp",
    training="adam",
    budget="small",
    strategy="bald",
    strategy_label="bald(K=20)",
    config="model:\n  num_samples: 20\ntraining:\n  learning_rate: 0.001\n",
)
ENGINE = {
    "device": "cpu",
    "device_name": None,
    "scoring_precision": "float32",
    "training_precision": "float32",
    "threads": 1,
    "chunk_bytes": 1 << 28,
    "deterministic": None,
    "pack_width": None,
    "torch_version": "2.15.0",
    "al_bench_version": "0.1.0",
    "numerics_version": 1,
}
OTHER_ENGINE = ENGINE | {"device": "cuda", "device_name": "H100"}


def number(*state: Any) -> float:
    """Between 0 and 1, different for every state."""
    digest = hashlib.sha256(json.dumps(state, sort_keys=True, default=str).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def row_of(round: int, **values: Any) -> dict[str, Any]:
    """A curve row with what the schema requires."""
    return {
        "round": round,
        "num_labeled": 4 + BATCH * round,
        "num_queried": 4 + BATCH * round,
        "num_validation": 0,
        "steps": 10,
        **values,
    }


def bought(round: int | None, rank: int, index: int, **values: Any) -> dict[str, Any]:
    """An acquisition with what the schema requires."""
    return {
        "round": round,
        "rank": rank,
        "index": index,
        "source_index": index,
        "label": index % 10,
        "true_label": index % 10,
        "origin": "digits",
        **values,
    }


class FakeTrial:
    """Computes rounds from labels, earlier rows and, with ``warm``, from the checkpoint."""

    def __init__(self, files: TrialFiles, warm: bool) -> None:
        self.files = files
        self.warm = warm
        history = files.history
        self.rows = [self._remembered(row) for row in history.rows]
        self.indices = [row["index"] for row in history.acquisitions]
        self.initial = [
            bought(None, rank, int(1000 * number("initial", files.seed, rank))) for rank in range(4)
        ]
        if not self.rows:
            self.indices = [row["index"] for row in self.initial]
        self.weights = None if history.checkpoint is None else history.checkpoint["weights"]

    @staticmethod
    def _remembered(row: dict[str, Any]) -> list[Any]:
        return [row["round"], row["test_accuracy"], row["device"], row["test_class_accuracy"]]

    def step(self) -> None:
        """Compute and commit the next round."""
        round = len(self.rows)
        checkpoint = None
        if self.warm:
            import torch

            assert (self.weights is None) == (round == 0), "a warm start needs its checkpoint"
            before = [] if self.weights is None else self.weights.tolist()
            value = number("weights", before, self.indices)
            self.weights = torch.tensor([value, *before], dtype=torch.float64)
            checkpoint = {"weights": self.weights, "round": round}
        weights = None if self.weights is None else self.weights.tolist()
        state = [self.files.seed, self.indices, self.rows, weights]
        row = row_of(
            round,
            test_accuracy=number("accuracy", state),
            test_class_accuracy=[number("class", state), None],
            ood=[
                {
                    "dataset": "letters",
                    "score": "entropy",
                    **{name: number(name, state) for name in QUANTITIES},
                }
            ],
            notes=json.dumps({"state": number("notes", state)}),
            seconds_fit=0.5,
        )
        last = round == ROUNDS - 1
        picks = [] if last else [int(1000 * number("pick", state, rank)) for rank in range(BATCH)]
        acquired = [bought(round, rank, index, score=0.5) for rank, index in enumerate(picks)]
        self.files.commit(row, (self.initial if round == 0 else []) + acquired, checkpoint)
        device = self.files._engine["device"]
        self.rows.append(self._remembered(row | {"device": device}))
        self.indices += picks


def run_trial(
    root: Path,
    *,
    seed: int = 3,
    warm: bool = False,
    engine: dict[str, Any] | None = None,
    resume: Any = "same",
    rounds: int = ROUNDS,
    reported: list[int] | None = None,
) -> None:
    """Run the trial to its end, or for ``rounds`` rounds; append each committed round."""
    with Store(root).claim(IDENTITY, seed, engine or ENGINE, resume) as files:
        if files.is_done:
            return
        if resume == "same" and reported:
            assert len(files.history.rows) >= len(reported), "a reported round was lost"
        trial = FakeTrial(files, warm)
        while len(trial.rows) < rounds:
            trial.step()
            if reported is not None:
                reported.append(len(trial.rows) - 1)
        if rounds == ROUNDS:
            files.finish("budget")


def trial_paths(root: Path, seed: int = 3) -> TrialPaths:
    return TrialPaths(root / IDENTITY.folder, seed)


def stored(root: Path, seed: int = 3) -> tuple[pa.Table, pa.Table]:
    """The trial's curve, but for what is measured, and its acquisitions."""
    paths = trial_paths(root, seed)
    curve = pq.read_table(pa.BufferReader(paths.curve.read_bytes())).drop_columns(list(MEASURED))
    return curve, pq.read_table(pa.BufferReader(paths.acquisitions.read_bytes()))


def leftovers(root: Path) -> list[Path]:
    """Temporary files and checkpoints that should not outlive a finished trial."""
    return [path for path in root.rglob("*") if path.suffix in (".tmp", ".pt", ".damaged")]
