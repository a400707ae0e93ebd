"""The record of a command line: what was planned, and what each job covers."""

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from al_bench.errors import AlBenchError
from al_bench.masking import masked_text
from al_bench.paths import opened
from al_bench.results import atomic, sweeps
from al_bench.results.identity import RunIdentity
from al_bench.results.own_code import require_unedited


def withdraw(folder: Path) -> None:
    """Take back the plan of a sweep that was refused before any job began."""
    if any(folder.glob("*/job.json")):
        return
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        if os.listdir(folder.parent) == [sweeps.ORDER]:  # the order of no sweep
            os.unlink(folder.parent / sweeps.ORDER)
    for empty in (folder.parent, folder.parent.parent):
        with contextlib.suppress(OSError):
            empty.rmdir()


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
        folder = opened(results) / sweeps.FOLDER / f"{now}-{os.getpid()}" / "0"
        return cls(folder, 0, config.overrides.task)

    def covers(self, identity: RunIdentity, seeds: Sequence[int]) -> None:
        """The job is about to run these seeds."""
        sweeps.write_job(self.folder, self.overrides, {identity.folder: seeds})

    def failed(
        self, identity: RunIdentity, seeds: Sequence[int], messages: Mapping[int, str]
    ) -> None:
        """Some of these seeds have failed, and nothing in the run's folder tells of it."""
        trials, failed = {identity.folder: seeds}, {identity.folder: messages}
        sweeps.write_job(self.folder, self.overrides, trials, failed=failed)

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
        record = sweeps.read_job(self.folder)
        trials = {Path(name): seeds for name, seeds in ((record and record.trials) or {}).items()}
        sweeps.write_job(self.folder, self.overrides, trials, message)
        atomic.write(self.folder / "traceback.txt", masked_text(traceback_text).encode(), "sweep")

    def stop_sweep(self) -> None:
        """Jobs of the sweep that have not begun shall not begin."""
        sweeps.stop(self.folder.parent, f"job {self.number} failed, and on_error=stop")

    def stopped(self) -> str | None:
        """Why the job shall not begin, if so."""
        return sweeps.stopped(self.folder.parent)
