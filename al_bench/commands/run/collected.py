"""Jobs of a sweep that the basic launcher composes one by one, and that are run together."""

from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import env_override

from al_bench.commands.run import launching
from al_bench.commands.run.together import Job, record_failure, run_jobs
from al_bench.configuration import sweep
from al_bench.configuration.composing import composed_job


class Collected:
    """What the basic launcher does for each job: keep it until the last one is composed."""

    def __init__(self) -> None:
        self._jobs: list[Job] = []
        self._environment: dict[str, str] = {}  # what Hydra sets while a job runs

    def __call__(self, config: Any) -> int:
        """Take the Hydra job that is running; one that cannot be composed is recorded."""
        self._environment = dict(HydraConfig.get().job.env_set)
        record = sweep.JobRecord.of_running_job(config.results)
        if record.stopped():
            return 1  # the summary says so
        try:
            composed = composed_job(config)
            launching.choose_gpu(composed, record.number, launching.BASIC)
        except Exception as error:
            record_failure(record, error, config)
            return 1
        self._jobs.append(Job(record, composed))
        return 0

    def run(self) -> None:
        """Run what was collected since the last time."""
        jobs, self._jobs = self._jobs, []
        with env_override(self._environment):
            run_jobs(jobs)
