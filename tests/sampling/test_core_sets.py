"""Core-sets against a sort of scores that plain loops compute, and proxies that are networks."""

import functools
import math

import pytest
import torch

from al_bench.checking.candidates import FakeTraining
from al_bench.checking.views import log_probs, seeded
from al_bench.data.base import TensorInputs
from al_bench.data.labeled import LabeledSet
from al_bench.engine import Engine
from al_bench.errors import ConfigError
from al_bench.models.deterministic import Deterministic
from al_bench.models.networks.mlp import mlp
from al_bench.sampling.beside import Beside, PointsToKeep
from al_bench.sampling.core_sets import EL2N, SVP, Forgetting, GraNd
from al_bench.seeding import Streams
from al_bench.training.recipe import Recipe

RECIPE = functools.partial(Recipe, batch_size=4, epoch_size=None)
N, K, C = 20, 4, 3


@pytest.fixture
def training():
    given = log_probs(N, K, C, seed=5)
    labels = given[:, 0].argmax(dim=1)
    labels[::3] = (labels[::3] + 1) % C
    return FakeTraining(given, labels, torch.arange(N) * 2 + 5, seeded(0))


def highest(scores, indices, count):
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return [int(indices[i]) for i in order[:count]]


def test_svp_keeps_the_least_certain(training):
    probs = training.given[:, 0].double().exp().tolist()
    scores = [-sum(p * math.log(p) for p in row) for row in probs]
    kept = SVP(RECIPE, share=0.25).keep(training)
    assert kept.tolist() == highest(scores, training.indices, 5)


@pytest.mark.parametrize("kind", [EL2N, GraNd])
def test_error_norms_are_averaged_over_proxies(training, kind):
    scores = []
    for x in range(N):
        norms = []
        for proxy in range(3):
            p = training.given[x, proxy].double().exp().tolist()
            squares = sum((p[c] - (c == int(training.labels[x]))) ** 2 for c in range(C))
            norms.append(math.sqrt(squares))
        scores.append(sum(norms) / 3)
    kept = kind(RECIPE, share=0.3, epochs=2, num_proxies=3).keep(training)
    assert kept.tolist() == highest(scores, training.indices, 6)


def test_forgetting_counts_right_then_wrong_and_never_right_comes_first():
    right = [  # a point a row, an epoch a column
        [1, 0, 1, 0, 1],
        [0, 0, 0, 0, 0],
        [1, 1, 1, 1, 1],
        [0, 1, 0, 0, 0],
        [0, 0, 0, 0, 1],
    ]
    logits = torch.tensor([[[0.0, 3.0] if r else [3.0, 0.0] for r in row] for row in right])
    # the proxy ends with sample 0, so that sample k is seen after epoch k - 1 of five
    given = logits.roll(1, dims=1).log_softmax(dim=-1)
    labels, indices = torch.ones(5, dtype=torch.int64), torch.arange(5)
    training = FakeTraining(given, labels, indices, seeded(0))
    kept = Forgetting(RECIPE, share=1.0, epochs=5).keep(training).tolist()
    assert kept[:3] == [1, 0, 3]  # never right, forgotten twice, once
    assert sorted(kept[3:]) == [2, 4]
    assert Forgetting(RECIPE, share=0.3, epochs=5).keep(training).tolist() == [1, 0]


def test_ties_are_fair():
    given = log_probs(1, 1, 3).repeat(6, 1, 1)
    firsts = set()
    for seed in range(40):
        training = FakeTraining(given, torch.zeros(6).long(), torch.arange(6), seeded(seed))
        (first,) = SVP(RECIPE, share=0.1).keep(training).tolist()
        firsts.add(first)
    assert firsts == set(range(6))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"share": 0}, "share"),
        ({"share": 1.5}, "share"),
        ({"epochs": -1}, "epochs"),
        ({"num_proxies": 0}, "num_proxies"),
        ({"training": functools.partial(RECIPE, max_epochs=7)}, "max_epochs is 7, and epochs says"),
        ({"training": Recipe()}, "training"),
    ],
)
def test_parameters_out_of_range_are_refused(wrong, said):
    with pytest.raises(ConfigError, match=said):
        EL2N(**{"training": RECIPE, **wrong})


def test_it_says_beforehand_how_many_it_keeps():
    for share in (0.01, 0.1, 0.45, 1.0):
        training = FakeTraining(
            log_probs(11, 1, 3), torch.zeros(11).long(), torch.arange(11), seeded(0)
        )
        core_set = SVP(RECIPE, share=share)
        assert core_set.num_kept(11) == len(core_set.keep(training))


def test_forgetting_needs_an_epoch():
    with pytest.raises(ConfigError, match="epochs"):
        Forgetting(RECIPE, epochs=0)


@pytest.fixture
def points():
    inputs = torch.randn(24, 5, generator=seeded(1))
    labels = (inputs[:, 0] > 0).long()
    return LabeledSet(TensorInputs(inputs), torch.arange(4, 24), labels[4:])


def to_keep(points, seed=3):
    network = functools.partial(mlp, hidden=[8], dropout=0.2)
    beside = Beside(Deterministic(network), 2, Streams(seed), Engine(torch.device("cpu")))
    return PointsToKeep(points, beside, seeded(0))


def test_proxies_start_from_weights_of_their_own(points):
    first, second = (to_keep(points).proxy(i, None).log_probs() for i in (0, 1))
    assert not torch.allclose(first, second)
    assert torch.equal(first, to_keep(points).proxy(0, None).log_probs())
    assert not torch.allclose(first, to_keep(points, seed=4).proxy(0, None).log_probs())


def test_gradient_norms_of_a_proxy_are_those_of_each_point_by_itself(points):
    proxy = to_keep(points).proxy(0, RECIPE(max_epochs=1))
    norms = proxy.gradient_norms()
    network = proxy.network.double()
    for i, index in enumerate(points.indices):
        logits = network(points.inputs.values[index][None].double())
        loss = torch.nn.functional.cross_entropy(logits, points.labels[i][None])
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        norm = math.sqrt(sum(float(g.square().sum()) for g in gradients))
        assert float(norms[i]) == pytest.approx(norm, rel=1e-4)


def test_a_proxy_is_seen_after_every_epoch_as_it_then_is(points):
    seen = []
    proxy = to_keep(points).proxy(0, RECIPE(max_epochs=3), lambda p: seen.append(p.log_probs()))
    assert len(seen) == 3
    assert not torch.equal(seen[0], seen[1])
    assert torch.equal(seen[2], proxy.log_probs())
    unseen = to_keep(points).proxy(0, RECIPE(max_epochs=3))
    assert torch.equal(seen[2], unseen.log_probs())


@pytest.mark.parametrize("core_set", [SVP, Forgetting, EL2N, GraNd])
def test_every_core_set_keeps_training_points_by_proxies_that_are_networks(points, core_set):
    kept = core_set(RECIPE, share=0.5, epochs=2, num_proxies=2).keep(to_keep(points))
    assert len(kept) == len(kept.unique()) == 10
    assert torch.isin(kept, points.indices).all()


def test_grand_at_initialization_trains_nothing(points):
    kept = GraNd(RECIPE, share=0.2, epochs=0, num_proxies=1).keep(to_keep(points))
    norms = to_keep(points).proxy(0, None).gradient_norms().tolist()
    assert kept.tolist() == highest(norms, points.indices, 4)
