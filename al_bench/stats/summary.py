"""Learning curves over seeds: tidy rows, means with intervals, and a row of numbers a strategy.

Only stored counts of what was spent (``spent``: labels or steps) are used; nothing is interpolated.
The order of rows never matters.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from al_bench.errors import ConfigError, choose
from al_bench.results.schema import ENGINE
from al_bench.results.wording import Setup, distinctions
from al_bench.stats.copies import in_a_row, one_copy
from al_bench.stats.intervals import mean_interval
from al_bench.stats.intervals import quartiles as quartiles_of
from al_bench.stats.protocols import titles
from al_bench.stats.runs import by_run
from al_bench.stats.spent import LABELS, axis_of, by_axis, spent

CURVE = ["protocol_id", "strategy_label"]  # what makes rows one curve; its seeds are averaged
TRIAL = [*CURVE, "seed"]


def metrics(frame: pd.DataFrame) -> list[str]:
    """Names of the columns that can be drawn: numbers, at least one of them finite."""
    keys = {"seed", "round", "num_labeled", "total_steps", "metrics_version"}
    return [
        str(name)
        for name in frame.columns
        if name not in keys
        and name not in ENGINE
        and not pd.api.types.is_bool_dtype(frame[name])
        and pd.api.types.is_numeric_dtype(frame[name])
        and np.isfinite(frame[name].astype(float)).any()
    ]


def distinct_runs(frame: pd.DataFrame) -> pd.DataFrame:
    """``frame`` with what differs in the labels of strategies that several runs share.

    Of each trial one copy is kept (``one_copy``), with a warning where copies differ. Within a
    protocol a label stands for one run, but for strategies of the same name whose code or hidden
    defaults changed: "bald [beta=4]", or the run's id where nothing stored says how.
    """
    frame = one_copy(frame)
    num_runs = frame.groupby(CURVE)["run_id"].transform("nunique")
    if (num_runs == 1).all():
        return frame
    several = frame[num_runs > 1]
    runs = by_run(several)
    labels: dict[tuple[object, ...], str] = {}
    for keys, group in several.groupby(CURVE):
        ids = list(group["run_id"].unique())
        differences = distinctions([Setup({}, runs[run].settings) for run in ids])
        for run, words in zip(ids, differences, strict=True):
            text = ", ".join(words) if differences.count(words) == 1 and words else str(run)[:8]
            labels[(*keys, run)] = f"{keys[1]} [{text}]"
    rows = frame[[*CURVE, "run_id"]].itertuples(index=False, name=None)
    return frame.assign(strategy_label=[labels.get(row, row[1]) for row in rows])


def marked(label: str) -> str:
    """The name of a control that sees labels, as it is shown."""
    return f"{label} (sees labels)"


def mark_controls(frame: pd.DataFrame) -> pd.DataFrame:
    """``frame`` with "(sees labels)" behind the names of controls that see labels."""
    sees = frame["label_access"].astype("boolean").fillna(False)
    control = sees.groupby(frame["run_id"]).transform("any").astype(bool)
    names = frame["strategy_label"].map(marked)
    return frame.assign(strategy_label=frame["strategy_label"].where(~control, names))


def unequal_seeds(frame: pd.DataFrame) -> str | None:
    """A sentence on the strategies of a protocol that were not run with the same seeds."""
    names = titles(frame)
    sentences = []
    for key, rows in distinct_runs(frame).groupby("protocol_id"):
        seeds = rows.groupby("strategy_label")["seed"].agg(lambda column: in_a_row(column))
        if seeds.nunique() > 1:
            text = "; ".join(f"{label}: {numbers}" for label, numbers in seeds.items())
            where = f" of {names[str(key)]}" if len(names) > 1 else ""
            sentences.append(f"the {axis_of(rows).choices}{where} have different seeds ({text})")
    if not sentences:
        return None
    others = len(sentences) - 1
    more = f", as in {others} more protocol{'s' * (others > 1)}" if others else ""
    return f"{sentences[0]}{more}: means are not over the same ones; al-bench compare pairs them."


def tidy(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One row a (protocol, strategy, seed, count of what was spent), sorted.

    Where a trial has several rounds at one count (refused labels), the last one stands.
    Strategies are told apart by ``distinct_runs``, which takes one copy of each trial, whole.
    Warns, naming strategy, seed and counts, where rounds are missing.

    Args:
        frame: Rows of curves, with the columns of ``results.schema.CURVE`` that name a row.
        metric: A numeric column; rows without a finite value count as missing.

    Returns:
        Columns ``protocol_id strategy_label seed spent value piece``: within a trial, rows
        of one piece come from rounds without a gap.

    Raises:
        ConfigError: There is no such column, or it holds no numbers.
    """
    valid = metrics(frame)
    if metric not in valid:
        message = f"These results have no values of a metric {metric!r}."
        raise ConfigError(message, choose(metric, valid))
    rows = distinct_runs(frame)
    rows = rows.assign(value=rows[metric].astype(float), spent=spent(rows))
    names = titles(rows)
    rows = rows.sort_values([*TRIAL, "round"])
    there = rows[np.isfinite(rows["value"])]
    ends = there.groupby("protocol_id")["spent"].max()
    begins = _begins(there)
    incomplete = _incomplete(rows, there, ends, begins)
    lacking: dict[str, list[tuple[str, str]]] = {}  # by kind
    for keys, curve in rows[incomplete].groupby(CURVE):
        where = f"{keys[1]} ({names[str(keys[0])]})" if len(names) > 1 else str(keys[1])
        for kind, sentence in _missing(curve, metric, ends.get(keys[0]), begins.get(keys[0], 0)):
            lacking.setdefault(kind, []).append((where, sentence))
    for sentences in lacking.values():
        warnings.warn(_folded(sentences), stacklevel=2)
    rows = there.assign(piece=there["round"] - there.groupby(TRIAL).cumcount())
    rows = rows.drop_duplicates([*TRIAL, "spent"], keep="last")
    rows = rows.sort_values([*TRIAL, "spent"])
    return rows[[*TRIAL, "spent", "value", "piece"]].reset_index(drop=True)


