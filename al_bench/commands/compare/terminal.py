"""How a comparison is printed on a terminal: tables, captions and what stands below them."""

import math
from collections.abc import Sequence

import numpy as np
from rich.text import Text

from al_bench.stats.across import Across
from al_bench.stats.against_itself import NOMINAL, AgainstItself
from al_bench.stats.arms import ArmResult, ProtocolResult
from al_bench.stats.comparison import Comparison
from al_bench.stats.intervals import quartiles
from al_bench.stats.measures import Measure, labels_saved, p_value, times_sooner
from al_bench.stats.rows import area_in_words, protocol_rows
from al_bench.stats.speed_up import SpeedUp
from al_bench.stats.spent import LABELS
from al_bench.stats.summary import marked
from al_bench.stats.undefined import reasons
from al_bench.stats.verdicts import BETTER, DIFFERENT, EQUIVALENT, UNCLEAR, WORSE
from al_bench.text.console import Table

STYLES = {BETTER: "green", WORSE: "red", EQUIVALENT: "cyan"}


def verdict_table(comparison: Comparison, result: ProtocolResult) -> Table:
    """A row an arm: area, difference with interval, tests, verdict."""
    measure, rows = comparison.measure, protocol_rows(comparison, result)
    is_range = result.low < result.high
    spent = f", {result.low:g} to {result.high:g} {result.axis.many}" if is_range else ""
    captions = [_caption(result, measure), reasons(rows)]
    title = f"{result.title}: {measure.label}{spent}"
    counted = "wins/ties/losses" if _has_direction(measure) else "higher/ties/lower"
    table = _table(
        [title, result.compared] if result.compared else [title],
        " ".join(filter(None, captions)),
        ["seeds", area_in_words(rows[0])]
        + ([f"less {result.baseline}", counted, "p (Holm)"] if result.is_compared else []),
    )
    if result.is_compared:
        table.add_column("verdict", overflow="fold")
    for arm in result.arms:
        area = f"{arm.areas.mean() * measure.scale:.{measure.digits}f}" if len(arm.areas) else ""
        cells: list[str | Text] = [_name(arm), str(len(arm.seeds)), area]
        pair = arm.paired
        if pair is not None:
            sign = measure.sign
            low, high = sorted((sign * pair.low, sign * pair.high))
            verdict = arm.verdict or ""
            cells += [
                _interval(sign * pair.mean, low, high, measure),
                f"{pair.wins}/{pair.ties}/{pair.losses}",
                p_value(arm.p_holm),
                Text(verdict, STYLES.get(verdict, "")),
            ]
        table.add_row(*cells)
    return table


def labels_table(comparison: Comparison, result: ProtocolResult) -> Table:
    """A row an arm: where on the curve it gains, and what that is in labels, or in steps.

    Nothing is saved of a metric that is neither to be raised nor lowered, and nothing gained where
    nothing is compared.
    """
    measure, spent = comparison.measure, result.axis.many
    targets = targets_of(result)
    unit = " %" if measure.unit == "%" else ""
    to_targets = [f"{spent} to {target * measure.scale:g}{unit}" for target in targets]
    reaching = f"{spent.capitalize()} to a value: median and quartiles over seeds."
    if not result.is_compared:
        table = _table([f"{spent.capitalize()} to a value"], reaching, to_targets)
        for arm in result.arms:
            table.add_row(_name(arm), *(_labels(arm, target) for target in targets))
        return table
    where = f"Differences in the low, middle and high third of the {spent}"
    thirds = ("low", "middle", "high")
    if not _has_direction(measure):
        table = _table([where], "", thirds)
        for arm in result.arms:
            table.add_row(_name(arm), *_thirds(arm, measure))
        return table
    caption = (
        f"{spent.capitalize()} saved: fewer {spent} than {result.baseline} takes to its own final "
        "value."
    )
    if any(arm.saved_at_most for arm in result.arms):
        caption += (
            f" At most: the arm ends worse than {result.baseline} and never has that value; to "
            f"anything better than its own end it takes so many {spent} more, or yet more."
        )
    if any(arm.saved_at_start for arm in result.arms):
        began = "with the initial set" if result.axis is LABELS else "from the first evaluation on"
        caption += f" At the start: both have that value {began}."
    table = _table(
        [f"{where}, and {spent}"],
        f"{caption} {reaching}" if targets else caption,
        [*thirds, f"{spent} saved", *to_targets],
    )
    for arm in result.arms:
        saved = ""
        if arm.saved is not None:
            saved = labels_saved(*arm.saved, at_most=arm.saved_at_most, at_start=arm.saved_at_start)
        reached = (_labels(arm, target) for target in targets)
        table.add_row(_name(arm), *_thirds(arm, measure), saved, *reached)
    return table


