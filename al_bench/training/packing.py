"""Which networks are trained in packs, and how many together."""

from typing import Any

import torch

from al_bench.errors import ConfigError, error_line, keyed
from al_bench.models.base import Network, NetworkModel
from al_bench.models.replicas import Replicas, is_block_network
from al_bench.seeding import isolated
from al_bench.training.recipe import Recipe

LEAVE_OUT = "Leave pack_width out."
ONE_BY_ONE = 1  # as a width that is asked for


# Linear classifiers of a pack where nothing is asked for, by kind of device; all else is trained
# one by one. Other networks gain less on a CPU, and lose where convolutions take the time; on a GPU
# nothing is measured.
LINEAR_WIDTHS = {"cpu": 4}


def pack_width(
    asked: int | None,
    model: Any,
    recipe: Recipe,
    input_shape: tuple[int, ...],
    num_classes: int,
    device: torch.device,
) -> int | None:
    """How many networks are trained together; ``None`` is one by one.

    Args:
        asked: What was asked for, 1 being one by one; ``None`` decides by kind of network and
            device.
        model: Whose networks are trained.
        recipe: How.
        input_shape: Of one input.
        num_classes: C.
        device: Where.

    Raises:
        ConfigError: What was asked for cannot be had.
    """
    if asked == ONE_BY_ONE or (asked is None and device.type not in LINEAR_WIDTHS):
        return None
    problem = _problem_of_run(model, recipe)
    if problem is None:
        with isolated(torch.Generator().manual_seed(0)):
            network = model.build(input_shape, num_classes)
            another = model.build(input_shape, num_classes) if asked is not None else network
        if asked is None:
            is_linear = is_block_network(network) and not network.blocks
            return LINEAR_WIDTHS[device.type] if is_linear else None
        problem = _problem_of_network(network, another, recipe, input_shape)
    if asked is None:
        return None
    if problem is not None:
        what, hint = problem
        raise ConfigError(f"pack_width={asked}: {what}", hint)
    return asked


def _problem_of_run(model: Any, recipe: Recipe) -> tuple[str, str] | None:
    """Why networks cannot be packed, and what to do, whatever they are."""
    if not isinstance(model, NetworkModel):
        return f"{type(model).__name__} trains no network.", LEAVE_OUT
    own = type(recipe)
    names = ("batches", "steps_per_epoch", "make_optimizer")
    changed = [name for name in names if getattr(own, name) is not getattr(Recipe, name)]
    if changed:
        what = f"{own.__name__} has {changed[0]} of its own, which packs know nothing of."
        return what, LEAVE_OUT
    return None


def _problem_of_network(
    network: Network, another: Network, recipe: Recipe, input_shape: tuple[int, ...]
) -> tuple[str, str] | None:
    """Why networks like these two, which were built one after the other, cannot be packed."""
    if is_block_network(network):
        return None
    name = type(network).__name__
    if recipe.has_short_batches:
        return (
            f"{name} may look at several points together, as batch normalization does, so that "
            "all its batches must have the same size.",
            f"Add {keyed('epoch_size', recipe)} as a multiple of {keyed('batch_size', recipe)}="
            f"{recipe.batch_size}, or leave pack_width out.",
        )
    try:  # two of them, on points of zeros
        replicas = Replicas(network, 2, together=True)
        masks = [replicas.weights.new_ones(2, 2, units) for units in network.mask_units]
        logits = replicas.logits(replicas.weights.new_zeros(2, 2, *input_shape), masks)
        torch.autograd.grad(logits.sum(), replicas.weights)
    except Exception as error:
        return f"several of {name} cannot be computed together ({error_line(error)}).", LEAVE_OUT
    if (drawn := _first_drawn(network, another)) is not None:
        return (
            f"{name} draws its tensor {drawn}, which is neither a parameter nor a buffer, so that "
            "a pack has one for all.",
            f'Write self.register_buffer("{drawn.rpartition(".")[2]}", …), or leave pack_width '
            "out.",
        )
    return None


def _first_drawn(network: Network, another: Network) -> str | None:
    """A plain tensor of a network that another one has with other values, by its dotted name."""
    pairs = zip(network.named_modules(), another.modules(), strict=False)
    for (path, module), other in pairs:
        for name, value in vars(module).items():
            if isinstance(value, torch.Tensor) and not _equals(value, vars(other).get(name)):
                return f"{path}.{name}".lstrip(".")
    return None


def _equals(value: torch.Tensor, other: Any) -> bool:
    if not isinstance(other, torch.Tensor) or value.shape != other.shape:
        return False
    return bool(((value == other) | ((value != value) & (other != other))).all())  # NaN is NaN
