"""Controls: balanced random, oracle, worst."""

import math
from collections import Counter
from dataclasses import dataclass, field

import pytest
import torch
from pool_views import FakeView, log_probs, seeded
from scipy.stats import chisquare

from al_bench.errors import ConfigError
from al_bench.models.base import FEATURES
from al_bench.strategies.base import LABELS, REFUSED
from al_bench.strategies.controls import BalancedRandom, Oracle
from al_bench.strategies.information_gain import InformationGain
from al_bench.strategies.pig import PIG
from al_bench.strategies.worst import Worst


@dataclass
class Labeled(FakeView):
    """A pool whose labels are given, and whose look-ahead adds up worths."""

    answers: torch.Tensor = None
    worth: torch.Tensor = None
    asked: list = field(default_factory=list)

    def pool_labels(self):
        return self.answers

    def look_ahead(self, positions, reference):
        self.asked.append((positions.tolist(), reference.tolist()))
        return float(self.worth[positions].sum())


def labeled(answers, num_classes, **more):
    answers = torch.tensor(answers)
    return Labeled(log_probs(len(answers), 2, num_classes), answers=answers, **more)


# Balanced random.


def test_every_class_is_bought_equally_often():
    view = labeled([0] * 50 + [1] * 10 + [2] * 5, 3, num_labeled=0)
    selection = BalancedRandom().select(view, 15, seeded(0))
    assert torch.bincount(view.answers[selection.positions]).tolist() == [5, 5, 5]
    assert sorted(view.answers[selection.positions[:3]].tolist()) == [0, 1, 2]
    assert selection.scores.isnan().all()
    assert BalancedRandom().needs == {LABELS}


def test_the_labeled_set_is_balanced_as_a_whole_unless_batches_are_by_themselves():
    view = labeled([0, 1, 2, 3] * 5, 4, num_labeled=2)  # labels 0 and 1
    for seed in range(10):
        chosen = BalancedRandom().select(view, 2, seeded(seed)).positions
        assert sorted(view.answers[chosen].tolist()) == [2, 3]
    alone = BalancedRandom(count_labeled=False)
    classes = Counter(
        int(label)
        for seed in range(120)
        for label in view.answers[alone.select(view, 1, seeded(seed)).positions]
    )
    assert chisquare([classes[label] for label in range(4)]).pvalue > 1e-4


def test_within_a_class_every_point_is_equally_likely():
    view = labeled([0, 1, 1, 1, 1, 0], 2, num_labeled=0)
    counts = Counter()
    for seed in range(200):
        chosen = BalancedRandom().select(view, 2, seeded(seed)).positions.tolist()
        counts.update(place for place in chosen if view.answers[place] == 1)
    assert chisquare([counts[place] for place in range(1, 5)]).pvalue > 1e-4


def test_a_class_that_runs_out_leaves_its_share_to_the_rarest_others():
    view = labeled([0, 1, 1, 1, 2, 2, 2], 3, num_labeled=0)
    chosen = BalancedRandom().select(view, 5, seeded(0)).positions
    assert torch.bincount(view.answers[chosen]).tolist() == [1, 2, 2]


def test_refused_points_are_of_no_class_and_bought_last():
    """Half of the pool is refused; nobody may take them for points of class 0 or of the last."""
    view = labeled([0, 1, 2] * 3 + [REFUSED] * 9, 3, num_labeled=0)
    for seed in range(5):
        selection = BalancedRandom().select(view, 6, seeded(seed))
        assert torch.bincount(view.answers[selection.positions]).tolist() == [2, 2, 2]
        assert selection.notes == {}
    selection = BalancedRandom().select(view, 11, seeded(0))
    answers = view.answers[selection.positions].tolist()
    assert sorted(answers[:9]) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert answers[9:] == [REFUSED] * 2
    assert selection.notes == {"num_refused": 2}


def test_a_pool_of_refusals_alone_is_drawn_from_uniformly():
    view = labeled([REFUSED] * 5, 3, num_labeled=3)
    counts = Counter()
    for seed in range(200):
        counts.update(BalancedRandom().select(view, 2, seeded(seed)).positions.tolist())
    assert chisquare([counts[place] for place in range(5)]).pvalue > 1e-4


# Information gains.


@pytest.mark.parametrize("strategy", [PIG(20), InformationGain()])
def test_an_answer_that_is_refused_gains_nothing(strategy):
    """The same points with every answer refused but one: that one is the only one with a gain."""
    given = log_probs(8, 6, 3)
    answers = torch.full((8,), REFUSED)
    view = Labeled(given, answers=answers)
    selection = strategy.select(view, 3, seeded(0))
    assert selection.notes["fell_back"] == "random"
    assert selection.scores.nan_to_num(0).tolist() == [0.0] * 3
    assert selection.notes["effective_samples"] == pytest.approx(6)
    open_view = Labeled(given, answers=view.pool_labels().clamp_min(0))
    whole = strategy.select(open_view, 1, seeded(0))
    best = int(whole.positions)
    assert float(whole.scores) > 0
    answers[best] = 0
    again = strategy.select(view, 2, seeded(0))
    assert int(again.positions[0]) == best
    assert float(again.scores[0]) == pytest.approx(float(whole.scores))
    assert again.notes["num_drawn"] == 1


# Oracle.


