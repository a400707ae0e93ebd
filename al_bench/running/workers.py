"""Share trials among processes: a trial depends on itself alone, so nothing changes."""

import contextlib
import functools
import logging
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from al_bench import engine, process
from al_bench.configuration import own_path
from al_bench.configuration.composing import Composed
from al_bench.errors import AlBenchError, error_line
from al_bench.results.own_code import require_unedited
from al_bench.results.trial_key import TrialKey
from al_bench.running.execution import (
    Assignment,
    Report,
    TrialOutcome,
    assignments,
    run_free_trials,
    run_trials,
)
from al_bench.running.loading import Data
from al_bench.running.prepare import Prepared, prepare
from al_bench.text.terminal import spans

SECONDS_TO_STOP = 5.0  # after which a worker that does not answer is killed
_TERMINATED = 128 + signal.SIGTERM
_HEARD = ("begin", "steps", "round", "end")  # of a report

logger = logging.getLogger(__name__)


class Unprepared(AlBenchError):
    """A worker has not come to the run that was begun."""


def run_in_workers(
    assignments: Sequence[Assignment], report: Report, report_held: bool = True
) -> list[TrialOutcome]:
    """Run trials in ``workers`` processes, each taking the next trial when it is free.

    Of trials whose networks are trained in packs it takes as many as fill one, but no more than its
    share of those that are left. A process that is killed costs what it had and has not ended,
    which has failed; another takes its place.

    Args:
        assignments: The trials, in the order in which they are begun; their runs agree in what a
            process has one of (``alike``).
        report: Hears of every round.
        report_held: Tell the report of trials that another process holds.
    """
    with _Workers(assignments[0].prepared.workers, report) as workers:
        return workers.run(assignments, report_held)


