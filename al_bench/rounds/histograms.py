"""Histograms of a score for several sets of points over the same bins, small enough for a row."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

BINS = 40
REACH = 4.0  # how far from the first set's values bins go, in lengths of their range
_TAIL = 0.01  # of a set's values, on either side, do not widen the bins
_LARGEST = 1e100  # either way, so that infinities have a place; log densities reach -1e17 nats
_LEAST_WIDTH = 1e-9  # of bins, as a share of where they are: floating point tells these apart


def histogram(
    sets: Mapping[str, Tensor], span: tuple[float, float] | None = None
) -> dict[str, Any]:
    """Counts of each set's values in ``BINS`` equal bins.

    Without a span the bins cover 98 % of the values of each set, but go no further than four times
    the range of the first set's beyond that range. The first and the last bin are open: they count
    what lies beyond them.

    Args:
        sets: Name to values (n,), infinite ones included, none NaN.
        span: Where the bins begin and end; ``None`` follows the values.

    Returns:
        ``low`` and ``high``, where the bins begin and end, and ``counts``, name to ``BINS`` counts.
    """
    values = {
        name: one.double().clamp(-_LARGEST, _LARGEST).sort().values for name, one in sets.items()
    }
    low, high = span or _span(list(values.values()))
    if low >= high:
        half = max(0.5, _LEAST_WIDTH * abs(low))
        low, high = low - half, high + half
    edges = torch.linspace(low, high, BINS + 1, dtype=torch.float64)[1:-1]
    counts = {
        name: torch.bincount(torch.bucketize(one, edges), minlength=BINS).tolist()
        for name, one in values.items()
    }
    return {"low": low, "high": high, "counts": counts}


def _span(ordered: list[Tensor]) -> tuple[float, float]:
    """Where bins begin and end, of each set's ascending values."""
    ends = []
    for values in ordered:
        skipped = int(_TAIL * len(values))
        ends.append((float(values[skipped]), float(values[-1 - skipped])))
    first_low, first_high = ends[0]
    further = REACH * (first_high - first_low)
    low = max(min(low for low, _ in ends), first_low - further)
    high = min(max(high for _, high in ends), first_high + further)
    return low, high
