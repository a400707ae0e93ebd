"""Entropies and mutual information of single points, against formulas in float64."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pool_views import log_probs, seeded

from al_bench.information.entropies import (
    conditional_entropy,
    entropy,
    mutual_information,
    predictive_entropy,
    predictive_log_probs,
)

# Peaked enough that some float32 probabilities underflow to 0.
predictions = st.builds(
    log_probs,
    st.integers(1, 6),
    st.integers(1, 7),
    st.integers(2, 6),
    st.integers(0, 10_000),
    st.sampled_from([0.1, 1.0, 5.0, 60.0]),
)


@settings(max_examples=40)
@given(predictions)
def test_mutual_information_is_between_zero_and_log_of_samples_or_classes(predicted):
    information = mutual_information(predicted)
    assert information.dtype == torch.float64
    assert (information >= 0).all()
    bound = math.log(min(predicted.shape[1], predicted.shape[2]))
    assert (information <= bound + 1e-6).all()


@settings(max_examples=25)
@given(predictions, st.integers(2, 4))
def test_duplicated_posterior_samples_change_nothing(predicted, copies):
    predicted = predicted.double()
    twice = predicted.repeat_interleave(copies, dim=1)
    torch.testing.assert_close(mutual_information(twice), mutual_information(predicted))
    torch.testing.assert_close(predictive_entropy(twice), predictive_entropy(predicted))


@pytest.mark.slow
@settings(max_examples=25)
@given(predictions, st.randoms(use_true_random=False))
def test_order_of_points_samples_and_classes_does_not_matter(predicted, random):
    predicted = predicted.double()
    n, k, c = (random.sample(range(size), size) for size in predicted.shape)
    for quantity in (mutual_information, predictive_entropy, conditional_entropy):
        permuted = quantity(predicted[n][:, k][:, :, c])
        torch.testing.assert_close(permuted, quantity(predicted)[n], atol=1e-12, rtol=1e-9)


@pytest.mark.slow
@settings(max_examples=60)
@given(predictions)
def test_values_in_float32_are_those_of_the_same_numbers_in_float64(predicted):
    for quantity in (mutual_information, predictive_entropy, conditional_entropy):
        expected = quantity(predicted.double())
        torch.testing.assert_close(quantity(predicted), expected, atol=3e-7, rtol=0)


@pytest.mark.parametrize(("num_classes", "bound"), [(10, 1e-6), (20_000, 1e-5)])
def test_information_in_float32_is_as_good_as_it_says(num_classes, bound):
    given = log_probs(12, 10, num_classes, scale=2.0)
    expected = mutual_information(given.double())
    assert (expected > 0.1).all()
    assert (mutual_information(given) - expected).abs().max() < bound


@pytest.mark.parametrize("scale", [0.001, 0.1, 1.0, 10.0])
def test_small_values_in_float32_are_relatively_as_good(scale):
    """Confident points and agreeing samples: differences of float32 numbers would be rounding."""
    logits = torch.linspace(1, 12, 6, dtype=torch.float64).diag()[:, None]  # (n, 1, C)
    noise = torch.randn(6, 40, 6, dtype=torch.float64, generator=seeded(0))
    exact = (logits + scale * noise).log_softmax(dim=-1)
    given = (logits + scale * noise).float().log_softmax(dim=-1)
    for quantity in (mutual_information, predictive_entropy, conditional_entropy):
        torch.testing.assert_close(quantity(given), quantity(exact), atol=0, rtol=2e-3)


def test_one_impossible_class_of_one_sample_costs_no_information():
    """0 log 0 is no number in float32 sums, and must not be one in the result either."""
    predicted = torch.tensor([[[0.5, 0.5, 0.0], [0.25, 0.25, 0.5]]] * 2).log()
    predicted[1, 0, 2] = math.nan
    expected = 2 * -0.375 * math.log(0.375) - 0.25 * math.log(0.25)
    assert predictive_entropy(predicted)[0].item() == pytest.approx(expected, abs=1e-7)
    for quantity in (mutual_information, predictive_entropy, conditional_entropy):
        assert quantity(predicted).isnan().tolist() == [False, True]


def test_many_nearly_uniform_classes_are_neither_nan_nor_beyond_log_c():
    logits = 1e-3 * torch.randn(8, 2, 100_000, generator=seeded(0))
    entropies = predictive_entropy(logits.log_softmax(dim=-1))
    assert (entropies <= math.log(100_000) + 1e-5).all()
    assert entropies.tolist() == pytest.approx([math.log(100_000)] * 8, rel=1e-6)


@pytest.mark.slow
def test_copies_are_equal_whatever_the_pieces_and_threads():
    """The last piece of three may be one point, whose sum torch would divide among threads."""
    copies = log_probs(1, 33, 1001, seed=0).expand(10, 33, 1001).contiguous()
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            for quantity in (mutual_information, predictive_entropy, conditional_entropy):
                assert len(quantity(copies).unique()) == 1
    finally:
        torch.set_num_threads(threads)


def test_uniform_predictions_have_entropy_log_c():
    uniform = torch.full((2, 3, 5), 0.2).log()
    torch.testing.assert_close(entropy(uniform), torch.full((2, 3), math.log(5)).double())
    torch.testing.assert_close(predictive_entropy(uniform), torch.full((2,), math.log(5)).double())
    assert mutual_information(uniform).tolist() == [0.0, 0.0]


def test_certain_predictions_have_no_entropy_and_no_nan():
    """Pitfall 3: probability 0 is log-probability -inf, and 0 log 0 is 0."""
    agreeing, disagreeing = torch.tensor([[0, 0, 0], [0, 1, 2]])
    predicted = torch.eye(3)[torch.stack([agreeing, disagreeing])].log()  # (2, K, C)
    assert conditional_entropy(predicted).tolist() == [0.0, 0.0]
    information = mutual_information(predicted)
    assert information[0] == 0.0
    assert information[1] == pytest.approx(math.log(3), abs=1e-12)
    assert predictive_log_probs(predicted)[0].tolist() == [0.0, -math.inf, -math.inf]


def test_samples_that_differ_by_rounding_only_have_no_information():
    row = log_probs(50, 1, 10, seed=3).expand(50, 20, 10)
    jittered = row * (1 + 1e-7 * torch.randn(row.shape, generator=seeded(0)))
    assert (mutual_information(row) == 0).all()
    assert (mutual_information(jittered) == 0).all()


def test_tiny_disagreement_keeps_its_information():
    probs = torch.tensor([[[0.5 + 1e-4, 0.5 - 1e-4], [0.5 - 1e-4, 0.5 + 1e-4]]]).double()
    # to second order KL(π_k || 1/2) is twice the squared deviation
    assert mutual_information(probs.log())[0] == pytest.approx(2e-8, rel=1e-4)


@pytest.mark.parametrize("shape", [(3, 4), (2, 0, 3), (2, 3, 0), (2, 3, 4, 5)])
def test_shapes_other_than_points_samples_classes_are_refused(shape):
    with pytest.raises(ValueError, match=r"\(n, K, C\)"):
        mutual_information(torch.zeros(shape))
