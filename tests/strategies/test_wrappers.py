"""Strategies that hand the work to another one: subsample, class balance, weighted scores."""

import json
from dataclasses import dataclass

import pytest
import torch
from pool_views import FakeView, log_probs, seeded
from scipy.stats import chi2, rankdata, zscore

from al_bench.errors import ConfigError
from al_bench.models.base import FEATURES, SAMPLES
from al_bench.strategies.balance import balanced_classes
from al_bench.strategies.base import LABELS, Selection
from al_bench.strategies.batchbald import BatchBALD
from al_bench.strategies.class_balance import ClassBalance
from al_bench.strategies.controls import BalancedRandom
from al_bench.strategies.pointwise import Pointwise
from al_bench.strategies.random import Random
from al_bench.strategies.rules import TopB
from al_bench.strategies.scores import bald, entropy, margin
from al_bench.strategies.subsample import Subsample
from al_bench.strategies.weighted import Weighted
from al_bench.strategies.worst import Worst
from al_bench.training.trainer import fit_one

ENTROPY = Pointwise(entropy, TopB())


@dataclass(frozen=True)
class Counting:
    """Picks the first positions, and counts its rounds in its state."""

    needs = frozenset({FEATURES})

    def select(self, view, batch_size, generator):
        rounds = 0 if view.state is None else view.state["rounds"]
        notes = {"seen": len(view), "round": view.round}
        scores = torch.full((batch_size,), float(len(view)), dtype=torch.float64)
        return Selection(torch.arange(batch_size), scores, notes, {"rounds": rounds + 1})


def predicted(num_points_by_class, num_classes=None):
    """A view with this many points predicted as each class."""
    classes = torch.cat([torch.full((n,), c) for c, n in enumerate(num_points_by_class)])
    num_classes = num_classes or len(num_points_by_class)
    logits = 3 * torch.nn.functional.one_hot(classes, num_classes).float()
    logits += torch.rand(len(classes), num_classes, generator=seeded(0))
    return FakeView(logits.log_softmax(dim=-1)[:, None]), classes


# Subsample.


def test_the_wrapped_strategy_sees_a_subset_and_its_answer_is_mapped_back():
    view = FakeView(log_probs(40, 4, 3))
    selection = Subsample(Counting(), size=7).select(view, 3, seeded(1))
    assert selection.notes == {"seen": 7, "round": 0}
    assert selection.scores.tolist() == [7.0] * 3
    assert selection.positions.max() > 3  # the first of the subset, not of the pool
    best = Subsample(ENTROPY, size=39).select(view, 3, seeded(1))
    assert torch.equal(best.scores, view.score([entropy])[0][best.positions])


def test_every_point_is_in_the_subset_equally_often():
    view = FakeView(log_probs(10, 1, 3))
    strategy, counts = Subsample(Counting(), size=3), torch.zeros(10)
    for seed in range(300):
        counts[strategy.select(view, 3, seeded(seed)).positions] += 1
    # 3 different points of 10 at a time vary less than 3 independent ones, by 7/9.
    statistic = float(((counts - 90) ** 2 / 90).sum()) * 9 / 7
    assert chi2.sf(statistic, df=9) > 1e-4


def test_a_subset_as_large_as_the_pool_changes_nothing():
    view = FakeView(log_probs(20, 6, 3))
    plain = BatchBALD().select(view, 5, seeded(3))
    for size in (20, 10_000):
        wrapped = Subsample(BatchBALD(), size).select(view, 5, seeded(3))
        assert torch.equal(wrapped.positions, plain.positions)


def test_a_batch_larger_than_the_subset_widens_it():
    view = FakeView(log_probs(20, 6, 3))
    selection = Subsample(ENTROPY, size=2).select(view, 6, seeded(0))
    assert len(selection.positions.unique()) == 6


def test_a_wrapper_passes_state_and_needs_through():
    strategy = Subsample(Counting(), size=5)
    view = FakeView(log_probs(12, 2, 3))
    for rounds in (1, 2, 3):
        selection = strategy.select(view, 2, seeded(rounds))
        view.state = json.loads(json.dumps(selection.state))
        assert view.state == {"rounds": rounds}
    assert strategy.needs == {FEATURES}
    assert Subsample(BalancedRandom()).needs == {LABELS}
    assert Subsample(BatchBALD(num_samples=4)).num_samples == 4
    assert Subsample(Random()).num_samples is None


