"""How narrow a Gaussian over the last layer must be, so that its samples keep to the labels.

M labeled points, C classes, H features with the 1 of the bias, S draws.
"""

import math

import torch
from torch import Tensor

from al_bench.information.last_layer import Points
from al_bench.models.spectrum import Spectrum

SLACK = 0.02  # nats a label that samples may lose beyond what their Gaussian says
DRAWS = 16
MOST_POINTS = 512  # labels looked at, drawn once
MOST = 1e6  # prior precision at which the search ends
STEPS = 14  # halvings of the search's range


def precision_that_keeps_to_labels(
    mean: Tensor, spectrum: Spectrum, points: Points, labels: Tensor, least: float
) -> float:
    """The least prior precision from ``least`` up with which samples predict the labels.

    Laplace's Gaussian takes the loss for a parabola: its samples should lose half the effective
    number of parameters, ½ Σ λ / (λ + δ) nats over all labels, on top of what the weights lose. A
    network that fits a few labels perfectly leaves next to no Fisher information, the Gaussian is
    then as wide as its prior, and its samples do not even predict the labels that it was fitted to:
    there the loss is no parabola. So δ is raised until samples lose no more than that and ``SLACK``
    nats a label. The draws that decide are the same for every trial and not those of the posterior.

    Args:
        mean: The trained weights (C, H), float64.
        spectrum: Fisher information of the labeled set.
        points: The labeled set as the last layer sees it.
        labels: Its labels (M,).
        least: Smallest answer.
    """
    if points.num_points == 0:
        return least
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randperm(points.num_points, generator=generator)[:MOST_POINTS]
    noise = torch.randn(*mean.shape, DRAWS, generator=generator, dtype=torch.float64)
    chosen, noise = chosen.to(mean.device), noise.to(mean.device)
    inputs, labels = points.inputs[chosen], labels.to(mean.device)[chosen]
    own = _loss(inputs, labels, mean[:, :, None])

    def keeps(precision: float) -> bool:
        effective = float((spectrum.eigenvalues / (spectrum.eigenvalues + precision)).sum())
        samples = mean[:, :, None] + spectrum.spread(noise, precision)
        allowed = effective / (2 * points.num_points) + SLACK
        return _loss(inputs, labels, samples) - own <= allowed

    if keeps(least):
        return least
    low, high = math.log(least), math.log(max(MOST, least))
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if keeps(math.exp(middle)) else (middle, high)
    return math.exp(high)


def _loss(inputs: Tensor, labels: Tensor, weights: Tensor) -> float:
    """Mean over points (n, H) and weights (C, H, S) of -log p(y), nats."""
    num_classes, _, count = weights.shape
    flat = weights.transpose(0, 1).flatten(1)  # (H, C S)
    total = 0.0
    for rows, own in zip(torch.split(inputs, 128), torch.split(labels, 128), strict=True):
        logits = (rows @ flat).view(len(rows), num_classes, count)
        chosen = logits.gather(1, own[:, None, None].expand(-1, 1, count)).squeeze(1)
        total += float((logits.logsumexp(dim=1) - chosen).mean(dim=1).sum())
    return total / max(1, len(inputs))
