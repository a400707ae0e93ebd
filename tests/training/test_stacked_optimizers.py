"""Stacked optimizers against those of torch, network by network."""

import pytest
import torch
from torch import nn

from al_bench.training.optimization import Optimization
from al_bench.training.stacked_optimizers import stacked_optimizer

OPTIMIZERS = {
    "adam": dict(),
    "adam with decay": dict(weight_decay=0.3),
    "adamw": dict(optimizer="adamw", weight_decay=0.3),
    "sgd": dict(optimizer="sgd"),
    "sgd with decay": dict(optimizer="sgd", weight_decay=0.3),
    "momentum": dict(optimizer="sgd", momentum=0.9, weight_decay=0.3),
    "nesterov": dict(optimizer="sgd", momentum=0.9, nesterov=True),
}
STEPS, WIDTH, SIZE = 7, 3, 5


class Weights(nn.Module):
    def __init__(self, values):
        super().__init__()
        self.first = nn.Parameter(values[:2].clone())
        self.second = nn.Parameter(values[2:].clone())


@pytest.mark.parametrize("clip_norm", [None, 0.7])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_network_is_changed_as_by_an_optimizer_of_its_own(name, clip_norm):
    """Networks in different steps, with learning rates of their own, one begun anew in between."""
    generator = torch.Generator().manual_seed(0)
    how = Optimization(clip_norm=clip_norm, **OPTIMIZERS[name])
    weights = torch.randn(WIDTH, SIZE, generator=generator, dtype=torch.float64)
    gradients = torch.randn(STEPS, WIDTH, SIZE, generator=generator, dtype=torch.float64)
    rates = torch.rand(STEPS, WIDTH, generator=generator, dtype=torch.float64)
    networks = [Weights(row) for row in weights]
    optimizers = [how.make_optimizer(network) for network in networks]
    stacked = stacked_optimizer(how, weights)
    begun = [0] * WIDTH
    for t in range(STEPS):
        if t == 4:  # another network takes the place of the second
            begun[1] = t
            optimizers[1] = how.make_optimizer(networks[1])
            stacked.forget(1)
        numbers = [
            stacked.rates(t - begun[slot] + 1, float(rates[t, slot])) for slot in range(WIDTH)
        ]
        stacked.step(weights, gradients[t].clone(), torch.tensor(numbers, dtype=torch.float64).T)
        for slot, (network, optimizer) in enumerate(zip(networks, optimizers, strict=True)):
            network.first.grad = gradients[t, slot, :2].clone()
            network.second.grad = gradients[t, slot, 2:].clone()
            if clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(network.parameters(), clip_norm)
            optimizer.param_groups[0]["lr"] = float(rates[t, slot])
            optimizer.step()
            wanted = torch.cat([network.first, network.second])
            torch.testing.assert_close(weights[slot], wanted.detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rates_of_zero_change_nothing_where_gradients_are_zero(name):
    """Empty slots stay as they are, also with a momentum of what was there."""
    how = Optimization(clip_norm=1.0, **OPTIMIZERS[name])
    weights = torch.ones(2, SIZE)
    stacked = stacked_optimizer(how, weights)
    stacked.step(weights, torch.ones(2, SIZE), torch.tensor([stacked.rates(1, 0.1)] * 2).T)
    before = weights.clone()
    stacked.forget(0)
    stacked.step(weights, torch.zeros(2, SIZE), torch.zeros(stacked.num_rates, 2))
    assert torch.equal(weights[0], before[0])


def test_a_network_whose_gradient_is_not_finite_leaves_the_others_alone():
    how = Optimization(clip_norm=1.0)
    weights, alone = torch.ones(2, SIZE), torch.ones(2, SIZE)
    numbers = torch.tensor([stacked_optimizer(how, weights).rates(1, 0.1)] * 2).T
    gradient = torch.ones(2, SIZE)
    stacked_optimizer(how, alone).step(alone, gradient.clone(), numbers)
    gradient[0] = torch.nan
    stacked_optimizer(how, weights).step(weights, gradient, numbers)
    assert torch.equal(weights[1], alone[1])
    assert weights[0].isnan().all()
