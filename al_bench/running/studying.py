"""Studies: measurements of trained networks, built and checked as runs are."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from al_bench.budget import Budget
from al_bench.configuration.building import build
from al_bench.configuration.composing import Composed
from al_bench.data.base import Inputs
from al_bench.errors import ConfigError, within
from al_bench.models.base import Model
from al_bench.rounds.trial import Trial
from al_bench.running.active_learning import build_budget, build_recipe
from al_bench.running.compatibility import (
    check_choices,
    check_dropout,
    check_needs,
    check_smallest_batch,
)
from al_bench.running.setting import Round, Setting, Work
from al_bench.studies.base import Study, StudyRun, StudyTrial
from al_bench.training.recipe import Recipe
from al_bench.training.trainer import Trainer


class MeasurementStore(Protocol):
    """Where rows go; what is kept and finished survives anything."""

    def keep(self, trial: Trial, rows: Sequence[Mapping[str, Any]]) -> None:
        """Make what was measured durable."""

    def finish(self, trial: Trial) -> None:
        """The trial has come to its end."""

    def fail(self, trial: Trial, error: Exception) -> None:
        """The trial was stopped by an error."""


class Studying(Setting):
    """No labels are bought: what is trained on the labeled set is measured."""

    group: ClassVar[str] = "study"
    runs: ClassVar[type[StudyRun]] = StudyRun
    chosen: Mapping[str, Study]
    recipe: Recipe
    budget: Budget

    def __init__(self, config: Any) -> None:
        self.study = build(config.study, "study")
        if not isinstance(self.study, Study):
            raise ConfigError(
                f"study: {type(self.study).__name__} is no Study.",
                "Derive the class from al_bench.studies.base.Study.",
            )
        self.chosen = {"study": self.study}
        self.recipe = build_recipe(config.training)
        self.budget = build_budget(config.budget)

    def check_choices(self, composed: Composed, model: Model) -> None:
        """Raise ConfigError unless what was built goes together, as far as no data are needed."""
        names, config = composed.names, composed.config
        choice = f"study={names['strategy']}"
        if names["init_strategy"]:
            raise ConfigError(
                f"{choice} draws its labels, and strategy@init_strategy={names['init_strategy']} "
                "buys some.",
                "Leave out strategy@init_strategy.",
            )
        for key in ("num_samples", "ood", "joint_size", "online", "test_counts"):
            if config.evaluation.get(key):
                raise ConfigError(
                    f"{choice} looks at no test set, which evaluation.{key} is for.",
                    f"Leave out evaluation.{key}.",
                )
        if config.tracker is not None:
            raise ConfigError(
                f"{choice} has no curve that a tracker could show.", "Leave out tracker."
            )
        check_choices(composed, model, self.recipe, self.budget, self.chosen)

    def check_data(
        self,
        composed: Composed,
        model: Model,
        provided: frozenset[str],
        inputs: Inputs,
        num_classes: int,
    ) -> None:
        """Raise ConfigError unless it goes with the data."""
        if self.budget.num_rounds(num_classes) > 1:
            raise ConfigError(
                f"study={composed.names['strategy']} buys no labels, and budget.total="
                f"{self.budget.total} is more than the {self.budget.initial_labels(num_classes)} "
                "of the beginning.",
                "Use budget=initial, with budget.init_size=20 for example.",
            )
        self.recipe.check(inputs, self.recipe.max_epochs)
        check_smallest_batch(model, self.recipe, self.budget, inputs.input_shape, num_classes)
        check_needs(composed, provided, "study", self.study)
        check_dropout(composed, model, provided)

    def run(self, **common: Any) -> StudyRun:
        """The run, of what all runs have in common."""
        return StudyRun(recipe=self.recipe, budget=self.budget, study=self.study, **common)

    def notes(self, trial: StudyTrial) -> list[str]:
        """Nothing: a study checks what it asks for."""
        return []

    @staticmethod
    def schedule(trial: StudyTrial) -> list[Round]:
        """One round of all fits, where no training ends early."""
        run, labels = trial.run, len(trial.labeled)
        networks = getattr(run.model, "num_networks", 0) * run.study.num_fits
        steps = run.recipe.steps_per_epoch(max(labels, 1)) * run.recipe.max_epochs
        return [Round(labels, steps * networks)]

    @staticmethod
    def work(trial: StudyTrial) -> Work:
        """What a trial will do."""
        labels = f"{len(trial.labeled):,}, {len(trial.validation):,} for validation"
        return Work({"labels": labels}, scored=0)

    @staticmethod
    def execute(
        trials: Sequence[StudyTrial],
        store: MeasurementStore,
        watch: Callable[[Trial], None],
        trainer: Trainer | None = None,
    ) -> None:
        """Measure trials one after the other; one that fails leaves the others alone.

        Steps are not watched: what is measured between them may take longer than they do, so that
        they tell nothing of the time to come.
        """
        for trial in list(trials):
            try:
                with within("The study"):
                    rows = list(trial.run.study.measure(trial))
                trial.finished = True
                store.keep(trial, rows)
                store.finish(trial)
            except Exception as error:
                trial.finished = True
                store.fail(trial, error)
