"""Predictive information against enumeration of every labeling, and its laws."""

import itertools
import math
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pool_views import log_probs, one_hot, seeded

from al_bench.information.changes import (
    PairwiseInformation,
    information_between,
    squared_change,
)
from al_bench.information.entropies import mutual_information
from al_bench.information.observed import predictive_information_gain
from al_bench.information.predictive import (
    conditional_information,
    epig,
    evaluation_information_gain,
    information_about,
    jepig,
    joint_outcomes,
    marginal_outcomes,
    soft_outcome,
)

ROUNDING = 2e-6


def joint_table(points):
    """p(y_1, …, y_n) over all labelings, flat, float64, of points (n, K, C)."""
    probs = points.double().exp()
    table = torch.ones(1, points.shape[1], dtype=torch.float64)
    for point in probs:
        table = (table[:, None] * point.T).flatten(end_dim=1)  # (labelings, K)
    return table.mean(dim=1)


def enumerated_entropy(points):
    return float(torch.special.entr(joint_table(points)).sum())


def enumerated_between(first, second):
    """I of the labels of two groups of points."""
    together = enumerated_entropy(torch.cat([first, second]))
    return enumerated_entropy(first) + enumerated_entropy(second) - together


sizes = given(
    k=st.integers(1, 5),
    c=st.integers(2, 4),
    seed=st.integers(0, 10_000),
    scale=st.sampled_from([0.1, 1.5, 30.0]),
)


@pytest.mark.slow
@settings(max_examples=25)
@sizes
def test_expected_gains_are_those_of_enumeration_and_ordered(k, c, seed, scale):
    pool, targets = log_probs(3, k, c, seed, scale), log_probs(3, k, c, seed + 1, scale)
    singly, together = epig(pool, targets), jepig(pool, targets)
    between = information_between(pool, targets)
    bald = mutual_information(pool)
    for i, point in enumerate(pool):
        pairs = [enumerated_between(point[None], target[None]) for target in targets]
        assert between[i].tolist() == pytest.approx(pairs, abs=ROUNDING)
        assert float(singly[i]) == pytest.approx(statistics.mean(pairs), abs=ROUNDING)
        assert float(together[i]) == pytest.approx(
            enumerated_between(point[None], targets), abs=ROUNDING
        )
    assert (singly >= 0).all()
    assert (singly <= together + ROUNDING).all()
    assert (together <= bald).all()
    assert (between <= bald[:, None] + ROUNDING).all()


@settings(max_examples=15)
@sizes
def test_information_between_two_points_is_symmetric(k, c, seed, scale):
    pool, targets = log_probs(4, k, c, seed, scale), log_probs(3, k, c, seed + 1, scale)
    torch.testing.assert_close(
        information_between(pool, targets), information_between(targets, pool).T, atol=1e-6, rtol=0
    )
    pairs = PairwiseInformation(pool)
    table = torch.stack([pairs.with_point(i) for i in range(4)])
    torch.testing.assert_close(table, table.T, atol=1e-6, rtol=0)
    torch.testing.assert_close(table, information_between(pool, pool).double(), atol=2e-6, rtol=0)
    assert (table <= pairs.alone + 1e-12).all()


@pytest.mark.slow
@settings(max_examples=15)
@sizes
def test_chain_rule_joins_the_gains_of_targets(k, c, seed, scale):
    """I[Y; Y*_1, Y*_2] = I[Y; Y*_1] + I[Y; Y*_2 | Y*_1], all three through outcomes."""
    pool, targets = log_probs(3, k, c, seed, scale), log_probs(2, k, c, seed + 1, scale)
    first = joint_outcomes(targets[:1], 100, seeded(0))
    both = first.extended(targets[1], 100, seeded(0))
    added = conditional_information(pool, first) - conditional_information(pool, both)
    torch.testing.assert_close(
        information_about(pool, first) + added, jepig(pool, targets), atol=ROUNDING, rtol=0
    )


