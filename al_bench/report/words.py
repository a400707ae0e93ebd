"""What a comparison says, in sentences."""

import math

from al_bench.stats.arms import ArmResult, ProtocolResult
from al_bench.stats.measures import Measure, p_value, times_sooner, whole_labels
from al_bench.stats.spent import STEPS, Axis
from al_bench.stats.verdicts import BETTER, DIFFERENT, EQUIVALENT, WORSE


def verdicts(result: ProtocolResult, measure: Measure) -> list[str]:
    """One sentence an arm, the baseline's first: what may be said of it and what may not."""
    if result.baseline is None:
        return ["There is no baseline here, so nothing is compared."]
    sentences = []
    for arm in result.arms:
        if arm.baseline is None:
            sentences.append(f"{arm.arm} has no baseline here, so it is not compared.")
        elif arm.is_baseline:
            sentences.append(_of_baseline(result, arm, measure))
        elif arm.paired is None:
            sentences.append(f"{arm.arm} shares no whole seed with {arm.baseline}.")
        else:
            sentences.append(_of_arm(result, arm, measure))
    return sentences


def _of_baseline(result: ProtocolResult, arm: ArmResult, measure: Measure) -> str:
    if not len(arm.areas):
        return f"{arm.arm} is the baseline, but none of its seeds is complete."
    area = _amount(float(arm.areas.mean()), measure)
    seeds = len(arm.seeds)
    where = f"on average from {result.low:g} to {result.high:g} {result.axis.many}"
    if result.is_one_count:
        where = f"at {result.axis.counted(int(result.high))}"
    text = (
        f"{arm.arm} is the baseline: {measure.words} of {area} {where} "
        f"({seeds} seed{'s' * (seeds != 1)})"
    )
    if math.isnan(result.noise_floor):
        return f"{text}."
    floor = _amount(result.noise_floor, measure, difference=True)
    return f"{text}; against itself it would differ by up to {floor} by chance."


def _of_arm(result: ProtocolResult, arm: ArmResult, measure: Measure) -> str:
    pair = arm.paired
    assert pair is not None
    size = _amount(abs(pair.mean), measure, difference=True)
    has_direction = measure.higher_is_better is not None
    won = "won" if has_direction else "higher"
    against = f"{pair.wins} of {pair.num_seeds} seeds {won}"
    control = " It sees labels before they are bought: a control." if arm.sees_labels else ""
    if pair.num_seeds < 2:
        ahead, behind = ("ahead of", "behind") if has_direction else ("above", "below")
        ahead = ahead if pair.mean > 0 else behind
        return f"{arm.arm} is {size} {ahead} {arm.baseline} on one seed: no statement.{control}"
    interval = (
        f"95 % interval {_amount(pair.low, measure, signed=True).split()[0]} to "
        f"{_amount(pair.high, measure, signed=True)}, {against}, "
        f"Holm-adjusted p {p_value(arm.p_holm)}"
    )
    if arm.verdict in DIFFERENT:
        text = f"{arm.arm} is {arm.verdict} than {arm.baseline}, by {size} ({interval})."
    elif arm.verdict == EQUIVALENT:
        margin = _amount(result.margin, measure, difference=True)
        text = f"{arm.arm} is equivalent to {arm.baseline} within {margin} ({interval})."
    else:
        text = f"{arm.arm} cannot be distinguished from {arm.baseline} ({interval})."
        if math.isfinite(pair.seeds_needed) and pair.seeds_needed > pair.num_seeds:
            text += f" A difference of this size would take some {pair.seeds_needed:.0f} seeds."
    if arm.verdict in DIFFERENT:
        if arm.within_margin:
            margin = _amount(result.margin, measure, difference=True)
            text += f" The difference is within {margin} all the same."
        text += _of_spent(arm, result.axis)
    if result.axis is STEPS:
        text += _of_speed_up(arm)
    return text + control


def _of_spent(arm: ArmResult, axis: Axis) -> str:
    """A sentence on the labels or steps saved, a space before it; nothing where none are."""
    if arm.saved is None or arm.saved_at_start:
        return ""
    saved, low, high = map(whole_labels, arm.saved)
    if arm.saved_at_most:
        but = "Yet it" if arm.verdict == BETTER else "It"
        return (
            f" {but} never has {arm.baseline}'s final value; to its own it takes at least "
            f"{axis.counted(max(-saved, 1))} more (95 % interval {-high} to {-low})."
        )
    if saved == 0:
        return ""
    more, ends = ("fewer", (low, high)) if saved > 0 else ("more", (-high, -low))
    but = "Yet it" if (arm.verdict == WORSE) == (saved > 0) else "It"
    return (
        f" {but} takes {axis.counted(abs(saved))} {more} to {arm.baseline}'s final value "
        f"(95 % interval {ends[0]} to {ends[1]})."
    )


def _of_speed_up(arm: ArmResult) -> str:
    """A sentence on how much sooner it has the baseline's best value, a space before it."""
    speed_up = arm.speed_up
    if speed_up is None:
        return ""
    number = len(speed_up.values)
    if speed_up.median == 0:
        return f" On {speed_up.never} of {number} seeds it never has {arm.baseline}'s best value."
    details = ["median over seeds"]
    if not math.isnan(speed_up.interval[0]):
        details.append(f"95 % interval {' to '.join(map(times_sooner, speed_up.interval))}")
    if speed_up.never:
        details.append(f"never on {speed_up.never} of {number} seeds")
    value = times_sooner(speed_up.median)
    return f" Its speed-up to {arm.baseline}'s best value is {value} ({', '.join(details)})."


def _amount(
    value: float, measure: Measure, *, difference: bool = False, signed: bool = False
) -> str:
    """A value in the metric's unit; differences of percentages are points."""
    digits = measure.digits
    number = f"{value * measure.scale:{'+' if signed else ''}.{digits}f}"
    if measure.unit == "%":
        return f"{number} points" if difference or signed else f"{number} %"
    return f"{number} {measure.unit}".rstrip()
