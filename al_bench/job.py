"""``al-bench run``: one Hydra job, or a sweep of them."""

import logging
import sys
import traceback
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from al_bench import sweep
from al_bench.config import CONFIG_NAME, Composed, composed_job, register_schema
from al_bench.config_dir import config_dir
from al_bench.errors import AlBenchError, told, within
from al_bench.explain import COMPLAINTS, UNREADABLE
from al_bench.terminal import print_table

if TYPE_CHECKING:
    from al_bench.prepare import Prepared
    from al_bench.remaining import Remaining

logger = logging.getLogger(__name__)


def main() -> int:
    """Run what ``sys.argv`` asks for; the exit code."""
    register_schema()
    sweep.begin()
    codes: list[int] = []
    errors: list[Exception] = []

    @hydra.main(config_path=str(config_dir()), config_name=CONFIG_NAME, version_base="1.3")
    def job(config: DictConfig) -> None:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            codes.append(run_sweep_job(config))  # lost in another process: it is on disk too
            return
        try:
            record = sweep.JobRecord.of_running_job(config.results)
            with within("A class of this run"):
                codes.append(run_composed(composed_job(config), record))
        except Exception as error:  # Hydra would add a line of its own
            errors.append(error)

    try:
        job()
    except COMPLAINTS:
        sweep.withdraw()
        raise
    except sweep.Refused as refused:
        raise refused.error from None
    finally:
        sweep.remove_dry_folder()
    if errors:
        if isinstance(errors[0], UNREADABLE):  # of what the run reads, not of its configuration
            raise AlBenchError(f"{told(errors[0])}.") from errors[0]
        raise errors[0]
    if (folder := sweep.current_folder()) is not None:
        from al_bench.status import summarize_sweep

        return summarize_sweep(folder)
    return max(codes, default=0)


def run_composed(composed: Composed, record: sweep.JobRecord) -> int:
    """Run one composed configuration to its end; 0 when every seed is done, else 1."""
    from rich.console import Console

    from al_bench import dry_run, progress
    from al_bench.execution import DONE, run_seeds
    from al_bench.prepare import prepare
    from al_bench.workers import run_in_workers

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
    console.print(f"{title}{f': {said}' if said else ''}", highlight=False, markup=False)
    refused = record.disagreement(identity.own_code) if composed.is_sweep else None
    with progress.make_report(console, prepared.seeds, remaining) as report:
        if prepared.workers > 1 and len(prepared.seeds) > 1 and refused is None:
            outcomes = run_in_workers(composed, prepared, report)
        else:
            outcomes = run_seeds(prepared, prepared.seeds, report, refused=refused)
    print_table(console, progress.outcome_table(title, outcomes))
    print(f"results: {prepared.results / identity.folder}")
    return 0 if all(ended.status == DONE for ended in outcomes) else 1


def _remaining(prepared: "Prepared", record: sweep.JobRecord) -> "Remaining":
    """What is left of the run, and where it is in its sweep."""
    from al_bench.remaining import Remaining, known, place_of, schedule

    run = prepared.run
    stored = known(prepared.results, run.identity, run.engine.columns())
    one_by_one = str(HydraConfig.get().launcher.get("_target_")).endswith("BasicLauncher")
    place = place_of(record.folder, record.number, not one_by_one, prepared.workers)
    rounds = schedule(prepared.trial(prepared.seeds[0]))
    return Remaining(stored, rounds, prepared.seeds, prepared.workers, place)


def run_sweep_job(config: DictConfig) -> int:
    """Run one job of a sweep; a failure is shown, stored and left to the summary."""
    record = sweep.JobRecord.of_running_job(config.results)
    try:
        composed = composed_job(config)
        if config.device == "auto":
            composed.config.device = _own_gpu(record.number)
        with within("A class of this run"):
            return run_composed(composed, record)
    except Exception as error:
        said = told(error)
        text = "".join(traceback.format_exception(error))
        if not config.dry_run:
            record.refused(said, text)
        logger.error("job %d failed: %s", record.number, said)
        if config.verbose:
            logger.error(text)
        if config.dry_run:  # nothing on the disk tells of it: Hydra carries it to this process
            if isinstance(error, AlBenchError):
                raise
            raise AlBenchError(said) from error
        return 1


def _own_gpu(number: int) -> str:
    """Jobs of a sweep take the GPUs in turn; no launcher assigns them."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return f"cuda:{number % count}" if count else "auto"
