"""Over which counts and seeds arms are compared, where curves differ in length or steps."""

import json

import numpy as np
import pandas as pd
import pytest

from al_bench.stats.calibration import reliability
from al_bench.stats.comparison import compare
from al_bench.stats.rows import arm_rows
from al_bench.stats.summary import final_table, tidy

SETTINGS = {
    "model._target_": "al_bench.models.mc_dropout.MCDropout",
    "budget.batch_size": 10,
    "budget.target_accuracy": None,
    "numerics_version": 3,
    "fingerprint": "f" * 64,
}


def concave(seed, round, batch=10):
    """A curve that flattens: coarse trapezoids under it lie below fine ones."""
    return 0.9 - 0.6 * np.exp(-batch * round / 15) + 0.001 * seed


@pytest.fixture
def run(make_frame):
    """A run with its settings; keys in ``changes`` are of these."""

    def make(label, seeds, rounds, value, batch=10, **changes):
        dotted = {key.replace("__", "."): changed for key, changed in changes.items()}
        settings = {**SETTINGS, "budget.batch_size": batch, **dotted}
        other = json.dumps(settings, sort_keys=True)
        frame = make_frame(
            label, seeds, rounds, value, batch=batch, protocol=f"p{other}", run_id=label + other
        )
        return frame.assign(config=other, numerics_version=3, num_queried=frame["num_labeled"])

    return make


def by_arm(result):
    (protocol,) = result.protocols
    return protocol, {arm.arm: arm for arm in protocol.arms}


def test_equal_learners_are_equal_whatever_their_batches(run):
    fine = run("random", range(5), range(13), concave)
    coarse = run("random", range(5), range(4), lambda s, r: concave(s, r, 40), batch=40)
    result = compare(pd.concat([fine, coarse]), arms=["strategy", "budget.batch_size"],
                     baseline="random · batch_size=10")  # fmt: skip
    protocol, arms = by_arm(result)
    assert (protocol.low, protocol.high) == (10, 130)
    other = arms["random · batch_size=40"]
    np.testing.assert_allclose(other.areas, arms["random · batch_size=10"].areas)
    assert other.paired.mean == pytest.approx(0, abs=1e-12)
    assert other.third_differences == pytest.approx((0, 0, 0), abs=1e-12)
    assert other.verdict == "equivalent"
    assert other.saved[0] == pytest.approx(0, abs=1e-9)


def test_an_arm_that_broke_off_shortens_nobody_where_further_keys_tell_arms_apart(run):
    def late(seed, round):
        return concave(seed, round) + (0.05 if round > 3 else -0.02 if round else 0.0)

    rows = [run("random", range(8), range(10), concave), run("bald", range(8), range(10), late)]
    one = {"model__num_samples": 5}
    rows += [run("random", range(8), range(10), concave, **one)]
    rows += [run("bald", range(8), range(2), late, **one)]
    with pytest.warns(UserWarning, match="ends at 20 labels"):
        result = compare(pd.concat(rows), arms=["strategy", "model.num_samples"])
    protocol, arms = by_arm(result)
    assert protocol.high == 100
    assert arms["bald · num_samples=null"].verdict == "better"
    assert arms["bald · num_samples=5"].paired is None


def test_a_seed_that_has_not_come_so_far_does_not_count_as_never(make_frame):
    whole = make_frame("random", range(5), range(11), concave)
    rows = make_frame("bald", range(5), range(11), lambda s, r: concave(s, r) + 0.02)
    begun = rows[(rows["seed"] < 2) | (rows["round"] < 2)]
    with pytest.warns(UserWarning, match="nothing from seeds 2, 3, 4"):
        result = compare(pd.concat([whole, begun]), reach=[0.8, 0.99])
    _, arms = by_arm(result)
    assert arms["bald"].labels_to[0.8].tolist() == [40, 40]
    assert np.isinf(arms["bald"].labels_to[0.99]).tolist() == [True, True]
    assert len(arms["random"].labels_to[0.99]) == 5


def test_labels_less_a_batch_are_those_of_the_round_before(make_frame):
    rows = [make_frame(label, range(3), range(11), concave) for label in ("random", "bald")]
    frame = pd.concat(rows)
    frame["num_labeled"] = np.where(frame["round"] == 0, 0, frame["num_labeled"])
    row = arm_rows(compare(frame, reach=[0.6, 0.8])).iloc[0]
    assert (row["labels_to_0.6"], row["labels_to_0.6_less_a_batch"]) == (30, 20)
    frame = frame[frame["round"] != 1]
    with pytest.warns(UserWarning, match="round 1 missing"):
        row = arm_rows(compare(frame, reach=[0.6])).iloc[0]
    assert (row["labels_to_0.6"], row["labels_to_0.6_less_a_batch"]) == (30, 0)


