"""What every trial is: one seed of one run, its random streams, its rows and how far it has come.

A trial of active learning is in ``active_learning``.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from al_bench.data.base import Examples, Pool
from al_bench.data.labeled import LabeledSet
from al_bench.data.ood import OodSet
from al_bench.data.target import Targets
from al_bench.engine import Engine
from al_bench.models.base import Model
from al_bench.results.identity import RunIdentity
from al_bench.results.store import Resume, Store, TrialFiles
from al_bench.results.studies import StudyFiles
from al_bench.seeding import Streams


@dataclass(frozen=True, kw_only=True)
class Run(ABC):
    """One configuration, shared by all its seeds.

    Args:
        identity: Names and ids.
        model: The posterior family.
        engine: How it is computed.
        evaluation_samples: Posterior samples of test and validation metrics; ``None`` is all K.
        calibration_bins: Bins of the calibration metrics.
        ood: Other data sets that it should be uncertain of; only ``evaluate`` reads them.
        joint_size: Test points whose labels are predicted together; ``None`` is none.
        online: Whether each round is evaluated once more, its samples reweighted by the labels
            that it has bought.

    Attributes:
        has_rounds: Whether its trials have rounds, each a row of a curve.
    """

    identity: RunIdentity
    model: Model
    engine: Engine
    evaluation_samples: int | None = None
    calibration_bins: int = 15
    ood: Sequence[OodSet] = ()
    joint_size: int | None = None
    online: bool = False
    has_rounds: ClassVar[bool] = True

    def num_evaluated(self, num_samples: int) -> int:
        """Posterior samples that test and validation metrics are made of, of ``num_samples``."""
        return min(self.evaluation_samples or num_samples, num_samples)

    def claim(self, results: Path, seed: int, resume: Resume) -> "TrialFiles | StudyFiles":
        """Take a trial for this process, with what it has already done.

        Args:
            results: The results folder.
            seed: The trial's seed.
            resume: ``same`` or ``any`` engine, for a trial that is half done.

        Raises:
            TrialHeld: Another process has it.
            ResultsError: Its files cannot be written, or may not be.
        """
        return Store(results).claim(self.identity, seed, self.engine.columns(), resume)

    @abstractmethod
    def trial(
        self, streams: Streams, pool: Pool, targets: Targets, test: Examples, results: Path
    ) -> "Trial":
        """One seed of it, at its beginning.

        Args:
            streams: The seed's random streams.
            pool: The transformed pool of this seed.
            targets: The inputs whose predictions matter.
            test: The fixed test set; only ``evaluate`` reads it.
            results: The results folder, where trials keep what others may use.

        Raises:
            ConfigError: The budget does not fit the pool.
        """


class Trial(ABC):
    """One seed of a run.

    Args:
        run: What all seeds share.
        streams: The seed's random streams.
        pool: The transformed pool of this seed.
        targets: The inputs whose predictions matter.
        test: The fixed test set; only ``evaluate`` reads it.

    Attributes:
        validation: (V,) indices of the pool's points that are set apart for validation.
        round: The round to come, from 0.
        rows: Curve rows of the rounds behind.
        finished: Nothing is left to do, or the trial failed.
    """

    def __init__(
        self, run: Run, streams: Streams, pool: Pool, targets: Targets, test: Examples
    ) -> None:
        self.run = run
        self.streams = streams
        self.pool = pool
        self.targets = targets
        self.test = test
        self.validation: Tensor = torch.empty(0, dtype=torch.int64)
        self.round = 0
        self.rows: list[dict[str, Any]] = []
        self.finished = False

    @property
    def model(self) -> Model:
        """The posterior family."""
        return self.run.model

    @property
    def engine(self) -> Engine:
        """How it is computed."""
        return self.run.engine

    @property
    def seed(self) -> int:
        """The trial's seed."""
        return self.streams.seed

    @property
    def num_classes(self) -> int:
        """C."""
        return self.pool.num_classes

    @property
    def num_bytes(self) -> int:
        """Memory that the trial holds between two rounds and does not share with other trials."""
        pool, targets = self.pool, self.targets
        held = [pool.labels, pool.true_labels, pool.source_index, pool.origin, pool.refused]
        held += [targets.indices, self.validation]
        return sum(tensor.nbytes for tensor in held)

    def validation_set(self) -> LabeledSet:
        """The validation points."""
        return self.points(self.validation)

    def points(self, indices: Tensor) -> LabeledSet:
        """Points of the pool, by their indices (n,), with their labels."""
        return LabeledSet(self.pool.inputs, indices, self.pool.labels[indices])

    @property
    @abstractmethod
    def num_rounds(self) -> int:
        """Rounds in which nothing ends the trial early."""

    @property
    @abstractmethod
    def reason(self) -> str:
        """Why the trial, which has come to its end, ended."""

    @property
    @abstractmethod
    def checkpoint(self) -> Mapping[str, Any] | None:
        """What the next round needs beside the stored rows, for ``torch.save``, if anything."""

    @abstractmethod
    def restore(
        self,
        rows: Sequence[dict[str, Any]],
        acquired: Sequence[Mapping[str, Any]],
        checkpoint: Mapping[str, Any] | None = None,
    ) -> None:
        """Go to where stored rounds left off; the trial must be at its beginning.

        Args:
            rows: Curve rows of the rounds behind.
            acquired: Their acquisition rows.
            checkpoint: What ``checkpoint`` was after the last of them.

        Raises:
            AlBenchError: They are not of this trial.
        """
