"""The plane in which inputs differ most."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def principal_plane(points: ArrayLike) -> tuple[Array, Array, Array]:
    """The first two principal components of (N, D) points.

    Args:
        points: At least two, D at least 1. The sign of an axis is such that its greatest entry is
            positive.

    Returns:
        Center (D,), axes (D, 2), and the share of the variance along each, (2,); where D is 1 or
        all points are equal the rest is zero.
    """
    x = np.asarray(points, dtype=np.float64)
    center = x.mean(axis=0)
    _, scales, axes = np.linalg.svd(x - center, full_matrices=False)
    total = float((scales**2).sum())
    shares, plane = np.zeros(2), np.zeros((x.shape[1], 2))
    for place in range(min(2, len(axes))):
        axis = axes[place]
        plane[:, place] = axis * np.sign(axis[np.abs(axis).argmax()])
        shares[place] = scales[place] ** 2 / total if total > 0 else 0.0
    return center, plane, shares
