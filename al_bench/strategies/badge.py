"""BADGE: spread-out batches of large last-layer gradients.

N pool points, C classes, D features, B batch size.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.errors import ConfigError, choose, keyed
from al_bench.models.base import GRADIENTS
from al_bench.strategies.base import PoolView, Selection, require_batch_size
from al_bench.strategies.d2_sampling import d2_sample
from al_bench.strategies.last_layer import block_size, pseudo_gradients, row_norms
from al_bench.strategies.rules import top

FIRST_CENTERS = ("uniform", "largest_norm")
CLOSE = 1e-2  # of the squared norms: below, a distance is lost to float32's rounding


@dataclass(frozen=True)
class Badge:
    """k-means++ seeding on gradients for pseudo-labels; Ash et al. (2020), arXiv:1906.03671.

    The gradient embedding of a point is g = (p - e_ŷ) ⊗ h, the gradient of the last layer's weights
    for the most probable class ŷ. The batch is drawn by D² sampling: each next point with
    probability proportional to the squared distance of its embedding to the nearest one drawn.
    The first is drawn uniformly, as in the paper's k-means++; the published code takes the
    largest norm (``first_center=largest_norm``). Embeddings are never formed, since
    |g|² = |p - e_ŷ|² |h|² and ⟨g, g'⟩ = ⟨p - e_ŷ, p' - e_ŷ'⟩ ⟨h, h'⟩. O(N (C + D)) time a point
    drawn, O(N (C + D)) memory. Differences from the published code: points are never drawn twice,
    so none is drawn and rejected; once only copies of what was drawn are left they are drawn
    uniformly, where that code stops.

    Inner products of features are float32 (an error of about 1e-6 of the squared norms), of several
    points that are likely to be drawn next at once, since reading N × D features is the cost;
    distances small enough to suffer are computed again in float64, without cancellation.

    Args:
        first_center: ``uniform`` or ``largest_norm``.
    """

    first_center: str = "uniform"
    needs: ClassVar[frozenset[str]] = frozenset({GRADIENTS})

    def __post_init__(self) -> None:
        if self.first_center not in FIRST_CENTERS:
            raise ConfigError(
                f"{keyed('first_center')} is {self.first_center!r}.",
                choose(str(self.first_center), FIRST_CENTERS, f"{keyed('first_center')}="),
            )

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Picks in the order in which they were drawn.

        Scores are squared distances to the nearest embedding drawn before, NaN for the first.
        Notes ``fell_back`` = ``random`` when every embedding is 0.
        """
        require_batch_size(batch_size, len(view))
        errors, features = pseudo_gradients(view)
        distances = FactoredDistances(errors, features)
        first = None
        if self.first_center == "largest_norm":
            first = int(top(distances.norms, 1, generator))
        positions, squared = d2_sample(
            distances.column,
            len(view),
            batch_size,
            generator,
            first=first,
            expect=distances.expect,
        )
        tied = not bool(distances.norms.any())
        return Selection(
            positions, squared * distances.unit, {"fell_back": "random"} if tied else {}
        )


class FactoredDistances:
    """Squared distances between outer products left_i ⊗ right_i, from their factors.

    Args:
        left: (n, C), float64.
        right: (n, D), float32.

    Attributes:
        norms: Squared norms of the outer products, (n,) float64, in units of ``unit``.
        unit: What squared norms and distances must be multiplied with: factors that are large or
            small are scaled, so that float32 neither overflows nor loses small gradients.
    """

    def __init__(self, left: Tensor, right: Tensor) -> None:
        (self._left, left_unit), (self._right, right_unit) = _scaled(left), _scaled(right)
        self.unit = (left_unit * right_unit) ** 2
        self.norms = (row_norms(self._left) * row_norms(self._right)) ** 2
        self._products: dict[int, Tensor] = {}  # of all right factors with that at a center
        self._copies = torch.zeros(len(left), dtype=torch.bool, device=left.device)

    def expect(self, centers: list[int]) -> None:
        """Take inner products with several right factors at once, if the first is still missing."""
        if centers[0] not in self._products:
            products = self._right @ self._right[centers].T
            self._products = dict(zip(centers, products.unbind(dim=1), strict=True))

    def column(self, center: int) -> Tensor:
        """Squared distances (n,) float64 to the product at ``center``, in units of ``unit``.

        Exactly 0 for copies of it, and for all that were copies of a center before.
        """
        self.expect([center])
        products = self._products.pop(center).double()
        products *= self._left @ self._left[center]
        scale = self.norms + self.norms[center]
        squared = scale - 2 * products
        suspect = ((squared < CLOSE * scale) & ~self._copies).nonzero().squeeze(1)
        for rows in torch.split(suspect, block_size(32 * self._right.shape[1])):
            squared[rows] = self._exact(rows, center)
        squared.masked_fill_(self._copies, 0.0)
        self._copies |= squared <= 0
        return squared

    def _exact(self, rows: Tensor, center: int) -> Tensor:
        """|l ⊗ r - l' ⊗ r'|² from the differences and means of the factors."""
        changes, dots = [], []
        for factor in (self._left, self._right):
            mine, other = factor[rows].double(), factor[center].double()
            change, mean = mine - other, (mine + other) / 2
            changes.append((change.square().sum(dim=1), mean.square().sum(dim=1)))
            dots.append((change * mean).sum(dim=1))
        (left, left_mean), (right, right_mean) = changes
        squared = left * right_mean + left_mean * right + 2 * dots[0] * dots[1]
        return squared.clamp_min(0.0)


def _scaled(factor: Tensor) -> tuple[Tensor, float]:
    """A factor with a largest value around 1, and what it was divided by: a power of two."""
    low, high = factor.aminmax()
    exponent = math.frexp(max(-float(low), float(high)))[1]
    if abs(exponent) <= 20:
        return factor, 1.0  # without a copy
    return factor / 2.0**exponent, 2.0**exponent
