"""The group-sequential test against an enumeration written out, and its promises simulated."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from al_bench.stats import sequential
from al_bench.stats.sequential import boundaries, decide, first_deciding

LOOKS = (3, 5, 8, 10)


def enumerated(d, looks, most, levels):
    """Boundaries by trying every distinct sum at every look, all flips written out."""
    signs = np.array(list(itertools.product([1, -1], repeat=looks[-1])))
    table, crossed = [], []
    for level in levels:
        over = np.zeros(len(signs), dtype=bool)
        row, own = [], []
        for k, n in enumerate(looks):
            size = np.abs((signs[:, :n] * d[:n]).sum(axis=1))
            allowed = Fraction(level) * n / most
            for candidate in np.unique(np.round(size[~over], 9)):
                now = over | (size > candidate + 1e-8)
                if Fraction(int(now.sum()), len(signs)) <= allowed:
                    break
            bound = max([candidate, *(before[k] for before in table[-1:])])
            over |= size > bound + 1e-8
            row.append(bound)
            own.append(bool(over[0]))
        table.append(row)
        crossed.append(own)
    return np.array(table), np.array(crossed)


@pytest.mark.parametrize("seed", range(4))
def test_boundaries_are_those_of_an_enumeration(seed):
    d = np.random.default_rng(seed).normal(0.5, 1, 10)
    levels = [Fraction(1, 4) / r for r in (1, 2, 3)]
    expected, crossed = enumerated(d, LOOKS, 10, levels)
    found, own = sequential._walk(d, LOOKS, 10, [float(level) for level in levels])
    np.testing.assert_allclose(found, expected, atol=1e-8)
    assert (own == crossed).all()
    np.testing.assert_array_equal(boundaries(d, LOOKS, 10, [float(lv) for lv in levels]), found)


def test_equal_differences_are_ties_that_are_counted_exactly():
    d = np.full(10, 0.1)  # sums of tenths differ in their last bits
    levels = [Fraction(1, 5)]
    found = boundaries(d, LOOKS, 10, [0.2])
    np.testing.assert_allclose(found, enumerated(d, LOOKS, 10, levels)[0], atol=1e-8)


def test_of_all_sign_flips_no_more_than_the_level_is_decided():
    d = np.abs(np.random.default_rng(1).normal(size=9))
    decided = 0
    for signs in itertools.product([1, -1], repeat=9):
        decided += bool(decide({"a": d * signs}, {"a": [3, 6, 9]}, 9, level=0.1))
    assert 0.08 < decided / 2**9 <= 0.1


def test_random_flips_agree_with_all_of_them(monkeypatch):
    d = np.random.default_rng(2).normal(0.6, 1, 14)
    looks = [7, 10, 14]
    exact = boundaries(d, looks, 14, [0.05, 0.025])
    monkeypatch.setattr(sequential, "EXACT_SEEDS", 8)
    drawn = boundaries(d, looks, 14, [0.05, 0.025])
    assert (drawn[:, 0] == exact[:, 0]).all()
    np.testing.assert_allclose(drawn, exact, rtol=0.03)
    assert (boundaries(d, looks, 14, [0.05, 0.025]) == drawn).all()


def test_earlier_looks_stay_as_they_were():
    d = np.random.default_rng(3).normal(0.8, 1, 15)
    all_looks = boundaries(d, [5, 10, 15], 15, [0.05])
    assert (boundaries(d[:10], [5, 10], 15, [0.05]) == all_looks[:, :2]).all()


def test_what_a_smaller_level_decides_a_larger_one_does():
    rng = np.random.default_rng(4)
    levels = [0.1 / r for r in range(1, 5)]
    for _ in range(50):
        d = rng.standard_t(3, size=12) + 0.3
        own = sequential._walk(d, [4, 7, 9, 12], 12, levels)[1]
        assert (own[:-1] >= own[1:]).all()


def test_an_arm_that_is_out_leaves_its_level_to_the_others():
    clear = np.linspace(1, 2, 12)
    d = np.array([3, -1, 2, 2, 1, 1.5, 2, 1, -0.1, 1.2, 1, 1.1])
    looks = {"a": [6, 9], "b": [6, 9], "c": [6, 9]}
    noise = np.array([1, -1] * 6)
    alone = decide({"a": d}, {"a": [6, 9]}, 12)
    with_noise = decide({"a": d, "b": noise, "c": -noise}, looks, 12)
    with_clear = decide({"a": d, "b": clear, "c": clear}, looks, 12)
    assert set(alone) == {"a"}
    assert not with_noise
    assert set(with_clear) == {"a", "b", "c"}
    assert with_clear["b"].look <= with_clear["a"].look


def test_a_decision_says_when_it_fell_and_which_way():
    d = -np.linspace(1, 2, 20)
    found = decide({"a": d}, {"a": [5, 10, 15, 20]}, 20)["a"]
    assert (found.verdict, found.look, found.num_seeds) == ("worse", 1, 10)
    assert found.difference == pytest.approx(d[:10].mean())
    assert not decide({"a": d}, {"a": [5]}, 20)  # 2 of 32 flips are 6 %


def test_an_arm_that_has_turned_since_it_crossed_stays_open():
    """What B's decision frees at the second look would do for A's first, when it was better."""
    turned = [1] * 7 + [-0.01, -5, -5]
    other = [1, 1.1, 1.2, 1, 1, 1, 1, -0.01, 1.0, 1.3]
    decided = decide({"A": turned, "B": other}, {"A": [8, 10], "B": [8, 10]}, 20)
    assert {arm: one.verdict for arm, one in decided.items()} == {"B": "better"}


def test_arms_without_any_difference_stay_open():
    assert not decide({"a": np.zeros(10), "b": []}, {"a": [5, 10], "b": [0, 0]}, 10, level=0.5)


def test_the_first_look_that_can_decide_is_known():
    for arms in (1, 3, 12):
        n = first_deciding(arms, 20)
        for seeds, decided in ((n - 1, 0), (n, arms)):
            d = {str(arm): np.linspace(1, 2, seeds) for arm in range(arms)}
            assert len(decide(d, {arm: [seeds] for arm in d}, 20)) == decided
    assert first_deciding(1, 5) is None


def test_what_is_no_difference_is_refused():
    with pytest.raises(ValueError, match="finite"):
        decide({"a": [1.0, np.nan]}, {"a": [2]}, 2)
    with pytest.raises(ValueError, match="3 pairs of 2"):
        decide({"a": [1.0, 2.0]}, {"a": [3]}, 5)


@pytest.mark.slow
def test_deciding_by_chance_is_as_rare_as_stated_and_looking_at_p_is_not():
    import sys
    from pathlib import Path

    sys.path.append(str(Path(__file__).parents[2] / "scripts"))
    try:
        from simulate_sequential import DRAWS, simulate
    finally:
        sys.path.pop()
    null = simulate(DRAWS["normal"], 0, 1, (4, 12), 1_500)
    assert null["any false decision"] < 0.05 + 2 * (0.05 * 0.95 / 1_500) ** 0.5
    assert null["any false decision when t-tests are looked at"] > 0.06
    clear = simulate(DRAWS["normal"], 1.5, 1, (4, 12), 300)
    assert clear["better arm found"] > 0.8
    assert clear["better arm called worse"] == 0
