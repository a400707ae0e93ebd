"""Summaries of learning curves, against loops over rows."""

import math

import numpy as np
import pandas as pd
import pytest

from al_bench.errors import ConfigError
from al_bench.stats.summary import final_table, metrics, summarize, tidy, unequal_seeds


def rising(seed, round):
    return 0.5 + 0.1 * round + 0.01 * seed


def drop(frame, seed=None, round=None):
    gone = pd.Series(True, index=frame.index)
    if seed is not None:
        gone &= frame["seed"] == seed
    if round is not None:
        gone &= frame["round"] == round
    return frame[~gone]


def test_means_and_intervals_are_over_seeds_at_each_label_count(make_frame):
    frame = make_frame("random", range(3), range(2), rising)
    summary = summarize(tidy(frame, "test_accuracy"))
    assert summary["spent"].tolist() == [10, 20]
    assert summary["mean"].tolist() == pytest.approx([0.51, 0.61])
    half = 4.302653 * 0.01 / math.sqrt(3)
    assert (summary["high"] - summary["mean"]).tolist() == pytest.approx([half, half])
    assert summary["num_seeds"].tolist() == [3, 3]
    assert summary["joined"].tolist() == [False, True]


@pytest.mark.slow
def test_the_order_of_rows_changes_nothing(make_frame):
    frame = pd.concat(
        [
            make_frame("random", range(4), range(5), rising),
            make_frame("bald", range(3), range(5), lambda s, r: rising(s, r) ** 2),
            make_frame("bald", range(3), range(5), rising, protocol="p1", dataset="mnist"),
        ]
    )
    frame = drop(frame, seed=2, round=3)
    with pytest.warns(UserWarning, match="seed 2"):
        curves = tidy(frame, "test_accuracy")
    for state in range(3):
        with pytest.warns(UserWarning, match="seed 2"):
            shuffled = tidy(frame.sample(frac=1, random_state=state), "test_accuracy")
        pd.testing.assert_frame_equal(shuffled, curves)
        pd.testing.assert_frame_equal(summarize(shuffled), summarize(curves))
        pd.testing.assert_frame_equal(final_table(shuffled, [0.8]), final_table(curves, [0.8]))


def test_a_round_that_one_seed_lacks_is_averaged_over_the_others_and_named(make_frame):
    frame = drop(make_frame("random", range(3), range(4), rising), seed=1, round=2)
    with pytest.warns(UserWarning, match="nothing from") as caught:
        curves = tidy(frame, "test_accuracy")
    assert [str(warning.message) for warning in caught] == [
        "random: nothing from seed 1 at 30 labels, where other seeds are."
    ]
    summary = summarize(curves).set_index("spent")
    assert summary["num_seeds"].tolist() == [3, 3, 2, 3]
    assert summary.loc[30, "mean"] == pytest.approx((0.70 + 0.72) / 2)
    assert summary["joined"].tolist() == [False, True, True, True]


def test_seeds_that_end_early_are_named_together(make_frame):
    frame = make_frame("random", range(5), range(12), rising)
    frame = frame[(frame["round"] < 3) | ~frame["seed"].isin([1, 4])]
    with pytest.warns(UserWarning, match="nothing from") as caught:
        tidy(frame, "test_accuracy")
    assert [str(warning.message) for warning in caught] == [
        "random: nothing from seeds 1, 4 at 40, 50, 60, 70, …, 120 (9 in all) labels, "
        "where other seeds are."
    ]


def test_a_round_that_every_seed_lacks_breaks_the_curve(make_frame):
    frame = drop(make_frame("random", range(3), range(5), rising), round=2)
    with pytest.warns(UserWarning, match="^random: round 2 missing for every seed"):
        curves = tidy(frame, "test_accuracy")
    summary = summarize(curves)
    assert summary["spent"].tolist() == [10, 20, 40, 50]
    assert summary["joined"].tolist() == [False, True, False, True]
    assert math.isnan(final_table(curves)["area"].item())


def test_a_curve_is_joined_only_where_one_seed_went_from_count_to_count(make_frame):
    first = make_frame("random", [0], range(3), rising)
    second = make_frame("random", [1], range(3), rising, init=15)
    with pytest.warns(UserWarning, match="seed"):
        summary = summarize(tidy(pd.concat([first, second]), "test_accuracy"))
    assert summary["spent"].tolist() == [10, 15, 20, 25, 30, 35]
    assert not summary["joined"].any()