@pytest.mark.parametrize("make", [Subsample, ClassBalance])
def test_what_is_no_strategy_cannot_be_wrapped(make):
    for wrong in (None, "bald", {"needs": frozenset()}):
        with pytest.raises(ConfigError, match=r"strategy@of=entropy"):
            make(wrong)


# Class balance.


def test_predicted_classes_get_equally_many_and_the_strategy_chooses_within():
    view, classes = predicted([30, 10, 10, 10])
    selection = ClassBalance(ENTROPY, count_labeled=False).select(view, 12, seeded(0))
    scores = view.score([entropy])[0]
    for label in range(4):
        (members,) = (classes == label).nonzero(as_tuple=True)
        best = members[scores[members].topk(3).indices]
        mine = selection.positions[classes[selection.positions] == label]
        assert mine.tolist() == best.tolist()
    assert torch.equal(selection.scores, scores[selection.positions])
    firsts = classes[selection.positions[:4]]
    assert sorted(firsts.tolist()) == [0, 1, 2, 3]  # in turn
    assert selection.notes["num_predicted_classes"] == 4


def test_labels_that_are_there_count():
    view, classes = predicted([20, 20, 20])
    view.num_labeled = 4  # classes 0, 1, 2, 0
    for seed in range(5):
        chosen = ClassBalance(Random()).select(view, 2, seeded(seed)).positions
        assert sorted(classes[chosen].tolist()) == [1, 2]


def test_a_class_that_runs_out_leaves_its_share_to_the_others():
    view, classes = predicted([1, 9, 9], num_classes=5)
    chosen = ClassBalance(Random(), count_labeled=False).select(view, 9, seeded(0)).positions
    assert torch.bincount(classes[chosen], minlength=5).tolist() == [1, 4, 4, 0, 0]


def test_state_is_kept_by_class():
    view, _ = predicted([9, 9])
    first = ClassBalance(Counting(), count_labeled=False).select(view, 2, seeded(0))
    assert first.state == {"0": {"rounds": 1}, "1": {"rounds": 1}}
    one_class, _ = predicted([9, 0])
    one_class.state = json.loads(json.dumps(first.state))
    second = ClassBalance(Counting()).select(one_class, 1, seeded(0))
    assert second.state == {"0": {"rounds": 2}, "1": {"rounds": 1}}
    assert second.notes["seen.0"] == 9


def test_a_fall_back_everywhere_is_noted_once():
    view = FakeView(log_probs(12, 1, 3))
    notes = ClassBalance(Pointwise(bald, TopB())).select(view, 6, seeded(0)).notes
    assert notes == {"num_predicted_classes": notes["num_predicted_classes"], "fell_back": "random"}


def brute_force_counts(counts, available, batch_size):
    """All ways to share out, the most equal ones by their sorted totals."""
    best = None

    def share(label, left, taken):
        nonlocal best
        if label == len(counts):
            if left == 0:
                totals = [c + t for c, t in zip(counts, taken, strict=True)]
                cost = sum(total**2 for total in totals)
                best = cost if best is None else min(best, cost)
            return
        for take in range(min(left, available[label]) + 1):
            share(label + 1, left - take, [*taken, take])

    share(0, batch_size, [])
    return best


def test_sharing_out_is_as_even_as_it_can_be():
    generator = seeded(0)
    for trial in range(60):
        counts = torch.randint(0, 5, (4,), generator=generator).tolist()
        available = torch.randint(0, 4, (4,), generator=generator).tolist()
        for batch_size in range(1, sum(available) + 1):
            taken = balanced_classes(counts, available, batch_size, seeded(trial))
            shares = [taken.count(label) for label in range(4)]
            assert all(s <= a for s, a in zip(shares, available, strict=True))
            cost = sum((c + s) ** 2 for c, s in zip(counts, shares, strict=True))
            assert cost == brute_force_counts(counts, available, batch_size)


# Weighted scores.


