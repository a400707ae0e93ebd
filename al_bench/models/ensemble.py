"""Deep ensembles: every member is one posterior sample."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from al_bench.errors import ConfigError
from al_bench.models.base import SAMPLES, Network, NetworkFactory
from al_bench.models.frozen import (
    NETWORK_PROVIDES,
    bytes_per_point,
    frozen_copy,
    mean_features,
    normalized,
    require_network,
)


class EnsemblePosterior:
    """Equally likely networks: sample k is network k with no unit dropped.

    Args:
        networks: K trained networks; copied.
        provides: What the posterior offers.
        precision: Of the forward passes.
    """

    def __init__(
        self, networks: Sequence[Network], provides: frozenset[str], precision: torch.dtype
    ) -> None:
        self.provides = provides
        self.num_samples = len(networks)
        self._networks = [frozen_copy(network, precision) for network in networks]

    def log_probs(self, inputs: Tensor, num_samples: int | None = None) -> Tensor:
        """Log-probabilities (n, K, C), float32, of the first ``num_samples`` networks."""
        networks = self._networks[: checked_count(num_samples, self.num_samples)]
        output = networks[0].output
        log_probs = inputs.new_empty(
            len(inputs), len(networks), output.out_features, dtype=torch.float32
        )
        with torch.inference_mode():
            inputs = inputs.to(output.weight.dtype)
            for k, network in enumerate(networks):
                log_probs[:, k] = normalized(network(inputs))
        return log_probs

    def features(self, inputs: Tensor) -> Tensor:
        """Features (n, D), float32: the networks' features side by side."""
        return mean_features(self._networks, inputs)

    def chunk_size(self, input_shape: tuple[int, ...], chunk_bytes: int) -> int:
        """Points that may be shown at once within ``chunk_bytes`` of working memory, at least 1."""
        network = self._networks[0]
        results = (
            4 * self.num_samples * max(network.output.out_features, network.output.in_features)
        )
        return max(1, chunk_bytes // (bytes_per_point(network, input_shape) + results))


def checked_count(num_samples: int | None, available: int) -> int:
    """How many samples are asked for; ValueError outside 1 … ``available``."""
    count = available if num_samples is None else num_samples
    if not 1 <= count <= available:
        raise ValueError(f"num_samples must lie between 1 and {available}, got {count}")
    return count


@dataclass(frozen=True)
class DeepEnsemble:
    """Networks trained from independent initial weights (Lakshminarayanan et al. 2017).

    arXiv:1612.01474, without adversarial training. Dropout, where the network has some, acts in
    training only.

    Args:
        network: Builds one member.
        num_members: Members, each a posterior sample.
    """

    network: NetworkFactory
    num_members: int = 5

    def __post_init__(self) -> None:
        require_network(self.network)
        if self.num_members < 1:
            raise ConfigError(f"model.num_members must be at least 1, got {self.num_members}.")

    @property
    def num_samples(self) -> int:
        """K, one sample a member."""
        return self.num_members

    @property
    def num_networks(self) -> int:
        """Networks to train."""
        return self.num_members

    def build(self, input_shape: tuple[int, ...], num_classes: int) -> Network:
        """One untrained member, weights drawn from torch's global generator."""
        return self.network(input_shape=input_shape, num_classes=num_classes)

    def provides(self, network: Network) -> frozenset[str]:
        """Features and gradients, and samples from two members on."""
        return NETWORK_PROVIDES | ({SAMPLES} if self.num_members > 1 else frozenset())

    def posterior(
        self, networks: Sequence[Network], generator: torch.Generator, precision: torch.dtype
    ) -> EnsemblePosterior:
        """Member k as sample k; draws nothing."""
        if len(networks) != self.num_members:
            raise ValueError(f"expected {self.num_members} networks, got {len(networks)}")
        return EnsemblePosterior(networks, self.provides(networks[0]), precision)
