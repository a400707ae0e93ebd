"""One step: from points and their weights in the loss to a changed network.

Whoever takes steps, epoch by epoch or on points of its own choice, takes them with this function.
n points, C classes.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from al_bench.engine import PRECISIONS, Engine
from al_bench.models.base import Network
from al_bench.training.optimization import Optimization


class Points(NamedTuple):
    """What one step trains on, all on the network's device.

    Args:
        inputs: (n, *input_shape), augmented if they are to be.
        labels: (n,) int64.
        masks: Dropout masks as ``Network.body`` takes them, (n, units) each.
        weights: (n,) of the points' losses; ``None`` is 1 each.
    """

    inputs: Tensor
    labels: Tensor
    masks: Sequence[Tensor]
    weights: Tensor | None = None


class Step(NamedTuple):
    """What a step has seen on its way, before the weights were changed.

    Args:
        loss: () nats: (1 / n) Σ weight · loss of the point.
        logits: (n, C).
    """

    loss: Tensor
    logits: Tensor


def take_step(
    network: Network,
    optimizer: torch.optim.Optimizer,
    points: Points,
    how: Optimization,
    learning_rate: float,
    engine: Engine,
) -> Step:
    """Change the weights of ``network``, which is in training mode, by one optimizer step.

    Args:
        network: The network; nothing but its weights, gradients and running statistics changes.
        optimizer: Of its parameters, from ``how.make_optimizer``.
        points: What it is trained on.
        how: Label smoothing and clipping of gradients.
        learning_rate: Of this step.
        engine: Precision of the forward pass.
    """
    with in_training_precision(engine):
        logits = network(points.inputs, points.masks)
    logits = at_least_float32(logits)
    loss = mean_loss(logits, points.labels, points.weights, how.label_smoothing)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    if how.clip_norm is not None:
        torch.nn.utils.clip_grad_norm_(network.parameters(), how.clip_norm)
    optimizer.step()
    return Step(loss.detach(), logits.detach())


def mean_loss(
    logits: Tensor, labels: Tensor, weights: Tensor | None, label_smoothing: float | None
) -> Tensor:
    """(1 / n) Σ w ℓ of n points: nats, differentiable.

    Args:
        logits: (n, C).
        labels: (n,) int64.
        weights: (n,); ``None`` is 1 each.
        label_smoothing: ε: a point's loss ℓ is (1 - ε) of -log p(y) and ε of the mean of
            -log p(c) over all classes c; ``None`` is 0.
    """
    smoothing = label_smoothing or 0.0
    if weights is None:
        return F.cross_entropy(logits, labels, label_smoothing=smoothing)
    losses = F.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")
    return (weights * losses).mean()


def at_least_float32(logits: Tensor) -> Tensor:
    """Logits of any shape in which a loss may be computed: those of lower precision are raised."""
    return logits if logits.dtype == torch.float64 else logits.float()


def in_training_precision(engine: Engine) -> AbstractContextManager[object]:
    """Forward passes within are computed in the engine's training precision."""
    dtype = PRECISIONS[engine.training_precision]
    return torch.autocast(engine.device.type, dtype=dtype, enabled=dtype != torch.float32)
