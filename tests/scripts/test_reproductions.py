"""What a published number is held to, and that the page says what the stored curves say."""

import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
try:
    import write_reproductions
    from reproductions.ours import arm_of, rows_of, values_of
    from reproductions.published import Experiment, Number, Value, read
    from reproductions.verdict import measured, verdict
finally:
    sys.path.remove(str(ROOT / "scripts"))

PERCENTS = st.floats(0, 100).map(lambda value: round(value, 2))


@pytest.mark.slow
@given(
    ours=st.lists(PERCENTS, min_size=2, max_size=8),
    published=PERCENTS,
    deviation=st.floats(0.1, 5),
    seeds=st.integers(2, 10),
)
def test_means_with_deviations_are_held_to_welchs_test(ours, published, deviation, seeds):
    value = Value("random", published, deviation, seeds)
    said = verdict(value, measured(np.array(ours), "mean"), "mean", True, True)
    p = stats.ttest_ind_from_stats(
        np.mean(ours), np.std(ours, ddof=1), len(ours), published, deviation, seeds, False
    ).pvalue
    if abs(p - 0.05) > 1e-9:
        assert (said == "differs") == (p < 0.05)


@given(st.integers(1, 40))
def test_the_interval_of_a_median_is_the_narrowest_that_covers_it(size):
    ordered = np.arange(float(size))
    found = measured(ordered, "median")

    def covered(left_out):
        """Chance that the median lies between the values that are left, by counting heads."""
        ways = sum(math.comb(size, count) for count in range(left_out + 1, size - left_out))
        return ways / 2**size

    if covered(0) < 0.95:
        assert math.isnan(found.low)
        assert math.isnan(found.high)
    else:
        left_out = int(found.low)
        assert found.high == size - 1 - left_out
        assert covered(left_out) >= 0.95 > covered(left_out + 1)


def test_a_median_over_seeds_that_never_get_there_is_never():
    assert measured(np.array([100, np.inf, np.inf]), "median").center == np.inf
    assert measured(np.array([100, 120, np.inf, np.inf]), "median").center == np.inf
    assert measured(np.array([100, 120, np.inf]), "median").center == 120


@pytest.mark.parametrize(
    ("published", "ours", "said"),
    [
        (90.0, [89.0, 90.0, 91.0, 90.0], "agrees"),
        (90.0, [80.0, 90.0, 99.0, 90.0], "undecided"),
        (90.0, [80.0, 80.5, 81.0, 80.2], "differs"),
        (90.0, [90.0], "undecided"),
    ],
)
def test_a_value_without_a_deviation_is_held_to_our_interval(published, ours, said):
    mine = measured(np.array(ours), "mean")
    assert verdict(Value("random", published), mine, "mean", True, True) == said
    assert verdict(Value("random", published), mine, "mean", True, False) == "shape"


def test_labels_and_ratios_are_no_fractions_whatever_their_metric_is():
    assert Number(what="", source="L", at=100).in_points
    assert not Number(what="", source="L", reach=0.9).in_points
    assert not Number(what="", source="L", speed_up="uniform").in_points


def test_what_is_no_fraction_may_be_a_tenth_of_the_published_value_wide():
    mine = measured(np.array([100.0, 102, 104, 106, 108, 110]), "median")
    assert verdict(Value("random", 105), mine, "median", False, True) == "agrees"
    mine = measured(np.array([100.0, 102, 104, 106, 108, 111]), "median")
    assert verdict(Value("random", 105), mine, "median", False, True) == "undecided"


@pytest.mark.parametrize(
    "text",
    [
        "[{title: A, work: B, not_run: C, numbers: [{what: D, source: M, at: 1, values: {a: 1}}]}]",
        "[{title: A, work: B, not_run: C, numbers: [{what: D, source: S, values: {a: 1}}]}]",
        "[{title: A, work: B, not_run: C, results: mnist}]",
        "[{title: A, work: B}]",
    ],
)
def test_what_was_not_checked_or_has_no_reason_is_refused(tmp_path, text):
    (tmp_path / "published.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"source|one of|results"):
        read(tmp_path / "published.yaml")


def test_an_unknown_key_is_refused(tmp_path):
    (tmp_path / "published.yaml").write_text("[{title: A, work: B, not_run: C, seeds: 5}]")
    with pytest.raises(TypeError, match="seeds"):
        read(tmp_path / "published.yaml")


def test_every_preset_that_is_named_is_there():
    for experiment in read(ROOT / "docs" / "published.yaml"):
        if experiment.preset is not None:
            assert (ROOT / "conf" / "experiment" / f"{experiment.preset}.yaml").is_file()


def test_every_number_that_is_in_percent_looks_like_it():
    for experiment in read(ROOT / "docs" / "published.yaml"):
        for number in experiment.numbers:
            if number.fraction and number.reach is None and number.less is None:
                assert all(1 < value.value <= 100 for value in number.values), number.what


@pytest.mark.slow
def test_the_page_is_what_its_script_writes():
    written = (ROOT / "docs" / "reproductions.md").read_text("utf-8")
    assert written == write_reproductions.page()


def test_numbers_of_a_study_are_means_of_each_seed(tmp_path):
    for seed, values in ((0, [1.0, 3.0, 9.0]), (1, [5.0, None, 9.0])):
        rows = {"seed": seed, "run_id": "a", "labels": ["x", "x", "y"], "value": values}
        pd.DataFrame(rows).to_parquet(tmp_path / f"seed={seed}.parquet")
    arms = {"mine": {"labels": "x"}}
    experiment = Experiment(title="A", work="B", results=".", study=True, arms=arms)
    rows = arm_of(rows_of(tmp_path, experiment), "mine")
    number = Number(what="", source="S", metric="value", mean=True, fraction=False)
    assert values_of(rows, number).tolist() == [2.0, 5.0]


@pytest.mark.slow
def test_numbers_of_stored_curves_are_those_that_a_plain_look_finds(tmp_path):
    (experiment, *_) = read(ROOT / "docs" / "published.yaml")
    frame = rows_of(ROOT / "results" / "reference", experiment)
    rows = arm_of(frame, "batchbald")
    at = Number(what="", source="L", at=100)
    reach = Number(what="", source="L", reach=0.9)
    for number, plain in (
        (at, rows[rows["num_labeled"] == 100].groupby("seed")["test_accuracy"].first() * 100),
        (reach, rows[rows["test_accuracy"] >= 0.9].groupby("seed")["num_labeled"].min()),
    ):
        np.testing.assert_allclose(values_of(rows, number), plain.sort_index())
