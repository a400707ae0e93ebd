"""Runs and trials from Python, by the words that one would type after ``al-bench run``."""

import contextlib
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from al_bench import engine
from al_bench.configuration import own_path
from al_bench.configuration.composing import compose
from al_bench.configuration.explain import COMPLAINTS, explain
from al_bench.configuration.quoting import quoted
from al_bench.configuration.until_decided import design_of
from al_bench.configuration.words import check_overrides
from al_bench.errors import ConfigError, ResultsError
from al_bench.paths import opened
from al_bench.results.manifest import DONE
from al_bench.results.schema import row_in_full
from al_bench.rounds.trial import Trial
from al_bench.running.dry_run import describe
from al_bench.running.execution import assignments, first_seeds_first, run_trials
from al_bench.running.loading import Data
from al_bench.running.names import names, trial_name
from al_bench.running.prepare import Prepared, prepare
from al_bench.running.progress import LogReport
from al_bench.running.settings import setting_of
from al_bench.training.trainer import Trainer

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


def trials(*overrides: str, config_dir: str | Path | None = None) -> list[Trial]:
    """Trials at their beginning, one a seed; ``execute`` runs them.

    Args:
        overrides: What one would type after ``al-bench run``, such as ``strategy=batchbald``.
        config_dir: A folder of your own configuration.

    Raises:
        ConfigError, DataError: As ``al-bench run`` would say.
    """
    with engine.restored():
        prepared, dry = _prepared(overrides, config_dir)
        if dry:
            raise ConfigError("Trials are at their beginning; dry_run=true is for al_bench.run.")
        return [prepared.trial(seed) for seed in prepared.seeds]


def execute(trials: Sequence[Trial], trainer: Trainer | None = None) -> "pd.DataFrame":
    """Run trials to their end in memory, nothing stored; their curves as a frame.

    Args:
        trials: From ``trials``; they are advanced in place.
        trainer: Trains them; ``None`` trains them as their engines say, one by one or in packs.

    Raises:
        Whatever stops a trial.
    """
    import pandas as pd

    store = MemoryStore()
    with engine.restored():
        kinds = [(setting_of(trial.run), trial.engine.of_process) for trial in trials]
        for setting, of_process in dict.fromkeys(kinds):
            alike = zip(trials, kinds, strict=True)
            group = [trial for trial, kind in alike if kind == (setting, of_process)]
            with engine.restored():
                group[0].engine.set_up()
                setting.execute(group, store, lambda trial: None, trainer)
    return pd.DataFrame(store.rows)


def run(*overrides: str, config_dir: str | Path | None = None) -> "pd.DataFrame":
    """Run what ``al-bench run`` would, in this process, and return its learning curves.

    Finished seeds are read rather than run again. Progress goes to the ``al_bench`` logger.
    ``dry_run=true`` prints what would be done and does nothing. Threads, flags of torch and an
    application's own Hydra are as they were afterwards.

    Returns:
        A row a (seed, round), with the columns of ``al_bench.results.schema.CURVE`` and ``config``
        (see ``read_curves``); no row of a dry run.

    Raises:
        ResultsError: A seed failed or is being run elsewhere; the others are stored.
    """
    import pandas as pd

    from al_bench.results.frame import COLUMNS

    with engine.restored(), _path_restored():
        prepared, dry = _prepared(overrides, config_dir)
        if dry:
            print(describe(prepared))
            return pd.DataFrame(columns=list(COLUMNS))
        return _run([prepared])