def test_a_metric_that_is_missing_in_one_row_counts_as_a_missing_round(make_frame):
    frame = make_frame("random", range(2), range(3), rising)
    frame.loc[(frame["seed"] == 0) & (frame["round"] == 1), "test_accuracy"] = np.nan
    with pytest.warns(UserWarning, match="seed 0 at 20 labels"):
        assert summarize(tidy(frame, "test_accuracy"))["num_seeds"].tolist() == [2, 1, 2]


def test_a_strategy_without_the_metric_is_named(make_frame):
    frame = pd.concat(
        [
            make_frame("random", range(2), range(2), rising),
            make_frame("bald", range(2), range(2), lambda s, r: np.nan),
        ]
    )
    with pytest.warns(UserWarning, match="^bald: there is no test_accuracy"):
        assert set(tidy(frame, "test_accuracy")["strategy_label"]) == {"random"}


def test_what_many_curves_lack_is_one_line_a_kind(make_frame):
    ends = {"random": 5, "bald": 3, "entropy": 3, "margin": 3, "badge": 2, "bait": 3}
    frames = [make_frame(name, range(2), range(end), rising) for name, end in ends.items()]
    with pytest.warns(UserWarning, match="ends at") as caught:
        tidy(pd.concat(frames), "test_accuracy")
    assert [str(warning.message) for warning in caught] == [
        "badge: ends at 20 labels, where other strategies go on to 50. "
        "Likewise, with other numbers, bait, bald, entropy and 1 more."
    ]


def test_a_strategy_that_ends_before_the_others_is_named(make_frame):
    frame = pd.concat(
        [
            make_frame("random", range(2), range(5), rising),
            make_frame("bald", range(2), range(3), rising),
            make_frame("bald", range(2), range(2), rising, protocol="p1", dataset="mnist"),
        ]
    )
    with pytest.warns(UserWarning, match="ends at") as caught:
        tidy(frame, "test_accuracy")
    assert [str(warning.message) for warning in caught] == [
        "bald (digits · full · mc_dropout · small): ends at 30 labels, "
        "where other strategies go on to 50."
    ]


def test_with_several_protocols_the_warning_names_the_one(make_frame):
    frame = pd.concat(
        [
            drop(make_frame("random", range(3), range(4), rising), seed=1, round=3),
            make_frame("random", range(3), range(4), rising, protocol="p1", dataset="mnist"),
        ]
    )
    with pytest.warns(
        UserWarning, match=r"^random \(digits · full · mc_dropout · small\): nothing"
    ):
        tidy(frame, "test_accuracy")


def test_of_several_rounds_at_one_label_count_the_last_one_stands(make_frame):
    frame = make_frame("random", [0, 1], range(4), rising)
    frame["num_labeled"] = frame["round"].map({0: 10, 1: 20, 2: 20, 3: 30})  # refused in round 1
    summary = summarize(tidy(frame, "test_accuracy"))
    assert summary["mean"].tolist() == pytest.approx([0.505, 0.705, 0.805])
    assert summary["joined"].tolist() == [False, True, True]


@pytest.mark.slow
def test_a_copy_of_a_folder_counts_once(make_frame):
    frame = make_frame("random", range(3), range(3), rising)
    curves = tidy(pd.concat([frame, frame]), "test_accuracy")
    pd.testing.assert_frame_equal(curves, tidy(frame, "test_accuracy"))


@pytest.mark.slow
def test_copies_of_a_trial_that_disagree_are_named(make_frame):
    frame = make_frame("random", range(3), range(3), rising)
    other = make_frame("random", [1], [1, 2], lambda s, r: 0.3, device="cuda")
    for order in ([frame, other], [other, frame]):
        with pytest.warns(
            UserWarning, match="two different copies of seed 1 of run p0-random, at 1, 2"
        ):
            curves = tidy(pd.concat(order), "test_accuracy")
        pd.testing.assert_frame_equal(curves, tidy(frame, "test_accuracy"))


def test_two_runs_of_one_label_are_kept_apart_by_their_id(make_frame):
    frame = pd.concat(
        [
            make_frame("mine", range(2), range(2), rising, run_id="aaaaaaaaaaaa"),
            make_frame("mine", range(2), range(2), rising, run_id="bbbbbbbbbbbb"),
        ]
    )
    labels = tidy(frame, "test_accuracy")["strategy_label"].unique()
    assert labels.tolist() == ["mine [aaaaaaaa]", "mine [bbbbbbbb]"]


