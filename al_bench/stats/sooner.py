"""The speed-ups of the arms of a protocol that spends steps."""

from dataclasses import replace

import numpy as np
import pandas as pd

from al_bench.stats.arms import ArmResult, Array, Curves, ProtocolResult
from al_bench.stats.runs import by_run
from al_bench.stats.speed_up import SpeedUp, ends_of_passes, speed_up, speed_up_published
from al_bench.stats.summary import by_seed
from al_bench.stats.times import elapsed

CANDIDATES = "budget.candidates"  # n_B


def with_speed_ups(result: ProtocolResult, rows: pd.DataFrame, sign: float) -> ProtocolResult:
    """The result with the speed-ups of its arms, over the seeds that each shares with its baseline.

    Args:
        result: Of one protocol that spends steps.
        rows: Rows of curves of its arms, a copy of each trial.
        sign: -1 where the metric is to be lowered, else 1.
    """
    length = pass_length(rows)
    timed = elapsed(rows)
    seeds_of = {arm.arm: arm.seeds for arm in result.arms}

    def of_arm(arm: ArmResult) -> ArmResult:
        if arm.paired is None or arm.baseline is None:
            return arm
        seeds = tuple(sorted(set(arm.seeds) & set(seeds_of[arm.baseline])))
        names = (arm.baseline, arm.arm)
        base, mine = (_common(result, name, seeds, sign) for name in names)
        clocks = [
            _seconds(timed[timed["strategy_label"] == name], curve)
            for name, curve in zip(names, (base, mine), strict=True)
        ]
        in_time = None
        if clocks[0] is not None and clocks[1] is not None:
            in_time = speed_up(clocks[0], base.values, clocks[1], mine.values)
        return replace(
            arm,
            speed_up=speed_up(base.counts, base.values, mine.counts, mine.values),
            speed_up_published=_published(base, mine, length) if length else None,
            speed_up_time=in_time,
        )

    return replace(result, arms=tuple(of_arm(arm) for arm in result.arms))


def pass_length(rows: pd.DataFrame) -> int | None:
    """Steps in a pass over the training points; None where that is not known, or not one number.

    What does not fill a batch of candidates at the end of a pass is dropped. Arms that see fewer
    candidates a step, such as core-sets, take as many steps as the others.

    Args:
        rows: Rows of curves of one protocol.
    """
    numbers = {one.settings.get(CANDIDATES) for one in by_run(rows).values()} - {None}
    sizes = rows["num_labeled"].unique()
    stepped = rows[rows["candidates_seen"].notna() & (rows["total_steps"] > 0)]
    if len(numbers) > 1 or len(sizes) > 1 or stepped.empty:
        return None
    candidates = (stepped["candidates_seen"] / stepped["total_steps"]).astype(float).max()
    return (candidates > 0 and int(sizes[0] // candidates)) or None


def _common(result: ProtocolResult, arm: str, seeds: tuple[int, ...], sign: float) -> Curves:
    """The arm's curves of these seeds over the common range, higher is better."""
    counts, values = result.curves[arm].only(seeds).within(result.low, result.high)
    return Curves(counts, sign * values, seeds)


def _published(base: Curves, mine: Curves, length: int) -> SpeedUp | None:
    """Over the passes that both have; None where there are fewer than two."""
    base_passes, base_places = ends_of_passes(base.counts, length)
    passes, places = ends_of_passes(mine.counts, length)
    both, i, j = np.intersect1d(base_passes, passes, return_indices=True)
    if len(both) < 2:
        return None
    return speed_up_published(both, base.values[:, base_places[i]], mine.values[:, places[j]])


def _seconds(timed: pd.DataFrame, curve: Curves) -> Array | None:
    """Seconds at which the values of the curve were known, (S, R); None where they are not."""
    seeds, counts, table = by_seed(timed.drop_duplicates(["seed", "spent"], keep="last"), "seconds")
    if not (np.isin(curve.seeds, seeds).all() and np.isin(curve.counts, counts).all()):
        return None
    seconds = table[
        np.ix_(np.searchsorted(seeds, curve.seeds), np.searchsorted(counts, curve.counts))
    ]
    return None if np.isnan(seconds).any() else seconds
