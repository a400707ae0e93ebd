"""Weighted sums of scores.

N pool points, K posterior samples.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from al_bench.errors import ConfigError, choose, keyed, plain
from al_bench.strategies.base import PoolScore, PoolView, ScoreFn
from al_bench.strategies.scores import needs_of


@dataclass(frozen=True)
class Weighted:
    """Σ_i w_i s_i(x), each score s_i brought to a scale of its own first.

    Costs what the scores cost together; those of log-probabilities alone share one pass.

    Args:
        scores: Scores by a name of yours.
        weights: Weight of each by the same names, any finite number (a negative one avoids what
            the score wants); a score that is not named, and every one for ``None``, weighs 1.
        normalize: ``standard`` divides a score's distance from its mean over the pool by its
            standard deviation there; ``rank`` takes its rank in the pool, from 0 to 1, equal scores
            the mean of their ranks; ``None`` leaves it as it is. A score that is the same for all
            points adds nothing. Standardised sums may be negative, which the power rule refuses:
            use ``rank`` there.
    """

    scores: Mapping[str, ScoreFn | PoolScore]
    weights: Mapping[str, float] | None = None
    normalize: str | None = "standard"

    def __post_init__(self) -> None:
        if not self.scores:
            raise ConfigError(
                f"{keyed('scores')} is empty.",
                f"Add for example +strategy/score@{keyed('scores')}.first=entropy.",
            )
        for name, weight in (self.weights or {}).items():
            if name not in self.scores:
                raise ConfigError(
                    f"There is no score {name!r} to weigh.", choose(name, self.scores)
                )
            if isinstance(weight, bool) or not isinstance(weight, (int, float)):
                raise ConfigError(f"{keyed('weights')}.{name} must be a number, got {weight!r}.")
            if not math.isfinite(weight):
                raise ConfigError(f"{keyed('weights')}.{name} must be finite, got {weight}.")
        if all(weight == 0 for weight in self._weights.values()):
            raise ConfigError(f"Every weight in {keyed('weights')} is 0.", "Use strategy=random.")
        if self.normalize is not None and self.normalize not in NORMALIZERS:
            raise ConfigError(
                f"{keyed('normalize')}={self.normalize} is unknown.",
                f"{choose(str(self.normalize), NORMALIZERS)} Or null.",
            )

    @property
    def _weights(self) -> dict[str, float]:
        return {name: (self.weights or {}).get(name, 1.0) for name in self.scores}

    @property
    def needs(self) -> frozenset[str]:
        """What the scores need."""
        return frozenset[str]().union(*(needs_of(score) for score in self.scores.values()))

    def of_pool(self, view: PoolView, num_samples: int | None) -> Tensor:
        """(N,) float64 weighted sums.

        Raises:
            ValueError: A score is NaN, or infinite where it is to be standardised or summed.
        """
        total = torch.zeros(len(view), dtype=torch.float64)
        for name, scores in self._of_each(view, num_samples).items():
            if scores.isnan().any():
                raise ValueError(f"{int(scores.isnan().sum())} of {len(scores)} scores are NaN")
            if self.normalize != "rank" and scores.isinf().any():
                hint = f"use {keyed('normalize', self)}=rank"
                raise ValueError(plain(f"score {name!r} is infinite; {hint}"))
            if self.normalize is not None:
                scores = NORMALIZERS[self.normalize](scores)
            total += self._weights[name] * scores
        return total

    def _of_each(self, view: PoolView, num_samples: int | None) -> dict[str, Tensor]:
        functions = {n: s for n, s in self.scores.items() if not isinstance(s, PoolScore)}
        streamed = view.score(list(functions.values()), num_samples) if functions else []
        found = dict(zip(functions, streamed, strict=True))
        for name, score in self.scores.items():
            if isinstance(score, PoolScore):
                found[name] = score.of_pool(view, num_samples)
        return {name: found[name].cpu() for name in self.scores}


def standardised(scores: Tensor) -> Tensor:
    """``scores`` (N,) with mean 0 and standard deviation 1; zeros where they are all equal."""
    if bool((scores == scores[0]).all()):
        return torch.zeros_like(scores)
    return (scores - scores.mean()) / scores.std(correction=0)


def ranks(scores: Tensor) -> Tensor:
    """Rank of each of ``scores`` (N,) from 0 for the lowest to 1 for the highest.

    Equal scores share the mean of their ranks; zeros where they are all equal.
    """
    _, group, count = torch.unique(scores, return_inverse=True, return_counts=True)
    if len(count) == 1:
        return torch.zeros_like(scores)
    last = count.cumsum(dim=0)  # one more than the highest place of each value
    middle = (last - count + last - 1).double() / 2
    return middle[group] / (len(scores) - 1)


NORMALIZERS: dict[str, Callable[[Tensor], Tensor]] = {"standard": standardised, "rank": ranks}
