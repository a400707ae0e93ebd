"""Convolutions keep their operator norm below the bound, against the SVD of the unrolled map."""

from functools import partial
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from labeled_points import NOTHING
from torch import nn

from al_bench.errors import ConfigError
from al_bench.information.gradients import known_layers
from al_bench.models.deterministic import Deterministic
from al_bench.models.frozen import frozen_copy
from al_bench.models.networks.ddu_resnet import ddu_resnet8, ddu_resnet18
from al_bench.models.networks.spectral import SpectralConv2d, bake

BOUND = 3.0
LAYERS = {  # channels_in, channels, kernel, input_size, stride
    "stem": (1, 6, 3, (9, 8), 1),
    "same": (4, 5, 3, (7, 6), 1),
    "strided": (3, 6, 3, (8, 6), 2),
    "strided_odd": (3, 6, 3, (7, 9), 2),
    "matrix": (6, 9, 1, (5, 5), 1),
    "strided_matrix": (6, 9, 1, (6, 5), 2),
    "one_pixel": (4, 4, 3, (1, 1), 1),
}


def sigma(layer, size):
    """The largest singular value of the map that ``layer``, an ordinary convolution, computes."""
    units = layer.in_channels * size[0] * size[1]
    basis = torch.eye(units).view(units, layer.in_channels, *size)
    with torch.no_grad():
        unrolled = layer(basis).flatten(1)  # (inputs, outputs)
    return float(torch.linalg.svdvals(unrolled.double())[0])


def ordinary(layer):
    holder = nn.Sequential(layer)
    bake(holder)
    return holder[0]


def layer_of(name, scale):
    torch.manual_seed(0)
    layer = SpectralConv2d(*LAYERS[name], bound=BOUND)
    with torch.no_grad():
        layer.weight.mul_(scale)
    return layer


def passes(layer, count, size):
    for _ in range(count):
        layer(torch.zeros(1, layer.in_channels, *size))


@pytest.mark.parametrize("name", LAYERS)
def test_after_200_passes_the_operator_norm_is_the_bound(name):
    size = LAYERS[name][3]
    layer = layer_of(name, 20.0)
    passes(layer.train(), 200, size)
    baked = ordinary(layer)
    assert type(baked) is nn.Conv2d
    assert BOUND * (1 - 1e-6) <= sigma(baked, size) <= BOUND * (1 + 1e-3)


@pytest.mark.parametrize("name", LAYERS)
def test_a_weight_within_the_bound_is_left_alone(name):
    layer = layer_of(name, 0.2)
    weight = layer.weight.clone()
    passes(layer.train(), 5, LAYERS[name][3])
    assert torch.equal(ordinary(layer).weight, weight)


@pytest.mark.parametrize("name", LAYERS)
def test_one_step_a_pass_estimates_the_norm_from_below(name):
    size = LAYERS[name][3]
    layer = layer_of(name, 20.0)
    true = 100 * sigma(ordinary(layer_of(name, 0.2)), size)  # of the weight as it is
    estimates = []
    for _ in range(30):
        passes(layer.train(), 1, size)
        factor = (layer.weight / layer.eval().bounded_weight()).detach()
        estimates.append(float(factor.median()) * BOUND)
    assert all(one <= true * (1 + 1e-5) for one in estimates)
    assert all(a <= b * (1 + 1e-5) for a, b in pairwise(estimates))
    assert estimates[-1] > 0.97 * true


@pytest.mark.slow
def test_every_convolution_of_a_network_is_bounded_and_the_linear_layer_is_not():
    torch.manual_seed(0)
    network = ddu_resnet8(input_shape=(2, 8, 8), num_classes=3, spectral=BOUND)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(8.0)
    sizes = {}

    def note(layer, given, _):
        sizes[layer] = given[0].shape[2:]

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(note)
    network.train()
    for _ in range(200):
        network(torch.randn(2, 2, 8, 8))
    for layer, size in list(sizes.items()):
        weight, linear = layer.weight.clone(), network.output.weight.clone()
        assert sigma(ordinary(layer), size) <= BOUND * (1 + 1e-3)
        assert torch.equal(layer.weight, weight)
        assert torch.equal(network.output.weight, linear)
    assert len(sizes) == 7


