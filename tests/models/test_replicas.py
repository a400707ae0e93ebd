"""Networks side by side against the same networks one by one."""

import pytest
import torch
from torch import nn

from al_bench.models.base import Network
from al_bench.models.networks.blocks import BlockNetwork, Conv, Dense
from al_bench.models.networks.gap_cnn import gap_cnn
from al_bench.models.networks.mlp import mlp
from al_bench.models.networks.random_features import RandomFeatureNetwork
from al_bench.models.networks.resnet import resnet18
from al_bench.models.replicas import Replicas

SHAPE, CLASSES, WIDTH = (2, 9, 8), 3, 3


def convolutional():
    blocks = (Conv(3, 3, pool=2, masked=False), Conv(4, 2, padding=1), Dense(5), Dense(6, False))
    return BlockNetwork(SHAPE, CLASSES, blocks, dropout=0.5)


class Frozen(Network):
    """A layer that is not trained, and a number."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(144, 4).requires_grad_(False)
        self.scale = nn.Parameter(torch.rand(()))
        self.output = nn.Linear(4, CLASSES)

    def prefix(self, inputs):
        return torch.tanh(self.first(inputs.flatten(1)))

    def body(self, hidden, masks=None):
        return hidden * self.scale


def frozen_blocks():
    network = convolutional()
    network.layers[0].requires_grad_(False)
    network.output.bias.requires_grad_(False)
    return network


NETWORKS = {
    "frozen blocks": frozen_blocks,
    "dense": lambda: mlp(input_shape=SHAPE, num_classes=CLASSES, hidden=(7, 5)),
    "convolutional": convolutional,
    "averaged": lambda: gap_cnn(input_shape=SHAPE, num_classes=CLASSES, dropout=0.5),
    "residual": lambda: resnet18(input_shape=SHAPE, num_classes=CLASSES, width=2),
    "random features": lambda: RandomFeatureNetwork(convolutional(), 10, 1.0),
    "frozen": Frozen,
}


@pytest.fixture(autouse=True)
def _doubles():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def networks(name):
    torch.manual_seed(0)
    return [NETWORKS[name]().train() for _ in range(WIDTH)]


def filled(those, together=None):
    replicas = Replicas(those[0], WIDTH, together)
    for slot, network in enumerate(those):
        replicas.put(slot, network)
    return replicas


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_logits_gradients_and_statistics_are_those_of_each_network(name, together):
    those = networks(name)
    replicas = filled(those, together)
    inputs = torch.randn(WIDTH, 5, *SHAPE)
    masks = [2.0 * (torch.rand(WIDTH, 5, units) < 0.5) for units in those[0].mask_units]
    logits = replicas.logits(inputs, masks)
    (gradient,) = torch.autograd.grad(logits.square().sum(), replicas.weights)
    with torch.no_grad():
        replicas.weights.copy_(gradient)  # to be taken as weights
    for slot, network in enumerate(those):
        wanted = network(inputs[slot], [mask[slot] for mask in masks])
        torch.testing.assert_close(logits[slot], wanted, rtol=0, atol=1e-10)
        wanted.square().sum().backward()
        taken = NETWORKS[name]()
        replicas.take(slot, taken)
        for key, weight in network.named_parameters():
            if weight.requires_grad:
                torch.testing.assert_close(
                    taken.get_parameter(key).data, weight.grad, rtol=0, atol=1e-9
                )
        for (key, mine), (_, his) in zip(
            taken.named_buffers(), network.named_buffers(), strict=True
        ):
            torch.testing.assert_close(mine, his, rtol=0, atol=1e-12, msg=key)


@pytest.mark.parametrize("name", ["convolutional", "residual", "frozen"])
def test_what_is_kept_stays_while_networks_are_trained(name):
    those = networks(name)
    replicas = filled(those)
    replicas.keep([0, 2])
    with torch.no_grad():
        replicas.weights.add_(1.0)
        for value in replicas.buffers.values():
            value.add_(1)
    taken = NETWORKS[name]()
    for slot in (0, 2):
        replicas.take(slot, taken, kept=True)
        for key, value in taken.state_dict().items():
            assert torch.equal(value, those[slot].state_dict()[key]), key
    replicas.take(1, taken)
    for key, value in taken.state_dict().items():
        torch.testing.assert_close(value, those[1].state_dict()[key] + 1)
