"""Run what was composed to its end, and say what became of it."""

import logging
import sys
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig

from al_bench.configuration import sweep
from al_bench.configuration.composing import Composed
from al_bench.text.terminal import print_table
from al_bench.text.visible import in_a_line

if TYPE_CHECKING:
    from al_bench.running.prepare import Prepared
    from al_bench.running.remaining import Remaining

logger = logging.getLogger(__name__)


def run_composed(composed: Composed, record: sweep.JobRecord) -> int:
    """Run one composed configuration to its end; 0 when every seed is done, else 1."""
    from al_bench.running import dry_run, progress
    from al_bench.running.execution import DONE, assignments
    from al_bench.running.prepare import prepare
    from al_bench.running.together import run_together
    from al_bench.text.console import Console

    progress.set_up_logging()
    console = Console(width=None if sys.stdout.isatty() else 160)  # a pipe has no width
    prepared = prepare(composed)
    if composed.config.dry_run:
        print(dry_run.describe(prepared), flush=True)  # a worker may be ended any time
        return 0
    for note in prepared.notes:
        logger.warning("%s", note)
    identity = prepared.run.identity
    record.covers(identity, prepared.seeds)
    title = f"{identity.strategy_label} on {identity.task}, {identity.model_label}"
    remaining = _remaining(prepared, record)
    said = remaining.said()
    console.print(in_a_line(f"{title}{f': {said}' if said else ''}"))
    refused = record.disagreement(identity.own_code) if composed.is_sweep else None
    trials = assignments(prepared, refused=refused)
    keys = [trial.key for trial in trials]
    with progress.make_report(console, keys, remaining, {}) as report:
        outcomes = run_together(trials, report)
    print_table(console, progress.outcome_table(title, outcomes))
    print(f"results: {prepared.results / identity.folder}")
    return 0 if all(ended.status == DONE for ended in outcomes) else 1


def _remaining(prepared: "Prepared", record: sweep.JobRecord) -> "Remaining":
    """What is left of the run, and where it is in its sweep."""
    from al_bench.running.remaining import place_of, remaining_of

    one_by_one = str(HydraConfig.get().launcher.get("_target_")).endswith("BasicLauncher")
    place = place_of(record.folder, record.number, not one_by_one, prepared.workers)
    return remaining_of([prepared], place)
