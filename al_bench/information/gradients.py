"""Loss gradients of every point in all parameters: norms and inner products without storing them.

n points, T positions of a feature map. One forward and one backward pass give each layer's inputs a
and the gradients g of its outputs; a point's gradient in the layer's weights is Σ_T g aᵀ, a matrix
that a linear layer needs not make (Goodfellow 2015, arXiv:1510.01799) and a convolution makes for a
few points at a time (Rochette et al. 2019, arXiv:1912.06015). Memory depends neither on how many
points there are nor on points × parameters.
"""

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAYER_BYTES = 2**25
"""Working memory for the gradients of one layer."""

WEIGHT_COST = 16
"""What a weight of a point's gradient costs to write and read, in multiplications."""

Direction = Mapping[str, Tensor]  # a number a parameter, by the parameter's name


def gradient_sum(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Direction:
    """Σ ∇ℓ(x, y) over all points, ℓ the cross-entropy in nats; zeros where there are none."""
    parameters = dict(network.named_parameters())
    total = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
    for inputs, labels in batches:
        with torch.enable_grad():
            loss = F.cross_entropy(network(inputs), labels, reduction="sum")
            gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
        for sum_so_far, gradient in zip(total.values(), gradients, strict=True):
            if gradient is not None:
                sum_so_far += gradient
    return total


def squared_norms_and_products(
    network: nn.Module, inputs: Tensor, labels: Tensor | None, direction: Direction
) -> tuple[Tensor, Tensor]:
    """‖∇ℓ(x, y)‖² and ∇ℓ(x, y) · v of every point, ℓ the cross-entropy in nats.

    Linear layers, convolutions and normalizations are taken layer by layer in one backward pass. If
    other modules have parameters, or one is used twice, points are taken one by one.

    Args:
        network: In evaluation mode, so that points don't see each other; left as it is.
        inputs: (n, *input_shape).
        labels: (n,) int64; ``None`` takes the most probable class of each point.
        direction: v.

    Returns:
        Both (n,) float64.
    """
    layers = known_layers(network)
    results = None if layers is None else _by_layer(network, layers, inputs, labels, direction)
    return _by_point(network, inputs, labels, direction) if results is None else results


def known_layers(network: nn.Module) -> dict[str, nn.Module] | None:
    """The modules that own parameters, by name; None if one is of an unknown kind."""
    owners = {
        name: module
        for name, module in network.named_modules()
        if next(module.parameters(recurse=False), None) is not None
    }
    every = [p for module in owners.values() for p in module.parameters(recurse=False)]
    shared = len({id(parameter) for parameter in every}) < len(every)
    return owners if not shared and all(map(_is_known, owners.values())) else None


def _is_known(module: nn.Module) -> bool:
    if type(module) is nn.Conv2d:
        plain = module.groups == 1 and module.padding_mode == "zeros"
        return plain and not isinstance(module.padding, str)
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        return not module.training and module.running_mean is not None
    return type(module) in (nn.Linear, nn.GroupNorm, nn.LayerNorm)


def _by_layer(
    network: nn.Module,
    layers: Mapping[str, nn.Module],
    inputs: Tensor,
    labels: Tensor | None,
    direction: Direction,
) -> tuple[Tensor, Tensor] | None:
    """The same layer by layer; None if one of them did not run exactly once on one tensor."""
    results = torch.zeros(2, len(inputs), dtype=torch.float64, device=inputs.device)
    names = {module: f"{name}." if name else "" for name, module in layers.items()}
    anchor = torch.zeros((), device=inputs.device, requires_grad=True)
    ran: list[nn.Module] = []

    def record(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        ran.append(module)
        if len(args) != 1:
            ran.append(module)
            return None
        if not output.requires_grad:  # nothing before it has parameters
            output = output + anchor
        seen = args[0].detach()
        parts = [direction.get(names[module] + part) for part in ("weight", "bias")]

        def add(gradient: Tensor) -> None:
            norms, products = _of_layer(module, seen, gradient, *parts)
            results[0] += norms
            results[1] += products

        output.register_hook(add)  # type: ignore[no-untyped-call]
        return output

    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    hooks = [layer.register_forward_hook(record) for layer in layers.values()]
    try:
        for parameter in trained:  # only the gradients of the layers' outputs are wanted
            parameter.requires_grad_(False)
        with torch.enable_grad():
            logits = network(inputs)
            if sorted(map(id, ran)) != sorted(map(id, layers.values())):
                return None
            loss = F.cross_entropy(logits, _labels(logits, labels), reduction="sum")
            torch.autograd.grad(loss, [anchor])
    finally:
        for hook in hooks:
            hook.remove()
        for parameter in trained:
            parameter.requires_grad_(True)
    return results[0], results[1]


def _by_point(
    network: nn.Module, inputs: Tensor, labels: Tensor | None, direction: Direction
) -> tuple[Tensor, Tensor]:
    """The same one point after the other: right for every network, and slow."""
    parameters = dict(network.named_parameters())
    results = torch.zeros(2, len(inputs), dtype=torch.float64, device=inputs.device)
    for i in range(len(inputs)):
        with torch.enable_grad():
            logits = network(inputs[i : i + 1])
            answer = _labels(logits, None if labels is None else labels[i : i + 1])
            loss = F.cross_entropy(logits, answer)
            gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
        for name, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None:
                results[0, i] += gradient.square().sum(dtype=torch.float64)
                results[1, i] += (gradient * direction[name]).sum(dtype=torch.float64)
    return results[0], results[1]


def _labels(logits: Tensor, labels: Tensor | None) -> Tensor:
    return logits.detach().argmax(dim=1) if labels is None else labels


def _of_layer(
    layer: nn.Module, seen: Tensor, gradient: Tensor, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor]:
    """(n,) float64 norms and products of one layer's gradients with ``weight`` and ``bias``."""
    if isinstance(layer, nn.Linear) and seen.ndim == 2:
        assert weight is not None
        norms = _squares(gradient) * (_squares(seen) + (bias is not None))
        return norms, _dots(F.linear(seen, weight, bias), gradient)
    if isinstance(layer, nn.Linear | nn.Conv2d):
        assert weight is not None
        return _of_positions(layer, seen, gradient, weight, bias)
    scaled = gradient * _normalized(layer, seen)
    norms = torch.zeros(len(seen), dtype=torch.float64, device=seen.device)
    products = torch.zeros_like(norms)
    for values, part in ((scaled, weight), (gradient, bias)):
        if part is not None:
            mine = _summed(layer, values)  # (n, …) as ``part``
            norms += _squares(mine)
            products += _dots(mine, part.expand_as(mine))
    return norms, products


def _of_positions(
    layer: nn.Linear | nn.Conv2d,
    seen: Tensor,
    gradient: Tensor,
    weight: Tensor,
    bias: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """The same for a matrix applied at T positions."""
    if isinstance(layer, nn.Conv2d):
        gradient = gradient.flatten(2)  # (n, o, T)
        weight = weight.permute(0, 2, 3, 1).flatten(1)  # (o, i), as the patches are ordered
    else:
        gradient = gradient.flatten(1, -2).mT
    outputs, inputs = weight.shape
    positions = gradient.shape[2]
    # Few positions of a large matrix: inner products of positions are fewer than weights.
    by_position = positions**2 * (inputs + outputs) < WEIGHT_COST * inputs * outputs
    most = outputs * positions + 2 * positions**2 if by_position else 2 * outputs * inputs
    size = max(1, LAYER_BYTES // (4 * (2 * inputs * positions + most)))
    norms, products = [], []
    for x, g in zip(torch.split(seen, size), torch.split(gradient, size), strict=True):
        a = _patches(layer, x) if isinstance(layer, nn.Conv2d) else x.flatten(1, -2)  # (m, T, i)
        if by_position:
            norm, product = _dots(a @ a.mT, g.mT @ g), _dots(a @ weight.T, g.mT)
        else:
            matrix = g @ a  # (m, o, i)
            norm, product = _squares(matrix), (matrix.flatten(1) @ weight.flatten()).double()
        if bias is not None:
            total = g.sum(dim=2)
            norm, product = norm + _squares(total), product + (total @ bias).double()
        norms.append(norm)
        products.append(product)
    return torch.cat(norms), torch.cat(products)


def _patches(layer: nn.Conv2d, seen: Tensor) -> Tensor:
    """What the convolution multiplies its matrix with, (m, T, i), i over (height, width, channel).

    Channels last, so that whole rows are copied: four times as fast as ``F.unfold`` on a CPU.
    """
    assert not isinstance(layer.padding, str)
    rows, columns = layer.padding
    patches = F.pad(seen.permute(0, 2, 3, 1).contiguous(), (0, 0, columns, columns, rows, rows))
    for axis in (0, 1):
        reach = (layer.kernel_size[axis] - 1) * layer.dilation[axis] + 1
        patches = patches.unfold(axis + 1, reach, layer.stride[axis])
    patches = patches[..., :: layer.dilation[0], :: layer.dilation[1]]  # (m, ho, wo, c, kh, kw)
    return patches.permute(0, 1, 2, 4, 5, 3).flatten(3).flatten(1, 2)


def _normalized(layer: nn.Module, seen: Tensor) -> Tensor:
    """The output of a normalization without its scale and shift."""
    if isinstance(layer, nn.LayerNorm):
        return F.layer_norm(seen, layer.normalized_shape, eps=layer.eps)
    if isinstance(layer, nn.GroupNorm):
        return F.group_norm(seen, layer.num_groups, eps=layer.eps)
    assert isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)
    return F.batch_norm(seen, layer.running_mean, layer.running_var, eps=layer.eps)


def _summed(layer: nn.Module, values: Tensor) -> Tensor:
    """Summed over all axes on which a normalization's scale does not depend but the first."""
    if isinstance(layer, nn.LayerNorm):
        own = len(layer.normalized_shape)
        return values.flatten(1, -own - 1).sum(dim=1) if values.ndim > own + 1 else values
    return values.flatten(2).sum(dim=2) if values.ndim > 2 else values


def _squares(values: Tensor) -> Tensor:
    return torch.linalg.vector_norm(values.flatten(1), dim=1).double().square()


def _dots(one: Tensor, other: Tensor) -> Tensor:
    return (one * other).flatten(1).sum(dim=1).double()
