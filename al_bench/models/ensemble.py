"""Deep ensembles: every member is one posterior sample."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from al_bench.data.labeled import Batches
from al_bench.errors import require_whole
from al_bench.models.base import FEATURES, SAMPLES, GradientFactors, Network
from al_bench.models.frozen import (
    bytes_per_point,
    checked_count,
    frozen_copy,
    gradient_factors,
    mean_features,
    mean_logits,
    normalized,
)
from al_bench.models.over_network import ONE_NETWORK, OverNetwork


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
        self._unrounded = [frozen_copy(network, torch.float32) for network in networks[:1]]

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

    def gradient_factors(self, inputs: Tensor) -> GradientFactors:
        """Factors of the last-layer gradients of the only network."""
        (network,) = self._networks
        return gradient_factors(network, inputs)

    def logits(self, inputs: Tensor) -> Tensor:
        """Logits (n, C), float32, of the only network."""
        (network,) = self._networks
        return mean_logits(network, inputs)

    def network(self) -> Network:
        """A float32 copy of the only network in evaluation mode, the caller's own."""
        (network,) = self._unrounded
        return copy.deepcopy(network).requires_grad_(True)

    def chunk_size(self, input_shape: tuple[int, ...], chunk_bytes: int) -> int:
        """Points that may be shown at once within ``chunk_bytes`` of working memory, at least 1."""
        network = self._networks[0]
        results = (
            4 * self.num_samples * max(network.output.out_features, network.output.in_features)
        )
        return max(1, chunk_bytes // (bytes_per_point(network, input_shape) + results))


@dataclass(frozen=True)
class DeepEnsemble(OverNetwork):
    """Networks trained from independent initial weights (Lakshminarayanan et al. 2017).

    arXiv:1612.01474, without adversarial training. Dropout, where the network has some, acts in
    training only.

    Args:
        network: Builds one member.
        num_members: Members, each a posterior sample.
    """

    num_members: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole("num_members", self.num_members, 1)

    @property
    def num_samples(self) -> int:
        """K, one sample a member."""
        return self.num_members

    @property
    def num_networks(self) -> int:
        """Networks to train."""
        return self.num_members

    def provides(self, network: Network) -> frozenset[str]:
        """Features and, from two members on, samples; a single member is one network."""
        return frozenset({FEATURES, SAMPLES}) if self.num_members > 1 else ONE_NETWORK

    def posterior(
        self,
        networks: Sequence[Network],
        labeled: Batches,
        generator: torch.Generator,
        precision: torch.dtype,
    ) -> EnsemblePosterior:
        """Member k as sample k; draws nothing."""
        if len(networks) != self.num_members:
            raise ValueError(f"expected {self.num_members} networks, got {len(networks)}")
        return EnsemblePosterior(networks, self.provides(networks[0]), precision)