@pytest.mark.slow
def test_the_gradient_is_that_of_the_quotient():
    torch.manual_seed(0)
    layer = SpectralConv2d(2, 3, 3, (4, 4), 1, 0.5).double()
    for _ in range(500):
        layer.train().bounded_weight()
    layer.eval()
    direction = torch.randn_like(layer.weight)
    (layer.bounded_weight() * direction).sum().backward()
    gradient = layer.weight.grad.clone()
    step = 1e-6 * torch.randn_like(layer.weight)
    values = []
    for sign in (1, -1):
        moved = nn.Conv2d(2, 3, 3, padding=1, bias=False).double()
        with torch.no_grad():
            moved.weight.copy_(layer.weight + sign * step)
            basis = torch.eye(32, dtype=torch.float64).view(32, 2, 4, 4)
            top = torch.linalg.matrix_norm(moved(basis).flatten(1), ord=2)
            values.append(float((moved.weight / (top / 0.5) * direction).sum()))
    assert (values[0] - values[1]) / 2 == pytest.approx(float((gradient * step).sum()), rel=1e-4)


def test_passes_in_evaluation_mode_change_nothing_and_draw_nothing():
    layer = layer_of("same", 20.0).eval()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    state = torch.get_rng_state()
    layer(torch.randn(3, 4, 7, 6, generator=torch.Generator().manual_seed(0)))
    ordinary(layer)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    assert before.keys() == {"weight", "left", "right"}  # what a warm start restores
    layer.train()(torch.zeros(1, 4, 7, 6))
    assert not torch.equal(layer.left, before["left"])


def test_mixed_precision_leaves_the_estimate_alone():
    layers = [layer_of("same", 20.0).train() for _ in range(2)]
    inputs = torch.randn(3, 4, 7, 6)
    layers[0](inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layers[1](inputs).dtype == torch.bfloat16
    assert torch.equal(layers[0].left, layers[1].left)
    assert torch.equal(layers[0].eval().bounded_weight(), layers[1].eval().bounded_weight())


def test_frozen_copies_predict_the_same_with_ordinary_layers():
    torch.manual_seed(0)
    network = ddu_resnet8(input_shape=(1, 8, 8), num_classes=3, spectral=0.5)
    inputs = torch.randn(5, 1, 8, 8)
    network.train()(inputs)
    frozen = frozen_copy(network, torch.float32)
    assert {type(layer) for layer in frozen.modules() if isinstance(layer, nn.Conv2d)} == {
        nn.Conv2d
    }
    assert isinstance(network.stem, SpectralConv2d)
    assert network.training
    assert torch.equal(frozen(inputs), network.eval()(inputs))
    model = Deterministic(partial(ddu_resnet8, spectral=0.5))
    given = model.posterior([network], NOTHING, torch.Generator(), torch.float32).network()
    assert known_layers(given) is not None  # gradients of every point layer by layer
    assert all(parameter.requires_grad for parameter in given.parameters())
    assert torch.equal(given(inputs), frozen(inputs))


def test_without_a_bound_convolutions_are_ordinary():
    network = ddu_resnet18(input_shape=(1, 8, 8), num_classes=3, spectral=None)
    assert type(network.stem) is nn.Conv2d


@pytest.mark.parametrize("wrong", [0, -1.0, float("nan"), "three", True])
def test_a_bound_that_is_none_is_refused(wrong):
    with pytest.raises(ConfigError, match="spectral must be a number above 0"):
        ddu_resnet8(input_shape=(1, 8, 8), num_classes=3, spectral=wrong)


def test_training_moves_what_is_bounded():
    torch.manual_seed(0)
    network = ddu_resnet8(input_shape=(1, 8, 8), num_classes=3, spectral=0.5).train()
    F.cross_entropy(network(torch.randn(4, 1, 8, 8)), torch.tensor([0, 1, 2, 0])).backward()
    assert all(bool(parameter.grad.any()) for parameter in network.parameters())
