"""Share the seeds of a run among processes: a trial depends on itself alone, so nothing changes."""

import logging
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from al_bench import process
from al_bench.configuration import own_path
from al_bench.configuration.composing import Composed
from al_bench.errors import AlBenchError, told
from al_bench.results.own_code import require_unedited
from al_bench.running.execution import (
    HELD,
    Report,
    SeedOutcome,
    run_free_seeds,
    run_seeds,
    settle,
)
from al_bench.running.prepare import Prepared, prepare

SECONDS_TO_STOP = 5.0  # after which a worker that does not answer is killed
_TERMINATED = 128 + signal.SIGTERM
_HEARD = ("begin", "steps", "round", "end")  # of a report

logger = logging.getLogger(__name__)


class Unprepared(AlBenchError):
    """A worker has not come to the run that was begun."""


def run_in_workers(composed: Composed, prepared: Prepared, report: Report) -> list[SeedOutcome]:
    """Run the seeds in ``workers`` processes, each taking the next seed when it is free.

    A process that is killed costs its seed, which has failed; another takes its place.

    Args:
        composed: What each of them prepares for itself.
        prepared: The run that comes of it here.
        report: Hears of every round.
    """
    outcomes: list[SeedOutcome] = []
    with _Workers(composed, prepared, report) as workers:
        waiting: Sequence[int] = prepared.seeds
        for last in (False, True):  # seeds held elsewhere are done last
            ended = workers.run(waiting, last)
            waiting = [] if last else [found.seed for found in ended if found.status == HELD]
            outcomes += [found for found in ended if found.seed not in waiting]
            if waiting:
                settle(prepared, waiting)
    return sorted(outcomes, key=lambda ended: ended.seed)


