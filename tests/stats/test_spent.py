"""Labels or steps: one axis, two kinds of results that are never pooled."""

import warnings

import fake_sampling
import pandas as pd
import pytest

from al_bench.errors import ConfigError, ResultsError
from al_bench.stats.across import across
from al_bench.stats.calibration import reliability
from al_bench.stats.comparison import compare
from al_bench.stats.protocols import titles
from al_bench.stats.rows import arm_rows
from al_bench.stats.spent import LABELS, STEPS, axis_of, by_axis, spent
from al_bench.stats.summary import final_table, summarize, tidy
from al_bench.stats.times import times


@pytest.fixture
def bought(make_frame):
    """Two strategies that buy labels; ``entropy`` is the name of a selection too."""

    def make(**names):
        parts = [
            make_frame("random", range(3), range(4), lambda s, r: 0.5 + 0.1 * r, **names),
            make_frame(
                "entropy", range(3), range(4), lambda s, r: 0.55 + 0.1 * r + s / 1000, **names
            ),
        ]
        return pd.concat(parts).assign(num_queried=pd.NA)

    return make


@pytest.fixture
def both(bought):
    chosen = fake_sampling.arms(range(3), {"uniform": 1.0, "entropy": 0.5})
    return pd.concat([bought(protocol="l0"), chosen], ignore_index=True)


def test_rows_of_sampling_spend_steps_and_all_others_labels(both):
    kinds = dict(by_axis(both))
    assert list(kinds) == [LABELS, STEPS]
    assert (spent(kinds[LABELS]) == kinds[LABELS]["num_labeled"]).all()
    assert (spent(kinds[STEPS]) == kinds[STEPS]["total_steps"]).all()
    assert spent(both).tolist() == [*spent(kinds[LABELS]), *spent(kinds[STEPS])]
    assert axis_of(both.drop(columns="setting")) is LABELS
    with pytest.raises(ValueError, match="both kinds"):
        axis_of(both)


def test_rows_of_sampling_without_steps_are_refused():
    rows = fake_sampling.arm("loss", [0], lambda s, t: 0.5, rounds=2)
    with pytest.raises(ResultsError, match="run p0-loss say setting=sampling and have no total"):
        spent(rows.assign(total_steps=pd.NA))


@pytest.mark.slow
def test_curves_lie_over_steps():
    frame = fake_sampling.arms(range(2), {"uniform": 1.0})
    summary = summarize(tidy(frame.sample(frac=1, random_state=1), "test_accuracy"))
    assert summary["spent"].tolist() == list(range(0, 201, 10))
    assert summary["joined"].tolist() == [False] + [True] * 20
    [row] = final_table(tidy(frame, "test_accuracy"), [0.5]).to_dict("records")
    assert (row["first"], row["last"], row["to_0.5"]) == (0, 200, 50)


@pytest.mark.slow
def test_what_was_chosen_has_no_value_before_the_first_step_and_lacks_none():
    frame = fake_sampling.arms(range(2), {"uniform": 1.0, "loss": 0.5})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        summary = summarize(tidy(frame, "selected_wrong"))
    assert summary["spent"].min() == 10
    lacking = frame[frame["round"] != 5]
    with pytest.warns(UserWarning, match="round 5 missing for every seed"):
        tidy(lacking, "selected_wrong")


@pytest.mark.slow
def test_missing_rounds_are_told_in_steps():
    frame = fake_sampling.arms(range(2), {"uniform": 1.0, "loss": 0.5})
    short = frame[~((frame["strategy"] == "loss") & (frame["round"] > 18))]
    with pytest.warns(UserWarning, match="ends at 180 steps, where other selections go on to 200"):
        tidy(short, "test_accuracy")
    gap = frame[~((frame["seed"] == 1) & (frame["round"] == 3))]
    with pytest.warns(UserWarning, match="nothing from seed 1 at 30 steps"):
        tidy(gap, "test_accuracy")


