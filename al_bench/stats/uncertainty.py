"""How a model's uncertainty is spread over its own test set and others', from stored histograms."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from al_bench.stats.summary import TRIAL, distinct_runs

COLUMN = "ood_histograms"
PLACES = 240  # at which a density is told


@dataclass(frozen=True)
class Spread:
    """A score of one strategy at the end of its trials.

    Args:
        values: (PLACES,) where densities are told.
        densities: Data set to (PLACES,) shares of its test points for each unit of the score, the
            mean over seeds; the run's own data set first.
        num_seeds: How many.
    """

    values: NDArray[np.float64]
    densities: Mapping[str, NDArray[np.float64]]
    num_seeds: int


def spreads(frame: pd.DataFrame) -> dict[tuple[str, str, str], Spread]:
    """Protocol, strategy and score to how it is spread, after the last round of each trial.

    Bins of seeds that differ are averaged place by place, over the range of all.

    Args:
        frame: Rows of curves. Rows whose histograms are none that a run writes are left out.
    """
    if COLUMN not in frame or frame[COLUMN].isna().all():
        return {}
    rows = distinct_runs(frame)
    rows = rows[rows[COLUMN].notna()]
    rows = rows.sort_values("round").drop_duplicates(TRIAL, keep="last")
    collected: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    names = ["protocol_id", "strategy_label", COLUMN]
    for protocol, label, text in rows.sort_values(TRIAL)[names].to_numpy():
        for score, histogram in _histograms(text):
            collected.setdefault((str(protocol), str(label), score), []).append(histogram)
    return {key: _spread(histograms) for key, histograms in collected.items()}


def _spread(histograms: list[dict[str, Any]]) -> Spread:
    low, high = min(one["low"] for one in histograms), max(one["high"] for one in histograms)
    values = np.linspace(low, high, PLACES)
    first, *others = (one["counts"] for one in histograms)
    names = [name for name in first if all(name in counts for counts in others)]
    densities = {
        name: np.mean([_density(histogram, name, values) for histogram in histograms], axis=0)
        for name in names
    }
    return Spread(values, densities, len(histograms))


def _density(
    histogram: Mapping[str, Any], name: str, values: NDArray[np.float64]
) -> NDArray[np.float64]:
    counts = np.asarray(histogram["counts"][name], dtype=np.float64)
    width = (histogram["high"] - histogram["low"]) / len(counts)
    place = np.floor((values - histogram["low"]) / width)
    place = np.where(values == histogram["high"], len(counts) - 1, place).astype(np.int64)
    inside = (place >= 0) & (place < len(counts))
    height = counts / (counts.sum() * width)
    return np.where(inside, height[np.clip(place, 0, len(counts) - 1)], 0.0)


def _histograms(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The histograms of a row that are as a run writes them, by score."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return
    for score, histogram in content.items() if isinstance(content, dict) else ():
        if isinstance(histogram, dict) and _fits(histogram):
            yield str(score), histogram


def _fits(histogram: dict[str, Any]) -> bool:
    low, high, counts = (histogram.get(key) for key in ("low", "high", "counts"))
    if not all(isinstance(end, int | float) and math.isfinite(end) for end in (low, high)):
        return False
    return (
        low < high  # type: ignore[operator]
        and isinstance(counts, dict)
        and len(counts) > 0
        and all(
            isinstance(bins, list)
            and 0 < len(bins) <= PLACES
            and all(type(count) is int and 0 <= count < 2**53 for count in bins)
            and sum(bins) > 0
            for bins in counts.values()
        )
    )
