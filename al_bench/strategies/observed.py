"""Batches of points whose labels are known already, chosen for what these tell, for controls.

N pool points, K posterior samples, B batch size.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from al_bench.information.crossentropy import effective_samples
from al_bench.information.observed import label_log_probs, posterior, uniform
from al_bench.strategies.base import REFUSED, Notes, PoolView, Selection, require_batch_size

LEAST_GAIN = 1e-6  # nats: less is rounding

# What observed labels tell, nats (N,): from weights (K,) of the samples and those after each label.
Gain = Callable[[Tensor, Tensor], Tensor]


def select_observed(
    view: PoolView,
    batch_size: int,
    num_samples: int | None,
    gain: Gain,
    generator: torch.Generator,
) -> Selection:
    """Picks in greedy order; scores are what each label gains, in nats.

    Each pick has the highest gain of all points left, given the labels picked before it; a point
    that the annotator refuses changes no weight. Once no label changes anything by ``LEAST_GAIN``
    the rest of the batch is drawn uniformly, without scores (NaN). Notes: ``num_drawn``, how many
    those are; ``effective_samples`` at the end, between 1 and K; ``fell_back`` = ``random`` when no
    label tells anything.

    Args:
        view: Of the pool, with its labels.
        batch_size: B, between 1 and N.
        num_samples: Posterior samples to score with; ``None`` takes all K of the model.
        gain: What is greedily gained, 0 where the weights stay.
        generator: Breaks ties and draws the rest.
    """
    require_batch_size(batch_size, len(view))
    labels = view.pool_labels()
    log_probs = view.log_probs(num_samples)
    of_label = label_log_probs(log_probs, labels.clamp_min(0))  # (N, K)
    refused = (labels == REFUSED).to(of_label.device)
    of_label = of_label.masked_fill(refused[:, None], 0.0)  # certain, so it tells nothing
    order = torch.randperm(len(of_label), generator=generator)
    of_label = of_label[order.to(of_label.device)]
    weights = uniform(of_label)
    left = torch.ones(len(of_label), dtype=torch.bool, device=of_label.device)
    picks: list[int] = []
    values: list[float] = []
    notes: Notes = {}
    while len(picks) < batch_size:
        after = posterior(of_label, weights)
        gains = gain(weights, after)
        if not picks and not gains.any():
            notes["fell_back"] = "random"
        if picks and float(gains[left].abs().max()) < LEAST_GAIN:
            break
        gains = gains.where(left, -math.inf)
        best = int((gains == gains.max()).int().argmax())  # the first one
        picks.append(best)
        values.append(float(gains[best]))
        left[best] = False
        weights = after[best]
    missing = batch_size - len(picks)
    if missing:
        notes["num_drawn"] = missing
        picks += left.nonzero().squeeze(1)[:missing].tolist()  # they are in random order
        values += [math.nan] * missing
    notes["effective_samples"] = effective_samples(weights)
    return Selection(order[picks], torch.tensor(values, dtype=torch.float64), notes)
