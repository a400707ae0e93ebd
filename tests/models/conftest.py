"""Networks of every kind, with weights that make confident, differing predictions."""

from collections.abc import Callable
from functools import partial

import pytest
import torch

from al_bench.models.base import Network
from al_bench.models.networks.cnn import batchbald_cnn, digits_cnn, emnist_cnn, tutorial_cnn
from al_bench.models.networks.ddu_resnet import ddu_resnet8
from al_bench.models.networks.gap_cnn import gap_cnn
from al_bench.models.networks.mlp import mlp
from al_bench.models.networks.resnet import resnet18
from al_bench.models.networks.vgg import VGG

FACTORIES = {
    "batchbald_cnn": (batchbald_cnn, (1, 28, 28)),
    "batchbald_cnn_in_color": (partial(batchbald_cnn, dropout=0.25), (3, 19, 17)),
    "ddu_resnet8": (partial(ddu_resnet8, spectral=0.7), (3, 9, 8)),
    "digits_cnn": (digits_cnn, (1, 8, 8)),
    "emnist_cnn": (partial(emnist_cnn, dropout=0.4), (2, 15, 16)),
    "gap_cnn": (partial(gap_cnn, dropout=0.3), (3, 6, 5)),
    "mlp": (partial(mlp, hidden=(24, 16, 8)), (10,)),
    "mlp_but_the_last": (partial(mlp, hidden=(24, 16), dropout_last=False), (10,)),
    "mlp_one_layer": (partial(mlp, hidden=(24,), dropout=0.2), (3, 4)),
    "resnet18": (partial(resnet18, width=4, dropout=0.3), (3, 9, 8)),
    "tutorial_cnn": (partial(tutorial_cnn, dropout=0.3), (3, 17, 16)),
    "vgg": (partial(VGG, groups=((4,), (8, 8))), (3, 9, 8)),
}


@pytest.fixture(params=FACTORIES)
def factory_and_shape(request: pytest.FixtureRequest) -> tuple[Callable[..., Network], tuple]:
    return FACTORIES[request.param]


@pytest.fixture
def network_and_inputs(factory_and_shape) -> tuple[Network, torch.Tensor]:
    factory, shape = factory_and_shape
    torch.manual_seed(0)
    network = factory(input_shape=shape, num_classes=5)
    with torch.no_grad():
        network.output.weight.mul_(3.0)
    return network, torch.randn(37, *shape)
