"""Share the seeds of a run among processes: a trial depends on itself alone, so nothing changes."""

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

from al_bench import process
from al_bench.config import Composed
from al_bench.errors import AlBenchError, told
from al_bench.execution import HELD, Report, SeedOutcome, run_seeds
from al_bench.own_code import require_unedited
from al_bench.prepare import Prepared, prepare

_prepared: Prepared | AlBenchError  # set once in each worker process
_messages: Any
_stopping: Any
_busy = False

logger = logging.getLogger(__name__)


class Unprepared(AlBenchError):
    """A worker has not come to the run that was begun."""


def run_in_workers(composed: Composed, prepared: Prepared, report: Report) -> list[SeedOutcome]:
    """Run the seeds in ``workers`` processes, each taking the next seed when it is free.

    Args:
        composed: What each of them prepares for itself.
        prepared: The run that comes of it here.
        report: Hears of every round.
    """
    seeds = prepared.seeds
    context = multiprocessing.get_context("spawn")
    messages = context.SimpleQueue()
    listener = threading.Thread(target=_listen, args=(messages, report), daemon=True)
    listener.start()
    stopping = context.Event()
    given = (os.getpid(), composed, prepared.run.identity.own_code, messages, stopping)
    executor = ProcessPoolExecutor(
        min(prepared.workers, len(seeds)), context, _set_up_worker, given
    )
    outcomes: list[SeedOutcome] = []
    try:
        waiting = list(seeds)
        for last in (False, True):  # seeds held elsewhere are done last
            futures = {executor.submit(_run_seed, seed, last): seed for seed in waiting}
            ended: list[SeedOutcome] = []
            for future in as_completed(futures):
                try:
                    ended += future.result()
                except Unprepared as error:
                    ended += run_seeds(prepared, [futures[future]], report, refused=error)
            waiting = [] if last else [found.seed for found in ended if found.status == HELD]
            outcomes += [found for found in ended if found.seed not in waiting]
    except BaseException:
        stopping.set()  # what is queued already must not begin
        for worker in list((executor._processes or {}).values()):
            worker.terminate()  # each keeps its committed rounds
        raise
    finally:
        executor.shutdown(cancel_futures=True)
        messages.put(None)
        listener.join()
    return sorted(outcomes, key=lambda ended: ended.seed)


def _listen(messages: Any, report: Report) -> None:
    while (message := messages.get()) is not None:
        name, arguments = message
        try:
            getattr(report, name)(*arguments)
        except Exception:  # the workers would wait for ever on a full pipe
            logger.exception("a progress message could not be shown")


class _Forwarded:
    """A report that sends what it hears to the parent process."""

    def begin(self, *arguments: Any) -> None:
        _messages.put(("begin", arguments))

    def steps(self, *arguments: Any) -> None:
        _messages.put(("steps", arguments))

    def round(self, *arguments: Any) -> None:
        _messages.put(("round", arguments))

    def end(self, *arguments: Any) -> None:
        _messages.put(("end", arguments))


def _set_up_worker(
    parent: int, composed: Composed, own_code: Mapping[str, str], messages: Any, stopping: Any
) -> None:
    global _prepared, _messages, _stopping
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    signal.signal(signal.SIGTERM, _interrupt)
    process.set_up_streams()
    process.end_with(parent)
    _messages, _stopping = messages, stopping
    try:
        _prepared = prepare(composed)
        require_unedited(own_code, _prepared.run.identity.own_code)
    except Exception as error:  # it would break the pool of all workers
        message, hint = (
            (error.message, error.hint) if isinstance(error, AlBenchError) else (told(error), None)
        )
        _prepared = Unprepared(message, hint)


def _interrupt(signum: int, frame: Any) -> None:
    if _busy:  # an idle worker is told to end by the parent's executor
        raise KeyboardInterrupt


def _run_seed(seed: int, report_held: bool) -> list[SeedOutcome]:
    if _stopping.is_set():
        return []
    if isinstance(_prepared, AlBenchError):
        raise _prepared
    global _busy
    _busy = True
    try:
        return run_seeds(_prepared, [seed], _Forwarded(), report_held=report_held)
    finally:
        _busy = False
