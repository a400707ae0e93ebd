"""dynamicAL's theory on the kernel: G, A, B, the outputs of training, and what the study stores."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from al_bench.studies import ntk


def kernel_and_targets(size=6, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    factor = torch.randn(size, size + 2, generator=generator, dtype=torch.float64)
    labels = torch.randint(classes, (size,), generator=generator)
    return factor @ factor.T, torch.nn.functional.one_hot(labels, classes).double()


@pytest.mark.slow
@given(st.integers(0, 2**20), st.integers(2, 7), st.integers(1, 3))
def test_speed_alignment_and_bound_are_traces(seed, size, classes):
    kernel, targets = kernel_and_targets(size, classes, seed)
    outputs = torch.randn(size, classes, dtype=torch.float64, generator=torch.Generator())
    gap = outputs - targets
    traced = float(torch.trace(gap.T @ kernel @ gap))
    assert ntk.speed(kernel, outputs, targets) == pytest.approx(traced)
    traced = float(torch.trace(targets.T @ kernel @ targets))
    assert ntk.alignment(kernel, targets) == pytest.approx(traced)
    assert ntk.speed(kernel, torch.zeros_like(targets), targets) == pytest.approx(traced)
    inverse = float(torch.trace(targets.T @ kernel.inverse() @ targets))
    assert ntk.bound(kernel, targets) == pytest.approx(math.sqrt(2 * inverse / size), rel=1e-6)


def by_descent(kernel, targets, before, num_trained, steps):
    """Gradient descent step by step, which moves all outputs through the kernel."""
    own = kernel[:num_trained, :num_trained]
    rate = 1 / torch.linalg.eigvalsh(own)[-1]
    outputs = before.clone()
    for _ in range(steps):
        gap = outputs[:num_trained] - targets
        outputs = outputs - rate * kernel[:, :num_trained] @ gap
    return outputs


@pytest.mark.parametrize("steps", [1, 3, 40])
def test_outputs_are_those_of_gradient_descent(steps):
    kernel, targets = kernel_and_targets()
    before = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = ntk.outputs_after(kernel, targets[:4], before, 4, steps)
    expected = by_descent(kernel, targets[:4], before, 4, steps)
    torch.testing.assert_close(found, expected)


def test_errors_are_those_of_gradient_descent_from_zero():
    kernel, targets = kernel_and_targets()
    found = ntk.error_after(kernel, targets, [1, 5])
    for steps, error in zip([1, 5], found, strict=True):
        outputs = by_descent(kernel, targets, torch.zeros_like(targets), 6, steps)
        assert error == pytest.approx(float((outputs - targets).square().sum()))


@pytest.mark.slow
@given(st.integers(0, 2**20))
def test_both_theorems_hold(seed):
    kernel, targets = kernel_and_targets(seed=seed)
    assert ntk.within_errors(kernel, targets, (1, 2, 30))
    assert ntk.within_bounds(kernel, targets)


def test_what_breaks_a_theorem_is_seen(monkeypatch):
    kernel, targets = kernel_and_targets()
    monkeypatch.setattr(ntk, "alignment", lambda *_: 1e9)
    assert not ntk.within_errors(kernel, targets, (1,))
    assert not ntk.within_bounds(kernel, targets)
