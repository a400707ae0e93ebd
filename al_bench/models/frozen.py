"""What the posteriors over networks have in common: frozen copies, outputs, bytes a point needs.

n points, C classes, D features.
"""

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from al_bench.errors import ConfigError
from al_bench.models.base import FEATURES, GRADIENTS, Network, NetworkFactory

NETWORK_PROVIDES = frozenset({FEATURES, GRADIENTS})


def require_network(network: NetworkFactory) -> None:
    """Raise ConfigError unless ``network`` can be called (a ``_partial_`` in a config file)."""
    if not callable(network):
        raise ConfigError(
            f"model.network must build a network when called, got {network!r}.",
            "Choose one with model/network=…, or add _partial_: true to your own file.",
        )


def frozen_copy(network: Network, precision: torch.dtype) -> Network:
    """A copy of ``network`` in evaluation mode and ``precision`` that nobody trains.

    The copy makes a posterior what the network was when it was fitted, and leaves the network's
    own weights, buffers and mode alone.
    """
    frozen = copy.deepcopy(network).eval().requires_grad_(False)
    # Rounded once here instead of at every pass.
    return frozen.to(dtype=precision)


def normalized(logits: Tensor) -> Tensor:
    """Log-probabilities over the last axis, float32 whatever the precision of ``logits``."""
    return F.log_softmax(logits, dim=-1, dtype=torch.float32)


def mean_features(networks: Sequence[Network], inputs: Tensor) -> Tensor:
    """Features (n, D), float32, with no unit dropped; those of several networks side by side."""
    with torch.inference_mode():
        parts = []
        for network in networks:
            hidden = network.prefix(inputs.to(network.output.weight.dtype))
            parts.append(network.body(hidden).to(torch.float32))
        features = torch.cat(parts, dim=1)
    return features.clone()  # outside: an ordinary tensor, with which a caller may train


def bytes_per_point(network: Network, input_shape: tuple[int, ...]) -> int:
    """Working memory of one point's way to the logits, in bytes: three of its largest tensors."""
    sizes = [0]

    def record(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        sizes.append(max(output.nbytes, *(tensor.nbytes for tensor in args)))

    leaves = [module for module in network.modules() if not list(module.children())]
    hooks = [leaf.register_forward_hook(record) for leaf in leaves]
    weight = network.output.weight
    try:
        with torch.inference_mode():
            network(torch.zeros(1, *input_shape, dtype=weight.dtype, device=weight.device))
    finally:
        for hook in hooks:
            hook.remove()
    return 3 * max(sizes)
