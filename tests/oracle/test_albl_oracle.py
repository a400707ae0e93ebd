"""ALBL against a plain transcription of its published code, on scripted rewards."""

import json
import math
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from pool_views import FakeView, log_probs, seeded
from scipy.stats import chi2

from al_bench.errors import ConfigError
from al_bench.models.base import FEATURES, SAMPLES
from al_bench.strategies.albl import ALBL
from al_bench.strategies.base import LABELS, Selection
from al_bench.strategies.controls import BalancedRandom
from al_bench.strategies.coreset import CoreSet
from al_bench.strategies.pointwise import Pointwise
from al_bench.strategies.random import Random
from al_bench.strategies.rules import TopB
from al_bench.strategies.scores import bald
from al_bench.strategies.spaces import LastLayer


@dataclass(frozen=True)
class Counting:
    """Picks from one end, and counts its rounds in its state."""

    from_end: bool = False
    needs = frozenset()

    def select(self, view, batch_size, generator):
        assert view.state is None or list(view.state) == ["rounds"]
        rounds = 0 if view.state is None else view.state["rounds"]
        positions = torch.arange(len(view))
        positions = (positions.flip(0) if self.from_end else positions)[:batch_size]
        scores = torch.zeros(batch_size, dtype=torch.float64)
        return Selection(positions, scores, {"seen": len(view)}, {"rounds": rounds + 1})


@dataclass
class Scripted(FakeView):
    """A view in which the labeled points and which of them are predicted rightly are told."""

    labeled: list[int] = field(default_factory=list)
    right: np.ndarray = None

    @property
    def labeled_indices(self):
        return torch.tensor(self.labeled, dtype=torch.int64)

    def labels(self):
        return torch.zeros(len(self.labeled), dtype=torch.int64)

    def labeled_log_probs(self, num_samples=None):
        wrong = torch.from_numpy(~self.right).long()
        sure = torch.nn.functional.one_hot(wrong, 3).float()[:, None].expand(-1, 2, -1)
        return (4 * sure).log_softmax(dim=-1)


class Published:
    """What the published code does with numpy arrays, but that draws are told to it."""

    def __init__(self, num_pool, labeled, num_experts, delta):
        self.weights = np.ones(num_experts)
        self.delta, self.least = delta, 1.0 / (num_experts * 10.0)
        self.bought_with = np.zeros(num_pool)
        self.bought_with[labeled] = 1.0

    def probs(self):
        share = self.weights / self.weights.sum()
        return (1.0 - len(self.weights) * self.least) * share + self.least

    def draw(self, expert, picks):
        self.expert, self.prob = expert, self.probs()[expert]
        self.bought_with[picks] = self.prob

    def update(self, labeled, right):
        reward = (right.astype(float) / self.bought_with[labeled]).mean()
        count = len(self.weights)
        bonus = 1.0 / self.prob * np.sqrt(np.log(count / self.delta) / count)
        self.weights[self.expert] *= np.exp(self.least / 2.0 * (reward + bonus))
        return reward


@pytest.mark.parametrize(("num_experts", "delta", "refused"), [(2, 0.1, 0), (3, 0.5, 1)])
def test_weights_probabilities_and_rewards_are_those_of_the_published_code(
    num_experts, delta, refused
):
    script = np.random.default_rng(0)
    names = ["first", "second", "third"][:num_experts]
    strategy = ALBL({name: Counting(from_end=name == "second") for name in names}, delta)
    labeled, left = list(range(20)), list(range(20, 400))
    published = Published(400, labeled, num_experts, delta)
    state, asked = None, dict.fromkeys(names, 0)
    for round in range(40):
        right = script.random(len(labeled)) < 0.3 + 0.6 * (round % 3 == 1)
        given = log_probs(len(left), 2, 3)
        view = Scripted(
            given, order=torch.tensor(left), state=state, labeled=labeled, right=right, round=round
        )
        selection = strategy.select(view, 5, seeded(round))
        notes = selection.notes
        if round:
            assert notes["reward"] == pytest.approx(published.update(labeled, right), rel=1e-12)
        expert = names.index(notes["expert"])
        assert notes["expert_prob"] == pytest.approx(published.probs()[expert], rel=1e-12)
        assert notes["seen"] == len(left)
        picks = [left[position] for position in selection.positions.tolist()]
        assert picks == (left[:-6:-1] if expert == 1 else left[:5])
        published.draw(expert, picks)
        state = json.loads(json.dumps(selection.state))
        asked[notes["expert"]] += 1
        assert {name: kept["rounds"] for name, kept in state["states"].items()} == {
            name: count for name, count in asked.items() if count
        }
        labeled = labeled + picks[refused:]  # what is refused is bought and never labeled
        left = [index for index in left if index not in picks]
    assert min(asked.values()) > 3
    kept = np.exp([state["log_weights"][name] for name in names])
    np.testing.assert_allclose(kept / kept.sum(), published.weights / published.weights.sum())


