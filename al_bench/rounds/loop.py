"""The loop of active learning: fit, select, evaluate, label; it knows no configuration or file."""

from collections.abc import Sequence
from typing import Any, Protocol

from al_bench.errors import within
from al_bench.models.chunks import counted_halvings
from al_bench.rounds.active_learning import ActiveLearningTrial
from al_bench.rounds.evaluation import evaluate, validate
from al_bench.rounds.notes import noted
from al_bench.rounds.trial import Trial
from al_bench.training.trainer import Fitted, Trainer


class RoundStore(Protocol):
    """Where rounds go; a committed round survives anything."""

    def commit(
        self, trial: Trial, row: dict[str, Any], acquired: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Make a round durable; its row with what all rows of the trial have in common."""

    def finish(self, trial: Trial) -> None:
        """The trial has come to its end."""

    def fail(self, trial: Trial, error: Exception) -> None:
        """The trial was stopped by an error."""


def execute(trials: Sequence[ActiveLearningTrial], trainer: Trainer, store: RoundStore) -> None:
    """Run all trials to their end, round by round; a trial that fails leaves the others alone."""
    while ready := [trial for trial in trials if not trial.finished]:
        for trial, fitted in trainer.fit(ready):
            try:
                with within("A class of this run"):
                    advance(trial, fitted, store)
            except Exception as error:
                trial.finished = True
                store.fail(trial, error)


def advance(trial: ActiveLearningTrial, fitted: Fitted | Exception, store: RoundStore) -> None:
    """Select, evaluate, commit and label one trial after its fit."""
    if isinstance(fitted, Exception):
        raise fitted
    posterior = fitted.posterior
    with counted_halvings() as halvings:
        validated = validate(posterior, trial)
        row = trial.row({**fitted.diagnostics, **validated})
        trial.weights = fitted.weights  # where the next round starts, or one looked ahead to
        picks = trial.select(posterior, row)
        row |= {**picks.columns, **evaluate(posterior, trial, validated, picks.acquired)}
    row |= noted(halvings.notes, row.get("notes"))
    row = store.commit(trial, row, picks.acquired)  # durable before the next round starts
    trial.label(row, picks.acquired)
    if trial.finished:
        store.finish(trial)
