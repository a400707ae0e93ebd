"""Which networks are packed where nothing is asked for, and which cannot be."""

import functools
from dataclasses import dataclass

import pytest
import torch

from al_bench.errors import ConfigError
from al_bench.models.deterministic import Deterministic
from al_bench.models.networks.mlp import mlp
from al_bench.models.networks.resnet import ResNet
from al_bench.training.packing import pack_width
from al_bench.training.recipe import Recipe

CPU, GPU = torch.device("cpu"), torch.device("cuda")
LINEAR = Deterministic(functools.partial(mlp, hidden=()))
DENSE = Deterministic(functools.partial(mlp, hidden=(4,)))


def width(asked, model=DENSE, recipe=None, device=CPU):
    return pack_width(asked, model, recipe or Recipe(), (1, 8, 8), 3, device)


def test_linear_classifiers_are_packed_on_a_cpu_and_nothing_else():
    assert width(None, LINEAR) == 4
    assert width(None) is None
    assert width(None, LINEAR, device=GPU) is None
    assert width(None, model=object()) is None
    assert width(7) == width(7, LINEAR, device=GPU) == 7
    assert width(1) is width(1, LINEAR) is width(1, model=object()) is None


def test_buffers_may_be_drawn():
    assert width(3, Deterministic(registered)) == 3


@dataclass(frozen=True)
class OwnBatches(Recipe):
    def batches(self, num_labeled, generator):
        yield torch.arange(2)


class OwnOptimizer(Recipe):
    def make_optimizer(self, network):
        return torch.optim.RAdam(network.parameters())


class Shifted(ResNet):
    def __init__(self, channels, num_classes):
        super().__init__(channels, num_classes, width=1, dropout=0.0)
        self.shift = torch.randn(1)
        self.scale = torch.ones(1)  # the same in each: a pack may have one for all

    def body(self, hidden, masks=None):
        return hidden * self.scale + self.shift


def shifted(*, input_shape, num_classes):
    return Shifted(input_shape[0], num_classes)


class Registered(Shifted):
    def __init__(self, channels, num_classes):
        super().__init__(channels, num_classes)
        del self.shift
        self.register_buffer("shift", torch.randn(1))


def registered(*, input_shape, num_classes):
    return Registered(input_shape[0], num_classes)


class Drawing(ResNet):
    def body(self, hidden, masks=None):
        return hidden * torch.rand(())


def drawing(*, input_shape, num_classes):
    return Drawing(input_shape[0], num_classes, width=1, dropout=0.0)


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("object trains no network", dict(model=object())),
        ("OwnBatches has batches of its own", dict(recipe=OwnBatches())),
        ("OwnOptimizer has make_optimizer of its own", dict(recipe=OwnOptimizer())),
        (
            "Drawing may look at several points together",
            dict(model=Deterministic(drawing), recipe=Recipe(epoch_size=None)),
        ),
        (
            "several of Drawing cannot be computed together",
            dict(model=Deterministic(drawing)),
        ),
        (
            "Shifted draws its tensor shift, which is neither a parameter nor a buffer",
            dict(model=Deterministic(shifted)),
        ),
    ],
)
def test_what_cannot_be_packed_is_refused_where_it_was_asked_for(said, asked):
    with pytest.raises(ConfigError, match=f"pack_width=3: {said}"):
        width(3, **asked)
    assert width(None, **asked) is None
