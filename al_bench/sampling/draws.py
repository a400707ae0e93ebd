"""Selections that draw their points: uniformly, or by importance with weights that undo it.

n candidates, B of them chosen.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.models.base import GRADIENTS
from al_bench.sampling.base import CandidateView, Chosen
from al_bench.sampling.scores import gradient_norms


@dataclass(frozen=True)
class Uniform:
    """B candidates at random, without replacement: what a step of plain training is taken on."""

    needs: ClassVar[frozenset[str]] = frozenset()

    def choose(self, view: CandidateView, batch_size: int, generator: torch.Generator) -> Chosen:
        """Every B of the candidates are as likely as any other."""
        _check(batch_size, len(view))
        return Chosen(torch.randperm(len(view), generator=generator)[:batch_size])


@dataclass(frozen=True)
class GradientNormIS:
    """Importance sampling by ‖p - e_y‖; Katharopoulos and Fleuret (2018), arXiv:1803.00942.

    Draws with replacement with probabilities in proportion to that norm, and weighs each drawn
    point so that the expected gradient of a step is that of all candidates together.
    """

    needs: ClassVar[frozenset[str]] = frozenset({GRADIENTS})
    with_replacement: ClassVar[bool] = True

    def choose(self, view: CandidateView, batch_size: int, generator: torch.Generator) -> Chosen:
        """Draw B positions; notes ``fell_back`` = ``random`` where all norms are 0.

        Raises:
            ValueError: The batch size is not between 1 and n, or a norm is NaN.
        """
        _check(batch_size, len(view))
        norms = gradient_norms(view).cpu()
        probabilities, weights = importance(norms)
        positions = torch.multinomial(probabilities, batch_size, True, generator=generator)
        fell_back = bool((norms == norms[0]).all())
        return Chosen(
            positions,
            weights[positions].float(),
            {"fell_back": "random"} if fell_back else {},
        )


def importance(sizes: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities in proportion to ``sizes``, and the weights 1 / (n p) that undo them.

    Args:
        sizes: (n,) from 0; where all are 0, every point is as likely as any other.

    Returns:
        Probabilities, which sum to 1, and weights, both (n,) float64; a point that is never drawn
        has an infinite weight.

    Raises:
        ValueError: A size is NaN, infinite or below 0.
    """
    sizes = sizes.double()
    wrong = ~(sizes >= 0) | sizes.isinf()
    if wrong.any():
        first = float(sizes[wrong][0])
        name = "NaN" if first != first else str(first)
        raise ValueError(f"{int(wrong.sum())} of {len(sizes)} gradient norms are {name}")
    total = sizes.sum()
    probabilities = sizes / total if total > 0 else torch.full_like(sizes, 1 / len(sizes))
    return probabilities, 1 / (len(sizes) * probabilities)


def _check(batch_size: int, num_candidates: int) -> None:
    if not 1 <= batch_size <= num_candidates:
        raise ValueError(f"cannot choose {batch_size} of {num_candidates} candidates")
