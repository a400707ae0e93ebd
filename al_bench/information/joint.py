"""Joint entropies and mutual information of several points, in nats.

n points, K posterior samples ω_1 … ω_K, C classes, M outcomes. An *outcome* is one possible
labeling y_A of the chosen points A. After it, posterior samples are no longer equally likely, and

    I[Y; Ω | x, Y_A] = Σ_m p(y_A^m) (H[Σ_k p(ω_k | y_A^m) p(Y | x, ω_k)]
                                      - Σ_k p(ω_k | y_A^m) H[p(Y | x, ω_k)])

is the gain in information of one more point x. Neither a sum nor a probability in it underflows,
and no outcome contributes less than nothing, however many points have been chosen.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import one_hot
from torch.special import entr

from al_bench.information.entropies import entropy
from al_bench.information.precision import LEAST

NEGLIGIBLE = 1e-12  # outcomes that leave fewer nats to be learnt are dropped
SMALLEST_SAMPLE = 0.1  # share of the outcomes that fit, when nothing is left to be learnt
TINY = 1e-20  # p log p is 0 to float32's precision from here down
IMPOSSIBLE = 1e-12  # a sample this unlikely changes no prediction to float32's precision
TILE_ROWS = 256  # outcomes in a tile, on the CPU
TILE_BYTES = 2**19  # a tile on the CPU: it stays in a core's cache
MERGE_ROUNDS = 4  # of assigning outcomes to groups; more make bounds no better
DEVICE_TILE_BYTES = 2**28  # elsewhere: enough to keep the device busy


@dataclass(frozen=True)
class JointOutcomes:
    """The outcomes of the points chosen so far that leave something to be learnt about Ω.

    All of them while they fit, later a weighted sample of them, extended label by label, which
    leaves every expectation unbiased.

    Args:
        posterior: p(ω_k | y_A), (M, K) float64, rows sum to one.
        mass: p(y_A), or the weight of a sampled outcome, (M,) float64.
        nats: What each outcome leaves to be learnt, mass × H[Ω | y_A], (M,) float64.
        chance: With which each was kept in the last sampling, (M,) float64.
        variance: Of ``information`` through sampling, estimated, squared nats.
        exact: No outcome was ever sampled.
    """

    posterior: Tensor
    mass: Tensor
    nats: Tensor
    chance: Tensor
    variance: float = 0.0
    exact: bool = True

    @classmethod
    def none(cls, num_samples: int, device: torch.device | str = "cpu") -> "JointOutcomes":
        """The one outcome of no points: K equally likely posterior samples."""
        posterior = torch.full((1, num_samples), 1 / num_samples, dtype=torch.float64)
        one, nats = torch.ones(1, dtype=torch.float64), entr(posterior).sum(dim=1)
        return cls(posterior.to(device), one.to(device), nats.to(device), one.to(device))

    @property
    def remaining(self) -> float:
        """H[Ω | Y_A], what is left to be learnt about which sample is true: between 0 and log K."""
        return float(self.nats.sum())

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
            max_outcomes: Outcomes to keep at most; beyond that they are sampled, the fewer the less
                is left to be learnt, since sampling errors are in proportion to that.
            generator: Draws the sample; unused while everything fits.
        """
        probs = log_probs.double().exp()  # (K, C)
        predictive = self.posterior @ probs  # (M, C): p(y | x, y_A)
        entropies = entr(self.posterior) @ probs + self.posterior @ entr(probs) - entr(predictive)
        nats = self.mass[:, None] * entropies  # (M, C): p(y_A, y) H[Ω | y_A, y]
        exact = self.exact and int((nats >= NEGLIGIBLE).sum()) <= max_outcomes
        share = 1.0 if exact else float(nats.sum()) / math.log(len(probs))
        size = math.ceil(max_outcomes * max(share, SMALLEST_SAMPLE))
        kept, weights, chance = thinned(nats.flatten(), min(size, max_outcomes), generator)
        rows, labels = kept // probs.shape[1], kept % probs.shape[1]
        posterior = self.posterior[rows] * probs[:, labels].T  # (M', K)
        return JointOutcomes(
            posterior=posterior / posterior.sum(dim=1, keepdim=True),
            mass=weights * (predictive / entropies)[rows, labels],
            nats=weights,
            chance=chance,
            variance=self.variance + self._variance(self.nats - nats.sum(dim=1)),
            exact=exact,
        )

    def merged(self, count: int) -> "JointOutcomes":
        """At most ``count`` outcomes in place of all, to bound gains from above at less cost.

        Outcomes of similar posterior are taken for one: who only learns in which group the outcome
        lies knows less, so that a label tells more. No gain is smaller than before, whatever the
        groups are (entropy is concave). They lower Σ_m p(y_A^m) KL(p(Ω | y_A^m) ‖ p(Ω | group)),
        which bounds what is added to a gain (Banerjee et al. 2005, Clustering with Bregman
        divergences).
        """
        posterior, mass = self.posterior.float(), self.mass.float()
        # First centers: outcomes next to each other have the same most likely sample.
        order = (2 * posterior.argmax(dim=1) - posterior.amax(dim=1)).argsort(stable=True)
        total = self.nats[order].cumsum(0)
        steps = torch.arange(count, device=total.device) + 0.5
        places = torch.searchsorted(total, steps * (total[-1] / count))
        centers = posterior[order[places.clamp_max(len(order) - 1)]]
        for _ in range(MERGE_ROUNDS):
            groups = (posterior @ centers.clamp_min(1e-6).log().T).argmax(dim=1)
            sums = one_hot(groups, count).float().mul_(mass[:, None]).T @ posterior
            weights = sums.sum(dim=1, keepdim=True)
            centers = torch.where(weights > 0, sums / weights, centers)
        shares = one_hot(groups, count).double().mul_(self.mass[:, None])  # (M, count)
        mass = shares.sum(dim=0)
        kept = mass > 0
        mass = mass[kept]
        posterior = (shares.T @ self.posterior)[kept] / mass[:, None]
        nats = mass * entr(posterior).sum(dim=1)
        return JointOutcomes(posterior, mass, nats, chance=torch.ones_like(mass), exact=False)

    def gains(self, log_probs: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """I[Y; Ω | x, Y_A], what one more point's label adds.

        Products are in ``dtype``, their sums in float64: in float32 good to about 3e-7 nats.

        Args:
            log_probs: Log-probabilities of n candidates, (n, K, C).
            dtype: float32, or float64 where that is too coarse, at two or three times the cost.

        Returns:
            Nats, float64, at least 0, (n,).
        """
        n, num_samples, num_classes = log_probs.shape
        logs = log_probs.to(dtype).clamp_min(LEAST).transpose(0, 1).reshape(num_samples, -1)
        probs = logs.exp().clamp_min_(TINY)  # (K, n * C); arithmetic with subnormals is slow
        average = (self.mass @ self.posterior).to(dtype)  # (K,)
        difference = (average @ logs.mul_(probs)).double()
        for posterior, mass in self._tiles(dtype):
            predictive = posterior @ probs  # (rows, n * C): p(y | x, y_A)
            difference -= mass @ predictive.log().mul_(predictive)
        return difference.view(n, num_classes).sum(dim=1).clamp_min(0.0)

    def block_size(self, num_classes: int) -> int:
        """Candidates that ``gains`` should be given at once, at least 1."""
        num_outcomes, num_samples = self.posterior.shape
        on_cpu = self.mass.device.type == "cpu"
        rows = min(TILE_ROWS, num_outcomes) if on_cpu else num_outcomes
        budget = TILE_BYTES if on_cpu else DEVICE_TILE_BYTES
        return max(1, budget // (4 * max(rows, num_samples) * num_classes))

    def _tiles(self, dtype: torch.dtype) -> list[tuple[Tensor, Tensor]]:
        if dtype == torch.float32:
            return self._float32_tiles
        return self._cut(self.posterior, self.mass)

    @cached_property
    def _float32_tiles(self) -> list[tuple[Tensor, Tensor]]:
        posterior = self.posterior.masked_fill(self.posterior < IMPOSSIBLE, 0.0)
        return self._cut(posterior.float(), self.mass.float())

    def _cut(self, posterior: Tensor, mass: Tensor) -> list[tuple[Tensor, Tensor]]:
        height = TILE_ROWS if mass.device.type == "cpu" else max(1, len(mass))
        pairs = zip(torch.split(posterior, height), torch.split(mass, height), strict=True)
        return list(pairs)

    def _variance(self, gains: Tensor) -> float:
        """Of the sum of each outcome's ``gains`` (M,), through the last sampling of outcomes.

        Sampling leaves ``remaining`` as it is, since outcomes are drawn in proportion to it. What
        varies is how much of its share each sampled outcome gives away.
        """
        doubt = 1 - self.chance
        center = (doubt @ gains) / doubt.sum().clamp_min(TINY)
        return float(doubt @ (gains - center) ** 2)


def thinned(
    weights: Tensor, max_outcomes: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """A sample of weighted outcomes that leaves every weighted sum unbiased, and their sum equal.

    Outcomes above a threshold are kept as they are, the others are drawn with a chance proportional
    to their weight and then weigh as much as the threshold (Fearnhead and Clifford 2003). One is
    drawn from every stratum of equal weight, in the order of the outcomes, so that all ancestors
    keep descendants; a single draw for all strata would give most of them the same label.

    Args:
        weights: At least 0, (m,) float64; outcomes below ``NEGLIGIBLE`` are dropped.
        max_outcomes: How many to keep at most, at least 1.
        generator: Draws the sample; unused while everything fits.

    Returns:
        Positions of the kept outcomes, their new weights and the chance of each, (M,).
    """
    positions = (weights >= NEGLIGIBLE).nonzero().squeeze(1)
    weights = weights[positions]
    if len(weights) <= max_outcomes:
        return positions, weights, torch.ones_like(weights)
    ordered, order = weights.sort(descending=True, stable=True)
    tail = ordered.flip(0).cumsum(0).flip(0)[:max_outcomes]  # weight from here to the end
    places = torch.arange(max_outcomes, 0, -1, device=weights.device)  # left from here to the end
    num_sure = int((ordered[:max_outcomes] * places < tail).int().argmax())
    threshold = tail[num_sure] / places[num_sure]
    sure, rest = order[:num_sure], order[num_sure:].sort().values
    strata = torch.arange(max_outcomes - num_sure)
    draws = strata + torch.rand(len(strata), generator=generator, dtype=torch.float64)
    drawn = torch.searchsorted(
        (weights[rest] / threshold).cumsum(0), draws.to(weights.device), right=True
    )
    drawn = rest[drawn.clamp_max(len(rest) - 1)]
    return (
        positions[torch.cat([sure, drawn])],
        torch.cat([weights[sure], threshold.expand(len(drawn))]),
        torch.cat([torch.ones_like(weights[sure]), weights[drawn] / threshold]),
    )


def joint_entropy(
    log_probs: Tensor, max_outcomes: int = 10_000, generator: torch.Generator | None = None
) -> float:
    """Joint entropy H[Y_1, …, Y_n] of the labels of n points, in nats.

    Exact while their outcomes fit, then sampled.

    Args:
        log_probs: Log-probabilities under the same posterior samples, (n, K, C).
        max_outcomes: Outcomes to keep at most.
        generator: Draws the sample; ``None`` refuses to sample.

    Raises:
        ValueError: The outcomes may not fit and there is no generator.
    """
    outcomes = JointOutcomes.none(log_probs.shape[1], log_probs.device)
    for point in log_probs:
        if generator is None and len(outcomes.mass) * point.shape[1] > max_outcomes:
            raise ValueError(f"more than {max_outcomes} outcomes need a generator to be sampled")
        outcomes = outcomes.extended(point, max_outcomes, generator or torch.Generator())
    return outcomes.information + float(entropy(log_probs).mean(dim=1).sum())
