"""What strategies bought: classes, overlap between strategies, and points one would not want.

Points are counted in the order in which they were bought, the initial set first; one that the
annotator declined counts as bought. C classes, R rounds.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from al_bench.stats.intervals import mean_interval
from al_bench.stats.summary import CURVE, TRIAL, distinct_runs
from al_bench.text.natural import natural

Array = NDArray[np.float64]

INITIAL = -1  # the round of the initial set
FLAWS = ("copies", "noisy", "foreign", "refused")


def with_names(acquisitions: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Acquisitions in their order, with the protocol, strategy and data set of their runs.

    Args:
        acquisitions: Rows of acquisitions.
        frame: Rows of curves, which name the runs; others are left out.

    Returns:
        The rows with ``protocol_id strategy_label dataset``, and ``place``, which counts the points
        of a trial from 1. ``round`` is -1 for the initial set, a bought one too: its strategy is a
        part of the protocol, and the arms share it like one that was drawn.
    """
    names = distinct_runs(frame)[["run_id", *CURVE, "dataset"]].drop_duplicates("run_id")
    rows = acquisitions.merge(names, on="run_id")
    round = rows["round"].astype("Int64").fillna(INITIAL).astype(int)
    buys = set(frame.loc[frame["init_strategy"].notna(), "run_id"])
    rows = rows.assign(round=round.mask(rows["run_id"].isin(buys) & (round == 0), INITIAL))
    rows = rows.sort_values([*TRIAL, "round", "rank"], ignore_index=True)
    return rows.assign(place=rows.groupby(TRIAL).cumcount() + 1)


@dataclass(frozen=True)
class ClassShares:
    """Which classes a strategy's labels have, over rounds.

    Args:
        counts: (R,) labels after each round, the initial set first.
        shares: (R, C) share of each class among these labels, the mean over seeds.
        bought: (C,) share among the labels of all rounds, without the initial set.
    """

    counts: Array
    shares: Array
    bought: Array


def class_shares(rows: pd.DataFrame) -> dict[str, ClassShares]:
    """Classes bought by each strategy of one protocol.

    Args:
        rows: What ``with_names`` returned, of one protocol.
    """
    rows = rows[rows["label"].notna()]
    if rows.empty:
        return {}
    size = int(rows["label"].max()) + 1
    by_strategy = {}
    for label, points in rows.groupby("strategy_label"):
        rounds, row = np.unique(points["round"].to_numpy(dtype=int), return_inverse=True)
        seeds, trial = np.unique(points["seed"].to_numpy(dtype=int), return_inverse=True)
        classes, place = np.unique(points["label"].to_numpy(dtype=int), return_inverse=True)
        totals = np.zeros((len(seeds), len(rounds), len(classes)))  # of those that were bought
        np.add.at(totals, (trial, row, place), 1.0)
        last = np.array([row[trial == one].max() for one in range(len(seeds))])
        is_over = np.arange(len(rounds)) > last[:, None]  # (S, R)
        running = totals.cumsum(axis=1)  # (S, R, C)
        count = np.where(is_over, np.nan, running.sum(axis=2))
        shares = running / np.maximum(running.sum(axis=2, keepdims=True), 1)
        shares[is_over] = np.nan
        later = totals[:, rounds >= 0].sum(axis=(0, 1))
        by_strategy[str(label)] = ClassShares(
            counts=np.nanmedian(count, axis=0),
            shares=_of_all(np.nanmean(shares, axis=0), classes, size),
            bought=_of_all(later / max(later.sum(), 1.0), classes, size),
        )
    return by_strategy


def _of_all(values: Array, classes: NDArray[np.int_], size: int) -> Array:
    """Values of some classes, the last axis, among ``size``, of which the others have none."""
    result = np.zeros((*values.shape[:-1], size))
    result[..., classes] = values
    return result


