"""Copies of a trial in one frame are taken whole or not at all."""

import warnings

import numpy as np
import pandas as pd
import pytest

from al_bench.stats.comparison import compare
from al_bench.stats.copies import one_copy
from al_bench.stats.summary import tidy


def rising(seed, round):
    return 0.5 + 0.01 * seed + 0.1 * round


def lower(seed, round):
    """The same in round 0, other numbers later."""
    return rising(seed, round) - 0.05 * (round > 0)


def values(frame):
    return frame.sort_values("round")["test_accuracy"].tolist()


@pytest.mark.parametrize("first", ["laptop", "cluster"])
def test_a_trial_is_taken_whole_from_the_copy_with_more_rounds(make_frame, first):
    laptop = make_frame("bald", [0], range(3), rising)
    cluster = make_frame("bald", [0], range(5), lower, scoring_precision="bfloat16")
    frames = [laptop, cluster] if first == "laptop" else [cluster, laptop]
    with pytest.warns(UserWarning, match=r"two different copies of seed 0 of run p0-bald.*whole"):
        joined = one_copy(pd.concat(frames))
    assert values(joined) == values(cluster)


@pytest.mark.slow
def test_copies_of_one_engine_are_told_apart_by_their_order(make_frame):
    one, other = (make_frame("bald", [0], range(4), value) for value in (rising, lower))
    joined = pd.concat([one, other], ignore_index=True)
    for frame in (joined, joined.sample(frac=1, random_state=1), pd.concat([one, other])):
        with pytest.warns(UserWarning, match="different copies of seed 0"):
            assert values(one_copy(frame)) == values(one)


def test_rows_that_cannot_be_told_apart_are_not_spliced(make_frame):
    one, other = (make_frame("bald", [0], range(6), value) for value in (rising, lower))
    alone = make_frame("bald", [1], range(6), rising)
    frame = pd.concat([one, other, alone]).sample(frac=1, random_state=0, ignore_index=True)
    with pytest.warns(UserWarning, match=r"copies of seed 0 .* cannot be told apart; none is used"):
        assert set(one_copy(frame)["seed"]) == {1}


@pytest.mark.slow
def test_equal_copies_and_beginnings_are_one_trial_and_nothing_is_said(make_frame):
    whole = make_frame("bald", range(3), range(4), rising, seconds_fit=1.0, test_nll=np.nan)
    whole["test_class_accuracy"] = [np.array([0.5, np.nan])] * len(whole)
    again = whole.assign(seconds_fit=2.0, device="cuda")
    again["test_class_accuracy"] = [[0.5, None]] * len(whole)
    begun = whole[whole["round"] < 2].assign(torch_version="2.0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for frames in ([whole, again], [begun, whole], [whole, whole, begun]):
            frame = pd.concat(frames).sample(frac=1, random_state=2)
            pd.testing.assert_frame_equal(
                tidy(frame, "test_accuracy"), tidy(whole, "test_accuracy")
            )
            assert one_copy(frame).groupby("seed")["device"].nunique().eq(1).all()


def test_a_difference_in_a_list_is_a_difference(make_frame):
    one = make_frame("bald", [0], range(2), rising)
    one["test_class_accuracy"] = [[0.5, 0.5]] * 2
    other = one.assign(device="cuda")
    other["test_class_accuracy"] = [[0.5, 0.6]] * 2
    with pytest.warns(UserWarning, match="test_class_accuracy"):
        one_copy(pd.concat([one, other]))


@pytest.mark.slow
def test_a_comparison_of_joined_frames_uses_whole_copies_in_any_order(make_frame):
    arms = [make_frame("random", range(4), range(4), rising)]
    arms.append(make_frame("bald", range(4), range(4), lambda s, r: rising(s, r) + 0.05))
    other = make_frame("bald", [2], range(3), lower, device="cuda")
    expected = compare(pd.concat(arms)).protocols[0].arms
    for state in range(3):
        frame = pd.concat([other, *arms]).sample(frac=1, random_state=state)
        with pytest.warns(UserWarning, match="copies of seed 2 of run p0-bald"):
            found = compare(frame).protocols[0].arms
        for one, two in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.areas, two.areas)