@pytest.mark.slow
def test_the_two_kinds_are_compared_apart_each_with_its_baseline(both, bought):
    result = compare(both.sample(frac=1, random_state=0), reach=[0.6])
    assert [(p.axis, p.baseline) for p in result.protocols] == [
        (LABELS, "random"),
        (STEPS, "uniform"),
    ]
    assert [arm.verdict for p in result.protocols for arm in p.arms] == [
        None, "better", None, "worse",
    ]  # fmt: skip
    alone = [compare(rows, reach=[0.6]) for _, rows in by_axis(both)]
    pd.testing.assert_frame_equal(
        arm_rows(result), pd.concat([arm_rows(one) for one in alone], ignore_index=True)
    )
    assert across(result.by_axis()[LABELS]) is None  # one protocol each, and no two together


@pytest.mark.slow
def test_equal_protocol_ids_of_the_two_kinds_are_no_protocol(bought):
    chosen = fake_sampling.arms(range(3), {"uniform": 1.0, "entropy": 0.5})
    result = compare(pd.concat([bought(protocol="p0"), chosen], ignore_index=True))
    assert [(p.key, p.axis, len(p.arms)) for p in result.protocols] == [
        ("p0", LABELS, 2),
        ("p0", STEPS, 2),
    ]


@pytest.mark.slow
def test_arms_widened_to_the_budget_do_not_pool_the_two_kinds(both):
    result = compare(both, arms=["strategy", "budget", "training", "network", "model"])
    assert {p.axis: {a.arm.split(" ")[0] for a in p.arms} for p in result.protocols} == {
        LABELS: {"random", "entropy"},
        STEPS: {"uniform", "entropy"},
    }


@pytest.mark.slow
def test_columns_and_words_follow_what_was_spent(both):
    rows = arm_rows(compare(both, reach=[0.6]))
    labels, steps = rows[rows["setting"].isna()], rows[rows["setting"] == "sampling"]
    for name in ("from", "to", "to_0.6", "to_0.6_never", "saved", "saved_at_most"):
        assert labels[f"labels_{name}"].notna().any()
        assert steps[f"steps_{name}"].notna().any()
        assert labels[f"steps_{name}"].isna().all()
        assert steps[f"labels_{name}"].isna().all()
    assert (steps["steps_from"].unique(), steps["steps_to"].unique()) == ([0.0], [200.0])
    assert steps.set_index("arm").loc["uniform", "steps_to_0.6"] == 70
    assert "setting" not in arm_rows(compare(next(by_axis(both))[1]))


@pytest.mark.slow
def test_a_baseline_of_one_kind_leaves_the_other_out_with_a_note(both):
    result = compare(both, baseline="uniform")
    assert [p.axis for p in result.protocols] == [STEPS]
    assert any(note.startswith("What spends labels is not compared") for note in result.caveats)
    with pytest.raises(ConfigError, match="no baseline 'nobody'"):
        compare(both, baseline="nobody")


@pytest.mark.slow
def test_what_was_chosen_is_compared_where_it_is_known(both):
    result = compare(both, metric="selected_wrong")
    assert [p.axis for p in result.protocols] == [STEPS]
    assert all(arm.speed_up is None for arm in result.protocols[0].arms)


@pytest.mark.slow
def test_what_is_neither_good_nor_bad_is_higher_or_lower():
    frame = fake_sampling.arms(range(6), {"uniform": 1.0, "loss": 0.5})
    known = frame["selected_known"] + 0.01 * frame["seed"]
    frame["selected_known"] = known.where(frame["strategy"] == "uniform", known - 0.04)
    result = compare(frame, metric="selected_known")
    _, loss = result.protocols[0].arms
    assert (loss.verdict, loss.saved, loss.speed_up) == ("lower", None, None)
    assert loss.paired.losses == 6
    row = arm_rows(result).set_index("arm").loc["loss"]
    assert row["difference"] == pytest.approx(-0.04, abs=0.01)
    assert across(result) is None
    for asked in ({"reach": [0.5]}, {"aa": True}):
        with pytest.raises(ConfigError, match="neither to be raised nor lowered"):
            compare(frame, metric="selected_known", **asked)


