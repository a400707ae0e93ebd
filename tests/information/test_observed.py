"""What observed labels tell: definitions, expectations, cross-entropies."""

import itertools
import math
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pool_views import log_probs, one_hot, seeded

from al_bench.information.crossentropy import (
    conditional_cross_entropy,
    effective_samples,
    joint_cross_entropy,
    joint_cross_entropy_of_batches,
    marginal_cross_entropy,
    posterior_weights,
    surprise,
    updated_log_probs,
)
from al_bench.information.entropies import (
    entropy,
    mutual_information,
    predictive_entropy,
    predictive_log_probs,
)
from al_bench.information.observed import (
    information_gain,
    information_gained,
    label_log_probs,
    posterior,
    predictive_information_gain,
    uniform,
)
from al_bench.information.predictive import epig

sizes = given(
    k=st.integers(1, 6),
    c=st.integers(2, 4),
    seed=st.integers(0, 10_000),
    scale=st.sampled_from([0.1, 1.5, 20.0]),
)


def expectation(pool, of_labels):
    """Σ_y p(y | x) of a quantity of observed labels."""
    total = torch.zeros(len(pool), dtype=torch.float64)
    for label in range(pool.shape[2]):
        labels = torch.full((len(pool),), label)
        total += predictive_log_probs(pool)[:, label].exp() * of_labels(labels)
    return total


@settings(max_examples=20)
@sizes
def test_expectations_over_the_label_are_the_capital_letters(k, c, seed, scale):
    pool, targets = log_probs(4, k, c, seed, scale), log_probs(3, k, c, seed + 1, scale)
    close = {"atol": 2e-6, "rtol": 0}
    torch.testing.assert_close(
        expectation(pool, lambda y: information_gain(pool, y)), mutual_information(pool), **close
    )
    torch.testing.assert_close(
        expectation(pool, lambda y: predictive_information_gain(pool, y, targets)),
        epig(pool, targets),
        **close,
    )
    torch.testing.assert_close(
        expectation(pool, lambda y: surprise(pool, y).clamp_max(1e300)),
        predictive_entropy(pool),
        **close,
    )


@settings(max_examples=25)
@sizes
def test_what_labels_tell_one_after_the_other_is_what_they_tell_together(k, c, seed, scale):
    """I[y_1, y_2; Ω] = I[y_1; Ω] + I[y_2; Ω | y_1], the first of which is of one label."""
    pool = log_probs(2, k, c, seed, scale)
    labels = torch.randint(c, (2,), generator=seeded(seed))
    of_label = label_log_probs(pool, labels)
    prior = uniform(of_label)
    first = posterior(of_label[:1])
    both = posterior(of_label[1:], first[0])
    together = posterior_weights(pool, labels)[None]
    told, more = information_gained(prior, first), information_gained(first[0], both)
    exact = {"atol": 1e-9, "rtol": 0}
    torch.testing.assert_close(told, information_gain(pool, labels)[:1], **exact)
    torch.testing.assert_close(told + more, information_gained(prior, together), **exact)
    assert -math.log(k) - 1e-9 <= float(more) <= math.log(k) + 1e-9


def test_gains_of_a_label_by_hand():
    """Two samples, of which the label leaves the first with weight 0.9."""
    pool = torch.tensor([[[0.9, 0.1], [0.1, 0.9]]]).log()
    target = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]).log()
    label = torch.tensor([0])
    left = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    assert surprise(pool, label).item() == pytest.approx(math.log(2))
    assert information_gain(pool, label).item() == pytest.approx(math.log(2) - left)
    gain = predictive_information_gain(pool, label, target)
    assert gain.item() == pytest.approx(math.log(2) - left, abs=1e-6)


def test_a_label_may_make_predictions_less_certain():
    pool = torch.tensor([[[0.5, 0.5], [0.01, 0.99], [0.01, 0.99]]]).log()
    target = torch.tensor([[[0.5, 0.5], [1.0, 0.0], [1.0, 0.0]]]).log()
    assert predictive_information_gain(pool, torch.tensor([0]), target).item() < -0.1
    assert predictive_information_gain(pool, torch.tensor([1]), target).item() > 0.1
    assert epig(pool, target).item() > 0


