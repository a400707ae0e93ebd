"""Pool subsample: another strategy chooses among a few random points of the pool.

N pool points, B batch size.
"""

from dataclasses import dataclass

import torch

from al_bench.errors import require_whole
from al_bench.strategies.base import PoolView, Selection, Strategy, require_batch_size
from al_bench.strategies.wrapped import check_wrapped, samples_asked


@dataclass(frozen=True)
class Subsample:
    """A strategy on a fresh uniform subset of the pool in every round.

    The model is shown only the subset, so a round costs what the strategy costs at N = ``size``;
    the price is that the best points may not be in it. The code of Gal et al. (2017),
    arXiv:1703.02910, scores 2,000 points a round for this reason. A batch larger than ``size`` gets
    a subset of its own size.

    Args:
        of: The strategy.
        size: Points it sees; all of the pool where that is smaller.
    """

    of: Strategy
    size: int = 10_000

    def __post_init__(self) -> None:
        check_wrapped(self.of)
        require_whole("size", self.size, 1)

    @property
    def needs(self) -> frozenset[str]:
        """What the strategy needs."""
        return self.of.needs

    @property
    def num_samples(self) -> int | None:
        """Posterior samples the strategy scores with."""
        return samples_asked(self.of)

    def select(self, view: PoolView, batch_size: int, generator: torch.Generator) -> Selection:
        """The strategy's own selection at positions of the whole pool; state and notes are its own.

        In a pool of at most ``size`` points the strategy sees the view itself.
        """
        require_batch_size(batch_size, len(view))
        size = max(self.size, batch_size)
        if size >= len(view):
            return self.of.select(view, batch_size, generator)
        positions = torch.randperm(len(view), generator=generator)[:size].sort().values
        subset = view.restricted(positions, view.state)
        chosen = self.of.select(subset, batch_size, generator)
        return Selection(positions[chosen.positions], chosen.scores, chosen.notes, chosen.state)
