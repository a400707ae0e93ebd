"""Information gain: what labels that are known already tell of the parameters, a control.

N pool points, K posterior samples, B batch size.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch

from al_bench.information.observed import information_gained
from al_bench.models.base import SAMPLES
from al_bench.strategies.base import LABELS, PoolView, Selection, check_num_samples
from al_bench.strategies.observed import select_observed


@dataclass(frozen=True)
class InformationGain:
    """Greedy information gain of true labels; Kirsch and Gal (2021), arXiv:2106.12062.

    I[y_1, …, y_B; Ω] = H[Ω] - H[Ω | y_1, …, y_B]: how much more certain the true labels of the
    batch make which posterior sample is the true one, the core-set problem of that paper and of
    Kirsch's thesis (arXiv:2401.04305, chapter 2). That needs labels before they are bought, so this
    is a control: what BALD and BatchBALD could choose if they knew the labels that they average
    over. Each pick maximises H[Ω | y_A] - H[Ω | y_A, y]. A label that contradicts those before it
    may leave Ω less certain, so scores after the first can be negative. Labels known, no joint
    labelings are needed: exact given the K samples, in float64, at B·N·K operations. K samples have
    log K nats to give: after some labels few of them keep any weight (``effective_samples``), and
    nothing is left to be gained. A point that the annotator refuses gains 0.

    What tells most is a label that few samples expect, so where labels are wrong those are bought
    first.

    Gains are neither submodular nor of one sign, so every candidate is evaluated at every pick, and
    negative gains are picked when nothing better is left. The search ends where no single label
    changes anything, though two of them together still might.

    Args:
        num_samples: Posterior samples to score with; ``None`` takes all K of the model.
    """

    num_samples: int | None = None
    needs: ClassVar[frozenset[str]] = frozenset({SAMPLES, LABELS})

    def __post_init__(self) -> None:
        check_num_samples(self.num_samples)

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """Picks in greedy order; scores and notes as ``select_observed`` says."""
        return select_observed(view, batch_size, self.num_samples, information_gained, generator)
