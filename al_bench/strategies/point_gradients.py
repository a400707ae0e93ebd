"""Gradients of the loss of many points in all parameters, within a budget of memory.

n points, P parameters.
"""

import torch
from torch import Tensor, nn

from al_bench.data.labeled import LabeledSet
from al_bench.information.gradients import gradient_sum, squared_norms_and_products
from al_bench.models.base import Network
from al_bench.models.frozen import frozen_copy

CHUNK_BYTES = 2**27
"""Activations of the points whose gradients are taken at once, with those of the backward pass."""


def gradient_norms(network: Network, points: LabeledSet, device: torch.device) -> Tensor:
    """‖∇ -log p(y | x)‖ of each point, in all parameters: GraNd of one network.

    Args:
        network: On the device; no unit is dropped, and it is left as it is.
        points: n points with the labels y.
        device: Where they are gathered.

    Returns:
        (n,) float64, from 0.
    """
    network = frozen_copy(network, torch.float32).requires_grad_(True)
    nowhere = gradient_sum(network, [])
    size = chunk_size(network, points.inputs.gather(points.indices[:1], device))
    norms = [torch.empty(0, dtype=torch.float64, device=device)]
    for places in torch.split(torch.arange(len(points)), size):
        inputs = points.inputs.gather(points.indices[places], device)
        labels = points.labels[places].to(device)
        squared, _ = squared_norms_and_products(network, inputs, labels, nowhere)
        norms.append(squared.sqrt())
    return torch.cat(norms)


def chunk_size(network: Network, inputs: Tensor) -> int:
    """Points whose activations, forward and backward, stay within ``CHUNK_BYTES``, at least 1.

    Args:
        network: The network.
        inputs: One point (1, *input_shape).
    """
    total = [inputs.nbytes]

    def record(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        total[0] += output.nbytes

    leaves = [module for module in network.modules() if not list(module.children())]
    hooks = [leaf.register_forward_hook(record) for leaf in leaves]
    try:
        with torch.no_grad():
            network(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return max(1, CHUNK_BYTES // (4 * total[0]))  # activations, their ReLUs, both gradients