def targets_of(result: ProtocolResult) -> list[float]:
    """The values of the metric for which it was asked how many labels, or steps, they take."""
    return list(result.arms[0].labels_to) if result.arms else []


def _thirds(arm: ArmResult, measure: Measure) -> list[str]:
    """Differences in the three thirds; empty where there are none."""
    if arm.third_differences is None:
        return ["", "", ""]
    factor = measure.sign * measure.scale
    return [f"{factor * d:+z.{measure.digits}f}" for d in arm.third_differences]


def _has_direction(measure: Measure) -> bool:
    return measure.higher_is_better is not None


def speed_up_table(result: ProtocolResult) -> Table:
    """A row an arm: how many times sooner it has the best that the baseline ever has."""
    table = _table(
        [f"Speed-up over {result.baseline}"],
        f"Steps at which {result.baseline} first has its best value, over steps at which the arm "
        "first has it: median and quartiles over seeds, seeds that never have it, and the "
        "interval of the median (95 %, bootstrap over pairs of seeds). In time: the same of "
        "seconds, the training of irreducible-loss models included. As published: the last pass, "
        f"over the first pass at which the arm has the best that {result.baseline} has by then, "
        "both counted from zero.",
        ["steps", "interval", "in time", "interval", "as published"],
    )
    for arm in result.arms:
        cells = [
            *_speed_up(arm.speed_up),
            *_speed_up(arm.speed_up_time),
            _speed_up(arm.speed_up_published)[0],
        ]
        table.add_row(_name(arm), *cells)
    return table


def _speed_up(speed_up: SpeedUp | None) -> tuple[str, str]:
    """``1.82 [1.61, 2.04] (1 never)``, and the interval of the median; nothing for None."""
    if speed_up is None:
        return "", ""
    median, *quarters = map(times_sooner, (speed_up.median, *speed_up.quartiles))
    text = median
    if quarters[0] != quarters[1]:
        text += f" [{quarters[0]}, {quarters[1]}]"
    if 0 < speed_up.never < len(speed_up.values):
        text += f" ({speed_up.never} never)"
    interval = ""
    if not math.isnan(speed_up.interval[0]) and speed_up.interval[1] > 0:
        interval = " to ".join(map(times_sooner, speed_up.interval))
    return text, interval


def itself_table(baseline: str, itself: AgainstItself) -> Table:
    """The verdicts on the baseline's seeds against themselves, a row each."""
    table = _table(
        [
            f"{baseline} against itself, {itself.splits:,} times {itself.pairs} pairs of its "
            f"{itself.seeds} seeds"
        ],
        "Nothing differs here: equivalent is right, better and worse are chance. Pairs of unlike "
        "seeds differ by more than arms on one seed, and half of the seeds decide less than all.",
        ["rate", "nominal"],
        first="verdict",
    )
    for word, rate in itself.rates.items():
        nominal = f"{100 * NOMINAL[word]:.1f} %" if word in NOMINAL else ""
        table.add_row(word, f"{100 * rate:.1f} %", nominal)
    return table


def _table(title: Sequence[str], caption: str, columns: Sequence[str], first: str = "arm") -> Table:
    table = Table(*title, caption=caption)
    table.add_column(first, overflow="fold")
    for name in columns:
        table.add_column(name, justify="right", overflow="fold")
    return table


def _name(arm: ArmResult) -> str:
    return marked(arm.arm) if arm.sees_labels else arm.arm


def _interval(mean: float, low: float, high: float, measure: Measure) -> str:
    """``+2.51 [-5.44, +10.47]``; nothing for NaN."""
    if math.isnan(mean):
        return ""
    digits = measure.digits
    text = f"{mean * measure.scale:+z.{digits}f}"
    if math.isnan(low):
        return text
    return f"{text} [{low * measure.scale:+z.{digits}f}, {high * measure.scale:+z.{digits}f}]"


