"""Between runs and their tracker: whatever goes wrong with the tracker costs no result."""

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from al_bench.errors import AlBenchError, within, words_of
from al_bench.masking import masked
from al_bench.results.identity import RunIdentity
from al_bench.results.manifest import INTERRUPTED
from al_bench.results.schema import engine_columns
from al_bench.results.trial_key import TrialKey
from al_bench.tracking.base import TrackedTrial, Tracker

logger = logging.getLogger(__name__)


class Guard:
    """A tracker of this process, which may be that of several runs.

    Its first error is a warning of one line and the end of tracking in this process.

    Args:
        tracker: Where trials are shown; ``None`` is nowhere.
    """

    def __init__(self, tracker: Tracker | None) -> None:
        self._tracker = tracker
        self._runs: dict[TrialKey, Any] = {}  # those that are open

    def begin(self, key: TrialKey, trial: TrackedTrial, rows: Sequence[Mapping[str, Any]]) -> None:
        """A trial starts, or goes on after these committed rows: all of them are shown anew.

        A row may have been committed by a process that died before it could tell the tracker.
        """

        def say(tracker: Tracker) -> None:
            self._runs[key] = run = tracker.start(trial)
            for row in rows:
                tracker.log(run, row)

        self._tell(say)

    def round(self, key: TrialKey, row: Mapping[str, Any]) -> None:
        """A round is committed."""
        if key in self._runs:
            self._tell(lambda tracker: tracker.log(self._runs[key], row))

    def end(self, key: TrialKey, status: str) -> None:
        """A trial has ended, or stops; of one that never began there is nothing to tell."""
        if key in self._runs:
            self._tell(lambda tracker: tracker.finish(self._runs.pop(key), status))

    def _tell(self, say: Callable[[Tracker], None]) -> None:
        if self._tracker is None:
            return
        try:
            with within(type(self._tracker).__name__):
                say(self._tracker)
        except Exception as error:
            self._give_up(self._tracker, error)

    def _give_up(self, tracker: Tracker, error: Exception) -> None:
        """One error is enough: a network that is gone would be waited for in every round."""
        self._tracker = None
        is_ours = isinstance(error, AlBenchError)
        message = f"{'' if is_ours else f'{type(error).__name__}: '}{words_of(error)}"
        logger.warning(
            "%s has failed, and the run goes on without it: %s", type(tracker).__name__, message
        )
        while self._runs:
            _, run = self._runs.popitem()
            with contextlib.suppress(Exception):
                tracker.finish(run, INTERRUPTED)


class Tracking:
    """Tells a tracker of the trials of one run.

    Args:
        guard: The tracker.
        identity: The run.
        engine: The engine columns.
        config: The run's resolved configuration without the tracker.
    """

    def __init__(
        self,
        guard: Guard,
        identity: RunIdentity,
        engine: Mapping[str, Any],
        config: Mapping[str, Any],
    ) -> None:
        self._guard = guard
        self._identity = identity
        self._engine = engine_columns(engine)
        self._config: Any = masked(config)

    def begin(self, key: TrialKey, rows: Sequence[Mapping[str, Any]]) -> None:
        """A trial starts, or goes on after these committed rows."""
        trial = TrackedTrial(self._identity, key.seed, self._engine, self._config)
        self._guard.begin(key, trial, rows)

    def round(self, key: TrialKey, row: Mapping[str, Any]) -> None:
        """A round is committed."""
        self._guard.round(key, row)

    def end(self, key: TrialKey, status: str) -> None:
        """A trial has ended, or stops."""
        self._guard.end(key, status)
