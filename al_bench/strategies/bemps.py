"""BEMPS: batches that change predictions on target inputs much, and in different ways.

N pool points, T target inputs, K posterior samples, C classes, B batch size.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.errors import require_number, require_whole
from al_bench.information.changes import information_between, squared_change
from al_bench.information.entropies import mutual_information
from al_bench.models.base import SAMPLES
from al_bench.strategies.base import (
    Notes,
    PoolView,
    Selection,
    check_num_samples,
    require_batch_size,
)
from al_bench.strategies.clusters import k_means


@dataclass(frozen=True)
class BEMPS(ABC):
    """Bayesian estimate of mean proper scores; Tan et al. (2021), arXiv:2110.14171.

    Every point has a vector of T numbers, the gain in a proper score that its label is expected to
    bring on each of T target inputs (drawn every round from the run's target distribution); its
    score is their mean. B = 1 takes the highest score. A batch is made of the ``share`` of the pool
    with the highest scores: their vectors, brought to length 1, are clustered into B clusters by
    k-means, and each cluster gives its member nearest to the centroid. So the batch changes
    different predictions. Points whose samples agree are not clustered.

    Vectors are exact given the K samples and the targets, up to rounding (about 3e-6), at
    2·N·K·T·C² operations in float32; k-means (scikit-learn's, one start) costs ``share``·N·B·T an
    iteration. Memory N·T.

    The paper's code draws targets from the pool, 9.39% of it; it averages over samples that the
    label does not weigh, which adds a constant to each entry of CoreMSE's vectors (so it clusters
    other directions) and turns CoreLog's divergence around; its k-means takes the best of ten
    starts.

    Args:
        num_targets: Target inputs T.
        share: Of the pool that is clustered, above 0 up to 1; never fewer than B points.
        num_samples: Posterior samples to score with; ``None`` takes all K of the model.
    """

    num_targets: int = 100
    share: float = 0.5
    num_samples: int | None = None
    needs: ClassVar[frozenset[str]] = frozenset({SAMPLES})

    def __post_init__(self) -> None:
        require_whole("num_targets", self.num_targets, 1)
        require_number("share", self.share, above=0, most=1)
        check_num_samples(self.num_samples)

    @abstractmethod
    def changes(self, log_probs: Tensor, target_log_probs: Tensor) -> Tensor:
        """Expected gain of each point (n, K, C) on each target (T, K, C): (n, T) float32."""

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Picks by score, which is the mean of each point's vector.

        Notes: ``num_drawn``, picks drawn uniformly because clusters were empty or too few points
        are expected to change anything; ``fell_back`` = ``random`` when none is.
        """
        require_batch_size(batch_size, len(view))
        log_probs = view.log_probs(self.num_samples)
        targets = view.target_log_probs(self.num_targets, self.num_samples)
        order = torch.randperm(len(view), generator=generator)
        vectors = self._vectors(log_probs, targets, order)  # (N, T)
        scores = vectors.mean(dim=1, dtype=torch.float64)
        if scores.isnan().any():
            raise ValueError(f"{int(scores.isnan().sum())} of {len(scores)} scores are NaN")
        ranked = scores.argsort(descending=True, stable=True)
        size = max(batch_size, round(self.share * len(view)))
        kept = ranked[:size][scores[ranked[:size]] > 0]
        if batch_size == 1 or len(kept) <= batch_size:
            picks = kept[:batch_size]
        else:
            picks = kept[_representatives(vectors[kept], batch_size, generator)]
        picks = picks[scores[picks].argsort(descending=True, stable=True)]
        notes: Notes = {}
        missing = batch_size - len(picks)
        if missing:
            notes["num_drawn"] = missing
            left = torch.ones(len(scores), dtype=torch.bool)
            left[picks] = False
            drawn = _drawn(kept[left[kept]], left.nonzero().squeeze(1), missing, generator)
            picks = torch.cat([picks, drawn])
        if len(kept) == 0:
            notes["fell_back"] = "random"
        return Selection(order[picks], scores[picks], notes)

    def _vectors(self, log_probs: Tensor, targets: Tensor, order: Tensor) -> Tensor:
        parts = []
        for block in torch.split(order.to(log_probs.device), 1024):
            part = log_probs[block]
            informed = mutual_information(part) > 0
            unknown = part.isnan().flatten(start_dim=1).any(dim=1)
            changes = self.changes(part, targets)
            parts.append(changes.where((informed | unknown)[:, None], 0.0).cpu())
        return torch.cat(parts)


@dataclass(frozen=True)
class CoreMSEBatch(BEMPS):
    """BEMPS with the Brier score: Σ_y p(y | x) Σ_y* (p(y* | x*, y, x) - p(y* | x*))²."""

    def changes(self, log_probs: Tensor, target_log_probs: Tensor) -> Tensor:
        """Between 0 and 1, (n, T)."""
        return squared_change(log_probs, target_log_probs)


@dataclass(frozen=True)
class CoreLogBatch(BEMPS):
    """BEMPS with the log score: I[Y; Y* | x, x*] in nats, whose mean over targets is EPIG."""

    def changes(self, log_probs: Tensor, target_log_probs: Tensor) -> Tensor:
        """Nats, between 0 and log min(K, C), (n, T)."""
        return information_between(log_probs, target_log_probs)


def _representatives(vectors: Tensor, num_clusters: int, generator: torch.Generator) -> Tensor:
    """Positions of the member nearest to each centroid, of clusters that have members."""
    directions = torch.nn.functional.normalize(vectors / vectors.amax(dim=1, keepdim=True))
    clusters = k_means(directions, num_clusters, generator)
    squared = (directions - clusters.centroids[clusters.labels]).square().sum(dim=1)
    ranked = squared.argsort(stable=True)
    ranked = ranked[clusters.labels[ranked].argsort(stable=True)]  # by cluster, nearest first
    sizes = clusters.labels.bincount(minlength=num_clusters)
    starts = sizes.cumsum(0) - sizes
    return ranked[starts[sizes > 0]]


def _drawn(first: Tensor, then: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """``count`` positions: uniformly of ``first``, and of ``then`` when those do not suffice."""
    shuffled = first[torch.randperm(len(first), generator=generator)][:count]
    others = then[~torch.isin(then, shuffled)]
    others = others[torch.randperm(len(others), generator=generator)]
    return torch.cat([shuffled, others[: count - len(shuffled)]])