@pytest.mark.slow
def test_experts_are_drawn_as_often_as_their_probabilities_say():
    strategy = ALBL({"first": Counting(), "second": Counting(), "third": Counting()})
    weights = {"first": 0.0, "second": 1.5, "third": -40.0}
    state = {"log_weights": weights, "expert": "first", "expert_prob": 1.0}
    state |= {"bought": [], "states": {}}
    right = np.zeros(4, dtype=bool)
    view = Scripted(log_probs(9, 2, 3), state=state, labeled=[9, 10, 11, 12], right=right)
    drawn = [strategy.select(view, 1, seeded(seed)).notes["expert"] for seed in range(600)]
    bonus = math.sqrt(math.log(3 / 0.1) / 3) / 60  # a reward of 0, a probability of 1
    shares = np.exp([bonus, 1.5, -40.0])
    probs = 0.9 * shares / shares.sum() + 1 / 30
    observed = np.array([drawn.count(name) for name in weights])
    statistic = ((observed - 600 * probs) ** 2 / (600 * probs)).sum()
    assert chi2.sf(statistic, df=2) > 1e-4
    assert observed[2] > 5  # never forgotten


def test_a_round_whose_labels_were_all_refused_has_no_reward():
    strategy = ALBL({"first": Counting(), "second": Random()})
    view = Scripted(log_probs(9, 2, 3), labeled=[], right=np.zeros(0, dtype=bool))
    view.state = strategy.select(view, 2, seeded(0)).state
    assert strategy.select(view, 2, seeded(0)).notes["reward"] == 0.0


def test_predictions_of_labeled_points_that_are_nan_are_told():
    strategy = ALBL({"first": Random(), "second": Random()})
    view = FakeView(log_probs(9, 2, 3))
    view.state = strategy.select(view, 2, seeded(0)).state
    view.labeled_log_probs = lambda: torch.full((4, 2, 3), torch.nan)
    with pytest.raises(ValueError, match="labeled points are NaN"):
        strategy.select(view, 2, seeded(0))


def test_it_needs_what_its_experts_need():
    asking = Pointwise(bald, TopB(), num_samples=7)
    strategy = ALBL({"first": CoreSet(LastLayer()), "second": BalancedRandom(), "third": asking})
    assert strategy.needs == {FEATURES, LABELS, SAMPLES}
    assert strategy.num_samples == 7
    assert ALBL({"first": Random(), "second": Random()}).num_samples is None


@pytest.mark.parametrize(
    ("experts", "said"),
    [
        ({"first": Random()}, r"two strategies or more, got \['first'\]\. Add .*second=margin"),
        ({}, "two strategies or more"),
        (None, "two strategies or more, got None"),
        ({"first": Random(), "second": "bald"}, r"experts\.second must be a strategy, got 'bald'"),
    ],
)
def test_what_are_no_experts_is_refused(experts, said):
    with pytest.raises(ConfigError, match=said):
        ALBL(experts)


@pytest.mark.parametrize("delta", [0, 1.5, "small"])
def test_a_delta_that_is_no_probability_is_refused(delta):
    with pytest.raises(ConfigError, match="delta must be a number above 0 and at most 1"):
        ALBL({"first": Random(), "second": Random()}, delta)
