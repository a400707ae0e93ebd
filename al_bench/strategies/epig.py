"""EPIG and CoreMSE: what one label tells of the predictions on target inputs, as pool scores.

N pool points, T target inputs, K posterior samples, C classes.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.errors import require_whole
from al_bench.information.changes import squared_change
from al_bench.information.precision import LEAST, pieces
from al_bench.information.predictive import information_about, marginal_outcomes
from al_bench.models.base import SAMPLES
from al_bench.strategies.base import PoolView, ScoreFn

ROUNDING = 1e-5  # scores of copies differ by less: the matrix products are in float32
HASH = 12.9898, 43758.5453


@dataclass(frozen=True)
class EPIG:
    """Expected predictive information gain; Bickford Smith et al. (2023), arXiv:2304.08151.

    E_x* I[Y; Y* | x, x*]: the information between the label of a point and the label of a random
    target input, in nats, between 0 and BALD. The expectation over x* is the average over
    ``num_targets`` inputs drawn every round from the run's target distribution (``target=``; the
    pool if not given). Given those and the K samples it is exact up to rounding: good to about
    1e-6 nats in float32, and points below 1e-3 nats, where that decides the order, are computed
    again in float64. It costs 2·N·K·T·C² operations in float32 and N·T·C² logarithms, three to four
    times that again for those points; the pool is streamed. Not submodular and pointwise, so
    batches of the highest scores may be redundant: any batch rule applies.

    The paper's code has a broadcast form with N·T·K·C² terms and this matrix form; both give these
    scores.

    Args:
        num_targets: Target inputs T.
    """

    num_targets: int = 100
    needs: ClassVar[frozenset[str]] = frozenset({SAMPLES})

    def __post_init__(self) -> None:
        require_whole("num_targets", self.num_targets, 1)

    def of_pool(self, view: PoolView, num_samples: int | None) -> Tensor:
        """Nats, float64, at least 0, (N,); the same for points with the same predictions."""
        outcomes = marginal_outcomes(view.target_log_probs(self.num_targets, num_samples))
        return _of_pool(lambda part: information_about(part, outcomes), view, num_samples)


@dataclass(frozen=True)
class CoreMSE:
    """CoreMSE, the expected gain in Brier score; Tan et al. (2021), arXiv:2110.14171.

    E_x* Σ_y p(y | x) Σ_y* (p(y* | x*, y, x) - p(y* | x*))²: by how much the label of a point is
    expected to move the prediction on a random target input, between 0 and 1. The same expectation
    of the Kullback-Leibler divergence, the paper's CoreLog, is EPIG. The expectation over x* is the
    average over ``num_targets`` inputs of the run's target distribution. Exact given those and the
    K samples, up to rounding (1e-6), at the cost of EPIG's matrix product. This is the paper's
    score for one point at a time; its batches are the strategy ``coremse``.

    The paper's code averages ‖p(· | x*, ω_k) - p(· | x*, y, x)‖² over samples that the label does
    not weigh, which is this plus a number that is the same for every candidate.

    Args:
        num_targets: Target inputs T.
    """

    num_targets: int = 100
    needs: ClassVar[frozenset[str]] = frozenset({SAMPLES})

    def __post_init__(self) -> None:
        require_whole("num_targets", self.num_targets, 1)

    def of_pool(self, view: PoolView, num_samples: int | None) -> Tensor:
        """Scores, float64, at least 0, (N,); the same for points with the same predictions."""
        targets = view.target_log_probs(self.num_targets, num_samples)
        return _of_pool(
            lambda part: squared_change(part, targets).double().mean(dim=1), view, num_samples
        )


def _of_pool(score: ScoreFn, view: PoolView, num_samples: int | None) -> Tensor:
    """Scores (N,) of the pool, bitwise equal for copies of a point."""
    scores, names = view.score([score, fingerprint], num_samples)
    return same_for_copies(scores, torch.unique(names, return_inverse=True)[1])


def same_for_copies(scores: Tensor, group: Tensor) -> Tensor:
    """Scores (N,) that are bitwise equal within a group, but where they differ by more than that.

    In a matrix product in float32 the last bits depend on the place of a column, and would decide
    between copies where the generator should.

    Args:
        scores: (N,) float64.
        group: (N,) int64, the same for copies of a point.
    """
    lowest = torch.full_like(scores, torch.inf).scatter_reduce(0, group, scores, "amin")[group]
    return torch.where(scores - lowest < ROUNDING, lowest, scores)


def fingerprint(log_probs: Tensor) -> Tensor:
    """A number for each point, float64, (n,), that is the same for points predicted the same."""
    scale, spread = HASH
    size = log_probs.shape[1:].numel()
    places = torch.arange(1, size + 1, dtype=torch.float64, device=log_probs.device)
    weights = ((places * scale).sin() * spread).frac()

    def weighed(piece: Tensor) -> Tensor:
        values = piece.flatten(start_dim=1).double().clamp_min(LEAST)
        return values.mul_(weights).sum(dim=1)

    return torch.cat([weighed(piece) for piece in pieces(log_probs)])
