"""What the models over a network share: building it, and saying what it offers."""

from dataclasses import dataclass

import torch

from al_bench.errors import ConfigError, keyed, placed
from al_bench.models.base import FEATURES, GRADIENTS, LOGITS, NETWORK, Network, NetworkFactory
from al_bench.seeding import isolated

ONE_NETWORK = frozenset({FEATURES, GRADIENTS, LOGITS, NETWORK})


@dataclass(frozen=True)
class OverNetwork:
    """Base of the models over a network.

    Args:
        network: Builds the network.
    """

    network: NetworkFactory

    def __post_init__(self) -> None:
        if not callable(self.network):
            raise ConfigError(
                f"{keyed('network')} must build a network when called, got {self.network!r}.",
                "Choose one with model/network=…, or add _partial_: true to your own file.",
            )

    def build(self, input_shape: tuple[int, ...], num_classes: int) -> Network:
        """One untrained network, weights drawn from torch's global generator."""
        with placed(self.network):
            return self.network(input_shape=input_shape, num_classes=num_classes)

    def check(self, input_shape: tuple[int, ...], num_classes: int) -> frozenset[str]:
        """What a posterior over such a network offers; ConfigError where it cannot be built."""
        with isolated(torch.Generator().manual_seed(0)):
            return self.provides(self.build(input_shape, num_classes))

    def provides(self, network: Network) -> frozenset[str]:
        """Names of ``CAPABILITIES`` that the posterior over ``network`` offers."""
        raise NotImplementedError
