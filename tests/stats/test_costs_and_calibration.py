"""Times of trials and reliability, from stored columns by hand."""

import pandas as pd
import pytest

from al_bench.stats.calibration import reliability
from al_bench.stats.ceilings import ceilings, without_ceilings
from al_bench.stats.projection import principal_plane
from al_bench.stats.times import times

SECONDS = {"seconds_fit": 10.0, "seconds_score": 3.0, "seconds_select": 2.0}


def test_time_runs_from_the_beginning_to_the_end_of_a_fit(make_frame):
    frame = make_frame("bald", [0, 1], range(3), lambda s, r: 0.5 + 0.1 * r, **SECONDS)
    frame.loc[frame["round"] == 2, ["seconds_score", "seconds_select"]] = None
    found = times(frame, "test_accuracy")
    assert found.curves["seconds"].tolist() == [10, 25, 40]
    assert found.curves["mean"].tolist() == pytest.approx([0.5, 0.6, 0.7])
    [row] = found.totals.to_dict("records")
    assert (row["fit"], row["score"], row["select"], row["num_seeds"]) == (30, 6, 4, 2)


def test_runs_without_times_are_left_out(make_frame):
    frame = make_frame("bald", [0], range(2), lambda s, r: 0.5, seconds_fit=None)
    assert times(frame, "test_accuracy").curves.empty


def test_bins_of_all_seeds_are_put_together(make_frame):
    bins = {
        "test_calibration_count": ([0, 10], [0, 30]),
        "test_calibration_confidence": ([float("nan"), 0.8], [float("nan"), 0.6]),
        "test_calibration_accuracy": ([float("nan"), 1.0], [float("nan"), 0.6]),
    }
    frame = make_frame("bald", [0, 1], range(2), lambda s, r: 0.5)
    for name, values in bins.items():
        frame[name] = [values[seed] for seed in frame["seed"]]
    [row] = reliability(frame).to_dict("records")
    assert (row["spent"], row["num_seeds"], row["bin"], row["count"]) == (20, 2, 1, 40)
    assert row["confidence"] == pytest.approx(0.65)
    assert row["accuracy"] == pytest.approx(0.7)
    assert reliability(frame, min_points=41).empty
    # A strategy that failed after its first round does not move all others back to it.
    others = [frame.assign(strategy_label=name, run_id=name) for name in ("bald", "entropy")]
    failed = frame[frame["round"] == 0].assign(strategy_label="mine", run_id="mine")
    found = reliability(pd.concat([*others, failed]))
    assert set(found["strategy_label"]) == {"bald", "entropy"}
    assert set(found["spent"]) == {20}


def test_a_ceiling_belongs_to_the_protocol_of_the_same_names(make_frame):
    full = {"budget": "full", "init": 1000}
    frame = pd.concat(
        [
            make_frame("bald", [0, 1], range(2), lambda s, r: 0.5),
            make_frame("bald", [0], range(2), lambda s, r: 0.5, protocol="p1", dataset="mnist"),
            make_frame("random", [0, 1], [0], lambda s, r: 0.9 + 0.1 * s, protocol="f", **full),
        ]
    )
    assert ceilings(frame, "test_accuracy") == {"p0": pytest.approx(0.95)}
    assert set(without_ceilings(frame)["protocol_id"]) == {"p0", "p1"}
    only = frame[frame["protocol_id"] == "f"]
    assert len(without_ceilings(only)) == 2


def test_the_plane_holds_the_directions_of_greatest_variance():
    points = [[0, -3, 0], [0, 3, 0], [1, 0, 0], [-1, 0, 0]]
    center, plane, shares = principal_plane(points)
    assert center.tolist() == [0, 0, 0]
    assert plane[:, 0] == pytest.approx([0, 1, 0])
    assert plane[:, 1] == pytest.approx([1, 0, 0])
    assert shares == pytest.approx([0.9, 0.1])
    assert principal_plane([[1.0], [1.0]])[2].tolist() == [0, 0]
