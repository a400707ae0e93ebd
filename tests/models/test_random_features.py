"""Random features have the kernel that they stand for, and wrap any network."""

import math
from functools import partial

import pytest
import torch
from labeled_points import NOTHING
from torch import nn

from al_bench.models.masks import draw_masks
from al_bench.models.networks.cnn import digits_cnn
from al_bench.models.networks.ddu_resnet import ddu_resnet8
from al_bench.models.networks.random_features import RandomFeatures
from al_bench.models.networks.spectral import SpectralConv2d
from al_bench.models.sngp import SNGP


def model_of(network):
    return SNGP(network, num_samples=2, num_features=30)


@pytest.mark.parametrize("length_scale", [0.5, 1.0, 3.0])
def test_inner_products_of_random_features_are_the_gaussian_kernel(length_scale):
    torch.manual_seed(0)
    features = 5 * torch.randn(12, 8) + 3
    found = RandomFeatures(8, 100_000, length_scale)(features).double()
    centered = features.double() - features.double().mean(dim=1, keepdim=True)
    centered /= centered.square().mean(dim=1, keepdim=True).sqrt()
    squares = torch.cdist(centered, centered).square()
    expected = (-squares / (2 * length_scale**2 * 8)).exp()
    assert (found @ found.T / 8 - expected).abs().max() < 5 / math.sqrt(100_000)
    constant = RandomFeatures(8, 50, length_scale)(torch.full((2, 8), 3.0))
    assert constant.isfinite().all()


def test_the_network_is_the_inner_one_up_to_its_features(factory_and_shape):
    factory, shape = factory_and_shape
    torch.manual_seed(0)
    inner = factory(input_shape=shape, num_classes=5).eval()
    torch.manual_seed(0)
    network = model_of(factory).build(shape, 5).eval()
    inputs = torch.randn(6, *shape)
    masks = draw_masks(network, 6, torch.Generator().manual_seed(0), torch.device("cpu"))
    assert (network.mask_units, network.dropout) == (inner.mask_units, inner.dropout)
    for given_masks in (None, masks):
        features = inner.body(inner.prefix(inputs), given_masks)
        expected = network.output(network.random(features))
        torch.testing.assert_close(network(inputs, given_masks), expected)
    network.train()(inputs).logsumexp(1).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert network.output.bias is None


def test_random_features_follow_the_weights_into_a_warm_start():
    model = model_of(digits_cnn)
    torch.manual_seed(0)
    first, second = (model.build((1, 8, 8), 4).eval() for _ in range(2))
    inputs = torch.randn(3, 1, 8, 8)
    assert not torch.equal(first.random.directions, second.random.directions)
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(inputs), second(inputs))
    torch.manual_seed(0)
    assert torch.equal(model.build((1, 8, 8), 4).random.phases, first.random.phases)


def test_normalized_convolutions_are_kept_in_training_and_baked_in_scoring():
    model = model_of(partial(ddu_resnet8, spectral=0.7))
    torch.manual_seed(0)
    network = model.build((1, 8, 8), 3)
    assert sum(isinstance(layer, SpectralConv2d) for layer in network.modules()) == 7
    inputs = torch.randn(5, 1, 8, 8)
    network.train()(inputs)
    posterior = model.posterior([network], NOTHING, torch.Generator().manual_seed(0), torch.float32)
    own = posterior.network()
    layers = [layer for layer in own.modules() if isinstance(layer, nn.Conv2d)]
    assert {type(layer) for layer in layers} == {nn.Conv2d}
    network.eval()
    torch.testing.assert_close(own(inputs), network(inputs))
    features = network.body(network.prefix(inputs))
    torch.testing.assert_close(posterior.features(inputs), features)
    assert features.shape == (5, 30)
