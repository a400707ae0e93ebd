"""Noise is a function of where it is, and normally distributed."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from al_bench.data.noise import normal_noise

MANY = torch.arange(4000)
ZERO = torch.zeros(4000, dtype=torch.int64)


@pytest.mark.slow
def test_noise_has_the_moments_and_tails_of_a_standard_normal() -> None:
    noise = normal_noise(0, ZERO, MANY, 501).double().flatten()  # two million draws
    assert abs(noise.mean()) < 0.004
    assert abs(noise.std() - 1) < 0.003
    assert abs(noise.pow(3).mean()) < 0.01
    assert abs(noise.pow(4).mean() - 3) < 0.03
    for size in (2.0, 3.0, 4.0):
        expected = 2 * stats.norm.sf(size)
        found = float((noise.abs() > size).double().mean())
        assert found == pytest.approx(expected, abs=5 * (expected / len(noise)) ** 0.5)
    assert noise.abs().max() < 6.2


@pytest.mark.parametrize("key", [0, 1, 2**63, 2**64 - 1])
def test_noise_passes_a_kolmogorov_smirnov_test_for_any_key(key: int) -> None:
    noise = normal_noise(key, ZERO[:500], MANY[:500], 400).flatten().numpy()
    assert stats.kstest(noise, "norm").pvalue > 0.001


def test_noise_of_neighbours_copies_elements_and_keys_is_uncorrelated() -> None:
    noise = normal_noise(3, ZERO, MANY, 100)
    others = {
        "next point": (noise[:-1], noise[1:]),
        "next element": (noise[:, :-1], noise[:, 1:]),
        "next pair of elements": (noise[:, :-2], noise[:, 2:]),
        "next copy": (noise, normal_noise(3, ZERO + 1, MANY, 100)),
        "copy and point exchanged": (
            normal_noise(3, ZERO + 1, MANY, 100)[2:],
            normal_noise(3, MANY, ZERO + 1, 100)[2:],
        ),
        "next key": (noise, normal_noise(4, ZERO, MANY, 100)),
    }
    for name, (one, other) in others.items():
        correlation = np.corrcoef(one.flatten(), other.flatten())[0, 1]
        assert abs(correlation) < 5 / one.numel() ** 0.5, name


@pytest.mark.slow
@settings(max_examples=20)
@given(
    st.integers(0, 2**64 - 1),
    st.lists(st.integers(0, 200), min_size=1, max_size=30),
    st.integers(1, 33),
    st.integers(1, 7),
)
def test_noise_is_the_same_bits_in_any_order_and_chunk(
    key: int, positions: list[int], num_elements: int, chunk: int
) -> None:
    everything = normal_noise(key, torch.full((201,), 2), torch.arange(201), num_elements)
    some = torch.tensor(positions)
    parts = [
        normal_noise(key, torch.full_like(p, 2), p, num_elements)
        for p in (some[i : i + chunk] for i in range(0, len(some), chunk))
    ]
    assert torch.equal(torch.cat(parts), everything[some])


def test_noise_of_the_first_elements_does_not_depend_on_how_many_follow() -> None:
    assert torch.equal(
        normal_noise(9, ZERO[:5], MANY[:5], 11), normal_noise(9, ZERO[:5], MANY[:5], 64)[:, :11]
    )


def test_noise_stays_what_it_was_in_earlier_versions() -> None:
    noise = normal_noise(12345, torch.tensor([0, 2]), torch.tensor([0, 59_999]), 3)
    expected = torch.tensor(
        [[-0.2443909, -0.2461285, 1.1348523], [1.12484, -1.1694674, -0.6099335]]
    )
    torch.testing.assert_close(noise, expected, rtol=0, atol=1e-6)


def test_noise_of_no_points_is_empty() -> None:
    assert normal_noise(0, ZERO[:0], ZERO[:0], 4).shape == (0, 4)
