"""dynamicAL against a loop of autograd over single points and against the speed G itself."""

import math

import pytest
import torch
import torch.nn.functional as F
from pool_views import FakeView, log_probs, seeded
from torch import nn
from torch.func import functional_call, jvp

from al_bench.errors import ConfigError
from al_bench.models.base import Network
from al_bench.models.networks.cnn import digits_cnn
from al_bench.models.networks.mlp import mlp
from al_bench.models.networks.resnet import resnet18
from al_bench.strategies import point_gradients
from al_bench.strategies.dynamical import Dynamical


class Mixed(Network):
    """Strides, dilation, no bias, group and layer normalization, a linear layer at positions."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, stride=2, padding=(1, 2), bias=False)
        self.norm = nn.GroupNorm(2, 4)
        self.second = nn.Conv2d(4, 6, 2, dilation=2, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.rows = nn.Linear(6, 5)
        self.scale = nn.LayerNorm(5)
        self.output = nn.Linear(5, 3)

    def prefix(self, inputs):
        hidden = self.relu(self.second(self.relu(self.norm(self.first(inputs)))))
        return self.scale(self.rows(hidden.flatten(2).mT)).tanh().mean(dim=1)

    def body(self, hidden, masks=None):
        return hidden


class Odd(Network):
    """A parameter that belongs to no layer."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.randn(4))
        self.unused = nn.Parameter(torch.randn(2))
        self.output = nn.Linear(4, 3)

    def prefix(self, inputs):
        return torch.tanh(inputs + self.shift)

    def body(self, hidden, masks=None):
        return hidden


class Twice(Network):
    """A layer that is used twice."""

    def __init__(self):
        super().__init__()
        self.again = nn.Linear(4, 4)
        self.output = nn.Linear(4, 3)

    def prefix(self, inputs):
        return torch.tanh(self.again(torch.tanh(self.again(inputs))))

    def body(self, hidden, masks=None):
        return hidden


def with_statistics(network, shape):
    """The network after its batch normalization has seen something."""
    network.train()(torch.randn(20, *shape) * 2 + 1)
    return network.eval()


def networks():
    torch.manual_seed(0)
    return {
        "mlp": (mlp(input_shape=(4,), num_classes=3, hidden=(6, 5)), (4,)),
        "linear": (mlp(input_shape=(4,), num_classes=3, hidden=()), (4,)),
        "cnn": (digits_cnn(input_shape=(1, 6, 6), num_classes=3), (1, 6, 6)),
        "batch_norm": (
            with_statistics(resnet18(input_shape=(3, 9, 8), num_classes=3, width=2), (3, 9, 8)),
            (3, 9, 8),
        ),
        "mixed": (Mixed(), (2, 7, 6)),
        "odd": (Odd(), (4,)),
        "twice": (Twice(), (4,)),
    }


NETWORKS = networks()


class NetworkView(FakeView):
    """A pool of random inputs behind a given network."""

    def __init__(self, name, num_points=9, num_labeled=5):
        self.model, shape = NETWORKS[name]
        generator = seeded(3)
        self.pool = torch.randn(num_points, *shape, generator=generator)
        self.known = torch.randn(num_labeled, *shape, generator=generator)
        super().__init__(log_probs(num_points, 1, 3), num_labeled=num_labeled)

    def inputs(self, positions):
        return self.pool[positions]

    def labeled_inputs(self):
        return self.known

    def network(self):
        return self.model.eval()


def gradient(network, inputs, labels):
    """The gradient of the summed loss in all parameters, one vector."""
    network.zero_grad()
    if len(inputs):
        F.cross_entropy(network(inputs), labels, reduction="sum").backward()
    parts = [p.grad if p.grad is not None else torch.zeros_like(p) for p in network.parameters()]
    vector = torch.cat([part.flatten() for part in parts]).double()
    network.zero_grad()
    return vector


def loop(view, gamma):
    """Δ of every point, (N,), one backward pass after the other."""
    network = view.network()
    known = gradient(network, view.labeled_inputs(), view.labels())
    scores = []
    for x in view.pool[:, None]:
        one = gradient(network, x, network(x).argmax(dim=1))
        scores.append(float(one @ one + gamma * (one @ known)))
    return torch.tensor(scores, dtype=torch.float64)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_scores_are_those_of_single_backward_passes(name, gamma):
    view = NetworkView(name)
    expected = loop(view, gamma)
    selection = Dynamical(gamma).select(view, 9, seeded(0))
    scale = float(expected.abs().max())
    torch.testing.assert_close(
        selection.scores, expected[selection.positions], rtol=1e-4, atol=1e-5 * scale
    )
    assert (selection.scores.diff() <= 1e-5 * scale).all()