@pytest.mark.parametrize("normalize", ["standard", "rank", None])
def test_a_weighted_sum_is_what_scipy_makes_of_it(normalize):
    view = FakeView(log_probs(30, 5, 4))
    view.given[7] = view.given[3]  # a tie
    scores = [scores.numpy() for scores in view.score([entropy, bald])]
    scale = {
        "standard": zscore,
        "rank": lambda values: (rankdata(values) - 1) / 29,
        None: lambda values: values,
    }[normalize]
    combined = Weighted({"a": entropy, "b": bald}, {"b": -0.5}, normalize)
    expected = torch.from_numpy(scale(scores[0]) - 0.5 * scale(scores[1]))
    assert torch.allclose(combined.of_pool(view, None), expected, rtol=0, atol=1e-12)
    assert combined.needs == {SAMPLES}


def test_weighted_scores_nest_and_know_fewer_samples():
    view = FakeView(log_probs(10, 5, 4))
    inner = Weighted({"a": entropy}, normalize=None)
    outer = Weighted({"inner": inner, "margin": margin}, {"margin": 2.0}, normalize=None)
    a, b = view.score([entropy, margin], 2)
    assert torch.equal(outer.of_pool(view, 2), a + 2 * b)


def test_a_constant_score_adds_nothing():
    view = FakeView(log_probs(9, 1, 4))  # BALD is 0 everywhere
    both = Weighted({"entropy": entropy, "bald": bald})
    alone = Weighted({"entropy": entropy})
    assert torch.equal(both.of_pool(view, None), alone.of_pool(view, None))
    uniform = FakeView(torch.full((6, 2, 4), 0.25).log())
    for normalize in ("standard", "rank"):
        combined = Weighted({"a": entropy, "b": bald}, normalize=normalize)
        chosen = Pointwise(combined, TopB()).select(uniform, 2, seeded(0))
        assert chosen.notes["fell_back"] == "random"


def test_infinite_scores_want_ranks():
    def infinite(log_probs):
        return torch.where(torch.arange(len(log_probs)) == 2, torch.inf, 0.0).double()

    view = FakeView(log_probs(5, 2, 3))
    with pytest.raises(ValueError, match="normalize=rank"):
        Weighted({"a": infinite}).of_pool(view, None)
    assert Weighted({"a": infinite}, normalize="rank").of_pool(view, None).argmax() == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (({},), "empty"),
        (({"a": entropy}, {"b": 1.0}), "no score 'b'"),
        (({"a": entropy}, {"a": "much"}), "must be a number"),
        (({"a": entropy}, {"a": float("nan")}), "finite"),
        (({"a": entropy}, {"a": 0}), "strategy=random"),
        (({"a": entropy}, None, "ranks"), "Did you mean 'rank'"),
    ],
)
def test_weights_that_mean_nothing_are_refused(arguments, said):
    with pytest.raises(ConfigError, match=said):
        Weighted(*arguments)


# A real view, restricted.


@pytest.mark.slow
def test_a_restricted_view_shows_the_model_only_its_points(make_trials):
    (trial,) = make_trials("seeds=1")
    whole = trial.view(fit_one(trial).posterior, Subsample(Worst()))
    positions = torch.tensor([700, 3, 41])
    part = whole.restricted(positions, {"a": 1})
    assert len(part) == 3
    assert part.state == {"a": 1}
    assert torch.equal(part.indices, whole.indices[positions])
    shown = []
    gather = trial.pool.inputs.gather
    part._inputs = type("Spy", (), {"gather": lambda self, i, d: shown.append(i) or gather(i, d)})()
    part._inputs.input_shape = trial.pool.inputs.input_shape
    own = part.log_probs()
    assert torch.cat(shown).tolist() == part.indices.tolist()
    assert torch.allclose(own, whole.log_probs()[positions], atol=1e-5)
    assert torch.allclose(part.features(), whole.features()[positions], atol=1e-5)
    assert torch.equal(part.labels(), whole.labels())
    again = whole.restricted(positions)  # of what is held, nothing is computed twice
    assert torch.equal(again.log_probs(), whole.log_probs()[positions])
    assert torch.equal(again.features(), whole.features()[positions])
    assert part.seconds_score == whole.seconds_score == again.seconds_score > 0
