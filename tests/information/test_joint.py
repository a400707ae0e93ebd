"""Joint entropies of several points, against enumeration."""

import itertools
import math
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pool_views import log_probs, seeded

from al_bench.information.entropies import mutual_information
from al_bench.information.joint import JointOutcomes, joint_entropy, thinned


def outcomes_of(predicted, max_outcomes=10_000, seed=0):
    outcomes = JointOutcomes.none(predicted.shape[1])
    generator = seeded(seed)
    for point in predicted:
        outcomes = outcomes.extended(point, max_outcomes, generator)
    return outcomes


@pytest.mark.slow
@settings(max_examples=30)
@given(
    st.integers(1, 4),
    st.integers(2, 6),
    st.integers(2, 4),
    st.integers(0, 10_000),
    st.sampled_from([0.2, 2.0, 30.0]),
)
def test_information_grows_by_the_gains_and_less_than_the_sum_of_parts(n, k, c, seed, scale):
    predicted = log_probs(n + 1, k, c, seed, scale).double().log_softmax(-1)
    parts = mutual_information(predicted)
    outcomes, before = JointOutcomes.none(k), 0.0
    gains = []
    for point in predicted:
        candidates = outcomes.gains(predicted)
        gains.append(candidates)
        mine = len(gains) - 1
        outcomes = outcomes.extended(point, 10_000, seeded(0))
        assert outcomes.information == pytest.approx(before + float(candidates[mine]), abs=2e-6)
        before = outcomes.information
    assert outcomes.exact
    assert outcomes.variance == 0
    assert -1e-9 <= outcomes.information <= math.log(k) + 1e-9
    assert outcomes.information <= float(parts.sum()) + 1e-6
    for earlier, later in itertools.pairwise(gains):  # submodular: gains only shrink
        assert (later <= earlier + 1e-6).all()


def test_before_any_label_the_gain_is_the_mutual_information():
    predicted = log_probs(30, 7, 5)
    gains = JointOutcomes.none(7).gains(predicted)
    torch.testing.assert_close(gains, mutual_information(predicted), atol=5e-7, rtol=0)


@pytest.mark.slow
def test_nothing_underflows_however_many_points_are_chosen():
    predicted = log_probs(400, 5, 3, scale=0.5)
    outcomes = outcomes_of(predicted, max_outcomes=200)
    assert outcomes.posterior.isfinite().all()
    assert outcomes.mass.isfinite().all()
    assert 0 <= outcomes.remaining < 0.2
    assert math.isfinite(joint_entropy(predicted, 200, seeded(0)))


def test_certain_members_end_with_nothing_left_to_learn():
    predicted = torch.eye(4)[torch.tensor([[0, 1, 2, 3], [1, 1, 2, 2]])].log()
    outcomes = outcomes_of(predicted)
    assert outcomes.remaining == 0
    assert outcomes.gains(predicted).tolist() == [0.0, 0.0]
    assert outcomes.extended(predicted[0], 10, seeded(0)).information == math.log(4)
    assert joint_entropy(predicted) == pytest.approx(math.log(4))


@pytest.mark.slow
def test_sampled_information_is_unbiased_and_its_error_honest():
    predicted = log_probs(9, 12, 4, seed=5)
    exact = outcomes_of(predicted, max_outcomes=4**9)
    estimates = [outcomes_of(predicted, max_outcomes=200, seed=seed) for seed in range(60)]
    assert exact.exact
    assert not estimates[0].exact
    assert all(len(estimate.mass) <= 200 for estimate in estimates)
    information = [estimate.information for estimate in estimates]
    spread = statistics.stdev(information)
    assert abs(statistics.mean(information) - exact.information) < 4 * spread / math.sqrt(60)
    reported = statistics.mean(math.sqrt(estimate.variance) for estimate in estimates)
    assert spread / 2 < reported < 3 * spread


@pytest.mark.slow
def test_sampled_gains_are_unbiased():
    predicted = log_probs(12, 10, 4, seed=6)
    candidates = predicted[8:]
    exact = outcomes_of(predicted[:8], max_outcomes=4**8).gains(candidates)
    sampled = torch.stack(
        [outcomes_of(predicted[:8], 200, seed).gains(candidates) for seed in range(60)]
    )
    error = (sampled.mean(dim=0) - exact).abs() / (sampled.std(dim=0) / math.sqrt(60))
    assert (error < 4).all()


