"""Run the trials of several runs side by side, in this process or in several."""

from collections.abc import Sequence

from al_bench.running.execution import (
    Assignment,
    Report,
    TrialOutcome,
    alike,
    held_last,
    run_free_trials,
)
from al_bench.running.workers import run_in_workers


def run_together(assignments: Sequence[Assignment], report: Report) -> list[TrialOutcome]:
    """Run trials as their runs ask: in this process, or shared by ``workers`` of them.

    Runs that differ in what a process has one of, threads for example, have one group of trials
    after the other. Trials that are held elsewhere come last, over all groups.

    Args:
        assignments: The trials, in the order in which they are begun.
        report: Hears of every round.

    Returns:
        How they ended, run by run in the order of their seeds.
    """
    return held_last(assignments, lambda some, is_last: _run(some, report, is_last))


def _run(
    assignments: Sequence[Assignment], report: Report, report_held: bool
) -> list[TrialOutcome]:
    outcomes: list[TrialOutcome] = []
    for group in alike(assignments):
        refused = [one for one in group if one.refused is not None]
        shared = [one for one in group if one.refused is None]
        if len(shared) < 2 or shared[0].prepared.workers < 2:
            refused, shared = group, []
        outcomes += run_free_trials(refused, report, report_held)
        if shared:
            outcomes += run_in_workers(shared, report, report_held)
    return outcomes