def test_with_every_point_a_candidate_the_oracle_takes_the_worthiest():
    worth = -torch.rand(9, generator=seeded(1), dtype=torch.float64)
    view = labeled([0] * 9, 2, worth=worth)
    selection = Oracle(candidates=9, reference=4).select(view, 3, seeded(0))
    assert selection.positions.tolist() == worth.topk(3).indices.tolist()
    assert torch.allclose(selection.scores, worth[selection.positions].cumsum(dim=0))
    assert selection.notes == {"num_trained": 9 + 8 + 7}


def test_every_candidate_is_tried_after_what_was_picked_and_judged_on_other_points():
    view = labeled([0] * 30, 2, worth=torch.zeros(30, dtype=torch.float64))
    picked = Oracle(candidates=5, reference=6).select(view, 2, seeded(0)).positions.tolist()
    assert len(view.asked) == 5 + 4
    tried = {positions[0] for positions, _ in view.asked[:5]}
    (reference,) = {tuple(reference) for _, reference in view.asked}
    assert len(tried) == 5
    assert len(reference) == 6
    assert not tried & set(reference)
    assert all(positions[0] == picked[0] for positions, _ in view.asked[5:])
    assert {positions[1] for positions, _ in view.asked[5:]} == tried - {picked[0]}


def test_candidates_are_as_many_as_the_batch_at_least():
    view = labeled([0] * 12, 2, worth=torch.zeros(12, dtype=torch.float64))
    assert len(Oracle(candidates=2).select(view, 5, seeded(0)).positions.unique()) == 5
    assert len(view.asked[0][1]) == 12  # the pool is all there is to judge by


def test_an_oracle_refuses_sizes_of_nothing_and_likelihoods_that_are_nan():
    for wrong in ({"candidates": 0}, {"reference": 2.5}):
        with pytest.raises(ConfigError, match=f"^{next(iter(wrong))} must"):
            Oracle(**wrong)
    view = labeled([0] * 5, 2, worth=torch.full((5,), math.nan))
    with pytest.raises(ValueError, match="NaN"):
        Oracle().select(view, 1, seeded(0))


@pytest.mark.slow
def test_an_oracle_buys_better_points_than_chance_on_digits(make_trials):
    """Through the public door: the look-ahead really trains, and its choice is the best tried."""
    from al_bench.training.trainer import fit_one

    (trial,) = make_trials("strategy=oracle", "strategy.candidates=3", "seeds=1")
    strategy = trial.run.strategy
    view = trial.view(fit_one(trial).posterior, strategy)
    selection = strategy.select(view, 1, seeded(0))
    order = torch.randperm(len(view), generator=seeded(0))
    reference = order.flip(0)[:200]
    tried = [view.look_ahead(order[[place]], reference) for place in range(3)]
    assert float(selection.scores[0]) == max(tried) < 0
    assert int(selection.positions[0]) == int(order[tried.index(max(tried))])


# Worst.


def brute_force_worst(features, centers, batch_size):
    """Nearest pool point to any labeled or picked point, again and again, in float64."""
    left, near = list(range(len(features))), [*centers.double()]
    picked, gaps = [], []
    for _ in range(batch_size):
        gap = {p: min(float((features[p].double() - c).norm()) for c in near) for p in left}
        best = min(left, key=gap.__getitem__)
        picked.append(best)
        gaps.append(-gap[best])
        left.remove(best)
        near.append(features[best].double())
    return picked, gaps


@pytest.mark.parametrize("seed", range(4))
def test_worst_is_the_nearest_point_again_and_again(seed):
    embedding = torch.randn(15, 4, generator=seeded(seed + 20))
    view = FakeView(log_probs(15, 2, 3), embedding)
    selection = Worst().select(view, 15, seeded(seed))
    picked, gaps = brute_force_worst(embedding, view.labeled_features(), 15)
    assert selection.positions.tolist() == picked
    expected = torch.tensor(gaps, dtype=torch.float64)
    assert torch.allclose(selection.scores, expected, atol=1e-6)
    assert Worst().needs == {FEATURES}


def test_copies_are_bought_at_once():
    embedding = torch.randn(10, 4, generator=seeded(2)) + 1000  # far from 0: no cancellation
    embedding[7] = embedding[2]
    view = FakeView(log_probs(10, 2, 3), embedding, num_labeled=0)
    picks = Worst().select(view, 10, seeded(0)).positions.tolist()
    assert abs(picks.index(7) - picks.index(2)) == 1


@pytest.mark.slow
def test_without_labels_the_first_point_is_random_and_has_no_score():
    view = FakeView(log_probs(5, 2, 3), num_labeled=0)
    firsts = Counter()
    for seed in range(150):
        selection = Worst().select(view, 2, seeded(seed))
        firsts[int(selection.positions[0])] += 1
        assert selection.scores.isnan().tolist() == [True, False]
    assert chisquare([firsts[place] for place in range(5)]).pvalue > 1e-4


def test_no_point_is_bought_twice_where_distances_are_infinite():
    embedding = torch.tensor([[1e30], [-1e30], [3e30], [-3e30]])  # squares exceed float32
    view = FakeView(log_probs(4, 2, 3), embedding, num_labeled=0)
    assert sorted(Worst().select(view, 4, seeded(0)).positions.tolist()) == [0, 1, 2, 3]


def test_points_without_a_difference_are_drawn_and_that_is_noted():
    same = FakeView(log_probs(6, 2, 3), torch.zeros(6, 3))
    assert Worst().select(same, 3, seeded(0)).notes == {"fell_back": "random"}
    assert Worst().select(FakeView(log_probs(6, 2, 3)), 3, seeded(0)).notes == {}