def test_equally_likely_outcomes_are_sampled_independently():
    """One draw for all strata would give every outcome the same label: the average posterior
    would follow that label instead of staying the prior."""
    sign = torch.tensor([[1.0, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])
    heads = 0.5 + 0.001 * sign[[1, 2, 3]].repeat(4, 1)  # (12, K): labels tell next to nothing
    coins = torch.stack([heads, 1 - heads], dim=-1).log()
    for seed in range(3):
        outcomes = outcomes_of(coins, 1024, seed)
        assert not outcomes.exact
        average = outcomes.mass @ outcomes.posterior
        assert average.tolist() == pytest.approx([0.25] * 4, abs=1e-4)


@pytest.mark.slow
def test_thinning_keeps_what_fits_and_is_unbiased_otherwise():
    weights = torch.rand(40, generator=seeded(0), dtype=torch.float64) ** 4
    weights[7] = 0
    positions, kept, chance = thinned(weights, 40, seeded(1))
    assert positions.tolist() == [i for i in range(40) if i != 7]
    assert torch.equal(kept, weights[positions])
    assert (chance == 1).all()

    total = torch.zeros(40, dtype=torch.float64)
    for seed in range(2000):
        positions, kept, chance = thinned(weights, 10, seeded(seed))
        assert len(positions) == 10
        assert kept.sum() == pytest.approx(float(weights.sum()))
        assert ((chance == 1) == (kept == weights[positions])).all()
        total.index_add_(0, positions, kept)
    torch.testing.assert_close(total / 2000, weights, atol=0.02, rtol=0.1)


@pytest.mark.slow
@settings(max_examples=30)
@given(
    st.integers(1, 5),
    st.integers(2, 9),
    st.integers(2, 4),
    st.integers(1, 12),
    st.sampled_from([60, 10_000]),
    st.integers(0, 10_000),
    st.sampled_from([0.2, 2.0, 30.0]),
)
def test_no_gain_is_above_that_of_merged_outcomes(n, k, c, count, max_outcomes, seed, scale):
    predicted = log_probs(n + 6, k, c, seed, scale).double().log_softmax(-1)
    outcomes = outcomes_of(predicted[:n], max_outcomes, seed)
    if len(outcomes.mass) == 0:  # nothing is left to be learnt
        return
    merged = outcomes.merged(count)
    assert len(merged.mass) <= count
    torch.testing.assert_close(merged.mass.sum(), outcomes.mass.sum())
    torch.testing.assert_close(merged.mass @ merged.posterior, outcomes.mass @ outcomes.posterior)
    torch.testing.assert_close(merged.posterior.sum(dim=1), torch.ones_like(merged.mass))
    gains = outcomes.gains(predicted[n:], torch.float64)
    assert (merged.gains(predicted[n:], torch.float64) >= gains - 1e-12).all()


def test_as_many_groups_as_there_are_kinds_of_outcomes_lose_nothing():
    """Twelve outcomes of three posteriors."""
    posterior = torch.eye(3, dtype=torch.float64).mul(0.7).add(0.1).repeat(4, 1)
    mass = torch.rand(12, generator=seeded(0), dtype=torch.float64)
    outcomes = JointOutcomes(posterior, mass, mass, mass)
    predicted = log_probs(5, 3, 4)
    merged = outcomes.merged(3)
    assert len(merged.mass) == 3
    torch.testing.assert_close(
        merged.gains(predicted, torch.float64), outcomes.gains(predicted, torch.float64)
    )


def test_joint_entropy_is_sampled_only_with_a_generator():
    predicted = log_probs(5, 4, 4)
    exact = joint_entropy(predicted, max_outcomes=4**5)
    assert joint_entropy(predicted, 100, seeded(0)) == pytest.approx(exact, abs=0.05)
    with pytest.raises(ValueError, match="generator"):
        joint_entropy(predicted, 100)
