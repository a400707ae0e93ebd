"""The loop of active sampling: train some steps, evaluate, commit; it knows no configuration."""

from collections.abc import Callable, Sequence

from al_bench.errors import within
from al_bench.models.chunks import counted_halvings
from al_bench.rounds.evaluation import evaluate, validate
from al_bench.rounds.loop import RoundStore
from al_bench.rounds.notes import noted
from al_bench.sampling.trial import SamplingTrial


def execute(
    trials: Sequence[SamplingTrial],
    store: RoundStore,
    watch: Callable[[SamplingTrial], None] = lambda trial: None,
) -> None:
    """Run all trials to their end, one after the other; one that fails leaves the others alone.

    Args:
        trials: At whatever rounds they are.
        store: Where their rounds go.
        watch: Called after each step.
    """
    while ready := [trial for trial in trials if not trial.finished]:
        trial = ready[0]
        try:
            with within("A class of this run"):
                while not trial.finished:
                    advance(trial, store, watch)
        except Exception as error:
            trial.finished = True
            store.fail(trial, error)


def advance(
    trial: SamplingTrial, store: RoundStore, watch: Callable[[SamplingTrial], None]
) -> None:
    """One round of a trial: its steps, if any, its evaluation and its commit."""
    with counted_halvings() as halvings:
        for step in trial.steps():
            trial.take_step(step)
            watch(trial)
        posterior = trial.posterior()
        row = trial.row(evaluate(posterior, trial, validate(posterior, trial)))
    row |= noted(halvings.notes, row["notes"])
    trial.go_on(store.commit(trial, row, []))  # durable before the next round starts
    if trial.finished:
        store.finish(trial)
