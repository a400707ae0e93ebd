"""MLflow: a run a trial, in a SQLite file unless asked."""

import contextlib
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from al_bench.errors import ConfigError
from al_bench.paths import opened
from al_bench.results import locks
from al_bench.tracking.base import TrackedTrial, metrics, require_package, step

KEY = "al_bench.key"
SQLITE = "sqlite:///"
PATIENCE = 300  # seconds, of which another process needs a few to make the tables
STATUS = {"done": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
MOST_PARAMETERS = 100  # that one request may have
LONGEST = 6000  # characters of a parameter's value
_UNNAMED = re.compile(r"[^\w.: -]")  # signs that MLflow refuses in the name of one


class Opened(NamedTuple):
    """A run of MLflow and the client that writes to it."""

    client: Any
    run_id: str


@dataclass(frozen=True)
class MLflow:
    """Runs of MLflow: ``mlflow ui --backend-store-uri URI``.

    Args:
        uri: The tracking store, ``sqlite:///results/mlflow.db`` or a server's address.
        experiment: Where the runs belong; made where there is none of that name.
    """

    uri: str
    experiment: str = "al-bench"

    def __post_init__(self) -> None:
        if self.uri.startswith("file:"):  # MLflow 3 refuses it, but only once the run has begun
            raise ConfigError(
                f"tracker.uri={self.uri}: MLflow keeps runs in a database, no longer in folders.",
                "Use tracker.uri=sqlite:///results/mlflow.db.",
            )
        require_package("mlflow")

    def start(self, trial: TrackedTrial) -> Opened:
        """Open the trial's run; those of earlier attempts go to MLflow's bin."""
        from mlflow import MlflowClient
        from mlflow.entities import Param

        uri = self.uri
        opening: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
        if uri.startswith(SQLITE):
            path = opened(uri.removeprefix(SQLITE)).absolute()
            uri, opening = f"{SQLITE}{path}", _alone(path)
        with opening:
            client = MlflowClient(uri)
            experiment = self._experiment(client)
        for earlier in client.search_runs([experiment], f"tags.`{KEY}` = '{trial.key}'"):
            client.delete_run(earlier.info.run_id)
        tags = {f"al_bench.{name}": str(value) for name, value in trial.facts.items()}
        run = client.create_run(experiment, run_name=trial.name, tags={**tags, KEY: trial.key})
        texts = {_UNNAMED.sub("_", name): str(value) for name, value in trial.parameters.items()}
        parameters = [Param(name, value[:LONGEST]) for name, value in texts.items()]
        for first in range(0, len(parameters), MOST_PARAMETERS):
            chunk = parameters[first : first + MOST_PARAMETERS]
            client.log_batch(run.info.run_id, params=chunk)
        return Opened(client, run.info.run_id)

    def log(self, run: Opened, row: Mapping[str, Any]) -> None:
        """Add a point to every curve."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        points = [Metric(name, value, now, step(row)) for name, value in metrics(row).items()]
        run.client.log_batch(run.run_id, metrics=points)

    def finish(self, run: Opened, status: str) -> None:
        """Say how it ended."""
        run.client.set_terminated(run.run_id, STATUS[status])

    def _experiment(self, client: Any) -> str:
        from mlflow.exceptions import MlflowException

        if (experiment := client.get_experiment_by_name(self.experiment)) is not None:
            return str(experiment.experiment_id)
        try:
            return str(client.create_experiment(self.experiment))
        except MlflowException:  # another process was faster
            if (experiment := client.get_experiment_by_name(self.experiment)) is None:
                raise
            return str(experiment.experiment_id)


@contextlib.contextmanager
def _alone(database: Path) -> Iterator[None]:
    """Keep other processes of al-bench out: two that make MLflow's tables at once both fail."""
    database.parent.mkdir(parents=True, exist_ok=True)
    path = database.with_name(f"{database.name}.lock")
    locks.settle([path])
    given_up = time.monotonic() + PATIENCE
    while True:
        try:
            lock = locks.take(path)
            break
        except locks.TrialHeld:
            if time.monotonic() > given_up:
                raise
            time.sleep(0.1)
    try:
        yield
    finally:
        lock.release()
