"""How many points of each class to take, for classes to become equally frequent.

C classes, B batch size.
"""

import heapq
from collections.abc import Sequence

import torch
from torch import Tensor


def balanced_classes(
    counts: Sequence[int],
    available: Sequence[int],
    batch_size: int,
    generator: torch.Generator,
) -> list[int]:
    """The class of each of B points: always the rarest one that still has points.

    Equally rare classes come in a random order, the same throughout.

    Args:
        counts: Points of each class so far, (C,).
        available: Points of each class that can be taken, (C,).
        batch_size: B, at most the sum of ``available``.
        generator: Orders the classes.

    Returns:
        B classes in the order in which they are taken.
    """
    order = torch.randperm(len(counts), generator=generator).tolist()
    left = list(available)
    # The rarest class first; equally rare ones in the random order.
    queue = [(counts[label], place, label) for place, label in enumerate(order) if left[label]]
    heapq.heapify(queue)
    taken: list[int] = []
    while len(taken) < batch_size:
        count, place, label = queue[0]
        taken.append(label)
        left[label] -= 1
        if left[label]:
            heapq.heapreplace(queue, (count + 1, place, label))
        else:
            heapq.heappop(queue)
    return taken


def histogram(labels: Tensor, num_classes: int) -> list[int]:
    """How many of ``labels`` (n,) are of each class, (C,)."""
    counts: list[int] = torch.bincount(labels.cpu(), minlength=num_classes).tolist()
    return counts
