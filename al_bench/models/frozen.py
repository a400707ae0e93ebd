"""What the posteriors over networks have in common: frozen copies and their outputs.

n points, C classes, D features.
"""

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from al_bench.models import memory
from al_bench.models.base import GradientFactors, Network
from al_bench.models.networks.spectral import bake


def frozen_copy(network: Network, precision: torch.dtype) -> Network:
    """A copy of ``network`` in evaluation mode and ``precision`` that nobody trains.

    The copy makes a posterior what the network was when it was fitted, and leaves the network's
    own weights, buffers and mode alone. Normalized weights are ordinary ones in it.
    """
    frozen = copy.deepcopy(network).eval().requires_grad_(False)
    bake(frozen)
    # Rounded once here instead of at every pass.
    return frozen.to(dtype=precision)


def normalized(logits: Tensor) -> Tensor:
    """Log-probabilities over the last axis, float32 whatever the precision of ``logits``."""
    return F.log_softmax(logits, dim=-1, dtype=torch.float32)


def bytes_per_point(
    network: Network, input_shape: tuple[int, ...], masks: Sequence[Tensor] | None = None
) -> int:
    """Working memory of one point's way to the logits, in bytes, under ``masks`` where given."""
    weight = network.output.weight

    def forward(inputs: Tensor) -> Tensor:
        return network(inputs, masks)

    return memory.bytes_per_point(forward, input_shape, weight.dtype, weight.device)


def mean_features(networks: Sequence[Network], inputs: Tensor) -> Tensor:
    """Features (n, D), float32, with no unit dropped; those of several networks side by side."""
    with torch.inference_mode():
        parts = []
        for network in networks:
            hidden = network.prefix(inputs.to(network.output.weight.dtype))
            parts.append(network.body(hidden).to(torch.float32))
        features = torch.cat(parts, dim=1)
    return features.clone()  # outside: an ordinary tensor, with which a caller may train


def gradient_factors(network: Network, inputs: Tensor) -> GradientFactors:
    """Factors of the last-layer gradients of ``network``, float32, with no unit dropped."""
    with torch.inference_mode():
        features = network.body(network.prefix(inputs.to(network.output.weight.dtype)))
        log_probs = normalized(network.output(features))
    return GradientFactors(log_probs.clone(), features.to(torch.float32).clone())


def mean_logits(network: Network, inputs: Tensor) -> Tensor:
    """Logits (n, C) of ``network``, float32, with no unit dropped."""
    with torch.inference_mode():
        logits = network(inputs.to(network.output.weight.dtype)).to(torch.float32)
    return logits.clone()


class AroundOneNetwork:
    """What a posterior around one network offers of the network itself, with no unit dropped."""

    _network: Network  # frozen, in the precision of the forward passes
    _unrounded: Network  # frozen, float32

    def features(self, inputs: Tensor) -> Tensor:
        """Features (n, D), float32."""
        return mean_features([self._network], inputs)

    def gradient_factors(self, inputs: Tensor) -> GradientFactors:
        """Factors of the last-layer gradients."""
        return gradient_factors(self._network, inputs)

    def logits(self, inputs: Tensor) -> Tensor:
        """Logits (n, C), float32."""
        return mean_logits(self._network, inputs)

    def network(self) -> Network:
        """A float32 copy in evaluation mode, the caller's own."""
        return copy.deepcopy(self._unrounded).requires_grad_(True)


def checked_count(num_samples: int | None, available: int) -> int:
    """How many samples are asked for; ValueError outside 1 … ``available``."""
    count = available if num_samples is None else num_samples
    if not 1 <= count <= available:
        raise ValueError(f"num_samples must lie between 1 and {available}, got {count}")
    return count
