"""A model of one trained network, whose prediction is its only posterior sample (K = 1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from al_bench.data.labeled import Batches
from al_bench.models.base import Network
from al_bench.models.ensemble import EnsemblePosterior
from al_bench.models.over_network import ONE_NETWORK, OverNetwork


@dataclass(frozen=True)
class Deterministic(OverNetwork):
    """A single network whose dropout acts in training only.

    Args:
        network: Builds the network.
    """

    num_samples: ClassVar[int] = 1
    num_networks: ClassVar[int] = 1

    def provides(self, network: Network) -> frozenset[str]:
        """Features and gradients: one sample cannot disagree with itself."""
        return ONE_NETWORK

    def posterior(
        self,
        networks: Sequence[Network],
        labeled: Batches,
        generator: torch.Generator,
        precision: torch.dtype,
    ) -> EnsemblePosterior:
        """The network itself as the one sample; draws nothing."""
        return EnsemblePosterior(networks, self.provides(networks[0]), precision)
