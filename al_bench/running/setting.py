"""What a run does about labels: it buys them, or knows them all and chooses what to train on.

One class a setting, which is all that preparing, executing and telling of a run have to know.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from al_bench.configuration.composing import Composed
from al_bench.data.base import Inputs
from al_bench.models.base import Model
from al_bench.rounds.trial import Run, Trial
from al_bench.training.trainer import Trainer


@dataclass(frozen=True)
class Round:
    """What is known of a round before it has run.

    Args:
        size: How large it is, as ``size_of`` says of its row: rounds of one size take as long.
        steps: Of training, at most; 0 where nothing is trained by steps.
    """

    size: int
    steps: int


@dataclass(frozen=True)
class Work:
    """What a trial will do, in words and numbers of a dry run.

    Args:
        sizes: What it trains on and how rounds follow each other, by name.
        scored: Forward passes for choosing, points times samples, at most.
        reweighting: Points whose labels reweight the samples of metrics, at most.
    """

    sizes: Mapping[str, str]
    scored: int
    reweighting: int = 0


class Setting(ABC):
    """One setting: built from a configuration, it holds what only runs of its kind have.

    Attributes:
        group: The group of configuration whose choice makes a run one of this setting.
        runs: The class of its runs.
        packs: Whether networks of its trials may be trained together.
        chosen: What was built from that group and those beside it, by group.
        recipe: How a model is trained.
        budget: How much of what is spent.
    """

    group: ClassVar[str]
    runs: ClassVar[type[Run]]
    packs: ClassVar[bool] = False
    chosen: Mapping[str, Any]
    recipe: Any
    budget: Any

    @abstractmethod
    def __init__(self, config: Any) -> None:
        """Build it; raises ConfigError for what cannot be."""

    @abstractmethod
    def check_choices(self, composed: Composed, model: Model) -> None:
        """Raise ConfigError unless what was built goes together, as far as no data are needed."""

    @abstractmethod
    def check_data(
        self,
        composed: Composed,
        model: Model,
        provided: frozenset[str],
        inputs: Inputs,
        num_classes: int,
    ) -> None:
        """Raise ConfigError unless it goes with the data.

        Args:
            composed: The run's configuration.
            model: Built from it.
            provided: What the model provides for the data set.
            inputs: Of the training points.
            num_classes: C.
        """

    @abstractmethod
    def run(self, **common: Any) -> Run:
        """The run, of what all runs have in common."""

    @abstractmethod
    def notes(self, trial: Any) -> list[str]:
        """Sentences on what may not be as it was asked for, from the first trial."""

    @staticmethod
    @abstractmethod
    def schedule(trial: Any) -> list[Round]:
        """The rounds of a trial at its beginning, where no target is met early."""

    @staticmethod
    @abstractmethod
    def work(trial: Any) -> Work:
        """What a trial at its beginning will do."""

    @staticmethod
    @abstractmethod
    def execute(
        trials: Sequence[Any],
        store: Any,
        watch: Callable[[Trial], None],
        trainer: Trainer | None = None,
    ) -> None:
        """Run trials to their end.

        Args:
            trials: Of this setting.
            store: Where their rounds go, or what they measure: ``Rounds``, for one.
            watch: Called after each step of training.
            trainer: Fits models; ``None`` fits them as their engines say.
        """


SIZES = ("setting", "num_labeled", "steps")  # columns that say how large a round was


def size_of(row: Mapping[str, Any]) -> int:
    """How large the round of a curve row was: its labels, or of active sampling its steps."""
    return int(row["num_labeled"] if row.get("setting") is None else row["steps"])
