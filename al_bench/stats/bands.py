"""Bands that hold a whole curve of differences at once, not each point for itself.

S seeds, R counts of what was spent, X resamples.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from al_bench.stats.arms import ProtocolResult
from al_bench.stats.intervals import mean_interval

Array = NDArray[np.float64]

RESAMPLES = 5_000
BLOCK = 500  # resamples at once


def simultaneous_band(differences: ArrayLike, level: float = 0.95) -> tuple[Array, Array, Array]:
    """Mean differences and a band that holds all R expected ones with probability ``level``.

    The band is mean ± c · s / √S with one c for all counts: the quantile of the largest absolute
    t statistic over the counts. It is found by resampling: S new curves are drawn from the normal
    distribution with the covariance of the differences (mixtures of the centered curves with normal
    weights), as often as there are resamples, and their t statistics taken. For one count that is
    Student's interval. (Drawing seeds with replacement makes bands of five seeds far too wide: some
    resamples hold one seed only.) Always the same resamples are drawn. Where all differences are
    equal (round 0, which arms share) the band has no width.

    Args:
        differences: (S, R), a curve a seed, finite.
        level: Between 0 and 1.

    Returns:
        Mean, low end, high end, each (R,); one seed has no band (NaN).
    """
    d = np.asarray(differences, dtype=np.float64)
    mean, num_seeds = mean_interval(d).mean, len(d)
    if num_seeds < 2:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    centered = d - mean
    error = np.sqrt((centered**2).sum(axis=0) / (num_seeds - 1) / num_seeds)
    varying = error > 1e-12 * np.maximum(1e-300, np.abs(d).max())
    half = np.where(varying, _critical(centered[:, varying], level) * error, 0.0)
    return mean, mean - half, mean + half


def _critical(centered: Array, level: float) -> float:
    """The quantile of the largest absolute t of S curves like these, (S, R)."""
    num_seeds, num_counts = centered.shape
    if num_counts == 0:
        return 0.0
    # The factors of the covariance: at most S - 1 of them, whatever R is.
    _, values, axes = np.linalg.svd(centered / np.sqrt(num_seeds - 1), full_matrices=False)
    axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    factors = (values[:, None] * axes)[: num_seeds - 1]
    # The covariance of the weights decides the spread at each count: no need of (X, S, R).
    products = (factors[:, None] * factors[None]).reshape(-1, num_counts)
    largest = []
    generator = np.random.default_rng(num_seeds)
    for _ in range(RESAMPLES // BLOCK):
        weights = generator.standard_normal((BLOCK, num_seeds, len(factors)))
        means = weights.mean(axis=1) @ factors  # (X, R)
        apart = weights - weights.mean(axis=1, keepdims=True)
        covariance = apart.transpose(0, 2, 1) @ apart / (num_seeds - 1)
        variances = covariance.reshape(len(weights), -1) @ products
        with np.errstate(invalid="ignore", divide="ignore"):
            t = np.abs(means) * np.sqrt(num_seeds / np.maximum(variances, 0.0))
        largest.append(np.nanmax(t, axis=1))
    return float(np.quantile(np.concatenate(largest), level))


def difference_bands(protocol: ProtocolResult, level: float = 0.95) -> pd.DataFrame:
    """Arm less baseline at every count that both have, over the seeds that lack none of them.

    Args:
        protocol: Of a comparison, with the baseline.
        level: Of the simultaneous band.

    Returns:
        Columns ``protocol_id strategy_label spent mean low high num_seeds joined``, as from
        ``summarize``, in units of the metric; an arm without a seed in common has no rows.
    """
    columns = ["protocol_id", "strategy_label", "spent"]
    columns += ["mean", "low", "high", "num_seeds", "joined"]
    parts = [pd.DataFrame(columns=columns)]
    bases = {arm.arm: arm.baseline for arm in protocol.arms}
    for name, curve in protocol.curves.items():
        base = protocol.curves.get(bases[name] or "")
        if base is None or name == bases[name]:
            continue
        counts, mine, theirs = np.intersect1d(curve.counts, base.counts, return_indices=True)
        seeds, of_mine, of_base = np.intersect1d(curve.seeds, base.seeds, return_indices=True)
        if not len(counts) or not len(seeds):
            continue
        d = curve.values[np.ix_(of_mine, mine)] - base.values[np.ix_(of_base, theirs)]
        d = d[~np.isnan(d).any(axis=1)]
        if len(d):
            mean, low, high = simultaneous_band(d, level)
            rows: dict[str, object] = {"spent": counts.astype(int)}
            rows |= {"mean": mean, "low": low, "high": high}
            rows |= {"num_seeds": len(d), "joined": np.arange(len(counts)) > 0}
            names = {"protocol_id": protocol.key, "strategy_label": name}
            parts.append(pd.DataFrame({**names, **rows}))
    return pd.concat(parts[1:] or parts, ignore_index=True)