def stopped(frame, accuracy):
    """Rows up to the first one of each trial that is as accurate."""
    reached = (frame["test_accuracy"] >= accuracy).groupby(frame["seed"]).cumsum()
    return frame[(reached == 0) | ((reached == 1) & (frame["test_accuracy"] >= accuracy))]


@pytest.mark.filterwarnings("ignore:.*nothing from|.*ends at")
def test_trials_that_stop_at_an_accuracy_are_compared_as_far_as_all_of_them_go(run):
    target = {"budget__target_accuracy": 0.8}

    def of(speeds):
        return lambda seed, round: 0.9 - 0.6 * np.exp(-round / speeds[seed])

    whole = [
        run("random", range(6), range(12), of([1.0, 2.0, 3.0, 4.0, 5.0, 3.0]), **target),
        run("margin", range(6), range(12), of([1.2, 2.4, 3.6, 4.8, 6.0, 3.6]), **target),
    ]
    early = pd.concat([stopped(frame, 0.8) for frame in whole])
    result = compare(early)
    protocol, arms = by_arm(result)
    assert arms["margin"].seeds == arms["random"].seeds == tuple(range(6))
    assert (protocol.low, protocol.high) == (10, 30)  # random's first seed ends there
    cut = pd.concat(whole)
    _, full = by_arm(compare(cut[cut["num_labeled"] <= 30]))
    assert arms["margin"].paired.mean == pytest.approx(full["margin"].paired.mean)
    assert arms["margin"].verdict == "worse"
    assert any("budget.target_accuracy: areas go on to the count" in one for one in result.caveats)


@pytest.fixture
def refusing(make_frame):
    """Two whole arms of five seeds, of whose labels some are refused, other ones in each seed."""
    rows = []
    for label in ("random", "bald"):
        frame = make_frame(label, range(5), range(6), concave)
        refused = (frame["seed"] + frame["round"]) // (2 if label == "bald" else 3)
        refused = refused.where(frame["round"] > 0, 0)
        frame = frame.assign(
            num_queried=frame["num_labeled"], num_labeled=frame["num_labeled"] - refused
        )
        for name, values in (("count", [0, 10]), ("confidence", [0, 0.9]), ("accuracy", [0, 0.8])):
            frame[f"test_calibration_{name}"] = [values] * len(frame)
        rows.append(frame)
    return pd.concat(rows)


def test_where_labels_are_refused_seeds_meet_at_those_asked_for(refusing):
    table = final_table(tidy(refusing, "test_accuracy"))
    assert table["final_seeds"].tolist() == [5, 5]
    assert table["area_seeds"].tolist() == [5, 5]
    assert table["last"].tolist() == [60, 60]
    bins = reliability(refusing)
    assert dict(zip(bins["strategy_label"], bins["spent"], strict=True)) == {
        "random": 60,
        "bald": 60,
    }
    assert bins["num_seeds"].tolist() == [5, 5]


def test_curves_that_do_not_say_what_was_asked_for_stand_beside_those_that_do(refusing, make_frame):
    older = make_frame("random", range(2), range(3), concave, protocol="p1", dataset="mnist")
    older["num_queried"] = pd.array([None] * len(older), dtype="Int64")
    curves = tidy(pd.concat([refusing, older]), "test_accuracy")
    assert set(curves.loc[curves["protocol_id"] == "p1", "spent"]) == {10, 20, 30}
    assert set(curves.loc[curves["protocol_id"] == "p0", "spent"]) == {10, 20, 30, 40, 50, 60}


def test_pairs_of_other_engines_are_told_though_one_trial_has_the_same(make_frame):
    rows = [make_frame(label, range(5), range(4), concave) for label in ("random", "bald")]
    frame = pd.concat(rows)
    elsewhere = (frame["strategy_label"] == "bald") & (frame["seed"] < 4)
    frame["device"] = np.where(elsewhere, "cuda", "cpu")
    said = "The engine's device differs from that of random in 4 of 5 pairs of bald."
    assert said in compare(frame).caveats