def overlaps(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """How much of what two strategies bought is the same, seed by seed.

    Jaccard's index of the two sets of pool points after equally many points: points in both, as a
    share of points in either. The initial set, which strategies share, does not count.

    Args:
        rows: What ``with_names`` returned, of one protocol.

    Returns:
        For each strategy the curves of the others, with the columns of ``summarize``; empty where
        no two strategies share a seed.
    """
    trials = {
        (str(points["strategy_label"].iloc[0]), int(points["seed"].iloc[0])): _sets(points)
        for _, points in rows.groupby(["strategy_label", "seed"])
    }
    labels = sorted({label for label, _ in trials}, key=natural)
    longest = max(map(len, trials.values()), default=0)
    parts: dict[str, list[dict[str, object]]] = {label: [] for label in labels}
    for one, other in itertools.combinations(labels, 2):
        seeds = sorted({s for label, s in trials if label == one and (other, s) in trials})
        values: dict[int, list[float]] = {}
        for seed in seeds:
            first, second = trials[one, seed], trials[other, seed]
            for count in first.keys() & second.keys():
                both = len(first[count] & second[count])
                values.setdefault(count, []).append(both / len(first[count] | second[count]))
        if len(values) == 1 < longest:
            continue  # one of them ended at once: nothing to draw
        for row in _summary(values):
            parts[one].append({"strategy_label": other, **row})
            parts[other].append({"strategy_label": one, **row})
    return {label: pd.DataFrame(part) for label, part in parts.items() if part}


def _sets(trial: pd.DataFrame) -> dict[int, frozenset[int]]:
    """Points bought after each round of one trial, by the number of its points so far."""
    rounds = trial["round"].to_numpy(dtype=int)
    index, place = trial["index"].to_numpy(dtype=int), trial["place"].to_numpy(dtype=int)
    sets: dict[int, frozenset[int]] = {}
    for number in np.unique(rounds[rounds >= 0]):
        so_far = (rounds >= 0) & (rounds <= number)
        sets[int(place[so_far].max())] = frozenset(index[so_far].tolist())
    return sets


def flaws(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Points one would rather not buy, as a share of all bought, over labels.

    ``copies``: of a point bought before (equal ``origin`` and ``source_index``); ``noisy``: the
    label is not the true one; ``foreign``: from another data set; ``refused``: the annotator
    declined. The initial set does not count, but its copies do.

    Args:
        rows: What ``with_names`` returned, of one protocol.

    Returns:
        By kind, kinds that never occur left out, the strategies' curves with the columns of
        ``summarize``.
    """
    source = ["run_id", "seed", "origin", "source_index"]
    foreign = rows["origin"] != rows["dataset"]
    noisy = rows["label"].notna() & (rows["label"] != rows["true_label"]).fillna(False)
    marks: Mapping[str, pd.Series[bool]] = {
        "copies": rows.duplicated(source),
        "noisy": noisy.astype(bool) & ~foreign,
        "foreign": foreign,
        "refused": rows["label"].isna(),
    }
    later = rows["round"] >= 0
    by_kind = {}
    for kind in FLAWS:
        marked = marks[kind] & later
        if not marked.any():
            continue
        points = rows.assign(marked=marked.astype(float), later=later.astype(float))
        sums = points.groupby(TRIAL)[["marked", "later"]].cumsum()
        points = points.assign(share=sums["marked"] / sums["later"].where(sums["later"] > 0))
        points = points[later].drop_duplicates([*TRIAL, "round"], keep="last")
        parts: list[dict[str, object]] = []
        for label, curve in points.groupby("strategy_label"):
            shares = curve.groupby("place")["share"].agg(list)
            values = dict(zip(shares.index.astype(int), shares, strict=True))
            parts += [{"strategy_label": label, **row} for row in _summary(values)]
        by_kind[kind] = pd.DataFrame(parts)
    return by_kind


def _summary(values: Mapping[int, list[float]]) -> Iterator[dict[str, object]]:
    """Rows of a curve: mean and interval over seeds at each count."""
    for count in sorted(values):
        mean, low, high, number = (part.item() for part in mean_interval(values[count]))
        yield {
            "spent": count,
            "mean": mean,
            "low": low,
            "high": high,
            "num_seeds": number,
            "joined": count != min(values),
        }