def test_one_targets_outcomes_are_the_same_alone_and_joint():
    pool, target = log_probs(20, 8, 5), log_probs(1, 8, 5, seed=1)
    marginal, joint = marginal_outcomes(target), joint_outcomes(target, 10, seeded(0))
    torch.testing.assert_close(marginal.posterior, joint.posterior)
    torch.testing.assert_close(marginal.mass, joint.mass)
    assert marginal.information == pytest.approx(float(mutual_information(target)))
    torch.testing.assert_close(epig(pool, target), jepig(pool, target), atol=1e-7, rtol=0)


def test_targets_that_reveal_the_sample_make_jepig_bald():
    pool, targets = log_probs(10, 6, 4), log_probs(200, 6, 4, seed=1)
    sampled = jepig(pool, targets, 2000, seeded(0))
    torch.testing.assert_close(sampled, mutual_information(pool), atol=ROUNDING, rtol=0)
    assert (epig(pool, targets) < sampled).all()


def test_targets_alike_for_all_samples_have_nothing_to_be_told():
    pool = log_probs(10, 6, 4)
    targets = log_probs(5, 1, 4, seed=1).expand(5, 6, 4)
    for gain in (epig(pool, targets), jepig(pool, targets), information_between(pool, targets)):
        assert float(gain.max()) < ROUNDING
    assert float(evaluation_information_gain(pool, targets).abs().max()) < ROUNDING


@pytest.mark.slow
def test_sampled_jepig_is_unbiased():
    pool, targets = log_probs(6, 12, 4, seed=3, scale=0.8), log_probs(7, 12, 4, seed=4, scale=0.8)
    exact = jepig(pool, targets, 4**7)
    with pytest.raises(ValueError, match="generator"):
        jepig(pool, targets, 300)
    drawn = torch.stack([jepig(pool, targets, 300, seeded(seed)) for seed in range(40)])
    error = (drawn.mean(dim=0) - exact).abs() / (drawn.std(dim=0) / math.sqrt(40))
    assert (error < 4).all()


@pytest.mark.parametrize("scale", [1.5, 30.0])
def test_squared_change_is_that_of_the_updated_predictions(scale):
    pool, targets = log_probs(3, 5, 4, scale=scale), log_probs(2, 5, 4, seed=1, scale=scale)
    changes = squared_change(pool, targets)
    for (i, point), (t, target) in itertools.product(enumerate(pool), enumerate(targets)):
        expected = 0.0
        before = target.double().exp().mean(dim=0)
        for of_label in point.double().exp().T:  # (K,)
            after = (of_label / of_label.sum()) @ target.double().exp()
            expected += float(of_label.mean() * (after - before).square().sum())
        assert float(changes[i, t]) == pytest.approx(expected, abs=1e-6)


def test_evaluation_information_gain_reweighs_the_samples_by_soft_labels():
    pool, targets = log_probs(4, 5, 3), log_probs(2, 5, 3, seed=1)
    soft = targets.double().exp().mean(dim=1)  # (T, C)
    weights = torch.stack(
        [(soft * targets[:, k].double()).sum().exp() for k in range(5)]
    )  # exp of minus the cross-entropies
    weights /= weights.sum()
    torch.testing.assert_close(soft_outcome(targets).posterior[0], weights)
    for point, gain in zip(pool, evaluation_information_gain(pool, targets), strict=True):
        probs = point.double().exp()
        entropies = torch.special.entr(probs).sum(dim=1)
        plain = float(torch.special.entr(probs.mean(dim=0)).sum() - entropies.mean())
        fitted = float(torch.special.entr(weights @ probs).sum() - weights @ entropies)
        assert float(gain) == pytest.approx(plain - fitted, abs=ROUNDING)


def test_certain_predictions_have_defined_information():
    pool, targets = one_hot(10, 5, 3), one_hot(6, 5, 3)
    for gain in (
        epig(pool, targets),
        jepig(pool, targets),
        evaluation_information_gain(pool, targets),
        information_between(pool, targets),
        squared_change(pool, targets),
        PairwiseInformation(pool).with_point(1),
    ):
        assert gain.isfinite().all()
        assert float(gain[::3].abs().max()) < ROUNDING  # there the samples agree
    expected = [enumerated_between(pool[1:2], target[None]) for target in targets]
    assert float(epig(pool, targets)[1]) == pytest.approx(statistics.mean(expected), abs=ROUNDING)


