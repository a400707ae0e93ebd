"""What a study is: something measured of a trial's networks, seed by seed, instead of a curve.

A study trains as runs do, on the labeled set of a trial that buys no labels. A class of one says
what it needs and measures, and how what it has measured is shown; a file under ``conf/study``
names the class and what it is run with. Nothing else has to be touched.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor

from al_bench.budget import Budget
from al_bench.data.base import Examples, Pool
from al_bench.data.labeled import LabeledSet
from al_bench.data.pool import copies_of
from al_bench.data.target import Targets
from al_bench.errors import placed
from al_bench.models.base import Network, NetworkModel
from al_bench.results import studies
from al_bench.results.store import Resume
from al_bench.results.studies import StudyFiles
from al_bench.rounds.splits import draw_initial, draw_validation
from al_bench.rounds.trial import Run, Trial
from al_bench.seeding import Streams
from al_bench.text.console import Table
from al_bench.training.draws import Generators
from al_bench.training.epochs import train
from al_bench.training.recipe import Recipe
from al_bench.training.trainer import Weights, initial_network

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = Mapping[str, Any]
Look = Callable[[int, Network], None]


class Study(ABC):
    """A study: its fields are the keys under ``study``.

    Attributes:
        needs: What the model must provide, names of ``al_bench.models.base``.
        columns: Of the rows that it measures, beside those that all studies have
            (``al_bench.results.studies.COMMON``). Whole numbers are from 0, and other numbers
            finite; what is not defined is null.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    columns: ClassVar[Sequence[pa.Field]]

    @property
    def num_fits(self) -> int:
        """Networks, or ensembles of them, that a seed trains."""
        return 1

    @abstractmethod
    def check(self, trial: "StudyTrial") -> None:
        """Raise ConfigError unless it can be measured of this trial, before any work."""

    @abstractmethod
    def measure(self, trial: "StudyTrial") -> Iterable[Row]:
        """What is measured of one seed, a row each; a function of the trial alone."""

    @abstractmethod
    def table(self, rows: pd.DataFrame) -> Table:
        """What was measured, with intervals over seeds.

        Args:
            rows: Of all seeds, with the columns of their files.
        """

    @abstractmethod
    def draw(self, rows: pd.DataFrame) -> "Figure":
        """The same as a figure, built within ``al_bench.plots.style.look()``, without pyplot."""


@dataclass(frozen=True, kw_only=True)
class StudyRun(Run):
    """A study with the configuration that all its seeds share.

    Args:
        recipe: How the model's networks are trained.
        budget: How many labels the trials have, and points for validation.
        study: What is measured.
    """

    recipe: Recipe
    budget: Budget
    study: Study
    has_rounds: ClassVar[bool] = False

    def trial(
        self, streams: Streams, pool: Pool, targets: Targets, test: Examples, results: Path
    ) -> "StudyTrial":
        """One seed of it."""
        trial = StudyTrial(self, streams, pool, targets, test)
        with placed(self.study):
            self.study.check(trial)
        return trial

    def claim(self, results: Path, seed: int, resume: Resume) -> StudyFiles:
        """Take a seed for this process; it is done, or it is measured from its beginning."""
        columns = self.study.columns
        return studies.claim(results, self.identity, seed, self.engine.columns(), columns)


class StudyTrial(Trial):
    """One seed of a study: the labeled set that a run of the same seed has in round 0, and no more.

    Attributes:
        labeled: (M,) int64 pool indices of the labeled set, in the order in which it was drawn.
        weights: None: every fit starts from fresh weights.
    """

    run: StudyRun
    weights: Weights | None = None

    def __init__(
        self, run: StudyRun, streams: Streams, pool: Pool, targets: Targets, test: Examples
    ) -> None:
        super().__init__(run, streams, pool, targets, test)
        with placed(run.budget):
            run.budget.check(len(pool), pool.num_classes)
        self.validation = draw_validation(pool, run.budget, streams)
        self.labeled = draw_initial(pool, self.validation, run.budget, streams)

    @property
    def recipe(self) -> Recipe:
        """How the model's networks are trained."""
        return self.run.recipe

    @property
    def num_rounds(self) -> int:
        """A seed is measured in one go."""
        return 1

    @property
    def reason(self) -> str:
        """Why the trial, which has come to its end, ended."""
        return "measured"

    @property
    def checkpoint(self) -> None:
        """There is no next round."""

    def labeled_set(self) -> LabeledSet:
        """The labeled points in the order in which they were drawn."""
        return self.points(self.labeled)

    def available(self) -> Tensor:
        """(N,) int64 pool indices of what is neither labeled nor for validation, nor a copy."""
        left = torch.ones(len(self.pool), dtype=torch.bool)
        left[copies_of(self.pool, torch.cat([self.validation, self.labeled]))] = False
        return left.nonzero().squeeze(1)

    def restore(
        self,
        rows: Sequence[dict[str, Any]],
        acquired: Sequence[Mapping[str, Any]],
        checkpoint: Mapping[str, Any] | None = None,
    ) -> None:
        """Stay at the beginning: a seed that is not done has nothing to go on from."""

    def train(self, look: Look, epochs: Sequence[int] = (), member: int = 0) -> Network:
        """Train one network of the model on the labeled set, and look at it on the way.

        Args:
            look: Called with the number of epochs trained and the network in evaluation mode.
            epochs: When: after so many epochs each, 0 being before the first. Where the recipe
                ends the training sooner, those beyond are left out.
            member: Which of the trial's initial weights, batches and masks it has.
        """
        assert isinstance(self.model, NetworkModel)
        network = initial_network(self, self.model, member).to(self.engine.device)
        trained = itertools.count()

        def after_epoch() -> None:
            count = next(trained)
            if count in epochs:
                look(count, network.eval())

        after_epoch()

        train(
            network,
            self.labeled_set(),
            self.validation_set(),
            self.recipe,
            Generators.of(self.streams, self.round, member),
            self.engine,
            after_epoch=after_epoch,
        )
        return network
