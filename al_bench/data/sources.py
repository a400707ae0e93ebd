"""Which points of which data sets a pool is made of.

N pool points.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from al_bench.data.base import Pool
from al_bench.errors import ConfigError


@dataclass(frozen=True)
class Sources:
    """Where the points of a pool come from, without anything else of it.

    Args:
        source_index: (N,) int64, each point's index in its data set.
        origin: (N,) int64, position of that data set in ``origins``.
        origins: Names of the data sets.
    """

    source_index: Tensor
    origin: Tensor
    origins: tuple[str, ...]

    @classmethod
    def of(cls, pool: Pool) -> "Sources":
        """Those of a pool."""
        return cls(pool.source_index, pool.origin, pool.origins)

    def indices(self, indices: Tensor) -> Tensor:
        """(n,) int64, the index in the data set of the pool's points at ``indices`` (n,).

        Raises:
            ConfigError: There are several data sets.
        """
        if bool(self.origin.any()):
            raise ConfigError(
                f"The pool mixes {' and '.join(self.origins)}, whose indices do not name a point.",
                "Use another feature space.",
            )
        return self.source_index[indices]

    def hold(self, indices: Tensor, source_indices: Tensor, origins: Sequence[str] | None) -> bool:
        """Whether the pool's points at ``indices`` are those, all of them.

        Args:
            indices: (n,) int64; one outside the pool is no point.
            source_indices: (n,) int64, the index in its data set that each should have.
            origins: The name of that data set of each; ``None`` asks for the indices alone.
        """
        size = len(self.source_index)
        if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < size:
            return False
        if not torch.equal(self.source_index[indices], source_indices):
            return False
        if origins is None:
            return True
        return [self.origins[place] for place in self.origin[indices].tolist()] == list(origins)
