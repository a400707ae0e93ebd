"""The record of a sweep: what was planned, what came of each job, and the summary at the end."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

_folder: Path | None = None  # of the sweep that this process has started


def current_folder() -> Path | None:
    """The folder of the sweep that this process has started, if it has."""
    return _folder


class PlanRecorder(Callback):
    """Writes down a sweep's jobs before the first one starts (a Hydra callback)."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Store the overrides of every job to come."""
        global _folder
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
        from hydra.core.override_parser.overrides_parser import OverridesParser

        from al_bench.results.ledger import write_plan

        _folder = Path(config.hydra.sweep.dir)
        given = list(config.hydra.overrides.task)
        typed = {override.split("=", 1)[0] for override in given}
        params = config.hydra.sweeper.get("params") or {}
        given += [f"{key}={value}" for key, value in params.items() if key not in typed]
        parsed = OverridesParser.create().parse_overrides(given)
        (jobs,) = BasicSweeper.split_arguments(parsed, None)
        write_plan(_folder, jobs)


class JobRecord:
    """One job of a sweep on disk.

    Args:
        folder: The job's own folder below the sweep's.
        number: The job's number, from 0.
        overrides: What tells it from the other jobs.
    """

    def __init__(self, folder: Path, number: int, overrides: Sequence[str]) -> None:
        self.folder = folder
        self.number = number
        self.overrides = list(overrides)
        self._run: dict[str, Any] = {}

    @classmethod
    def of_running_job(cls) -> "JobRecord":
        """The record of the Hydra job that is running."""
        config = HydraConfig.get()
        folder = Path(config.sweep.dir) / str(config.sweep.subdir)
        return cls(folder, int(config.job.num), config.overrides.task)