class _Worker:
    """One process, at the other end of a pipe of its own: what kills it harms no other's."""

    def __init__(self, composed: Composed, own_code: Mapping[str, str]) -> None:
        context = multiprocessing.get_context("spawn")
        self.messages, theirs = context.Pipe()
        self.seed: int | None = None  # at work on it
        try:
            self.process = context.Process(
                target=_work,
                args=(os.getpid(), own_path.searched(), composed, own_code, theirs),
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
        """Whether it has ended between two seeds."""
        return self.seed is None and not self.process.is_alive()

    def begin(self, seed: int, report_held: bool) -> None:
        """Have it run a seed."""
        self.seed = seed
        try:
            self.messages.send((seed, report_held))
        except OSError:  # it is gone, which is heard next
            logger.debug("a worker was gone before it had its seed")

    def loss(self) -> AlBenchError:
        """What to say of a worker that is gone without an answer."""
        self.process.join(SECONDS_TO_STOP)  # and with it, its locks
        code = self.process.exitcode
        if code == -signal.SIGKILL:
            said = "was killed, perhaps for memory"
        elif code in (-signal.SIGTERM, _TERMINATED):
            said = "was stopped from outside"
        elif code is not None and code < 0:
            said = f"crashed ({signal.Signals(-code).name})"
        else:
            said = f"ended with exit code {code}"
        return AlBenchError(
            f"seed {self.seed}'s process {said}.",
            "Run the same command again to go on after its last round, with fewer workers= if "
            "memory is short.",
        )


class _Workers:
    """The processes of a run; leaving the ``with`` ends them, whatever state they are in."""

    def __init__(self, composed: Composed, prepared: Prepared, report: Report) -> None:
        self._composed = composed
        self._prepared = prepared
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
                worker.process.terminate()  # each keeps its committed rounds
        try:
            until = time.monotonic() + SECONDS_TO_STOP
            for worker in self._workers:
                worker.process.join(max(0.0, until - time.monotonic()))
        finally:
            for worker in self._workers:
                worker.process.kill()  # the stopped and the hanging ones
                worker.process.join()
                worker.messages.close()

    def run(self, seeds: Sequence[int], report_held: bool) -> list[SeedOutcome]:
        """How these seeds ended."""
        left = list(reversed(seeds))
        ended: list[SeedOutcome] = []
        while left or any(worker.seed is not None for worker in self._workers):
            self._share(left, report_held)
            busy = {worker.messages: worker for worker in self._workers if worker.seed is not None}
            for messages in wait(list(busy)):
                ended += self._hear(busy[messages])  # type: ignore[index]
        return ended

    def _share(self, left: list[int], report_held: bool) -> None:
        """Give seeds that are left to workers that are free, with new ones where some are gone."""
        for worker in [one for one in self._workers if one.is_gone]:
            self._workers.remove(worker)
            worker.messages.close()
        for worker in self._workers:
            if worker.seed is None and left:
                worker.begin(left.pop(), report_held)
        while left and len(self._workers) < self._prepared.workers:
            try:
                worker = _Worker(self._composed, self._prepared.run.identity.own_code)
            except OSError as error:
                said = f"No process could be started ({error.strerror or told(error)})"
                if not self._workers:
                    raise AlBenchError(f"{said}.", "Use fewer workers=.") from error
                logger.warning("%s; %d go on.", said, len(self._workers))
                return
            self._workers.append(worker)
            worker.begin(left.pop(), report_held)

    def _hear(self, worker: _Worker) -> list[SeedOutcome]:
        """Take the next message of a worker; outcomes, once its seed has ended."""
        seed = worker.seed
        assert seed is not None
        try:
            name, content = worker.messages.recv()
        except (EOFError, OSError):
            self._workers.remove(worker)
            lost = worker.loss()
            worker.messages.close()
            return run_seeds(self._prepared, [seed], self._report, refused=lost)
        if name in _HEARD:
            try:
                getattr(self._report, name)(*content)
            except Exception:
                logger.exception("a progress message could not be shown")
            return []
        worker.seed = None
        if isinstance(content, Unprepared):
            return run_seeds(self._prepared, [seed], self._report, refused=content)
        if isinstance(content, Exception):
            raise content
        outcomes: list[SeedOutcome] = content
        return outcomes


class _Forwarded:
    """A report that sends what it hears to the parent process."""

    def __init__(self, messages: "Connection[Any, Any]") -> None:
        self._messages = messages

    def begin(self, *arguments: Any) -> None:
        self._messages.send(("begin", arguments))

    def steps(self, *arguments: Any) -> None:
        self._messages.send(("steps", arguments))

    def round(self, *arguments: Any) -> None:
        self._messages.send(("round", arguments))

    def end(self, *arguments: Any) -> None:
        self._messages.send(("end", arguments))


def _work(
    parent: int,
    own_folders: Sequence[str],
    composed: Composed,
    own_code: Mapping[str, str],
    messages: "Connection[Any, Any]",
) -> None:
    """Run one seed after the other as they are asked for, until the parent hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    signal.signal(signal.SIGTERM, _interrupt)
    process.set_up_streams()
    process.end_with(parent)
    own_path.search(own_folders)
    try:
        prepared = _prepare(composed, own_code)
        report = _Forwarded(messages)
        while True:
            seed, report_held = messages.recv()
            messages.send(("answer", _run_seed(prepared, seed, report, report_held)))
    except EOFError:
        return
    except KeyboardInterrupt:
        sys.exit(_TERMINATED)


def _interrupt(signum: int, frame: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would cut short what is kept
    raise KeyboardInterrupt


def _prepare(composed: Composed, own_code: Mapping[str, str]) -> Prepared | Unprepared:
    try:
        prepared = prepare(composed)
        require_unedited(own_code, prepared.run.identity.own_code)
    except AlBenchError as error:
        return Unprepared(error.message, error.hint)
    except Exception as error:
        return Unprepared(told(error))
    return prepared


def _run_seed(
    prepared: Prepared | Unprepared, seed: int, report: Report, report_held: bool
) -> list[SeedOutcome] | Exception:
    if isinstance(prepared, Unprepared):
        return prepared
    try:
        return run_free_seeds(prepared, [seed], report, report_held)
    except Exception as error:
        sent = error if isinstance(error, AlBenchError) else AlBenchError(told(error))
        sent.add_note(traceback.format_exc())  # for verbose=true
        return sent