@pytest.mark.slow
def test_the_selection_is_the_strategy_of_arms():
    frame = fake_sampling.arms(range(2), {"uniform": 1.0, "loss": 0.5})
    rows = [arm_rows(compare(frame, arms=arms)) for arms in (["strategy"], ["selection"])]
    pd.testing.assert_frame_equal(*rows)


@pytest.mark.slow
def test_validation_points_are_no_steps(both):
    with pytest.raises(ConfigError, match="count_validation counts labels"):
        compare(both[both["setting"] == "sampling"], count_validation=True)
    counted = compare(both.assign(num_validation=5), count_validation=True)
    assert [(p.low, p.high) for p in counted.protocols] == [(15.0, 45.0), (0.0, 200.0)]


@pytest.mark.slow
def test_selections_of_one_protocol_may_differ_in_all_that_is_theirs():
    """What a selection is, its irreducible losses too, is no part of the protocol."""
    frame = fake_sampling.arms(range(2), {"uniform": 1.0, "rho_loss": 2.0})
    config = {
        "p0-uniform": '{"budget.candidates": 50, "selection._target_": "U"}',
        "p0-rho_loss": '{"budget.candidates": 50, "selection.irreducible.epochs": 10}',
    }
    frame["config"] = frame["run_id"].map(config)
    result = compare(frame, arms=["strategy", "pool"])
    names = [[arm.arm for arm in p.arms] for p in result.protocols]
    assert names == [["uniform · full", "rho_loss · full"]]
    assert result.protocols[0].arms[1].speed_up_published is not None
    assert not result.caveats or all("differ" not in note for note in result.caveats)


def test_protocols_of_equal_names_are_told_apart_by_how_often_they_evaluate():
    parts = [
        fake_sampling.arm("uniform", [0], lambda s, t: 0.5, every=every, rounds=2, protocol=key)
        for key, every in (("a", 10), ("b", 20))
    ]
    shown = titles(pd.concat(parts))
    assert [title.rpartition(" · ")[2] for title in shown.values()] == [
        "every 10 steps",
        "every 20 steps",
    ]


@pytest.mark.slow
def test_an_undefined_area_is_told_in_steps():
    frame = fake_sampling.arms(range(2), {"uniform": 1.0, "loss": 0.5})
    [row, _] = arm_rows(compare(frame[frame["round"] == 0])).to_dict("records")
    assert row["undefined"] == "arms share fewer than two step counts, so there is no area"


def test_reliability_is_that_of_the_last_step():
    bins = {
        "test_calibration_count": [0, 40],
        "test_calibration_confidence": [0.0, 0.9],
        "test_calibration_accuracy": [0.0, 0.8],
    }
    frame = fake_sampling.arm("uniform", [0, 1], lambda s, t: 0.5, rounds=3)
    for name, values in bins.items():
        frame[name] = [values] * len(frame)
    assert reliability(frame)["spent"].unique().tolist() == [30]


@pytest.mark.slow
def test_time_begins_with_the_training_of_the_irreducible_loss_model():
    frame = fake_sampling.arms(range(2), {"uniform": 1.0, "rho_loss": 2.0})
    found = times(frame, "test_accuracy")
    curves = found.curves.set_index(["strategy_label", "spent"])["seconds"]
    assert curves["rho_loss"].tolist() == pytest.approx([1 + 0.2 * r for r in range(21)])
    assert curves["uniform"].tolist() == pytest.approx([0.1 * r for r in range(21)])
    totals = found.totals.set_index("strategy_label")
    assert totals.loc["rho_loss", ["irreducible", "select", "fit"]].tolist() == pytest.approx(
        [1.0, 2.0, 2.0]
    )
    assert totals.loc["uniform", "irreducible"] == 0
