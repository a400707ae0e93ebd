"""Networks split where they become stochastic, and refuse inputs that are too small."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from al_bench.errors import ConfigError
from al_bench.models.masks import draw_masks
from al_bench.models.networks.blocks import BlockNetwork, Conv, Dense
from al_bench.models.networks.cnn import (
    batchbald_cnn,
    digits_cnn,
    emnist_cnn,
    lenet,
    small_cnn,
    tutorial_cnn,
)
from al_bench.models.networks.ddu_resnet import ddu_resnet8, ddu_resnet18, shortcut
from al_bench.models.networks.gap_cnn import gap_cnn
from al_bench.models.networks.mlp import epig_mlp, mlp, rho_mlp
from al_bench.models.networks.resnet import resnet18
from al_bench.models.networks.vgg import vgg11, vgg16
from al_bench.models.networks.wide_resnet import WideResNet, wide_resnet28_10

CPU = torch.device("cpu")


def size(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_batchbald_cnn_has_the_published_layers():
    network = batchbald_cnn(input_shape=(1, 28, 28), num_classes=10)
    assert [tuple(layer.weight.shape) for layer in network.layers] == [
        (32, 1, 5, 5),
        (64, 32, 5, 5),
        (128, 1024),
    ]
    assert network.output.weight.shape == (10, 128)
    assert network.mask_units == (32, 64, 128)
    assert network.dropout == 0.5
    assert size(network) == 832 + 51_264 + 131_200 + 1_290


def test_emnist_cnn_has_the_published_layers():
    network = emnist_cnn(input_shape=(1, 28, 28), num_classes=47)
    assert [tuple(layer.weight.shape) for layer in network.layers] == [
        (32, 1, 3, 3),
        (64, 32, 3, 3),
        (128, 64, 3, 3),
        (512, 2048),
    ]
    assert network.output.weight.shape == (47, 512)
    assert network.mask_units == (32, 64, 128, 512)
    assert size(network) == 320 + 18_496 + 73_856 + 1_049_088 + 24_111


def test_small_cnn_has_the_published_layers():
    network = small_cnn(input_shape=(3, 32, 32), num_classes=10)
    assert [tuple(layer.weight.shape) for layer in network.layers] == [
        (64, 3, 3, 3),
        (128, 64, 3, 3),
        (256, 128, 3, 3),
        (128, 1024),
        (256, 128),
    ]
    assert [block.padding for block in network.blocks[:3]] == [0, 0, 0]
    assert [block.pool for block in network.blocks[:3]] == [2, 2, 2]
    assert network.output.weight.shape == (10, 256)
    assert network.mask_units == ()
    assert small_cnn(input_shape=(3, 32, 32), num_classes=10, dropout=0.5).mask_units == (
        *(64, 128, 256),
        *(128, 256),
    )


def test_tutorial_cnn_is_the_tutorials():
    torch.manual_seed(0)
    network = tutorial_cnn(input_shape=(3, 32, 32), num_classes=10)
    assert size(network) == 456 + 2_416 + 48_120 + 10_164 + 850
    assert network.mask_units == ()
    conv1, conv2, *dense = network.layers
    inputs = torch.randn(4, 3, 32, 32)
    hidden = F.max_pool2d(F.relu(F.conv2d(inputs, conv1.weight.contiguous(), conv1.bias)), 2)
    hidden = F.max_pool2d(F.relu(F.conv2d(hidden, conv2.weight.contiguous(), conv2.bias)), 2)
    hidden = hidden.flatten(1)
    for layer in dense:
        hidden = F.relu(layer(hidden))
    torch.testing.assert_close(network(inputs), network.output(hidden), rtol=1e-5, atol=1e-6)


def test_gap_cnn_averages_its_last_convolution_over_the_image():
    torch.manual_seed(0)
    network = gap_cnn(input_shape=(3, 8, 6), num_classes=10)
    assert size(network) == 896 + 18_496 + 73_856 + 1_290
    assert network.mask_units == ()
    inputs = torch.randn(4, 3, 8, 6)
    hidden = inputs
    for layer in network.layers:
        hidden = F.relu(F.conv2d(hidden, layer.weight.contiguous(), layer.bias, padding=1))
    assert hidden.shape == (4, 128, 8, 6)
    averaged = hidden.flatten(2).mean(dim=2)
    torch.testing.assert_close(network(inputs), network.output(averaged), rtol=1e-5, atol=1e-6)


def test_lenet_leaves_256_features_of_a_digit():
    network = lenet(input_shape=(1, 28, 28), num_classes=10)
    assert size(network) == 156 + 2_416 + 30_840 + 10_164 + 850
    assert network.mask_units == ()


def test_the_last_layer_of_an_mlp_may_keep_its_units():
    factory = partial(mlp, input_shape=(4,), num_classes=3, hidden=(8, 6, 5), dropout=0.1)
    assert factory().mask_units == factory(dropout_last=True).mask_units == (8, 6, 5)
    assert factory(dropout_last=False).mask_units == (8, 6)
    with pytest.raises(ConfigError, match="dropout_last must be true, false or null, got 1"):
        factory(dropout_last=1)


@pytest.mark.parametrize(("factory", "convolutions"), [(vgg11, 8), (vgg16, 13)])
def test_vgg_networks_are_torchvisions_but_for_their_one_linear_layer(factory, convolutions):
    network = factory(input_shape=(3, 32, 32), num_classes=10)
    theirs = {vgg11: torchvision.models.vgg11_bn, vgg16: torchvision.models.vgg16_bn}[factory]
    with torch.device("meta"):
        kinds = [type(layer) for layer in theirs().features]
        expected = [
            (layer.in_channels, layer.out_channels)
            for layer in theirs().features
            if isinstance(layer, nn.Conv2d)
        ]
    assert [type(layer) for layer in network.layers] == kinds
    ours = [layer for layer in network.layers if isinstance(layer, nn.Conv2d)]
    assert [(layer.in_channels, layer.out_channels) for layer in ours] == expected
    assert len(ours) == convolutions
    assert network.output.weight.shape == (10, 512)
    assert network.mask_units == ()


def test_wide_resnet28_10_has_28_layers_and_one_mask_a_block():
    with torch.device("meta"):
        network = WideResNet((3, 32, 32), 10, spectral=None, dropout=0.3)
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert (
        len(convolutions) == 28 - 3
    )  # of the 28 three are in shortcuts, which have no weights here
    assert network.mask_units == (160,) * 4 + (320,) * 4 + (640,) * 4
    assert network.output.weight.shape == (10, 640)
    assert size(network) == 36_479_194 - 160 * 16 - 320 * 160 - 640 * 320


@pytest.mark.slow
def test_wide_resnet_drops_channels_between_convolutions():
    network = wide_resnet28_10(input_shape=(3, 8, 8), num_classes=3).eval()
    inputs = torch.randn(2, 3, 8, 8)
    masks = [torch.ones(1, units) for units in network.mask_units]
    assert torch.equal(network(inputs, masks), network(inputs))
    masks[5] = torch.zeros(1, 320)
    assert not torch.equal(network(inputs, masks), network(inputs))


def test_vgg_skips_its_first_pool_where_images_are_small():
    for side, pools in ((28, 4), (32, 5)):
        network = vgg11(input_shape=(3, side, side), num_classes=10)
        assert sum(isinstance(layer, nn.MaxPool2d) for layer in network.layers) == pools
        assert network.eval().layers(torch.zeros(1, 3, side, side)).shape == (1, 512, 1, 1)


def test_epig_mlp_drops_units_of_the_first_two_of_three_layers():
    network = epig_mlp(input_shape=(10,), num_classes=3)
    widths = [tuple(weight.shape) for weight in network.parameters() if weight.ndim == 2]
    assert widths == [(128, 10), (128, 128), (128, 128), (3, 128)]
    assert (network.mask_units, network.dropout) == ((128, 128), 0.1)


def test_rho_mlp_has_the_published_layers():
    network = rho_mlp(input_shape=(1, 28, 28), num_classes=10)
    assert [tuple(layer.weight.shape) for layer in network.layers] == [
        (512, 784),
        (512, 512),
        (512, 512),
    ]
    assert network.output.weight.shape == (10, 512)
    assert network.mask_units == ()


def test_resnet18_for_cifar_has_the_published_size_and_keeps_the_resolution_in_its_stem():
    network = resnet18(input_shape=(3, 32, 32), num_classes=10, dropout=0)
    assert size(network) == 11_173_962
    assert network.stem[0].stride == (1, 1)
    assert network.output.in_features == 512
    assert network.mask_units == ()


def test_ddu_resnet18_has_the_published_size_and_shortcuts_without_weights():
    network = ddu_resnet18(input_shape=(3, 32, 32), num_classes=10)
    assert size(network) == 11_000_138
    assert network.stem.stride == (1, 1)
    assert network.output.in_features == 512
    assert [block.stride for block in network.blocks] == [1, 1, 2, 1, 2, 1, 2, 1]


def test_ddu_resnet8_halves_images_three_times():
    network = ddu_resnet8(input_shape=(1, 28, 28), num_classes=10)
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [16, 16, 16, 32, 32, 64, 64]
    assert network.output.weight.shape == (10, 64)
    hidden = network.blocks(network.stem(torch.randn(2, 1, 28, 28)))
    assert hidden.shape == (2, 64, 4, 4)


def test_shortcuts_average_even_sides_pick_of_odd_ones_and_pad_with_zeros():
    maps = torch.arange(16.0).view(1, 1, 4, 4)
    pooled = shortcut(maps, 3, 2)
    assert pooled[0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert pooled.shape == (1, 3, 2, 2)
    assert not pooled[:, 1:].any()
    assert shortcut(maps[:, :, :3], 1, 2)[0, 0].tolist() == [[0, 2], [8, 10]]
    assert torch.equal(shortcut(maps, 1, 1), maps)


def published_order(network, inputs, masks):
    """The BatchBALD network as published: dropout before pooling, NCHW, nothing shared."""
    conv1, conv2, dense = network.layers
    mask1, mask2, mask3 = masks
    hidden = F.conv2d(inputs, conv1.weight.contiguous(), conv1.bias) * mask1[:, :, None, None]
    hidden = F.relu(F.max_pool2d(hidden, 2))
    hidden = F.conv2d(hidden, conv2.weight.contiguous(), conv2.bias) * mask2[:, :, None, None]
    hidden = F.relu(F.max_pool2d(hidden, 2))
    hidden = F.relu(F.linear(hidden.flatten(1), dense.weight, dense.bias) * mask3)
    return network.output(hidden)


def test_pooling_before_dropout_equals_the_published_order():
    torch.manual_seed(0)
    network = batchbald_cnn(input_shape=(1, 28, 28), num_classes=10)
    inputs = torch.randn(6, 1, 28, 28)
    masks = draw_masks(network, 6, torch.Generator().manual_seed(0), CPU)
    torch.testing.assert_close(
        network(inputs, masks), published_order(network, inputs, masks), rtol=1e-5, atol=1e-6
    )


def test_forward_is_output_of_body_of_prefix(network_and_inputs):
    network, inputs = network_and_inputs
    network.eval()
    masks = draw_masks(network, len(inputs), torch.Generator().manual_seed(0), CPU)
    for given in (None, masks):
        features = network.body(network.prefix(inputs), given)
        assert features.shape == (len(inputs), network.output.in_features)
        assert torch.equal(network.output(features), network(inputs, given))


def test_masks_of_one_row_serve_every_point(network_and_inputs):
    network, inputs = network_and_inputs
    network.eval()
    masks = draw_masks(network, 1, torch.Generator().manual_seed(0), CPU)
    repeated = [mask.expand(len(inputs), -1) for mask in masks]
    torch.testing.assert_close(network(inputs, masks), network(inputs, repeated))


def test_prefix_depends_on_no_mask_and_body_depends_on_every_mask(network_and_inputs):
    network, inputs = network_and_inputs
    network.eval()
    masks = draw_masks(network, 1, torch.Generator().manual_seed(0), CPU)
    logits = network(inputs, masks)
    for i, mask in enumerate(masks):
        nothing = [*masks[:i], torch.zeros_like(mask), *masks[i + 1 :]]
        assert not torch.equal(network(inputs, nothing), logits)


def test_gradients_reach_every_parameter(network_and_inputs):
    network, inputs = network_and_inputs
    masks = draw_masks(network, len(inputs), torch.Generator().manual_seed(0), CPU)
    network(inputs, masks).logsumexp(1).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_without_dropout_there_are_no_masks_and_the_prefix_is_everything():
    network = digits_cnn(input_shape=(1, 8, 8), num_classes=10, dropout=0.0)
    assert network.mask_units == ()
    inputs = torch.randn(3, 1, 8, 8)
    features = network.prefix(inputs)
    assert features.shape == (3, 64)
    assert torch.equal(network.output(features), network(inputs))


def test_a_mask_acts_only_where_a_block_declares_one():
    blocks = (Conv(4, 3, masked=False), Conv(6, 3), Dense(8, masked=False), Dense(7))
    network = BlockNetwork((2, 8, 8), 3, blocks, 0.5)
    assert network.mask_units == (6, 7)
    assert network.prefix(torch.randn(5, 2, 8, 8)).shape == (5, 6, 4, 4)


def test_blocks_whose_feature_maps_vanish_are_refused():
    with pytest.raises(ConfigError, match=r"too small for Conv\(channels=4"):
        BlockNetwork((1, 6, 6), 3, (Conv(2, 3), Conv(4, 5)), 0.5)


def test_the_global_generator_decide_the_weights():
    torch.manual_seed(3)
    first = digits_cnn(input_shape=(1, 8, 8), num_classes=10)
    second = digits_cnn(input_shape=(1, 8, 8), num_classes=10)
    torch.manual_seed(3)
    again = digits_cnn(input_shape=(1, 8, 8), num_classes=10)
    assert torch.equal(first.output.weight, again.output.weight)
    assert not torch.equal(first.output.weight, second.output.weight)


def test_networks_train_under_vmap():
    from torch.func import functional_call, grad, stack_module_state, vmap

    networks = [digits_cnn(input_shape=(1, 8, 8), num_classes=3) for _ in range(2)]
    parameters, buffers = stack_module_state(networks)
    inputs, masks = torch.randn(2, 4, 1, 8, 8), [torch.ones(2, 4, 32), torch.ones(2, 4, 64)]

    def loss(parameters, buffers, inputs, masks):
        logits = functional_call(networks[0], (parameters, buffers), (inputs, masks))
        return logits.square().sum()

    stacked = vmap(grad(loss))(parameters, buffers, inputs, masks)["output.weight"]
    networks[1](inputs[1], [mask[1] for mask in masks]).square().sum().backward()
    torch.testing.assert_close(stacked[1], networks[1].output.weight.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("factory", "shape", "fitting"),
    [
        (batchbald_cnn, (1, 8, 8), ["digits_cnn", "mlp", "resnet18"]),
        (emnist_cnn, (3, 13, 40), ["digits_cnn", "mlp", "resnet18"]),
        (digits_cnn, (64,), ["mlp"]),
        (resnet18, (1, 4, 4), ["digits_cnn", "mlp"]),
    ],
)
def test_inputs_that_do_not_fit_are_refused_with_the_networks_that_do(factory, shape, fitting):
    with pytest.raises(ConfigError) as caught:
        factory(input_shape=shape, num_classes=10)
    assert str(shape) in caught.value.message
    named = {word.strip(".,").removeprefix("model/network=") for word in caught.value.hint.split()}
    assert named >= set(fitting)
    assert factory.__name__ not in named


@pytest.mark.parametrize(
    ("factory", "least"),
    [
        (batchbald_cnn, 16),
        (ddu_resnet18, 8),
        (ddu_resnet8, 8),
        (digits_cnn, 4),
        (emnist_cnn, 14),
        (gap_cnn, 1),
        (resnet18, 8),
        (small_cnn, 22),
        (lenet, 16),
        (tutorial_cnn, 16),
        (vgg11, 16),
        pytest.param(vgg16, 16, marks=pytest.mark.slow),
        pytest.param(wide_resnet28_10, 8, marks=pytest.mark.slow),
    ],
)
def test_the_smallest_image_that_is_accepted_works(factory, least):
    network = factory(input_shape=(1, least, least), num_classes=3).eval()
    assert network(torch.randn(2, 1, least, least)).shape == (2, 3)
    with pytest.raises(ConfigError):
        factory(input_shape=(1, least, least - 1), num_classes=3)


@pytest.mark.parametrize("shape", [(3, None, None), (1, -1, 28), (), (1, 0, 8)])
def test_inputs_of_unknown_size_are_refused(shape):
    with pytest.raises(ConfigError, match="images of at least 8x8 pixels, got") as caught:
        ddu_resnet8(input_shape=shape, num_classes=10)
    assert str(shape) in caught.value.message
    assert "one size" in caught.value.hint


@pytest.mark.parametrize("dropout", [-0.1, 1.0, math.nan])
def test_dropout_outside_its_range_is_refused(dropout):
    with pytest.raises(ConfigError, match="dropout"):
        digits_cnn(input_shape=(1, 8, 8), num_classes=10, dropout=dropout)


def test_other_impossible_requests_are_refused():
    with pytest.raises(ConfigError, match="hidden"):
        mlp(input_shape=(4,), num_classes=3, hidden=(8, 0))
    with pytest.raises(ConfigError, match="2 classes"):
        mlp(input_shape=(4,), num_classes=1)
    with pytest.raises(ConfigError, match="width"):
        resnet18(input_shape=(3, 8, 8), num_classes=3, width=0)


def test_a_linear_classifier_is_an_mlp_without_hidden_layers():
    network = mlp(input_shape=(2, 3), num_classes=4, hidden=())
    assert size(network) == 6 * 4 + 4
    inputs = torch.randn(5, 2, 3)
    assert torch.equal(network(inputs), network.output(inputs.flatten(1)))


def test_batch_norm_counts_batches_in_training_only():
    network = partial(resnet18, width=2)(input_shape=(1, 8, 8), num_classes=3)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    network.train()(torch.randn(4, 1, 8, 8))
    network.eval()(torch.randn(4, 1, 8, 8))
    assert {int(norm.num_batches_tracked) for norm in norms} == {1}
