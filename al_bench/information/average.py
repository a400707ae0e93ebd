"""The average prediction of single points, precise where it is nearly certain.

n points, K posterior samples, C classes.
"""

import torch
from torch import Tensor

from al_bench.information.precision import LEAST, in_float32


class Average:
    """p(y | x) = mean_k p(y | x, ω_k) of n points.

    Near 1 a float32 probability has lost how far from 1 it is, but the others' sum has not.

    Args:
        probs: Probabilities (n, C), in any precision.

    Attributes:
        probs: The same, float64.
        top: The most probable class, the first of equals, (n, 1) int64.
        others: ``probs`` with 0 for ``top``, (n, C).
        doubt: 1 - p(top | x), as the sum of the others, (n, 1); NaN where a probability is.
    """

    def __init__(self, probs: Tensor) -> None:
        self.probs = probs.double()
        self.top = self.probs.argmax(dim=1, keepdim=True)
        self.others = self.probs.scatter(1, self.top, 0.0)
        unknown = self.probs.isnan().any(dim=1, keepdim=True)
        doubt = self.others.sum(dim=1, keepdim=True).masked_fill(unknown, torch.nan)
        self.doubt = doubt.clamp_max(1 - 1 / self.probs.shape[1])  # but for rounding, it is

    @property
    def logs(self) -> Tensor:
        """Logarithms of the probabilities, at least ``LEAST``, (n, C)."""
        return self.probs.log().clamp_(min=LEAST).scatter_(1, self.top, torch.log1p(-self.doubt))

    @property
    def entropy(self) -> Tensor:
        """Nats, (n,)."""
        return -(self.probs.scatter(1, self.top, 1 - self.doubt) * self.logs).sum(dim=1)


def average_prediction(log_probs: Tensor) -> Average:
    """Of log-probabilities (n, K, C), in float32 or, if they are float64, in that."""
    (probs,) = in_float32(lambda piece: [piece.exp().mean(dim=1)], log_probs)
    return Average(probs)