def test_nan_stays_nan_and_shapes_are_checked():
    pool, targets = log_probs(3, 4, 3), log_probs(2, 4, 3)
    spoiled = torch.full_like(pool, torch.nan)
    for function in (epig, jepig, information_between, squared_change):
        assert function(spoiled, targets).isnan().all()
        with pytest.raises(ValueError, match=r"\(T, K, C\)"):
            function(pool, log_probs(2, 5, 3))
    for outcomes in (marginal_outcomes, lambda t: joint_outcomes(t, 9, seeded(0)), soft_outcome):
        with pytest.raises(ValueError, match="NaN"):
            outcomes(spoiled)
        with pytest.raises(ValueError, match=r"\(n, K, C\)"):
            outcomes(pool[0])


def small_changes(scale, num_points=60):
    """Candidates whose samples differ by about ``scale``, and targets whose samples differ more."""
    generator = seeded(11)
    base = 2 * torch.randn(num_points, 1, 6, generator=generator)
    moved = base + scale * torch.randn(num_points, 8, 6, generator=generator)
    return moved.log_softmax(dim=-1), log_probs(12, 8, 6, seed=12, scale=0.1)


def divergence_from_independence(predicted, targets):
    """E_x* KL(p(y, y* | x, x*) ‖ p(y | x) p(y* | x*)), float64: no difference of large numbers."""
    first, second = predicted.double().exp(), targets.double().exp()
    together = torch.einsum("nkc,tkd->ntcd", first, second) / first.shape[1]
    apart = first.mean(dim=1)[:, None, :, None] * second.mean(dim=1)[None, :, None, :]
    return (together * (together / apart).log()).sum(dim=(2, 3)).mean(dim=1)


@pytest.mark.parametrize("scale", [0.003, 0.01, 0.1, 1.0])
def test_small_scores_are_ranked_by_what_they_are_and_not_by_rounding(scale):
    predicted, targets = small_changes(scale)
    expected = divergence_from_independence(predicted, targets)
    assert expected.max() < 1e-3
    for found in (
        epig(predicted, targets),
        information_between(predicted, targets).double().mean(dim=1),
    ):
        assert torch.equal(found.argsort(), expected.argsort())
        torch.testing.assert_close(found, expected, rtol=2e-3, atol=1e-12)
    told = jepig(predicted, targets[:2])
    summing_to_1 = (part.double().log_softmax(dim=-1) for part in (predicted, targets[:2]))
    points, pair = summing_to_1
    joint = [enumerated_between(point[None], pair) for point in points]
    assert told.tolist() == pytest.approx(joint, rel=2e-3, abs=1e-12)


def test_a_small_difference_of_evaluation_information_is_right_in_sign_and_size():
    predicted, targets = small_changes(0.01)
    posterior = soft_outcome(targets).posterior[0]

    def information(weights):
        probs = predicted.double().exp()
        average = torch.einsum("k,nkc->nc", weights, probs)
        return (torch.special.entr(average) - weights @ torch.special.entr(probs)).sum(dim=1)

    expected = information(torch.full((8,), 0.125, dtype=torch.float64)) - information(posterior)
    found = evaluation_information_gain(predicted, targets)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-11)


def test_small_drops_in_entropy_are_ranked_by_what_they_are():
    predicted, targets = small_changes(0.001)
    labels = predicted.double().exp().mean(dim=1).argmax(dim=1)
    found = predictive_information_gain(predicted, labels, targets)
    weights = predicted.double()[torch.arange(60), :, labels].softmax(dim=1)
    before = torch.special.entr(targets.double().exp().mean(dim=1)).sum(dim=1).mean()
    after = torch.einsum("nk,tkc->ntc", weights, targets.double().exp())
    expected = before - torch.special.entr(after).sum(dim=2).mean(dim=1)
    assert expected.abs().max() < 1e-4
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-10)