@pytest.mark.parametrize("name", ["mlp", "cnn", "batch_norm"])
def test_the_ranking_is_that_of_the_speed_that_a_point_adds(name):
    """G(S) = ‖Σ_S ∇ℓ‖²; for γ = 2 the score is G(S ∪ {(x, ŷ)}) - G(S)."""
    view = NetworkView(name)
    network = view.network()

    def speed(inputs, labels):
        return float(gradient(network, inputs, labels).square().sum())

    known, labels = view.labeled_inputs(), view.labels()
    added = []
    for x in view.pool[:, None]:
        answer = network(x).argmax(dim=1)
        joined = speed(torch.cat([known, x]), torch.cat([labels, answer]))
        added.append(joined - speed(known, labels))
    order = sorted(range(9), key=added.__getitem__, reverse=True)
    selection = Dynamical().select(view, 9, seeded(0))
    assert selection.positions.tolist() == order
    expected = [added[i] for i in order]
    assert selection.scores.tolist() == pytest.approx(expected, rel=1e-3, abs=1e-3)


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", ["mlp", "cnn", "batch_norm", "mixed"])
def test_an_infinite_gamma_keeps_the_second_term_which_is_one_forward_mode_derivative(name):
    view = NetworkView(name)
    network = view.network()
    parameters = {key: value.detach() for key, value in network.named_parameters()}
    known = gradient(network, view.labeled_inputs(), view.labels()).float()
    pieces = torch.split(known, [value.numel() for value in parameters.values()])
    direction = {
        key: piece.view_as(value)
        for (key, value), piece in zip(parameters.items(), pieces, strict=True)
    }
    answers = network(view.pool).argmax(dim=1)

    def losses(weights):
        logits = functional_call(network, weights, (view.pool,))
        return F.cross_entropy(logits, answers, reduction="none")

    _, expected = jvp(losses, (parameters,), (direction,))
    selection = Dynamical(math.inf).select(view, 9, seeded(0))
    torch.testing.assert_close(
        selection.scores, expected[selection.positions].double(), rtol=1e-3, atol=1e-4
    )


def test_chunks_change_nothing(monkeypatch):
    view = NetworkView("cnn", num_points=20)
    whole = Dynamical().select(view, 20, seeded(0))
    monkeypatch.setattr(point_gradients, "CHUNK_BYTES", 1)
    single = Dynamical().select(view, 20, seeded(0))
    assert torch.equal(single.positions, whole.positions)
    torch.testing.assert_close(single.scores, whole.scores, rtol=1e-4, atol=1e-6)


def test_memory_is_that_of_a_chunk_whatever_the_number_of_points(monkeypatch):
    """No call sees more points than fit, and none holds a gradient of every point."""
    view = NetworkView("cnn", num_points=64)
    largest = []
    network = view.network()
    hook = network.register_forward_hook(lambda _, args, output: largest.append(len(args[0])))
    monkeypatch.setattr(point_gradients, "CHUNK_BYTES", 2**17)
    try:
        Dynamical().select(view, 3, seeded(0))
    finally:
        hook.remove()
    assert 1 < max(largest) < 30


def test_the_network_is_left_as_it_was():
    for name in NETWORKS:
        view = NetworkView(name)
        network = view.network()
        before = {key: value.clone() for key, value in network.state_dict().items()}
        Dynamical().select(view, 2, seeded(0))
        assert all(parameter.requires_grad for parameter in network.parameters())
        assert all(parameter.grad is None for parameter in network.parameters())
        assert not any(module._forward_hooks for module in network.modules())
        for key, value in network.state_dict().items():
            assert torch.equal(value, before[key])


@pytest.mark.parametrize("num_labeled", [0, 1])
def test_next_to_no_labels_leave_a_definite_answer(num_labeled):
    view = NetworkView("mlp", num_labeled=num_labeled)
    expected = loop(view, 2.0)
    selection = Dynamical().select(view, 1, seeded(0))
    assert int(selection.positions) == int(expected.argmax())


def test_impossible_gammas_are_refused():
    for wrong in (-1.0, math.nan, -math.inf, "two"):
        with pytest.raises(ConfigError, match="gamma"):
            Dynamical(wrong)