def by_seed(curve: pd.DataFrame, column: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """One curve's rows of ``tidy`` as a table, without the cost of pandas' pivot.

    Returns:
        Seeds (S,), counts of what was spent (R,), and values (S, R), NaN where there is none.
    """
    seeds, rows = np.unique(curve["seed"].to_numpy(), return_inverse=True)
    counts, columns = np.unique(curve["spent"].to_numpy(), return_inverse=True)
    table = np.full((len(seeds), len(counts)), np.nan)
    table[rows, columns] = curve[column].to_numpy(dtype=float)
    return seeds, counts, table


def summarize(curves: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Mean and interval over seeds at every stored count.

    Args:
        curves: What ``tidy`` returned.
        level: Of the interval; see ``mean_interval``.

    Returns:
        Columns ``protocol_id strategy_label spent mean low high num_seeds joined``; the last
        says whether any seed went from the count before to this one without a missing round.
    """
    parts = []
    for keys, curve in curves.groupby(CURVE):
        _, counts, values = by_seed(curve, "value")
        _, _, pieces = by_seed(curve, "piece")
        mean, low, high, count = mean_interval(values, level)
        joined = np.zeros(len(mean), dtype=bool)
        joined[1:] = (pieces[:, 1:] == pieces[:, :-1]).any(axis=0)  # NaN equals nothing
        columns = {"mean": mean, "low": low, "high": high, "num_seeds": count, "joined": joined}
        names = dict(zip(CURVE, keys, strict=True))
        parts.append(pd.DataFrame({**names, "spent": counts, **columns}))
    return pd.concat(parts, ignore_index=True)


def quartiles(curves: pd.DataFrame, counts: Sequence[int]) -> pd.DataFrame:
    """Median and quartiles over seeds at given counts, a row each where there are any seeds.

    Args:
        curves: What ``tidy`` returned.
        counts: Of labels or steps.

    Returns:
        Columns ``protocol_id strategy_label spent low median high num_seeds``; quartiles are
        interpolated linearly between seeds.
    """
    rows = curves[curves["spent"].isin(list(counts))]
    groups = rows.groupby([*CURVE, "spent"])["value"]
    parts = {
        "low": groups.quantile(0.25),
        "median": groups.median(),
        "high": groups.quantile(0.75),
        "num_seeds": groups.count(),
    }
    return pd.DataFrame(parts).reset_index()


def final_table(
    curves: pd.DataFrame,
    thresholds: Sequence[float] = (),
    higher_is_better: bool = True,
    level: float = 0.95,
) -> pd.DataFrame:
    """A row of numbers for each protocol and strategy.

    Args:
        curves: What ``tidy`` returned.
        thresholds: Values of the metric whose first crossing is looked for.
        higher_is_better: Whether a threshold is reached from below or from above.
        level: Of the intervals.

    Returns:
        ``protocol_id strategy_label num_seeds first last``, the latter two counts of what was
        spent; ``final final_low final_high final_seeds``, the metric at the last count, over the
        seeds that are there;
        ``area area_low area_high area_seeds``, the area under the curve over its range of counts
        (trapezoids between stored ones, in units of the metric), over the seeds that lack no
        count, and NaN where a count is all there is;
        for each threshold t ``to_t``, the median over seeds of the first
        stored count at which it is reached (infinite where half of the seeds or more never do),
        ``never_t``, how many never do, and
        ``known_t``, of how many that is known: not of those that have not got there and end before
        the last count.
    """
    rows = []
    for keys, curve in curves.groupby(CURVE):
        _, counts, table = by_seed(curve, "value")
        counts = counts.astype(float)
        whole = ~np.isnan(table).any(axis=1) & (curve.groupby("seed")["piece"].nunique() == 1)
        final = mean_interval(table[:, -1], level)
        area = mean_interval(_area(counts, table[whole.to_numpy()]), level)
        row: dict[str, Any] = dict(zip(CURVE, keys, strict=True))
        row |= {"num_seeds": len(table)}
        row |= {"first": int(counts[0]), "last": int(counts[-1])}
        for name, interval in (("final", final), ("area", area)):
            mean, low, high, count = (value.item() for value in interval)
            row |= {name: mean, f"{name}_low": low, f"{name}_high": high, f"{name}_seeds": count}
        for threshold in thresholds:
            first = _first_crossing(counts, table, threshold, higher_is_better)
            known = first[np.isfinite(first) | ~np.isnan(table[:, -1])]
            row[f"to_{threshold:g}"] = quartiles_of(known)[1] if len(known) else math.nan
            row[f"never_{threshold:g}"] = int(np.isinf(known).sum())
            row[f"known_{threshold:g}"] = len(known)
        rows.append(row)
    return pd.DataFrame(rows)


def _area(counts: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area under each row of ``values`` (S, R) over the range of ``counts`` (R,): (S,)."""
    if len(counts) < 2:
        return np.full(len(values), np.nan)
    widths = np.diff(counts)
    return ((values[:, 1:] + values[:, :-1]) / 2) @ widths / widths.sum()


def _first_crossing(
    counts: NDArray[np.float64], values: NDArray[np.float64], threshold: float, higher: bool
) -> NDArray[np.float64]:
    """The first count at which each row of ``values`` (S, R) is good enough, or inf: (S,)."""
    reached = values >= threshold if higher else values <= threshold  # False for NaN
    first = counts[reached.argmax(axis=1)]
    return np.where(reached.any(axis=1), first, math.inf)


def _begins(there: pd.DataFrame) -> "pd.Series[int]":
    """The round that curves of each protocol begin with: what steps tell, round 0 has none of."""
    first = there.groupby("protocol_id")["round"].min().clip(upper=1)
    for axis, rows in by_axis(there):
        if axis is LABELS:
            first[rows["protocol_id"].unique()] = 0
    return first


def _incomplete(
    rows: pd.DataFrame,
    there: pd.DataFrame,
    ends: "pd.Series[int]",
    begins: "pd.Series[int]",
) -> "pd.Series[bool]":
    """Rows of curves of which ``_missing`` may have something to say: few, as a rule."""
    curves = rows.groupby(CURVE)["seed"].nunique().to_frame("seeds")
    groups = there.groupby(CURVE)
    curves["counts"] = groups["spent"].nunique()
    curves["pairs"] = there.drop_duplicates([*TRIAL, "spent"]).groupby(CURVE).size()
    rounds = groups["round"]
    begin = begins.reindex(curves.index, level="protocol_id")
    curves["gaps"] = rounds.max() + 1 - begin - rounds.nunique()
    curves["last"] = groups["spent"].max()
    curves["end"] = ends.reindex(curves.index, level="protocol_id")
    complete = curves["pairs"] == curves["seeds"] * curves["counts"]  # False where nothing is there
    complete &= (curves["gaps"] == 0) & (curves["last"] == curves["end"])
    return ~complete.reindex(pd.MultiIndex.from_frame(rows[CURVE])).set_axis(rows.index)


def _missing(
    curve: pd.DataFrame, metric: str, end: int | None, begin: int
) -> list[tuple[str, str]]:
    """Kinds of what the seeds of one curve lack, with sentences.

    Args:
        curve: All its rows.
        metric: The column.
        end: The last count of its protocol.
        begin: The first round.
    """
    rows = curve[np.isfinite(curve["value"])]
    if rows.empty:
        return [("metric", f"there is no {metric}.")]
    sentences = []
    axis, everywhere = axis_of(rows), set(rows["spent"])
    lacking: dict[tuple[int, ...], list[int]] = {}
    for seed in sorted(set(curve["seed"])):
        absent = everywhere - set(rows.loc[rows["seed"] == seed, "spent"])
        if absent:
            lacking.setdefault(tuple(sorted(absent)), []).append(seed)
    for counts, seeds in sorted(lacking.items()):
        who = f"seed{'s' * (len(seeds) > 1)} {in_a_row(seeds)}"
        sentence = f"nothing from {who} at {in_a_row(counts)} {axis.many}, where other seeds are."
        sentences.append(("seeds", sentence))
    rounds = set(rows["round"])
    if absent := set(range(begin, max(rounds) + 1)) - rounds:
        which = f"round{'s' * (len(absent) > 1)} {in_a_row(absent)}"
        sentence = f"{which} missing for every seed; the curve is not drawn across them."
        sentences.append(("rounds", sentence))
    if (last := max(everywhere)) != end:
        sentence = f"ends at {last} {axis.many}, where other {axis.choices} go on to {end}."
        sentences.append(("end", sentence))
    return sentences


def _folded(sentences: Sequence[tuple[str, str]]) -> str:
    """Curves with sentences of one kind in a line: the first in full, then the others' names."""
    (where, sentence), *others = sentences
    if not others:
        return f"{where}: {sentence}"
    names = list(dict.fromkeys(name for name, _ in others))
    text = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    alike = all(other == sentence for _, other in others)
    return f"{where}: {sentence} Likewise{'' if alike else ', with other numbers,'} {text}."
