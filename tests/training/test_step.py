"""One step against its formula, and against torch's own optimizers, in float64."""

import pytest
import torch
from torch import nn

from al_bench.engine import Engine
from al_bench.models.networks.mlp import mlp
from al_bench.seeding import isolated
from al_bench.training.optimization import Optimization
from al_bench.training.step import Points, mean_loss, take_step

ENGINE = Engine(torch.device("cpu"))


def network(seed=0):
    with isolated(torch.Generator().manual_seed(seed)):
        return mlp(input_shape=(4,), num_classes=3, hidden=(5,), dropout=0.0).train()


def points(n=6, weights=None, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return Points(torch.randn(n, 4, generator=generator), torch.arange(n) % 3, [], weights)


def stepped(how, taken, rates=None):
    """A network after some steps."""
    net = network()
    optimizer = how.make_optimizer(net)
    for i, one in enumerate(taken):
        rate = how.learning_rate if rates is None else rates[i]
        take_step(net, optimizer, one, how, rate, ENGINE)
    return net


def gradients(net, batch):
    loss = mean_loss(net(batch.inputs), batch.labels, batch.weights, None)
    return torch.autograd.grad(loss, list(net.parameters()))


def assert_equal(net, other):
    for name, value in net.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def by_hand(logits, labels, weights, smoothing):
    log_probs = logits - logits.logsumexp(dim=1, keepdim=True)
    total = torch.zeros((), dtype=logits.dtype)
    for i, label in enumerate(labels):
        loss = -(1 - smoothing) * log_probs[i, label] - smoothing * log_probs[i].mean()
        total += loss * (1.0 if weights is None else weights[i])
    return total / len(labels)


@pytest.mark.parametrize("smoothing", [None, 0.1, 0.9])
@pytest.mark.parametrize("weights", [None, [1.0, 0.0, 3.5, 0.2]])
def test_the_loss_is_the_weighted_sum_over_n_with_smoothed_labels(smoothing, weights):
    logits = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 4, 2, 2])
    w = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    expected = by_hand(logits, labels, w, smoothing or 0.0)
    torch.testing.assert_close(mean_loss(logits, labels, w, smoothing), expected)
    if w is not None:
        even = mean_loss(logits, labels, torch.ones(4, dtype=torch.float64), smoothing)
        torch.testing.assert_close(even, mean_loss(logits, labels, None, smoothing))


def test_a_point_of_weight_0_has_no_part_and_one_of_2_counts_twice():
    how = Optimization(optimizer="sgd", learning_rate=0.1)
    four = points(4)
    weighted = stepped(how, [four._replace(weights=torch.tensor([2.0, 1.0, 1.0, 0.0]))])
    rows = torch.tensor([0, 0, 1, 2])
    twice = stepped(how, [Points(four.inputs[rows], four.labels[rows], [])])
    for one, other in zip(weighted.parameters(), twice.parameters(), strict=True):
        torch.testing.assert_close(one, other)


TORCHS = {
    "adam": (
        Optimization(learning_rate=0.01, weight_decay=0.1),
        lambda net: torch.optim.Adam(net.parameters(), lr=0.01, weight_decay=0.1),
    ),
    "adamw": (
        Optimization(optimizer="adamw", learning_rate=0.01, weight_decay=0.1),
        lambda net: torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=0.1),
    ),
    "nesterov": (
        Optimization(optimizer="sgd", learning_rate=0.1, momentum=0.9, nesterov=True),
        lambda net: torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True),
    ),
}


@pytest.mark.parametrize("name", TORCHS)
def test_steps_are_those_of_torchs_optimizer(name):
    how, make = TORCHS[name]
    batches = [points(seed=seed) for seed in range(4)]
    net = network()
    optimizer = make(net)
    for batch in batches:
        for parameter, gradient in zip(net.parameters(), gradients(net, batch), strict=True):
            parameter.grad = gradient
        optimizer.step()
    assert_equal(stepped(how, batches), net)


def test_decay_of_adamw_is_decoupled_from_the_gradient():
    parameter = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    module = nn.Module()
    module.weight = parameter
    how = Optimization(optimizer="adamw", learning_rate=0.1, weight_decay=0.5)
    parameter.grad = torch.tensor([3.0], dtype=torch.float64)
    how.make_optimizer(module).step()
    assert float(parameter.detach()) == pytest.approx(2.0 * (1 - 0.1 * 0.5) - 0.1, abs=1e-8)


@pytest.mark.parametrize(("norm", "clipped"), [(1e-3, True), (1e3, False)])
def test_a_gradient_longer_than_the_norm_is_made_that_long(norm, clipped):
    batch = points()
    before = network()
    raw = gradients(before, batch)
    length = torch.sqrt(sum(gradient.square().sum() for gradient in raw))
    scale = norm / float(length) if clipped else 1.0
    after = stepped(Optimization(optimizer="sgd", learning_rate=1.0, clip_norm=norm), [batch])
    for old, new, gradient in zip(before.parameters(), after.parameters(), raw, strict=True):
        torch.testing.assert_close(old - new, scale * gradient, rtol=1e-3, atol=1e-7)


def test_the_learning_rate_is_that_of_the_step():
    how = Optimization(optimizer="sgd", learning_rate=0.1)
    batch = points()
    still = stepped(how, [batch], rates=[0.0])
    assert_equal(still, network())
    moved = stepped(how, [batch, batch], rates=[0.0, 0.1])
    assert_equal(moved, stepped(how, [batch]))


def test_a_step_tells_its_loss_and_logits_of_before():
    net, batch = network(), points()
    how = Optimization()
    logits = net(batch.inputs).detach()
    step = take_step(net, how.make_optimizer(net), batch, how, 0.1, ENGINE)
    assert torch.equal(step.logits, logits)
    torch.testing.assert_close(step.loss, by_hand(logits, batch.labels, None, 0.0))
    assert not step.loss.requires_grad
    assert not step.logits.requires_grad


@pytest.mark.parametrize(
    ("how", "kind", "options"),
    [
        (Optimization(weight_decay=0.01), torch.optim.Adam, {}),
        (Optimization("adamw", weight_decay=0.01), torch.optim.AdamW, {}),
        (Optimization("sgd", 0.1, 0.9, True), torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    ],
    ids=lambda value: getattr(value, "optimizer", None),
)
def test_optimizers_have_the_bits_and_the_state_of_those_of_torch(how, kind, options):
    own, net = network(), network()
    optimizers = [
        how.make_optimizer(own),
        kind(net.parameters(), lr=how.learning_rate, weight_decay=how.weight_decay, **options),
    ]
    for seed in range(3):
        for one, optimizer in zip((own, net), optimizers, strict=True):
            take_step(one, optimizer, points(seed=seed), how, how.learning_rate, ENGINE)
    assert_equal(own, net)
    states = [optimizer.state_dict() for optimizer in optimizers]
    assert str(states[0]) == str(states[1])
    assert isinstance(optimizers[0], kind)
