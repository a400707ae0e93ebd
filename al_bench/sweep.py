"""The record of a command line: what was planned, and what each job covers."""

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from al_bench.errors import AlBenchError, ConfigError
from al_bench.own_code import require_unedited
from al_bench.results import atomic, sweeps
from al_bench.results.identity import RunIdentity

_folder: Path | None = None  # of the sweep that this process has started
_dry_folder: Path | None = None  # of a dry sweep: Hydra makes it, nobody needs it


class Refused(BaseException):
    """A sweep that must not begin; Hydra would make a warning of an Exception in a callback.

    Args:
        error: Why.
    """

    def __init__(self, error: ConfigError) -> None:
        super().__init__(str(error))
        self.error = error


def check_one_results_folder(override: Override, word: str) -> None:
    """Raise ConfigError where ``word`` makes the jobs of a sweep write to several folders."""
    if override.key_or_group == "results" and override.is_sweep_override():
        raise ConfigError(
            f"{word}: a sweep has one results folder.", "Type the command once for each."
        )


def begin() -> None:
    """Forget earlier sweeps of this process (notebooks and tests have several command lines)."""
    global _folder, _dry_folder
    _folder = _dry_folder = None


def withdraw() -> None:
    """Take back the plan of a sweep that was refused before any job began."""
    if _folder is None or any(_folder.glob("*/job.json")):
        return
    shutil.rmtree(_folder, ignore_errors=True)
    _remove_empty(_folder.parent, _folder.parent.parent)


def remove_dry_folder() -> None:
    """Remove what Hydra has made for a dry sweep: its settings, and folders without files."""
    if _dry_folder is not None:
        (_dry_folder / "multirun.yaml").unlink(missing_ok=True)
        _remove_empty(*_dry_folder.glob("*/"), _dry_folder, *list(_dry_folder.parents)[:2])


def _remove_empty(*folders: Path) -> None:
    """Remove folders, the inner ones first, unless there is something in them."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def current_folder() -> Path | None:
    """The folder of the sweep that this process has started, if it has."""
    return _folder


class PlanRecorder(Callback):
    """Writes down a sweep's jobs before the first one starts (a Hydra callback)."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Store the overrides of every job to come.

        Raises:
            Refused: The jobs would write to several results folders.
        """
        global _folder, _dry_folder
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
        from hydra.core.override_parser.overrides_parser import OverridesParser

        from al_bench.results.provenance import command

        given = list(config.hydra.overrides.task)
        typed = {override.split("=", 1)[0] for override in given}
        params = config.hydra.sweeper.get("params") or {}
        given += [f"{key}={value}" for key, value in params.items() if key not in typed]
        parsed = OverridesParser.create().parse_overrides(given)
        for override, word in zip(parsed, given, strict=True):
            try:
                check_one_results_folder(override, word)
            except ConfigError as error:
                raise Refused(error) from error
        if config.dry_run:  # nothing is planned
            _dry_folder = Path(config.hydra.sweep.dir)
            return
        _folder = Path(config.hydra.sweep.dir)
        (jobs,) = BasicSweeper.split_arguments(parsed, None)
        sweeps.write_plan(_folder, jobs, command())


class JobRecord:
    """The record of one job, of a sweep or alone.

    Args:
        folder: The job's own folder, ``<results>/.sweeps/<sweep>/<job>``.
        number: The job's number in its sweep, from 0.
        overrides: What was typed for it.
    """

    def __init__(self, folder: Path, number: int, overrides: Sequence[str]) -> None:
        self.folder = folder
        self.number = number
        self.overrides = list(overrides)

    @classmethod
    def of_running_job(cls, results: str) -> "JobRecord":
        """The record of the Hydra job that is running."""
        config = HydraConfig.get()
        if config.mode == RunMode.MULTIRUN:
            folder = Path(config.sweep.dir) / str(config.sweep.subdir)
            return cls(folder, int(config.job.num), config.overrides.task)
        now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        folder = Path(results) / sweeps.FOLDER / f"{now}-{os.getpid()}" / "0"
        return cls(folder, 0, config.overrides.task)

    def covers(self, identity: RunIdentity, seeds: Sequence[int]) -> None:
        """The job is about to run these seeds."""
        sweeps.write_job(self.folder, self.overrides, {identity.folder: seeds})

    def disagreement(self, own_code: Mapping[str, str]) -> AlBenchError | None:
        """An error where an earlier process of the sweep had other code of one's own."""
        if not own_code:
            return None
        try:
            require_unedited(sweeps.first_code(self.folder.parent, own_code), own_code)
        except AlBenchError as error:
            return error
        return None

    def refused(self, message: str, traceback_text: str) -> None:
        """The job could not start, or could not go on; the traceback lies beside its record."""
        known = sweeps.read_job(self.folder)
        trials = {Path(name): seeds for name, seeds in ((known and known.trials) or {}).items()}
        sweeps.write_job(self.folder, self.overrides, trials, message)
        atomic.write(self.folder / "traceback.txt", traceback_text.encode(), "sweep")
