"""One trained network: K = 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from al_bench.models.base import Network, NetworkFactory
from al_bench.models.ensemble import EnsemblePosterior
from al_bench.models.frozen import NETWORK_PROVIDES, require_network


@dataclass(frozen=True)
class Deterministic:
    """A single network whose dropout acts in training only.

    Args:
        network: Builds the network.
    """

    network: NetworkFactory
    num_samples: ClassVar[int] = 1
    num_networks: ClassVar[int] = 1

    def __post_init__(self) -> None:
        require_network(self.network)

    def build(self, input_shape: tuple[int, ...], num_classes: int) -> Network:
        """One untrained network, weights drawn from torch's global generator."""
        return self.network(input_shape=input_shape, num_classes=num_classes)

    def provides(self, network: Network) -> frozenset[str]:
        """Features and gradients: one sample cannot disagree with itself."""
        return NETWORK_PROVIDES

    def posterior(
        self, networks: Sequence[Network], generator: torch.Generator, precision: torch.dtype
    ) -> EnsemblePosterior:
        """The network itself as the one sample; draws nothing."""
        return EnsemblePosterior(networks, self.provides(networks[0]), precision)
