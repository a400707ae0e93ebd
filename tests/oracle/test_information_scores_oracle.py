"""Committee scores, EPIG and CoreMSE against their definitions, summed term by term."""

import itertools
import math
import statistics

import pytest
import torch
from pool_views import FakeView, log_probs, one_hot, seeded

from al_bench.errors import ConfigError
from al_bench.strategies.epig import EPIG, CoreMSE
from al_bench.strategies.pointwise import Pointwise
from al_bench.strategies.rules import Power, TopB
from al_bench.strategies.scores import (
    bald,
    committee_kl,
    expected_entropy,
    least_confidence,
    max_disagreement,
    mean_std,
    variation_ratios,
    vote_entropy,
)

POOLS = [
    log_probs(9, 6, 4),
    log_probs(7, 3, 2, seed=1, scale=30.0),
    log_probs(5, 1, 5, seed=2),
    one_hot(6, 5, 3),
]


def plain_entropy(distribution):
    return -sum(p * math.log(p) for p in distribution if p > 0)


def divergence(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def average(samples):
    return [statistics.fmean(column) for column in zip(*samples, strict=True)]


@pytest.mark.parametrize("predicted", POOLS)
def test_committee_scores_by_definition(predicted):
    for i, samples in enumerate(predicted.double().exp().tolist()):
        count, mean = len(samples), average(samples)
        ballots = [sample.index(max(sample)) for sample in samples]
        shares = [ballots.count(label) / count for label in range(len(mean))]
        divergences = [divergence(sample, mean) for sample in samples]
        deviations = [
            math.sqrt(statistics.fmean((sample[y] - mean[y]) ** 2 for sample in samples))
            for y in range(len(mean))
        ]
        one = predicted[i : i + 1]
        expected = {
            expected_entropy: statistics.fmean(plain_entropy(sample) for sample in samples),
            variation_ratios: 1 - max(shares),
            vote_entropy: plain_entropy(shares),
            committee_kl: statistics.fmean(divergences),
            max_disagreement: max(divergences),
            mean_std: statistics.fmean(deviations),
        }
        for score, value in expected.items():
            assert score(one).item() == pytest.approx(value, abs=2e-6)


def test_committee_kl_is_bald_and_the_others_differ_from_their_soft_forms():
    predicted = log_probs(200, 7, 4)
    assert torch.equal(committee_kl(predicted), bald(predicted))

    def order(score):
        return score(predicted).argsort(stable=True).tolist()

    assert order(max_disagreement) != order(bald)
    assert order(variation_ratios) != order(least_confidence)


def test_equally_probable_classes_share_a_vote():
    """Whichever class comes first must not matter; trees often say one half."""
    predicted = torch.tensor([[[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.0, 1.0, 0.0]]]).log()
    for permutation in itertools.permutations(range(3)):
        renamed = predicted[..., list(permutation)]
        assert variation_ratios(renamed).item() == pytest.approx(1 / 3)
        by_hand = plain_entropy([1 / 6, 2 / 3, 1 / 6])
        assert vote_entropy(renamed).item() == pytest.approx(by_hand)


@pytest.mark.parametrize("score", [bald, variation_ratios, vote_entropy, committee_kl, mean_std])
def test_samples_that_differ_by_rounding_agree(score):
    jitter = 1 + 1e-7 * torch.randn(50, 20, 10, generator=seeded(0))
    predicted = log_probs(1, 1, 10, seed=3) * jitter
    assert (score(predicted) == 0).all()
    assert (max_disagreement(predicted) == 0).all()


def enumerated(point, targets):
    """EPIG and CoreMSE of one point (K, C) by their definitions, targets (T, K, C)."""
    gains, moves = [], []
    for target in targets:
        before = average(target)
        gain = move = 0.0
        for label, probability in enumerate(average(point)):
            if probability == 0:
                continue
            weights = [sample[label] / (probability * len(point)) for sample in point]
            after = [
                sum(w * sample[y] for w, sample in zip(weights, target, strict=True))
                for y in range(len(before))
            ]
            gain += probability * divergence(after, before)
            move += probability * sum((a - b) ** 2 for a, b in zip(after, before, strict=True))
        gains.append(gain)
        moves.append(move)
    return statistics.fmean(gains), statistics.fmean(moves)


@pytest.mark.parametrize("predicted", POOLS)
def test_epig_and_coremse_are_the_expected_change_of_target_predictions(predicted):
    view = FakeView(predicted)
    targets = view.target_log_probs(7).double().exp().tolist()
    points = predicted.double().exp().tolist()
    expected = torch.tensor([enumerated(point, targets) for point in points]).double()
    torch.testing.assert_close(EPIG(7).of_pool(view, None), expected[:, 0], atol=2e-6, rtol=0)
    torch.testing.assert_close(CoreMSE(7).of_pool(view, None), expected[:, 1], atol=2e-6, rtol=0)


@pytest.mark.parametrize("score", [EPIG(20), CoreMSE(20)], ids=lambda score: type(score).__name__)
def test_copies_have_bitwise_equal_scores_wherever_they_are(score):
    """In float32 the last bits of a product depend on the place of a column."""
    distinct = log_probs(4, 20, 7)
    view = FakeView(distinct.repeat(77, 1, 1))
    scores = score.of_pool(view, None)
    assert scores.dtype == torch.float64
    assert len(scores.unique()) == 4
    assert torch.equal(scores[:4].repeat(77), scores)


def test_points_of_equal_information_are_not_taken_for_copies():
    """Samples 0 and 1 against 2 and 3, or 0 and 2 against 1 and 3: the targets know which."""
    sides = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    pool = torch.stack([sides[[0, 0, 1, 1]], sides[[0, 1, 0, 1]]]).log().double()
    given = pool.clone()
    moved = torch.tensor([1e-3, 0.0, 5e-3, 0.0])
    targets = torch.stack([1 - moved, moved], dim=1).log()[None]  # (1, K, C)

    class View(FakeView):
        def target_log_probs(self, num_targets, num_samples=None):
            return targets.expand(num_targets, 4, 2)

    first, second = CoreMSE(5).of_pool(View(pool), None).tolist()
    assert first == pytest.approx(2 * 0.001**2, rel=0.01)
    assert second == pytest.approx(2 * 0.0015**2, rel=0.01)
    assert torch.equal(pool, given)


def test_epig_prefers_what_bears_on_the_targets():
    """BALD cannot tell the two points apart; only the second one bears on the target."""
    sides = torch.tensor([[0.9, 0.1], [0.1, 0.9]])
    pool = torch.stack([sides[[0, 0, 1, 1]], sides[[0, 1, 0, 1]]]).log()  # (2, K = 4, C)

    class View(FakeView):
        def target_log_probs(self, num_targets, num_samples=None):
            return self.given[1:].expand(num_targets, 4, 2)

    view = View(pool)
    assert bald(pool)[0].item() == pytest.approx(bald(pool)[1].item(), abs=1e-6)
    assert EPIG(5).of_pool(view, None)[0].item() == pytest.approx(0, abs=1e-6)
    for seed in range(20):
        assert Pointwise(EPIG(5), TopB()).select(view, 1, seeded(seed)).positions.item() == 1
        assert Pointwise(EPIG(5), Power(50)).select(view, 1, seeded(seed)).positions.item() == 1


@pytest.mark.parametrize("number", [0, -3, 1.5, True, "7"])
def test_numbers_of_targets_that_make_no_sense_are_refused(number):
    for score in (EPIG, CoreMSE):
        with pytest.raises(ConfigError, match=r"^num_targets must"):
            score(number)
