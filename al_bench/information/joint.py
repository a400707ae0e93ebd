"""Joint entropies and mutual information of several points, in nats.

n points, K posterior samples ω_1 … ω_K, C classes, M outcomes. An outcome is one possible labeling
y_A of the chosen points A. Given an outcome the posterior samples are no longer equally likely, and

    I[Y; Ω | x, Y_A] = Σ_m p(y_A^m) (H[Σ_k p(ω_k | y_A^m) p(Y | x, ω_k)]
                                      - Σ_k p(ω_k | y_A^m) H[p(Y | x, ω_k)])

is the gain in information of one more point x. No term of it is ever negative or underflows,
however many points have been chosen.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from al_bench.information.entropies import entropy

NEGLIGIBLE = 1e-18  # outcomes less likely than this are dropped
TILE_BYTES = {"cpu": 2**20}  # one tile of the joint table stays in a core's cache
DEVICE_TILE_BYTES = 2**28  # elsewhere: enough to keep the device busy
TILE_ROWS = 512  # outcomes in a tile, on the CPU


@dataclass(frozen=True)
class JointOutcomes:
    """The outcomes of the points chosen so far, with the posterior after each of them.

    All of them while they fit, later a weighted sample that keeps every expectation over outcomes
    unbiased.

    Args:
        posterior: p(ω_k | y_A), (M, K) float64, rows sum to one.
        mass: p(y_A), or the sampling weight that stands for it, (M,) float64, sums to one.
        variance: Of ``information`` through sampling, estimated, squared nats; 0 while exact.
        exact: Whether every outcome of non-negligible probability is present.
    """

    posterior: Tensor
    mass: Tensor
    variance: float = 0.0
    exact: bool = True

    @classmethod
    def none(cls, num_samples: int, device: torch.device | str = "cpu") -> "JointOutcomes":
        """The one outcome of no points: K equally likely posterior samples."""
        uniform = torch.full((1, num_samples), 1 / num_samples, dtype=torch.float64, device=device)
        return cls(uniform, torch.ones(1, dtype=torch.float64, device=device))

    @property
    def remaining(self) -> float:
        """H[Ω | Y_A], what is left to be learnt about which sample is true: between 0 and log K."""
        return float(self.mass @ torch.special.entr(self.posterior).sum(dim=1))

    @property
    def information(self) -> float:
        """I[Y_A; Ω], what the labels of the chosen points tell together: between 0 and log K."""
        return math.log(self.posterior.shape[1]) - self.remaining

    def extended(
        self, log_probs: Tensor, max_outcomes: int, generator: torch.Generator
    ) -> "JointOutcomes":
        """The outcomes with one more chosen point.

        Args:
            log_probs: Log-probabilities of the point, (K, C).
            max_outcomes: Outcomes to keep at most; beyond that they are sampled.
            generator: Draws the sample; unused while everything fits.
        """
        probs = log_probs.double().exp()  # (K, C)
        mass = (self.mass[:, None] * (self.posterior @ probs)).flatten()  # (M * C,)
        mass = mass.masked_fill(mass < NEGLIGIBLE, 0.0)
        kept, weights, chances = thinned(mass, max_outcomes, generator)
        rows, labels = kept // probs.shape[1], kept % probs.shape[1]
        posterior = self.posterior[rows] * probs[:, labels].T  # (M', K)
        posterior /= posterior.sum(dim=1, keepdim=True)
        # What one sampled outcome contributes varies as its remaining entropy does.
        entropies = torch.special.entr(posterior).sum(dim=1)
        spread = (1 - chances) * weights**2
        center = (spread @ entropies) / spread.sum().clamp_min(torch.finfo(spread.dtype).tiny)
        return JointOutcomes(
            posterior=posterior,
            mass=weights / weights.sum(),
            variance=self.variance + float(spread @ (entropies - center) ** 2),
            exact=self.exact and bool((chances == 1).all()),
        )

    def gains(
        self, log_probs: Tensor, entropies: Tensor, precision: torch.dtype = torch.float32
    ) -> Tensor:
        """I[Y; Ω | x, Y_A], what one more point's label adds.

        Args:
            log_probs: Log-probabilities of n candidates, (n, K, C).
            entropies: Their entropies H[p(Y | x, ω_k)], (n, K) float64.
            precision: Of the matrix product; sums are float64.

        Returns:
            Nats, float64, at least 0, (n,).
        """
        n, num_samples, num_classes = log_probs.shape
        probs = log_probs.to(precision).exp()  # (n, K, C)
        columns = probs.permute(1, 0, 2).reshape(num_samples, n * num_classes)
        posterior, mass = self.posterior.to(precision), self.mass.to(precision)
        total = torch.zeros(n * num_classes, dtype=torch.float64, device=probs.device)
        height = TILE_ROWS if probs.device.type == "cpu" else len(mass)
        smallest = torch.finfo(precision).tiny  # 0 log 0 = 0, up to 1e-36
        for start in range(0, len(mass), height):
            tile = posterior[start : start + height] @ columns  # (height, n * C): p(y | x, y_A)
            tile.clamp_min_(smallest)
            tile *= tile.log()
            total -= (mass[start : start + height] @ tile).double()
        predictive = total.view(n, num_classes).sum(dim=1)
        return (predictive - entropies @ (self.mass @ self.posterior)).clamp_min(0.0)

    def block_size(self, num_classes: int) -> int:
        """Candidates that ``gains`` should be given at once, at least 1."""
        device = self.mass.device.type
        height = min(len(self.mass), TILE_ROWS) if device == "cpu" else len(self.mass)
        budget = TILE_BYTES.get(device, DEVICE_TILE_BYTES)
        return max(1, budget // (4 * height * num_classes))


def thinned(
    mass: Tensor, max_outcomes: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """A sample of weighted outcomes that leaves every expectation unbiased.

    Outcomes above a threshold are kept as they are, the others are drawn with a chance proportional
    to their mass and then weigh as much as the threshold: the sampling of least variance, Fearnhead
    and Clifford (2003), with systematic draws.

    Args:
        mass: Probabilities of outcomes, (m,) float64.
        max_outcomes: How many to keep at most.
        generator: Draws one number if outcomes have to go.

    Returns:
        Their positions, their new mass and the chance with which they were kept, each (M,).
    """
    positive = mass.nonzero().squeeze(1)
    values = mass[positive]
    if len(values) <= max_outcomes:
        return positive, values, torch.ones_like(values)
    ordered, order = values.sort(descending=True, stable=True)
    tail = ordered.flip(0).cumsum(0).flip(0)[:max_outcomes]  # mass from here to the end
    left = torch.arange(max_outcomes, 0, -1, device=mass.device)  # places left from here on
    num_sure = int((ordered[:max_outcomes] * left < tail).int().argmax())
    threshold = tail[num_sure] / left[num_sure]
    sure = order[:num_sure]
    rest = order[num_sure:].sort().values  # in the outcomes' own order: neighbours share ancestors
    offset = torch.rand((), generator=generator, dtype=torch.float64).to(mass.device)
    draws = torch.arange(max_outcomes - num_sure, device=mass.device) + offset
    drawn = torch.searchsorted((values[rest] / threshold).cumsum(0), draws, right=True)
    drawn = rest[drawn.clamp_max(len(rest) - 1)]
    weights = torch.cat([values[sure], threshold.expand(len(drawn))])
    chances = torch.cat([torch.ones_like(values[sure]), values[drawn] / threshold])
    return positive[torch.cat([sure, drawn])], weights, chances


def joint_entropy(
    log_probs: Tensor, max_outcomes: int = 10_000, generator: torch.Generator | None = None
) -> float:
    """Joint entropy H[Y_1, …, Y_n] of the labels of n points, in nats.

    Exact while their outcomes of non-negligible probability fit, then sampled.

    Args:
        log_probs: Log-probabilities under the same posterior samples, (n, K, C).
        max_outcomes: Outcomes to keep at most.
        generator: Draws the sample; ``None`` refuses to sample.

    Raises:
        ValueError: The outcomes do not fit and there is no generator.
    """
    outcomes = JointOutcomes.none(log_probs.shape[1], log_probs.device)
    for point in log_probs:
        if generator is None and len(outcomes.mass) * point.shape[1] > max_outcomes:
            raise ValueError(f"more than {max_outcomes} outcomes need a generator to be sampled")
        outcomes = outcomes.extended(point, max_outcomes, generator or torch.Generator())
    return outcomes.information + float(entropy(log_probs).mean(dim=1).sum())
