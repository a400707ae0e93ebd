"""The baseline against itself (A/A): how often is a verdict reached where nothing differs?

S seeds, X splits.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from al_bench.stats.paired import decide
from al_bench.stats.verdicts import BETTER, EQUIVALENT, LEVEL, UNCLEAR, WORSE, verdict

SPLITS = 1_000
FEWEST = 6  # seeds: three pairs, of which there are 120 splits
NOMINAL = {BETTER: LEVEL / 2, WORSE: LEVEL / 2}  # a split may go either way


@dataclass(frozen=True)
class AgainstItself:
    """Verdicts on the baseline's seeds against themselves.

    Args:
        seeds: S.
        pairs: S // 2, as many as each split compares.
        splits: X.
        rates: Share of the splits by verdict; all four are there.
    """

    seeds: int
    pairs: int
    splits: int
    rates: Mapping[str, float]


def against_itself(values: ArrayLike, margin: float, splits: int = SPLITS) -> AgainstItself:
    """Split the seeds of one arm at random into two halves and compare these as two arms.

    Either half has S // 2 seeds, of an odd number another one is left out each time. Which two
    seeds are a pair and which of them is subtracted is drawn anew for each split, and each split is
    taken in both directions, so that neither half is better. The verdict is that of ``compare`` on
    a single arm: "better" and "worse" are each due in 2.5 % of the splits, "equivalent" is right.
    Two seeds that share nothing differ by more than two arms on one seed do, and half of the seeds
    decide less than all: an "equivalent" that is rare here says nothing against the arms' own
    verdicts. All splits are of the same S seeds, so with few of them the rates are coarse. Always
    the same splits are drawn.

    Args:
        values: (S,) of one arm, S at least 6, such as its areas.
        margin: Of equivalence, in units of the values.
        splits: X, even.

    Raises:
        ValueError: There are fewer than 6 values.
    """
    array = np.sort(np.asarray(values, dtype=np.float64))
    if len(array) < FEWEST:
        raise ValueError(f"{FEWEST} seeds are needed, got {len(array)}")
    pairs = len(array) // 2
    generator = np.random.default_rng(len(array))
    orders = np.array([generator.permutation(array) for _ in range(splits // 2)])
    one, other = orders[:, :pairs], orders[:, pairs : 2 * pairs]
    d = np.concatenate([one - other, other - one])
    counts = Counter(
        verdict(float(mean), float(p), float(within))
        for mean, p, within in zip(d.mean(axis=1), *decide(d, margin), strict=True)
    )
    rates = {word: counts[word] / splits for word in (BETTER, WORSE, EQUIVALENT, UNCLEAR)}
    return AgainstItself(len(array), pairs, splits, rates)
