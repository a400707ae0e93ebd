"""Several networks of one architecture as one: their weights side by side, one pass of all.

S networks, n points of each, P weights of a network, C classes.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, vmap
from torch.overrides import TorchFunctionMode

from al_bench.models.base import Network
from al_bench.models.networks.blocks import BlockNetwork, Conv

# Weights of every network and layer begin at whole cache lines: products of equal numbers that lie
# differently in memory may be rounded differently.
ALIGNED = 16


class Replicas:
    """S networks of one architecture, in training mode.

    The rows of ``weights`` are the networks, so that what an optimizer does weight by weight it
    does for all of them at once.

    Args:
        template: One network of the architecture, on the device; copied.
        width: S.
        together: Compute all at once wherever they are; ``None`` does so on every device but a
            CPU, where grouped convolutions are slower than one after the other (0.5 to 0.7 times as
            fast) and may round one group differently from the next.

    Attributes:
        weights: (S, P), with gradients; zero until ``put``.
        buffers: By name, (S, …) of each: running statistics, and weights that are not trained.
    """

    def __init__(self, template: Network, width: int, together: bool | None = None) -> None:
        trained = {name: one for name, one in template.named_parameters() if one.requires_grad}
        self._shapes = {name: value.shape for name, value in trained.items()}
        first = next(iter(trained.values()))
        sizes = [math.prod(shape) for shape in self._shapes.values()]
        # Pairs of a tensor and what fills up its last line.
        self._sizes = [part for size in sizes for part in (size, -size % ALIGNED)]
        self.weights = torch.zeros(
            width, sum(self._sizes), dtype=first.dtype, device=first.device, requires_grad=True
        )
        self.buffers = {
            name: torch.stack([value.detach()] * width)
            for name, value in self._others(template).items()
        }
        self._kept = (torch.zeros_like(self.weights), _copied(self.buffers))
        if together is None:
            together = first.device.type != "cpu"
        self._form = _form_of(template, together)

    def put(self, slot: int, network: Network) -> None:
        """Let this network be the one in a slot."""
        with torch.no_grad():
            for name, part in self._parts(self.weights[slot : slot + 1]).items():
                part[0].copy_(network.get_parameter(name))
            for name, value in self._others(network).items():
                self.buffers[name][slot] = value

    def take(self, slot: int, network: Network, kept: bool = False) -> None:
        """Give a network the weights and buffers of a slot: its present ones, or those kept."""
        weights, buffers = self._kept if kept else (self.weights, self.buffers)
        with torch.no_grad():
            for name, part in self._parts(weights[slot : slot + 1]).items():
                network.get_parameter(name).copy_(part[0])
            for name, value in self._others(network).items():
                value.copy_(buffers[name][slot])

    def keep(self, slots: Sequence[int]) -> None:
        """Remember weights and buffers of these slots as they are now."""
        chosen = torch.tensor(slots, dtype=torch.int64, device=self.weights.device)
        weights, buffers = self._kept
        weights.index_copy_(0, chosen, self.weights.detach()[chosen])
        for name, value in self.buffers.items():
            buffers[name].index_copy_(0, chosen, value[chosen])

    def logits(self, inputs: Tensor, masks: Sequence[Tensor]) -> Tensor:
        """Logits (S, n, C), each network's of its own points.

        Args:
            inputs: (S, n, *input_shape).
            masks: Dropout masks as ``Network.body`` takes them, (S, n, units) each.
        """
        return self._form(self._parts(self.weights), self.buffers, inputs, masks)

    def _others(self, network: Network) -> dict[str, Tensor]:
        """What a network has beside the weights that are trained, by name."""
        frozen = {name: one for name, one in network.named_parameters() if name not in self._shapes}
        return frozen | dict(network.named_buffers())

    def _parts(self, weights: Tensor) -> dict[str, Tensor]:
        """The parameters (s, *shape) that rows of weights (s, P) are made of, by name."""
        parts = torch.split(weights, self._sizes, dim=1)[::2]
        return {
            name: part.view(len(part), *shape)
            for (name, shape), part in zip(self._shapes.items(), parts, strict=True)
        }


class Form(Protocol):
    """How the pass of all networks is computed."""

    def __call__(
        self,
        weights: Mapping[str, Tensor],
        buffers: Mapping[str, Tensor],
        inputs: Tensor,
        masks: Sequence[Tensor],
    ) -> Tensor:
        """Logits (S, n, C) of parameters and buffers (S, …), by name; buffers may be changed."""


def _form_of(template: Network, together: bool) -> Form:
    if is_block_network(template):
        convolves = any(isinstance(block, Conv) for block in template.blocks)
        if together or not convolves:
            return BlockForm(template)
    return VmapForm(template) if together else OneByOneForm(template)


def is_block_network(network: Network) -> TypeGuard[BlockNetwork]:
    """Whether a network is computed as its blocks say, and each point by itself."""
    return type(network) is BlockNetwork


class BlockForm:
    """Networks of blocks: grouped convolutions and batched matrix products."""

    def __init__(self, template: BlockNetwork) -> None:
        self._blocks = template.blocks
        self._masked = template.masked_blocks

    def __call__(
        self,
        weights: Mapping[str, Tensor],
        buffers: Mapping[str, Tensor],
        inputs: Tensor,
        masks: Sequence[Tensor],
    ) -> Tensor:
        """Logits (S, n, C)."""
        remaining = iter(masks)
        hidden = inputs
        weights = {**buffers, **weights}  # those that are not trained are among the buffers
        for i, block in enumerate(self._blocks):
            weight, bias = weights[f"layers.{i}.weight"], weights[f"layers.{i}.bias"]
            if isinstance(block, Conv):
                hidden = _convolved(hidden, weight, bias, block)
            else:
                hidden = F.relu(_linear(hidden, weight, bias))
            if i in self._masked:
                mask = next(remaining)
                hidden = hidden * mask.view(*mask.shape, *(1,) * (hidden.ndim - 3))
        return _linear(hidden, weights["output.weight"], weights["output.bias"])


class OneByOneForm:
    """Networks of any kind, one after the other."""

    def __init__(self, template: Network) -> None:
        self._network = copy.deepcopy(template).train()

    def __call__(
        self,
        weights: Mapping[str, Tensor],
        buffers: Mapping[str, Tensor],
        inputs: Tensor,
        masks: Sequence[Tensor],
    ) -> Tensor:
        """Logits (S, n, C)."""
        of_each = {name: value.unbind() for name, value in (*weights.items(), *buffers.items())}
        return torch.stack(
            [
                self._logits(
                    {name: values[slot] for name, values in of_each.items()},
                    one.clone(),  # begins at a cache line, wherever it was
                    [mask[slot] for mask in masks],
                )
                for slot, one in enumerate(inputs)
            ]
        )

    def _logits(
        self, values: Mapping[str, Tensor], inputs: Tensor, masks: Sequence[Tensor]
    ) -> Tensor:
        logits: Tensor = functional_call(self._network, dict(values), (inputs, masks))
        return logits


class VmapForm(OneByOneForm):
    """Networks of any kind, as ``torch.func`` computes many of them at once.

    Their forward pass must not look at values in Python, nor draw random numbers.
    """

    def __call__(
        self,
        weights: Mapping[str, Tensor],
        buffers: Mapping[str, Tensor],
        inputs: Tensor,
        masks: Sequence[Tensor],
    ) -> Tensor:
        """Logits (S, n, C)."""
        with _OwnLayout():  # what is batched may be changed in place: all of it is
            logits: Tensor = vmap(self._logits)({**weights, **buffers}, inputs, list(masks))
        return logits


class _OwnLayout(TorchFunctionMode):
    """Tensors stay in the layout that they have: vmap knows of no other, such as channels-last."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        if func is torch.Tensor.contiguous:
            return args[0]
        return func(*args, **(kwargs or {}))


def _convolved(inputs: Tensor, weight: Tensor, bias: Tensor, block: Conv) -> Tensor:
    """Inputs (S, n, channels, h, w) after the block, without its mask."""
    width, count = inputs.shape[:2]
    side_by_side = inputs.transpose(0, 1).flatten(1, 2)  # (n, S · channels, h, w)
    hidden = F.conv2d(
        side_by_side, weight.flatten(0, 1), bias.flatten(), padding=block.padding, groups=width
    )
    if block.pool > 1:
        hidden = F.max_pool2d(hidden, block.pool)
    hidden = F.relu(hidden).view(count, width, block.channels, *hidden.shape[2:])
    return hidden.transpose(0, 1)


def _linear(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Inputs (S, n, …) times weights (S, out, in) plus biases (S, out): (S, n, out)."""
    # Weights first: their gradient is then a product of few rows, up to seven times as fast.
    outputs = torch.baddbmm(bias.unsqueeze(2), weight, inputs.flatten(2).transpose(1, 2))
    return outputs.transpose(1, 2)


def _copied(buffers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in buffers.items()}