class _Worker:
    """One process, at the other end of a pipe of its own: what kills it harms no other's."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.messages, theirs = context.Pipe()
        self.work: Sequence[Assignment] = ()  # that it was given
        self.ended: dict[TrialKey, TrialOutcome] = {}  # what it has said of these
        self._runs: set[Path] = set()  # folders of those that it was sent
        try:
            self.process = context.Process(
                target=_work, args=(os.getpid(), own_path.searched(), theirs)
            )
            with own_path.unseen():
                self.process.start()
        except BaseException:
            self.messages.close()
            raise
        finally:
            theirs.close()

    @property
    def is_gone(self) -> bool:
        """Whether it has ended between two trials."""
        return not self.work and not self.process.is_alive()

    def begin(self, work: Sequence[Assignment], report_held: bool) -> None:
        """Have it run trials, and prepare their runs where these are its first ones there."""
        self.work, self.ended = work, {}
        runs = {
            one.prepared.folder: (one.prepared.composed, one.prepared.run.identity.own_code)
            for one in work
            if one.prepared.folder not in self._runs
        }
        self._runs |= runs.keys()
        try:
            self.messages.send(([one.key for one in work], runs, report_held))
        except OSError:  # it is gone, which is heard next
            logger.debug("a worker was gone before it had its trial")

    @property
    def unfinished(self) -> list[Assignment]:
        """Trials that it was given and has not ended."""
        return [one for one in self.work if one.key not in self.ended]

    def end(self) -> None:
        """Have it end now; it keeps its committed rounds."""
        with contextlib.suppress(OSError):  # it is gone
            self.messages.send(None)
        self.process.terminate()

    def loss(self) -> AlBenchError:
        """What to say of a worker that is gone without an answer."""
        self.process.join(SECONDS_TO_STOP)  # and with it, its locks
        code = self.process.exitcode
        if code == -signal.SIGKILL:
            ending = "was killed, perhaps for memory"
        elif code is not None and code < 0:
            ending = f"crashed ({signal.Signals(-code).name})"
        else:
            ending = f"ended with exit code {code}"
        seeds = {one.seed for one in self.unfinished}
        return AlBenchError(
            f"seed{'s' * (len(seeds) > 1)} {spans(sorted(seeds))}'s process {ending}.",
            "Run the same command again to go on after its last round, with fewer workers= if "
            "memory is short.",
        )


class _Workers:
    """Some processes; leaving the ``with`` ends them, whatever state they are in.

    Args:
        most: How many there are at most.
        report: Hears of every round.
    """

    def __init__(self, most: int, report: Report) -> None:
        self._most = most
        self._report = report
        self._workers: list[_Worker] = []

    def __enter__(self) -> "_Workers":
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            for worker in self._workers:
                worker.messages.close()  # so they come to their end
        else:
            for worker in self._workers:
                worker.end()
        try:
            until = time.monotonic() + SECONDS_TO_STOP
            for worker in self._workers:
                worker.process.join(max(0.0, until - time.monotonic()))
        finally:
            for worker in self._workers:
                worker.process.kill()  # the stopped and the hanging ones
                worker.process.join()
                worker.messages.close()

    def run(self, assignments: Sequence[Assignment], report_held: bool) -> list[TrialOutcome]:
        """How these trials ended."""
        queue = list(reversed(assignments))
        outcomes: list[TrialOutcome] = []
        while queue or any(worker.work for worker in self._workers):
            self._share(queue, report_held)
            busy = {worker.messages: worker for worker in self._workers if worker.work}
            for messages in wait(list(busy)):
                outcomes += self._hear(busy[messages])  # type: ignore[index]
        return outcomes

    def _share(self, queue: list[Assignment], report_held: bool) -> None:
        """Give trials that are left to workers that are free, with new ones where some are gone."""
        for worker in [one for one in self._workers if one.is_gone]:
            self._workers.remove(worker)
            worker.messages.close()
        for worker in self._workers:
            if queue and not worker.work:
                worker.begin(self._next(queue), report_held)
        while queue and len(self._workers) < self._most:
            try:
                worker = _Worker()
            except OSError as error:
                problem = f"No process could be started ({error.strerror or error_line(error)})"
                if not self._workers:
                    raise AlBenchError(f"{problem}.", "Use fewer workers=.") from error
                logger.warning("%s; %d go on.", problem, len(self._workers))
                return
            self._workers.append(worker)
            worker.begin(self._next(queue), report_held)

    def _next(self, queue: list[Assignment]) -> list[Assignment]:
        """Take what one worker is given at once from the end of the queue."""
        share = -(-len(queue) // self._most)
        width = queue[-1].prepared.run.engine.pack_width or 1
        return [queue.pop() for _ in range(min(width, share))]

    def _hear(self, worker: _Worker) -> list[TrialOutcome]:
        """Take the next message of a worker; outcomes, once its trial has ended."""
        work = worker.work
        try:
            name, content = worker.messages.recv()
        except (EOFError, OSError):
            self._workers.remove(worker)
            lost = worker.loss()
            worker.messages.close()
            refused = [replace(one, refused=lost) for one in worker.unfinished]
            return [*worker.ended.values(), *run_trials(refused, self._report)]
        if name == "end":
            (outcome,) = content
            worker.ended[outcome.key] = outcome
        if name in _HEARD:
            try:
                getattr(self._report, name)(*content)
            except Exception:
                logger.exception("a progress message could not be shown")
            return []
        worker.work = ()
        if isinstance(content, Exception):
            raise content
        outcomes, unprepared = content
        refused = [
            replace(one, refused=unprepared[one.prepared.folder])
            for one in work
            if one.prepared.folder in unprepared
        ]
        return [*outcomes, *run_trials(refused, self._report)]


class _Forwarded:
    """A report that sends what it hears to the parent process."""

    def __init__(self, messages: "Connection[Any, Any]") -> None:
        self._messages = messages

    def begin(self, *arguments: Any) -> None:
        _send(self._messages, "begin", arguments)

    def steps(self, *arguments: Any) -> None:
        _send(self._messages, "steps", arguments)

    def round(self, *arguments: Any) -> None:
        _send(self._messages, "round", arguments)

    def end(self, *arguments: Any) -> None:
        _send(self._messages, "end", arguments)


def _send(messages: "Connection[Any, Any]", name: str, content: Any) -> None:
    """Tell the parent; where it was killed, end as it did, so that no trial fails of that."""
    try:
        messages.send((name, content))
    except ConnectionError:
        os._exit(1)


def _work(parent: int, own_folders: Sequence[str], messages: "Connection[Any, Any]") -> None:
    """Run trials as they are asked for, until the parent hangs up."""
    # A terminal and Slurm send these to all processes.
    for name in ("SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)  # the parent decides for all
    signal.signal(signal.SIGTERM, functools.partial(_interrupt, messages))
    process.set_up_streams()
    process.end_with(parent)
    own_path.search(own_folders)
    data = Data()
    runs: dict[Path, Prepared | Unprepared] = {}  # by folder
    report = _Forwarded(messages)
    try:
        while request := messages.recv():
            keys, new, report_held = request
            for folder, (composed, own_code) in new.items():
                runs[folder] = _prepare(folder, composed, own_code, data)
            _send(messages, "answer", _run_trials(runs, keys, report, report_held))
    except EOFError:
        return
    except KeyboardInterrupt:
        sys.exit(_TERMINATED)


def _interrupt(messages: "Connection[Any, Any]", signum: int, frame: Any) -> None:
    if messages.poll():  # the parent has said so: the signal is its own
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would cut short what is kept
        raise KeyboardInterrupt


def _prepare(
    folder: Path, composed: Composed, own_code: Mapping[str, str], data: Data
) -> Prepared | Unprepared:
    try:
        with engine.restored():
            prepared = prepare(composed, data)
        require_unedited(own_code, prepared.run.identity.own_code)
    except AlBenchError as error:
        return Unprepared(error.message, error.hint)
    except Exception as error:
        return Unprepared(error_line(error))
    if prepared.folder != folder:
        return Unprepared(
            f"What is run {folder.name} is run {prepared.folder.name} in this process: its data "
            "were changed meanwhile.",
            "Start it again; what the changed data give is a run of its own.",
        )
    return prepared


def _run_trials(
    runs: Mapping[Path, Prepared | Unprepared],
    keys: Sequence[TrialKey],
    report: Report,
    report_held: bool,
) -> tuple[list[TrialOutcome], dict[Path, Unprepared]] | Exception:
    """How trials ended, and why those of other runs, by folder, could not begin."""
    ready: list[Assignment] = []
    unprepared: dict[Path, Unprepared] = {}
    for key in keys:
        prepared = runs[key.folder]
        if isinstance(prepared, Unprepared):
            unprepared[key.folder] = prepared
        else:
            ready += assignments(prepared, [key.seed])
    try:
        return run_free_trials(ready, report, report_held), unprepared
    except Exception as error:
        sent = error if isinstance(error, AlBenchError) else AlBenchError(error_line(error))
        sent.add_note(traceback.format_exc())  # for verbose=true
        return sent