def test_the_area_is_the_trapezoid_over_stored_counts(make_frame):
    frame = make_frame("random", [0, 1], range(3), lambda s, r: [0.2, 0.6, 0.8][r])
    frame["num_labeled"] = frame["round"].map({0: 20, 1: 30, 2: 34})  # the last batch is short
    row = final_table(tidy(frame, "test_accuracy")).iloc[0]
    assert row["area"] == pytest.approx((10 * 0.4 + 4 * 0.7) / 14)
    assert row["area_low"] == pytest.approx(row["area"])
    assert (row["first"], row["last"], row["area_seeds"]) == (20, 34, 2)


def test_a_seed_that_lacks_a_count_has_no_part_in_the_area(make_frame):
    frame = drop(make_frame("random", range(3), range(3), rising), seed=0, round=2)
    with pytest.warns(UserWarning, match="seed 0"):
        row = final_table(tidy(frame, "test_accuracy")).iloc[0]
    assert (row["num_seeds"], row["final_seeds"], row["area_seeds"]) == (3, 2, 2)
    assert row["final"] == pytest.approx(0.715)
    assert row["area"] == pytest.approx(0.615)


def test_a_curve_of_one_count_has_no_area(make_frame):
    row = final_table(tidy(make_frame("random", [0, 1], [0], rising), "test_accuracy")).iloc[0]
    assert math.isnan(row["area"])
    assert row["final"] == pytest.approx(0.505)


def test_labels_to_a_threshold_are_the_median_first_crossing(make_frame):
    reached = {0: [0.9, 0.2, 0.9], 1: [0.2, 0.8, 0.9], 2: [0.1, 0.2, 0.3]}
    frame = make_frame("random", range(3), range(3), lambda s, r: reached[s][r])
    table = final_table(tidy(frame, "test_accuracy"), [0.8, 0.95])
    assert table["to_0.8"].item() == 20  # of 10, 20 and never
    assert table["never_0.8"].item() == 1
    assert table["to_0.95"].item() == math.inf
    assert table["never_0.95"].item() == 3
    begun = drop(frame, seed=2, round=2)
    with pytest.warns(UserWarning, match="seed 2"):
        row = final_table(tidy(begun, "test_accuracy"), [0.8, 0.95]).iloc[0]
    assert (row["to_0.8"], row["never_0.8"], row["known_0.8"]) == (15, 0, 2)
    assert (row["never_0.95"], row["known_0.95"]) == (2, 2)


def test_a_loss_reaches_a_threshold_from_above(make_frame):
    frame = make_frame("random", [0], range(3), lambda s, r: 1.0 - 0.3 * r, metric="test_nll")
    table = final_table(tidy(frame, "test_nll"), [0.7], higher_is_better=False)
    assert table["to_0.7"].item() == 20


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("test_acuracy", "no values of a metric 'test_acuracy'. Did you mean 'test_accuracy'?"),
        ("validation_nll", "no values of a metric 'validation_nll'. Valid: test_accuracy."),
        ("dataset", "no values of a metric 'dataset'."),
        ("seed", "no values of a metric 'seed'."),
    ],
)
def test_a_metric_that_cannot_be_drawn_is_refused(make_frame, metric, message):
    frame = make_frame("random", range(2), range(2), rising)
    with pytest.raises(ConfigError) as caught:
        tidy(frame, metric)
    assert message in str(caught.value)


def test_only_columns_with_numbers_are_metrics(make_frame):
    assert metrics(make_frame("random", range(2), range(2), rising)) == ["test_accuracy"]


@pytest.mark.parametrize(("more", "words"), [(1, "1 more protocol: "), (2, "2 more protocols: ")])
def test_protocols_with_unequal_seeds_are_counted_in_words(make_frame, more, words):
    frames = []
    for protocol in "abc"[: more + 1]:
        for name, seeds in (("random", range(3)), ("bald", range(2))):
            frame = make_frame(name, seeds, range(3), lambda s, r: 0.5, protocol=protocol)
            frames.append(frame.assign(budget=protocol))
    assert f", as in {words}" in unequal_seeds(pd.concat(frames))