def test_labels_that_no_sample_thinks_possible_teach_nothing():
    pool, targets = one_hot(4, 5, 3)[:1], log_probs(2, 5, 3)  # class 1 for certain
    for label in range(3):
        labels = torch.tensor([label])
        assert information_gain(pool, labels).item() == 0
        assert predictive_information_gain(pool, labels, targets).item() == 0
        assert surprise(pool, labels).item() == (0 if label == 1 else math.inf)


@settings(max_examples=25)
@sizes
def test_cross_entropies_keep_their_order_and_the_chain_rule(k, c, seed, scale):
    pool = log_probs(6, k, c, seed, scale)
    labels = torch.randint(c, (6,), generator=seeded(seed))
    rows = torch.arange(6)
    marginal, joint = marginal_cross_entropy(pool, labels), joint_cross_entropy(pool, labels)
    members = -pool.double()[rows, :, labels].mean(dim=0)  # (K,)
    assert conditional_cross_entropy(pool, labels) == pytest.approx(float(members.mean()))
    assert marginal <= float(members.mean()) + 1e-9
    assert joint <= float(members.mean()) + 1e-9
    assert float(members.min()) - 1e-9 <= joint <= float(members.min()) + math.log(k) / 6 + 1e-9
    online = 0.0
    for i in range(6):
        weights = posterior_weights(pool[:i], labels[:i])
        online -= float(updated_log_probs(pool[i : i + 1], weights)[0, labels[i]])
    assert joint == pytest.approx(online / 6)


def test_joint_cross_entropy_by_enumeration_and_of_batches():
    pool, labels = log_probs(6, 4, 3), torch.tensor([0, 1, 2, 0, 1, 2])
    probs = pool.double().exp()

    def joint(batch):
        product = torch.ones(4, dtype=torch.float64)
        for i in batch:
            product *= probs[i, :, labels[i]]
        return -math.log(float(product.mean())) / len(batch)

    assert joint_cross_entropy(pool, labels) == pytest.approx(joint(range(6)))
    expected = statistics.mean(joint(batch) for batch in itertools.combinations(range(6), 3))
    estimate, error = joint_cross_entropy_of_batches(pool, labels, 3, 400, seeded(0))
    assert abs(estimate - expected) < 4 * error
    assert 0 < error < 0.05
    every, none = joint_cross_entropy_of_batches(pool, labels, 6, 5, seeded(0))
    assert every == pytest.approx(joint(range(6)))
    assert none == pytest.approx(0, abs=1e-12)
    for batch_size, num_batches in ((0, 5), (7, 5), (2, 1)):
        with pytest.raises(ValueError, match=f"{num_batches} batches of {batch_size}"):
            joint_cross_entropy_of_batches(pool, labels, batch_size, num_batches, seeded(0))


def test_posterior_weights_are_bayes_rule():
    pool, labels = log_probs(3, 4, 3), torch.tensor([2, 0, 1])
    likelihood = torch.stack([pool[i, :, labels[i]].double().exp() for i in range(3)]).prod(dim=0)
    weights = posterior_weights(pool, labels)
    torch.testing.assert_close(weights, likelihood / likelihood.sum())
    updated = updated_log_probs(pool, weights).exp()
    torch.testing.assert_close(updated, (weights[:, None] * pool.double().exp()).sum(dim=1))
    assert 1 <= effective_samples(weights) <= 4
    assert effective_samples(torch.full((4,), 0.25)) == pytest.approx(4)
    assert effective_samples(torch.tensor([1.0, 0, 0])) == 1
    with pytest.raises(ValueError, match="possible together"):
        posterior_weights(one_hot(4, 5, 3)[:1], torch.tensor([0]))


def test_nan_is_refused():
    spoiled, labels = torch.full((2, 3, 4), torch.nan), torch.tensor([0, 1])
    for function in (surprise, information_gain, joint_cross_entropy, posterior_weights):
        with pytest.raises(ValueError, match="NaN"):
            function(spoiled, labels)
    assert entropy(spoiled).isnan().all()
