"""Comparisons of runs that have a single round, because that is all that their budget buys."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from al_bench.commands.compare.terminal import verdict_table
from al_bench.report.words import verdicts
from al_bench.results.frame import read_curves
from al_bench.stats.comparison import compare
from al_bench.stats.paired import holm
from al_bench.stats.rows import arm_rows

REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "ddu"
SEEDS = range(5)
FULL = {"budget.total": None, "budget.init_size": None}
ALL_INITIAL = {"budget.total": 1000, "budget.init_size": 1000}
BEGUN = {"budget.total": 1200, "budget.init_size": 1000}
LOSS = {"cold": [0.30, 0.34, 0.29, 0.33, 0.31], "warm": [0.25, 0.27, 0.26, 0.27, 0.24]}


@pytest.fixture
def starts(make_frame):
    """One round of 1000 labels a seed, of two recipes, with the settings of a budget."""

    def make(settings, metric="test_nll", budget="small", values=LOSS):
        frames = [
            make_frame(
                "random", SEEDS, [0], lambda seed, _, start=start: values[start][seed],
                init=1000, metric=metric, protocol=f"p-{start}", num_queried=1000, budget=budget,
            ).assign(config=json.dumps({"training.start": start, **settings}))
            for start in values
        ]  # fmt: skip
        return pd.concat(frames)

    return make


def between_starts(frame, metric="test_nll", **arguments):
    comparison = compare(
        frame, metric, baseline="random, start=cold", arms=["strategy", "start"], **arguments
    )
    (protocol,) = comparison.protocols
    return comparison, protocol


@pytest.mark.slow
@pytest.mark.parametrize("settings", [FULL, ALL_INITIAL])
def test_values_are_compared_seed_by_seed(starts, settings):
    comparison, protocol = between_starts(starts(settings))
    base, arm = protocol.arms
    assert (protocol.low, protocol.high) == (1000, 1000)
    assert (base.arm, arm.arm) == ("random · start=cold", "random · start=warm")
    assert base.areas.tolist() == LOSS["cold"]
    difference = np.array(LOSS["warm"]) - np.array(LOSS["cold"])
    row = arm_rows(comparison).set_index("arm").loc[arm.arm]
    assert row["difference"] == pytest.approx(difference.mean())
    interval = stats.ttest_1samp(difference, 0).confidence_interval()
    assert [row["difference_low"], row["difference_high"]] == pytest.approx([*interval])
    assert row["p"] == pytest.approx(stats.ttest_1samp(difference, 0).pvalue)
    assert row["verdict"] == "better"
    assert (row["wins"], row["losses"]) == (5, 0)
    assert row["undefined"] is None or pd.isna(row["undefined"])
    assert not any("fewer than two" in caveat for caveat in comparison.caveats)
    assert arm.saved is None
    assert arm.third_differences is None


@pytest.mark.slow
def test_several_arms_are_adjusted_as_elsewhere(starts):
    values = {**LOSS, "tepid": [0.31, 0.33, 0.28, 0.33, 0.32]}
    comparison, _ = between_starts(starts(FULL, values=values))
    rows = arm_rows(comparison).dropna(subset=["p"])
    assert rows["p_holm"].tolist() == pytest.approx(holm(rows["p"].to_numpy()).tolist())
    assert set(rows["verdict"]) == {"better", "not distinguishable"}


@pytest.mark.slow
def test_the_value_is_named_where_an_area_would_be(starts):
    accuracy = {start: [1 - value for value in values] for start, values in LOSS.items()}
    frame = starts(FULL, metric="test_accuracy", values=accuracy)
    comparison, protocol = between_starts(frame, "test_accuracy")
    table = verdict_table(comparison, protocol)
    assert table.columns[2].header == "test accuracy at 1000 labels"
    assert verdicts(protocol, comparison.measure)[0].startswith(
        "random · start=cold is the baseline: test accuracy of 68.60 % at 1000 labels (5 seeds)"
    )


@pytest.mark.slow
def test_labels_to_a_value_are_of_curves(starts):
    comparison, _ = between_starts(starts(FULL), reach=[0.3])
    (sentence,) = [caveat for caveat in comparison.caveats if "One round" in caveat]
    assert sentence.endswith("labels to a value are counted along curves, and there are none.")


@pytest.mark.slow
@pytest.mark.parametrize("settings", [BEGUN, {}])
def test_runs_that_have_only_begun_are_refused(starts, settings):
    comparison, protocol = between_starts(starts(settings))
    assert math.isnan(protocol.low)
    assert all(arm.paired is None and not arm.seeds for arm in protocol.arms)
    reason = "arms share fewer than two label counts, so there is no area"
    assert set(arm_rows(comparison)["undefined"]) == {reason}


@pytest.mark.slow
def test_one_run_of_several_that_has_only_begun_is_enough_for_that(starts):
    whole, begun = starts(FULL, values={"cold": LOSS["cold"]}), starts(BEGUN, values=LOSS)
    begun = begun[begun["protocol_id"] == "p-warm"]
    both = pd.concat([whole, begun])
    comparison = compare(
        both, "test_nll", baseline="random, start=cold", arms=["strategy", "start", "budget"]
    )
    assert all(math.isnan(protocol.low) for protocol in comparison.protocols)


def test_the_name_of_the_budget_stands_for_settings_that_are_not_stored(make_frame):
    values = {"random": LOSS["cold"], "bald": LOSS["warm"]}
    frame = pd.concat(
        make_frame(name, SEEDS, [0], lambda s, _, v=v: v[s], metric="test_nll", budget="full")
        for name, v in values.items()
    )
    (protocol,) = compare(frame, "test_nll").protocols
    assert protocol.arms[1].verdict == "better"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "said"), [("mnist", (0.4, -2.2, 3.1)), ("emnist_letters", (-0.4, -2.2, 1.5))]
)
def test_stored_runs_give_the_differences_that_the_page_on_them_tells(dataset, said):
    """The page has them the other way round: with a bound less without."""
    comparison = compare(
        read_curves([REFERENCE / "outliers_fashion.parquet"]),
        f"ood_auroc_density_{dataset}",
        baseline="random, spectral=3",
        arms=["strategy", "spectral"],
    )
    rows = arm_rows(comparison)
    row = rows[rows["pairs"].notna()].iloc[0]
    names = ("difference", "difference_low", "difference_high")
    assert [round(100 * row[name], 1) for name in names] == [*said]
    assert row["labels_from"] == row["labels_to"] == 10_000
