"""Labeled sets for models that are not asked what they were fitted to."""

import torch

from al_bench.data.base import TensorInputs
from al_bench.data.labeled import Batches, LabeledSet


def labeled_points(inputs: torch.Tensor, labels: torch.Tensor) -> Batches:
    """Reader of ``inputs`` (M, …) with ``labels`` (M,) on the CPU."""
    points = LabeledSet(TensorInputs(inputs), torch.arange(len(labels)), labels)
    return points.on(torch.device("cpu"), 2**20)


NOTHING = labeled_points(torch.empty(0, 1, 8, 8), torch.empty(0, dtype=torch.int64))
