"""Interleaved repetitions in one process: ratios are of neighbors in time."""

import gc
import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from strategy_benchmarks.case import Case, Facts, Options, Peer
from strategy_benchmarks.floors import Rates, clocked
from strategy_benchmarks.memory import peak_since, reset_peak

OURS, FLOOR = "al-bench", "floor"
LEAST = 0.1  # seconds that a measurement should take: shorter calls are repeated
MOST_CALLS = 200
LONG = 10.0  # seconds: a first repetition that takes longer counts, a shorter one is a warm-up

Way = Callable[[], Any]


def measure(case: Case, options: Options, rates: Rates) -> Facts:
    """Every repetition of a case, ratios, peak memory and agreement."""
    # batchbald_redux collects garbage again and again; what else lives here is not its fault.
    gc.collect()
    gc.freeze()
    try:
        first = First(case)
        repetitions = repeat(case, first, options, rates)
    finally:
        gc.unfreeze()
    ours = [repetition["seconds"][OURS] for repetition in repetitions]
    theirs = {name: first.results[name] for name in first.ways if name not in (OURS, FLOOR)}
    agreement = case.agreement(first.results[OURS], theirs) if case.agreement else {}

    def compared(peer: Peer) -> Facts:
        times = [repetition["seconds"].get(peer.name) for repetition in repetitions]
        return {
            "name": peer.name,
            "at_least": peer.at_least,
            "ratio": ratio(times, ours) if peer.name in first.ways else None,
            "failed": first.failures.get(peer.name),
            "peak_bytes": first.peaks.get(peer.name),
            "agreement": agreement.get(peer.name),
        }

    return {
        "row": case.row,
        "name": case.name,
        "work": case.work,
        "seconds": spread(ours),
        "peers": [compared(peer) for peer in case.peers],
        "floor": case.floor
        and {
            "name": case.floor.name,
            "at_most": case.floor.at_most,
            "ratio": ratio(ours, [repetition["floor_seconds"] for repetition in repetitions]),
        },
        "agreement": agreement.get(OURS),
        "facts": case.facts(first.results[OURS]),
        "peak_bytes": first.peaks[OURS],
        "at_most_bytes": case.at_most_bytes,
        "at_most_seconds": case.at_most_seconds,
        "repetitions": repetitions,
    }


class First:
    """The first call of every way: results, CPU seconds, peak memory; failures of peers.

    Args:
        case: What to run.
    """

    def __init__(self, case: Case) -> None:
        self.ways: dict[str, Way] = {}
        self.results: dict[str, Any] = {}
        self.seconds: dict[str, float] = {}
        self.peaks: dict[str, int | None] = {}
        self.failures: dict[str, str] = {}
        self._call(OURS, case.ours)
        for peer in case.peers:
            if peer.run is None:
                continue
            try:
                self._call(peer.name, peer.run)
            except Exception as error:  # whatever it raises, the others can still be measured
                self.failures[peer.name] = " ".join(f"{type(error).__name__}: {error}".split())
        if case.floor is not None and case.floor.run is not None:
            self._call(FLOOR, case.floor.run)

    def _call(self, name: str, run: Way) -> None:
        before = reset_peak()
        seconds = clocked(lambda: self.results.update({name: run()}))
        self.peaks[name] = peak_since(before)
        self.seconds[name] = seconds
        self.ways[name] = run


def repeat(case: Case, first: First, options: Options, rates: Rates) -> list[Facts]:
    """Seconds of every way and of the floor, the ways in turn; who comes first changes."""
    calls = {name: 1 if options.quick else repeated(once) for name, once in first.seconds.items()}
    wanted = options.repeats or (2 if options.quick else case.repeats)
    repetitions: list[Facts] = []
    if sum(first.seconds.values()) > LONG:
        repetitions.append(with_floor(dict(first.seconds), case, rates))
    names = list(first.ways)
    while len(repetitions) < wanted:
        turn = len(repetitions) % len(names)
        order = names[turn:] + names[:turn]
        seconds = {name: average(first.ways[name], calls[name]) for name in order}
        repetitions.append(with_floor(seconds, case, rates))
    return repetitions


def with_floor(seconds: dict[str, float], case: Case, rates: Rates) -> Facts:
    """A repetition with the floor's seconds at the rates of this moment."""
    if FLOOR in seconds:
        return {"floor_seconds": seconds.pop(FLOOR), "seconds": seconds}
    if case.floor is None:
        return {"seconds": seconds}
    floor_seconds, measured = rates.seconds(case.floor.work)
    return {"seconds": seconds, "floor_seconds": floor_seconds, "rates": measured}


def repeated(once: float) -> int:
    """Calls that together take about ``LEAST`` seconds."""
    return min(MOST_CALLS, max(1, math.ceil(LEAST / once)))


def average(run: Way, calls: int) -> float:
    """Seconds a call, of several."""

    def several() -> None:
        for _ in range(calls):
            run()

    return clocked(several) / calls


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and range."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratio(slow: Sequence[float], fast: Sequence[float]) -> dict[str, float]:
    """Median and range of the ratio of pairs measured one after the other."""
    return spread([a / b for a, b in zip(slow, fast, strict=True)])
