"""dynamicAL: the points that speed up training most.

N pool points, M labeled points, P parameters, B batch size.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.errors import require_number
from al_bench.information.gradients import gradient_sum, squared_norms_and_products
from al_bench.models.base import NETWORK
from al_bench.strategies.base import PoolView, Selection, require_batch_size
from al_bench.strategies.point_gradients import chunk_size
from al_bench.strategies.rules import top


@dataclass(frozen=True)
class Dynamical:
    """How much a point would raise the speed of training; Wang et al. (2022), arXiv:2110.08611.

    Under gradient flow the training loss falls at the rate G(S) = ‖Σ_S ∇ℓ(x, y)‖², with the
    gradients of all parameters, and the paper bounds the generalisation error by that speed. The
    score of a point with the most probable class ŷ as its label is

    Δ(x) = ‖∇ℓ(x, ŷ)‖² + γ ∇ℓ(x, ŷ) · Σ_S ∇ℓ(x', y'),

    which for γ = 2 is G(S ∪ {(x, ŷ)}) - G(S); the batch is the B highest (Eq. 13 and 15: terms
    between points of the batch are left out). The sum over the labeled set S is a sum, no mean (Eq.
    31). γ = 0 is expected gradient length with a pseudo-label, γ = .inf keeps the second term only.

    One forward and one backward pass a point give both terms layer by layer: of ∇ℓ only a layer's
    part exists, for a few points at a time. The second term could be had as one forward-mode
    derivative of ℓ in the direction of the sum (the tests do), but that costs a further 1 to 2
    passes, and here a matrix product. Cost O((N + M) P) times feature map size; memory O(P) and
    activations of ``CHUNK_BYTES``, whatever N is.

    The published code leaves out per-point gradients of batch normalization, starts a query when
    test accuracy has risen, and can subtract gradients of earlier picks; none of that is done here.
    Batch normalization is in evaluation mode and its scale and shift count as parameters.

    Args:
        gamma: γ, at least 0; ``.inf`` ranks by the second term alone.
    """

    gamma: float = 2.0
    needs: ClassVar[frozenset[str]] = frozenset({NETWORK})

    def __post_init__(self) -> None:
        if self.gamma != math.inf:
            hint = "Use .inf for the second term alone."
            require_number("gamma", self.gamma, 0, hint=hint)

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """The B highest Δ, best first; squared nats per unit of parameter are their scale.

        Notes ``fell_back`` = ``random`` when all scores are equal.
        """
        count = len(view)
        require_batch_size(batch_size, count)
        network = view.network().eval()
        size = chunk_size(network, view.inputs(torch.tensor([0])))
        speed = gradient_sum(network, _labeled(view, size))
        # In a random order: equal points then differ by rounding in no direction.
        order = torch.randperm(count, generator=generator)
        scores = torch.empty(count, dtype=torch.float64)
        for positions in torch.split(order, size):
            norms, products = squared_norms_and_products(
                network, view.inputs(positions), None, speed
            )
            scores[positions] = self._combined(norms, products).cpu()
        positions = top(scores, batch_size, generator)
        tied = bool((scores == scores[0]).all())
        return Selection(positions, scores[positions], {"fell_back": "random"} if tied else {})

    def _combined(self, norms: Tensor, products: Tensor) -> Tensor:
        return products if self.gamma == math.inf else norms + self.gamma * products


def _labeled(view: PoolView, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    inputs, labels = view.labeled_inputs(), view.labels()
    for chunk, answers in zip(torch.split(inputs, size), torch.split(labels, size), strict=True):
        if len(chunk):
            yield chunk, answers.to(chunk.device)
