"""Labels saved, through ``compare`` and what it prints."""

import numpy as np
import pandas as pd
import pytest

from al_bench.commands.compare.publish import markdown
from al_bench.commands.compare.terminal import labels_table
from al_bench.report.words import verdicts
from al_bench.stats.comparison import compare
from al_bench.stats.rows import arm_rows

RISING = [0.5, 0.6, 0.7, 0.8]  # at 10, 20, 30, 40 labels
NOISE = 0.002 * np.array([1, -1, 0.5, -0.5, 0, 0])


@pytest.fixture
def saved(make_frame):
    """What ``compare`` says of a curve beside the baseline's; seeds share their noise."""

    def find(mine, theirs=RISING, seeds=range(5), metric="test_accuracy", **options):
        def rows(name, curve):
            return make_frame(
                name, seeds, range(len(curve)), lambda s, r: curve[r] + NOISE[s], metric=metric
            )

        frame = pd.concat([rows("random", theirs), rows("bald", mine)])
        return compare(frame, metric, **options)

    return find


def arm_of(result):
    return result.protocols[0].arms[1]


def printed(result):
    """The cell of the terminal's table and that of Markdown."""
    table = labels_table(result, result.protocols[0])
    cells = [list(column.cells)[1] for column in table.columns if column.header == "labels saved"]
    line = markdown(arm_rows(result)).splitlines()[-1]
    return cells[0].replace("\\", ""), line.split("|")[-2].strip()


def test_a_better_arm_saves_what_the_baseline_takes_longer(saved):
    arm = arm_of(saved([0.5, 0.8, 0.85, 0.9]))
    assert arm.saved == pytest.approx((20, 20, 20))  # 40 labels against 20
    assert not arm.saved_at_most


@pytest.mark.parametrize(
    ("curve", "most"),
    [
        ([0.5, 0.55, 0.6, 0.65], -15),  # the baseline has 0.65 with 25 labels
        ([0.5, 0.5, 0.5, 0.5], -30),  # nothing is learned: all labels bought are lost
        ([0.5, 0.45, 0.44, 0.44], -30),
        ([0.5, 0.9, 0.9, 0.6], -20),  # a lead that is lost is none
        ([0.5, 0.744, 0.744, 0.744], -5.6),  # 5.6 points below the baseline's end
        ([0.5, 0.59, 0.69, 0.797], -0.3),  # a part of a label is shown as one
    ],
)
def test_a_worse_arm_is_never_free(saved, curve, most):
    result = saved(curve)
    arm = arm_of(result)
    assert arm.saved == pytest.approx((most, most, most), abs=1e-6)
    assert arm.saved_at_most
    shown = min(round(most), -1)
    for cell in printed(result):
        assert cell == f"at most {shown} [{shown}, {shown}]"
    assert bool(arm_rows(result)["labels_saved_at_most"][1])
    if arm.verdict == "worse":
        _, sentence = verdicts(result.protocols[0], result.measure)
        assert f"takes at least {-shown} label{'s' * (shown < -1)} more" in sentence


@pytest.mark.slow
def test_a_curve_that_falls_below_another_that_falls_is_not_free_either(saved):
    falling = [0.9, 0.9, 0.8, 0.7]
    worse = arm_of(saved([0.9, 0.9, 0.7, 0.6], falling))
    assert (worse.saved[0], worse.saved_at_most, worse.saved_at_start) == (-30, True, False)
    better = saved([0.9, 0.9, 0.85, 0.8], falling)
    assert arm_of(better).saved == (0, 0, 0)  # both have the baseline's end from the first count on
    assert arm_of(better).saved_at_start
    assert printed(better) == ("at the start", "at the start")


def test_equal_arms_save_nothing(saved):
    arm = arm_of(saved(RISING))
    assert arm.saved == (0, 0, 0)
    assert not arm.saved_at_most
    assert not arm.saved_at_start


def test_curves_that_cross_are_read_at_the_end(saved):
    arm = arm_of(saved([0.5, 0.5, 0.8, 0.9]))  # behind first
    assert arm.saved[0] == pytest.approx(10)


@pytest.mark.slow
def test_words_that_point_the_other_way_say_yet(saved):
    late = saved([0.5, 0.3, 0.4, 1.0], seeds=range(6))  # equal differences of five are not enough
    assert arm_of(late).verdict == "worse"
    assert arm_of(late).saved[0] > 0
    _, sentence = verdicts(late.protocols[0], late.measure)
    assert "Yet it takes" in sentence
    lost = saved([0.5, 0.9, 0.9, 0.78], seeds=range(6))
    assert arm_of(lost).verdict == "better"
    _, sentence = verdicts(lost.protocols[0], lost.measure)
    assert "Yet it never has random's final value" in sentence


@pytest.mark.slow
def test_a_metric_to_be_lowered(saved):
    losses = [2.0, 1.5, 1.0, 0.5]
    better = saved([2.0, 0.5, 0.4, 0.3], losses, metric="test_nll")
    assert arm_of(better).saved[0] == pytest.approx(20)
    worse = saved([2.0, 1.8, 1.6, 1.5], losses, metric="test_nll")
    assert arm_of(worse).saved[0] == pytest.approx(-20)
    assert arm_of(worse).saved_at_most


def test_one_seed_has_no_interval(saved):
    result = saved([0.5, 0.55, 0.6, 0.65], seeds=[0])
    assert arm_of(result).saved[0] == pytest.approx(-15)
    assert np.isnan(arm_of(result).saved[1])
    assert printed(result) == ("at most -15", "at most -15")


def test_a_resample_in_which_the_arm_ends_below_counts_with_its_bound(make_frame):
    """Three seeds up, two down: resamples of both kinds, and an interval with both signs."""
    ends = [0.1, 0.1, 0.1, -0.1, -0.1]
    mine = make_frame(
        "bald", range(5), range(4), lambda s, r: RISING[r] + (ends[s] if r > 1 else 0.0)
    )
    base = make_frame("random", range(5), range(4), lambda s, r: RISING[r])
    _, low, high = arm_of(compare(pd.concat([base, mine]))).saved
    assert low < -5
    assert high > 5


@pytest.mark.slow
def test_the_sign_of_labels_saved_is_seldom_wrong(make_frame):
    """Rising curves with noise: the arm that is ahead by three steps saves, and the reverse."""
    rng = np.random.default_rng(0)
    curve = 1 - np.exp(-np.arange(12) / 4)
    ahead = 1 - np.exp(-(np.arange(12) + 3) / 4)
    for _ in range(2):
        noise = rng.normal(0, 0.01, size=(2, 6, 12))
        frames = [
            make_frame(name, range(6), range(12), lambda s, r, c=c, n=n: c[r] + n[s, r])
            for name, c, n in zip(("random", "bald"), (curve, ahead), noise, strict=True)
        ]
        forward = arm_of(compare(pd.concat(frames)))
        assert forward.saved[0] == pytest.approx(30, abs=12)
        assert forward.saved[1] > 0
        reverse = arm_of(compare(pd.concat(frames), baseline="bald"))
        assert reverse.saved[0] == pytest.approx(-30, abs=12)
        assert reverse.saved[2] < 0