def run_together(*runs: Sequence[str], config_dir: str | Path | None = None) -> "pd.DataFrame":
    """Run several runs in this process side by side, and return the learning curves of all.

    Their trials are executed a round of each in turn, the first seeds first; equal data sets are
    in memory once. Each run is stored, and its curves are, as ``run`` alone has them.

    Args:
        runs: The overrides of each run: ``run_together(["strategy=random"], ["strategy=bald"])``.
        config_dir: A folder of your own configuration, of all of them.

    Returns:
        As ``run``, run by run; of runs that are equal the rows are there once.

    Raises:
        ConfigError, DataError: One of them cannot be prepared; none has begun.
        ResultsError: A trial failed or is being run elsewhere; the others are stored.
    """
    if not runs:
        raise ConfigError("There is no run.", 'Give each as a list of words: ["strategy=bald"].')
    data = Data()
    with engine.restored(), _path_restored():
        ready = []
        for overrides in runs:
            if isinstance(overrides, str):
                raise ConfigError(
                    f"{overrides!r} is a word.", f"Give each run as a list: [{overrides!r}]."
                )
            with engine.restored():
                prepared, dry = _prepared(overrides, config_dir, data)
            if dry:
                raise ConfigError("Several runs cannot be a dry run.", "Ask al_bench.run for each.")
            ready.append(prepared)
        return _run(ready)


def _run(runs: Sequence[Prepared]) -> "pd.DataFrame":
    """Run these to their end; their curves."""
    import pandas as pd

    from al_bench.results.frame import read_curves

    run_names = names(runs)
    for prepared in runs:
        for note in prepared.notes:
            name = run_names.get(prepared.folder)
            logger.warning("%s", f"{name}: {note}" if name else note)
    trials = first_seeds_first([assignments(prepared) for prepared in runs])
    outcomes = run_trials(trials, LogReport(names=run_names))
    missing = [o for o in outcomes if o.status != DONE]
    if missing:
        reasons = "; ".join(
            f"{trial_name(o.key, run_names)} {o.status}: {o.message}" for o in missing
        )
        raise ResultsError(f"Not every seed is done: {reasons}")
    frames = []
    for folder in dict.fromkeys(prepared.folder for prepared in runs):
        curves: Any = read_curves([folder])
        seeds = [trial.seed for trial in trials if trial.prepared.folder == folder]
        frames.append(curves[curves["seed"].isin(seeds)])
    return pd.concat(frames).reset_index(drop=True)


@contextlib.contextmanager
def _path_restored() -> Iterator[None]:
    before = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = before


def _prepared(
    overrides: Sequence[str], config_dir: str | Path | None, data: Data | None = None
) -> tuple[Prepared, bool]:
    """What was asked for, and whether only to say what it would be."""
    for word in overrides:
        if not isinstance(word, str):
            raise ConfigError(
                f"{word!r} is no text.", 'Give every key=value by itself: "seeds=3", "workers=2".'
            )
    overrides = quoted(overrides)
    folder = None if config_dir is None else opened(config_dir).resolve()
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"There is no folder {config_dir}, given as config_dir.")
    own_path.look_beside(folder)
    check_overrides(overrides, folder)
    try:
        composed = compose(overrides, folder)
    except COMPLAINTS as error:
        raise explain(error, overrides, folder) from error
    if composed.is_sweep:
        raise ConfigError("This preset is a sweep.", "Run it with al-bench run on a command line.")
    design_of(composed.config)  # checks its keys
    return prepare(composed, data), composed.config.dry_run


class MemoryStore:
    """Keeps committed rounds in memory: for notebooks and tests.

    Attributes:
        rows: Curve rows of all trials, in the order of their commits.
        acquired: Acquisition rows likewise.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.acquired: list[dict[str, Any]] = []

    def commit(
        self, trial: Trial, row: dict[str, Any], acquired: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Keep a round."""
        run, seed = trial.run.identity, trial.seed
        full = row_in_full(row, run.columns, seed, trial.engine.columns())
        self.rows.append(full)
        self.acquired += [{**bought, "run_id": run.run_id, "seed": seed} for bought in acquired]
        return full

    def finish(self, trial: Trial) -> None:
        """Nothing is left to do."""

    def fail(self, trial: Trial, error: Exception) -> None:
        """Raise what stopped the trial."""
        raise error
