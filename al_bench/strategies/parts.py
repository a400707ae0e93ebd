"""Parts of a large pool, so that what is computed of all its points is never there twice."""

from collections.abc import Iterator

import torch

from al_bench.strategies.base import PoolView

PART = 2**16  # points that a view is asked for at once


def parts_of(view: PoolView) -> Iterator[PoolView]:
    """Views of the pool's points in their order, each of ``PART`` points at most.

    A pool that is one part is ``view`` itself, which computes each quantity once for all.
    """
    if len(view) <= PART:
        yield view
        return
    for positions in torch.split(torch.arange(len(view)), PART):
        yield view.restricted(positions)