def _chance(value: float, low: float, high: float) -> str:
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _labels(arm: ArmResult, target: float) -> str:
    labels = arm.labels_to.get(target, np.empty(0))
    if len(labels) == 0:
        return ""
    never = int(np.isinf(labels).sum())
    if never == len(labels):
        return "never"
    low, median, high = quartiles(labels)
    text = "more" if math.isinf(median) else f"{median:g}"
    if low != high:
        text += f" [{low:g}, {'more' if math.isinf(high) else f'{high:g}'}]"
    return f"{text} ({never} never)" if never else text


def _caption(result: ProtocolResult, measure: Measure) -> str:
    pairs = [arm.paired for arm in result.arms if arm.paired is not None]
    if not pairs:
        return ""
    fewest = min(pair.num_seeds for pair in pairs)
    digits = measure.digits
    sentences = [
        "Differences are paired by seed, with 95 % intervals of each by itself"
        + ("; p and verdict are adjusted for all." if len(pairs) > 1 else "."),
        f"Margin of equivalence ±{result.margin * measure.scale:.3g}.",
    ]
    if not math.isnan(result.noise_floor):
        floor = result.noise_floor * measure.scale
        sentences.append(
            f"{result.baseline} against itself differs by up to ±{floor:.{digits}f} by chance."
        )
    sentences.append(
        f"With {fewest} seed{'s' * (fewest > 1)} a sign-flip test gives no p below "
        f"{2.0 ** (1 - fewest):.2g}."
    )
    differing = [arm for arm in result.arms if arm.verdict in DIFFERENT]
    inside = [arm.arm for arm in differing if arm.within_margin]
    if inside:
        words = "Better or worse" if _has_direction(measure) else "Higher or lower"
        sentences.append(f"{words}, but within the margin: {', '.join(inside)}.")
    open_ = [arm for arm in result.arms if arm.paired and arm.verdict == UNCLEAR]
    needed = [(arm.arm, arm.paired.seeds_needed) for arm in open_ if arm.paired is not None]
    finite = [(name, n) for name, n in needed if math.isfinite(n)]
    if finite:
        text = ", ".join(f"{name} {n:.0f}" for name, n in finite)
        after = " after Holm's adjustment" if len(pairs) > 1 else ""
        sentences.append(f"Seeds that would show differences of these sizes{after}: {text}.")
    return " ".join(sentences)


def not_met(across: Across) -> str:
    """A sentence where arms cannot be ranked fairly, with a space before it; else nothing."""
    if not across.partly:
        return ""
    number = len(across.partly)
    names = ", ".join(across.partly[:3]) + (f" and {number - 3} more" if number > 3 else "")
    return f" Not in every protocol, so ranked among fewer arms and with less to lose: {names}."


def _unmet(across: Across) -> str:
    """A sentence on arms whose chance of being better is undefined, a space before it."""
    better = across.improvement.value
    names = [
        arm
        for a, (arm, baseline) in enumerate(zip(across.arms, across.baselines, strict=True))
        if baseline not in across.arms or math.isnan(better[a, across.arms.index(baseline)])
        if arm != baseline
    ]
    return f" No baseline beside them, so no P: {', '.join(names)}." if names else ""


def across_table(across: Across, baseline: str, measure: Measure) -> Table:
    """A row an arm over all protocols."""
    table = _table(
        [f"{len(across.protocols)} protocols together: {measure.label}"],
        "95 % intervals of the stratified bootstrap, each by itself. Gain: interquartile mean of "
        f"the area less {baseline}'s. Penalty: rounds lost at 5 % each, as a share, summed over "
        f"protocols and arms.{not_met(across)}{_unmet(across)}",
        ["mean rank", "gain", f"P(better than {baseline})", "penalty"],
    )
    for a, arm in enumerate(across.arms):
        reference = across.baselines[a]
        base = across.arms.index(reference) if reference in across.arms else a
        ranks, gain, better = across.ranks, across.gain, across.improvement
        chance = [part[a, base] for part in (better.value, better.low, better.high)]
        table.add_row(
            arm,
            f"{ranks.value[a]:.2f} [{ranks.low[a]:.2f}, {ranks.high[a]:.2f}]",
            _interval(gain.value[a], gain.low[a], gain.high[a], measure),
            "" if a == base or math.isnan(chance[0]) else _chance(*chance),
            "" if math.isnan(across.lost[a]) else f"{across.lost[a]:.2f}",
        )
    return table
