"""The working memory of a point, against what can be counted by hand."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from labeled_points import NOTHING
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from al_bench.models.base import Network
from al_bench.models.frozen import bytes_per_point as of_network
from al_bench.models.frozen import frozen_copy
from al_bench.models.mc_dropout import MCDropout
from al_bench.models.memory import bytes_per_point
from al_bench.models.networks.cnn import batchbald_cnn, digits_cnn, emnist_cnn
from al_bench.models.networks.mlp import mlp
from al_bench.models.networks.resnet import resnet18

CPU = torch.device("cpu")
SCRIPTS = Path(__file__).parents[2] / "scripts"
WEIGHT = torch.zeros(100, 100)


def parametrized(inputs):
    return inputs @ (2 * WEIGHT)


def with_all_held(inputs):
    held = [inputs * i for i in range(5)]
    return torch.cat(held, dim=1)


def one_after_another(inputs):
    for _ in range(5):
        inputs = inputs + 1
    return inputs


def with_all_pairs(inputs):
    return F.cosine_similarity(inputs[:, None], inputs[:, :, None], dim=1)


def point_by_point(inputs):
    return torch.cat([row @ (2 * WEIGHT) for row in inputs.split(1)])


ROW = 400  # bytes of an input: 100 numbers


@pytest.mark.parametrize(
    ("forward", "expected"),
    [
        (parametrized, 3 * ROW),  # the input and the product, and room for one more
        (with_all_held, 3 * 5 * ROW),  # input, five, and the five together are 11
        (one_after_another, 3 * ROW),
        (lambda x: [x + i for i in range(7)], 8 * ROW),
        (lambda x: x[:, :1].clone(), 3 * ROW),
        (lambda x: torch.stack(4 * [x], 1).sum(), 3 * 4 * ROW),
    ],
)
def test_what_grows_with_the_points_is_counted_and_weights_are_not(forward, expected):
    assert bytes_per_point(forward, (100,), torch.float32, CPU) == expected


def test_tensors_inside_a_composed_operation_count():
    assert bytes_per_point(with_all_pairs, (100,), torch.float32, CPU) >= 3 * 100 * ROW


def test_a_pass_that_takes_the_points_one_by_one_is_charged_all_that_it_holds():
    found = bytes_per_point(point_by_point, (100,), torch.float32, CPU)
    assert found >= 100 * ROW / 4  # the doubled weight, by four points


def test_inputs_in_bfloat16_lie_beside_those_that_were_gathered():
    found = bytes_per_point(lambda x: [x + i for i in range(7)], (100,), torch.bfloat16, CPU)
    assert found == 8 * ROW / 2 + ROW


class Normalized(Network):
    """One wide layer, its weight computed anew in every pass where ``spectral``."""

    def __init__(self, spectral):
        super().__init__()
        layer = nn.Linear(16, 400)
        self.layer = spectral_norm(layer) if spectral else layer
        self.output = nn.Linear(400, 2)

    def prefix(self, inputs):
        return F.relu(self.layer(inputs))

    def body(self, hidden, masks=None):
        return hidden


def test_parametrized_weights_are_no_memory_of_a_point():
    plain, spectral = (frozen_copy(Normalized(kind), torch.float32) for kind in (False, True))
    assert of_network(spectral, (16,)) == of_network(plain, (16,)) == 3 * 4 * 400


# Chunks decide the last bits of what is scored, so they are to stay as they are.
OF_NETWORKS = {
    "batchbald_cnn": (batchbald_cnn, (1, 28, 28), 221_184),
    "emnist_cnn": (emnist_cnn, (1, 28, 28), 259_584),
    "digits_cnn": (digits_cnn, (1, 8, 8), 24_576),
    "mlp": (mlp, (1, 28, 28), 9_408),
    "mlp_of_digits": (mlp, (1, 8, 8), 3_328),
    "resnet18": (partial(resnet18, width=8), (3, 32, 32), 188_416),
}


@pytest.mark.parametrize("name", OF_NETWORKS)
def test_our_networks_take_what_they_took(name):
    factory, shape, expected = OF_NETWORKS[name]
    network = frozen_copy(factory(input_shape=shape, num_classes=10), torch.float32)
    assert of_network(network, shape) == expected


class Masked(Network):
    """Masks a map that is larger than all that comes after it."""

    mask_units = (2000,)
    dropout = 0.5

    def __init__(self):
        super().__init__()
        self.output = nn.Linear(1, 2)

    def prefix(self, inputs):
        return inputs.expand(len(inputs), 2000)

    def body(self, hidden, masks=None):
        if masks is not None:
            hidden = hidden * masks[0]
        return hidden[:, :1]


def test_masks_count_where_samples_are_masked():
    posterior = MCDropout(lambda **_: Masked(), 3).posterior(
        [Masked()], NOTHING, torch.Generator().manual_seed(0), torch.float32
    )
    assert posterior.chunk_size((1,), 10 * 2**20) == 10 * 2**20 // (3 * 8000 + 24) // 32 * 32


RESIDENT = """
import torch
from functools import partial
from strategy_benchmarks.memory import with_peak
from al_bench.models.frozen import bytes_per_point, frozen_copy
from al_bench.models.networks.cnn import batchbald_cnn, digits_cnn
from al_bench.models.networks.resnet import resnet18

torch.set_num_threads(1)
for factory, shape, count in (
    (batchbald_cnn, (1, 28, 28), 1000),
    (digits_cnn, (1, 8, 8), 8000),
    (partial(resnet18, width=8), (3, 16, 16), 2000),
):
    network = frozen_copy(factory(input_shape=shape, num_classes=10), torch.float32)

    def scored(count):
        with torch.inference_mode():
            return network(torch.zeros(count, *shape)).sum()

    scored(8)  # what is loaded and built once
    peaks = [with_peak(lambda: scored(n))[1] for n in (count, 2 * count)]
    if peaks[0] is not None:
        print((peaks[1] - peaks[0]) / count / bytes_per_point(network, shape))
"""


@pytest.mark.slow
def test_what_is_reckoned_is_what_becomes_resident():
    # With a threshold of their own, tensors are given back to the system as soon as they are gone.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "PYTHONPATH": str(SCRIPTS)}
    command = [sys.executable, "-c", RESIDENT]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    shares = [float(line) for line in told.stdout.split()]
    if not shares:
        pytest.skip("the system does not tell what a process holds at most")
    # Three of the largest tensors are reckoned for the first two, what is alive for the last.
    for share, least in zip(shares, (0.5, 0.6, 0.95), strict=True):
        assert least < share < 1.03
