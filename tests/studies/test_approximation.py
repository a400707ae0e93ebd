"""Summed and joint Δ of dynamicAL against the speed of training G, computed naively in float64."""

import copy

import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from al_bench.information.gradients import gradient_sum
from al_bench.models.networks.cnn import digits_cnn
from al_bench.models.networks.mlp import mlp
from al_bench.models.networks.resnet import resnet18
from al_bench.studies.approximation import Approximation, changes_of


def speed_of(network, inputs, labels):
    """G = ‖Σ ∇ℓ‖², the gradient of each point by itself."""
    network = copy.deepcopy(network).double()
    total = [torch.zeros_like(parameter) for parameter in network.parameters()]
    for i in range(len(inputs)):
        loss = F.cross_entropy(network(inputs[i : i + 1].double()), labels[i : i + 1])
        for sum_so_far, gradient in zip(
            total, torch.autograd.grad(loss, list(network.parameters())), strict=True
        ):
            sum_so_far += gradient
    return float(sum(part.square().sum() for part in total))


@pytest.mark.slow
@pytest.mark.parametrize("build", [digits_cnn, mlp, resnet18])
@pytest.mark.parametrize("num_labeled", [0, 3])
def test_changes_are_differences_of_the_speed(build, num_labeled):
    torch.manual_seed(0)
    shape = (3, 16, 16) if build is resnet18 else (1, 8, 8)
    network = build(input_shape=shape, num_classes=4).eval()
    labeled, answers = torch.randn(num_labeled, *shape), torch.randint(4, (num_labeled,))
    batch = torch.randn(6, *shape)
    with torch.no_grad():
        labels = network(batch).argmax(dim=1)
    before = speed_of(network, labeled, answers)

    def change(points):
        inputs = torch.cat([labeled, batch[points]])
        return speed_of(network, inputs, torch.cat([answers, labels[points]])) - before

    speed = gradient_sum(network, [(labeled, answers)] if num_labeled else [])
    chunks = [[batch[:2]], [batch[2:3], batch[3:6]]]
    small, large = changes_of(network, speed, chunks)
    for found, size in ((small, 2), (large, 6)):
        alone = sum(change([i]) for i in range(size))
        assert found.summed == pytest.approx(alone, rel=1e-4)
        assert found.joint == pytest.approx(change(list(range(size))), rel=1e-4)


def test_of_a_batch_of_one_nothing_is_lost():
    torch.manual_seed(1)
    network = mlp(input_shape=(5,), num_classes=3).eval()
    speed = gradient_sum(network, [(torch.randn(4, 5), torch.tensor([0, 1, 2, 0]))])
    (change,) = changes_of(network, speed, [[torch.randn(1, 5)]])
    assert change.summed == pytest.approx(change.joint, rel=1e-5)


def test_one_batch_whose_joint_change_is_near_zero_does_not_make_the_ratio():
    rows = [
        {"seed": seed, "epochs": 0, "train_accuracy": 0.5, "batch_size": 25, "ratio": ratio}
        for seed in (0, 1)
        for ratio in (0.9, 1.0 + seed / 10, 4_000.0)
    ]
    table = Approximation(batch_sizes=[25], epochs=[0]).table(pd.DataFrame(rows))
    (shown,) = table.columns[-1].cells
    assert "1.050" in str(shown)
