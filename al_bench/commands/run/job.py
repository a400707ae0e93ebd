"""``al-bench run``: one Hydra job, or a sweep of them."""

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from al_bench import engine
from al_bench.commands.run import launching
from al_bench.commands.run.collected import Collected
from al_bench.commands.run.together import run_composed
from al_bench.configuration import launchers, own_hydra, sweep
from al_bench.configuration.composing import composed_job, from_hydra
from al_bench.configuration.config_dir import config_dir
from al_bench.configuration.explain import UNREADABLE, check_part
from al_bench.configuration.own_hydra import Hydra
from al_bench.configuration.planning import Plan, plan
from al_bench.configuration.schema import RunConfig
from al_bench.configuration.words import Words
from al_bench.errors import AlBenchError, error_line, within
from al_bench.results import sweeps
from al_bench.results.provenance import command

logger = logging.getLogger(__name__)


def main(request: Words) -> int:
    """Run what was typed; the exit code."""
    with own_hydra.started(RunConfig, request.folder) as hydra:
        if request.only_shows:
            own_hydra.store_classes(request.overrides)
            kind, part = request.shown
            if kind is not None and part is not None:  # Hydra would only exit where it is not there
                check_part(own_hydra.compose(hydra, request.overrides), kind, part)
            return _show()
        planned = plan(hydra, request.overrides, request.multirun, request.folder)
        if not planned.is_sweep:
            return _run(hydra, planned)
        return _say_sweep(hydra, planned) if planned.dry_run else _run_sweep(hydra, planned)


def _show() -> int:
    """Let Hydra answer ``sys.argv``: the page of help, a configuration, a completion."""
    import hydra

    GlobalHydra.instance().clear()  # it makes its own
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises instead of printing and exiting
    try:
        hydra.main(str(config_dir()), own_hydra.CONFIG_NAME, **own_hydra.BASE)(
            lambda config: None
        )()
    finally:
        del os.environ["HYDRA_FULL_ERROR"]
        if before is not None:
            os.environ["HYDRA_FULL_ERROR"] = before
    return 0


def _run(hydra: Hydra, planned: Plan) -> int:
    codes: list[int] = []
    errors: list[Exception] = []

    def job(config: Any) -> None:
        try:
            record = sweep.JobRecord.of_running_job(config.results)
            with within("A class of this run"):
                codes.append(run_composed(composed_job(config), record))
        except Exception as error:  # Hydra would add a line of its own
            errors.append(error)

    hydra.run(own_hydra.CONFIG_NAME, job, [*planned.of_hydra, *planned.jobs[0]])
    if errors:
        if isinstance(errors[0], UNREADABLE):  # of what the run reads, not of its configuration
            raise AlBenchError(f"{error_line(errors[0])}.") from errors[0]
        raise errors[0]
    return codes[0]


def _run_sweep(hydra: Hydra, planned: Plan) -> int:
    """Hand all jobs to Hydra's launcher; 0 when every trial of theirs is done, else 1."""
    from al_bench.commands.status import summarize_sweep

    config = hydra.compose_config(  # of all jobs: the launcher, and where the record lies
        own_hydra.CONFIG_NAME,
        [*planned.of_hydra, *planned.jobs[0]],
        RunMode.MULTIRUN,
        with_log_configuration=True,
    )
    folder = Path(config.hydra.sweep.dir)
    number, at_once = 0, config.hydra.sweeper.get("max_batch_size")
    is_here = launchers.kind(config) == launching.BASIC
    collected = Collected() if is_here and config.together else None
    try:
        with launching.started(hydra, config, collected) as (launcher, callbacks):
            callbacks.on_multirun_start(config=config, config_name=own_hydra.CONFIG_NAME)
            for jobs in _stages(planned, folder):
                size = at_once or len(jobs)
                for first in range(0, len(jobs), size):
                    together = jobs[first : first + size]
                    waited = launching.launch(launcher, together, number)
                    if collected is not None:
                        collected.run()
                    number += len(together)
                if not waited and planned.design is not None:
                    raise launching.does_not_wait(config)
                if sweeps.stopped(folder):
                    break
            callbacks.on_multirun_end(config=config, config_name=own_hydra.CONFIG_NAME)
    except launching.Lost:
        raise
    except Exception:
        sweep.withdraw(folder)
        raise
    return summarize_sweep(folder)


def _stages(planned: Plan, folder: Path) -> Iterator[Sequence[Sequence[str]]]:
    """The jobs that are launched together; those of a stage once the one before has ended."""
    if planned.design is None:
        sweeps.write_plan(folder, planned.jobs, command())
        yield planned.jobs
        return
    from al_bench.running.staging import Stages

    stages = Stages(planned.jobs, planned.design, folder)
    while jobs := stages.next():
        yield jobs


def _say_sweep(hydra: Hydra, planned: Plan) -> int:
    """Say what each job would do, or why it would be refused; 0 when none would be."""
    from al_bench.running import dry_run, progress
    from al_bench.running.loading import Data
    from al_bench.running.prepare import prepare

    progress.set_up_logging()
    errors: list[Exception] = []
    runs, data = [], Data()
    jobs: Sequence[Sequence[str]] = planned.jobs
    if planned.design is not None:
        from al_bench.running.staging import Stages

        jobs = Stages(jobs, planned.design, Path(), dry_run=True).next()
    for number, words in enumerate(jobs):
        try:
            config = own_hydra.compose(hydra, [*planned.of_hydra, *words])
            composed = from_hydra(config)
            launching.choose_gpu(composed, number, launchers.kind(config))
            with engine.restored():
                runs.append(prepare(composed, data))
            print(dry_run.describe(runs[-1]), flush=True)
        except Exception as error:
            logger.error("job %d failed: %s", number, error_line(error))
            errors.append(error)
    if errors and not isinstance(errors[0], AlBenchError):
        raise AlBenchError(error_line(errors[0])) from errors[0]
    if errors:
        raise errors[0]
    print(dry_run.in_all(runs))
    return 0
