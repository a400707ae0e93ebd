"""How alike quantities rank the same points.

V quantities, n points.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def spearman(values: ArrayLike) -> Array:
    """Spearman's ρ between all pairs of quantities, ties with their mean rank.

    Args:
        values: (V, n), n at least 2.

    Returns:
        (V, V), between -1 and 1; NaN with a quantity that is the same for all points.
    """
    from scipy.stats import rankdata

    ranks = rankdata(np.asarray(values, dtype=np.float64), axis=1)
    centered = ranks - ranks.mean(axis=1, keepdims=True)
    length = np.sqrt((centered**2).sum(axis=1))
    scaled = np.divide(
        centered, length[:, None], out=np.full_like(centered, np.nan), where=length[:, None] > 0
    )
    return np.clip(scaled @ scaled.T, -1.0, 1.0)


def kendall(values: ArrayLike) -> Array:
    """Kendall's τ-b between all pairs of quantities, which allows for ties.

    Args:
        values: (V, n), n at least 2.

    Returns:
        (V, V), between -1 and 1; NaN with a quantity that is the same for all points.
    """
    from scipy.stats import kendalltau

    array: NDArray[Any] = np.asarray(values, dtype=np.float64)
    found = np.empty((len(array), len(array)))
    for i in range(len(array)):
        for j in range(i, len(array)):
            found[i, j] = found[j, i] = kendalltau(array[i], array[j]).statistic
    return found
