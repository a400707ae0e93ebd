"""Comparisons of stored curves, through the frames that results are read into."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from al_bench.commands.compare.terminal import not_met, verdict_table
from al_bench.errors import ConfigError
from al_bench.report.words import verdicts
from al_bench.stats.across import across, penalty_matrix
from al_bench.stats.comparison import compare
from al_bench.stats.paired import seeds_needed
from al_bench.stats.rows import across_rows, arm_rows

ROUNDS = range(4)  # 10, 20, 30, 40 labels


@pytest.fixture
def two_arms(make_frame):
    """Random rises by 0.1 a round; entropy is 0.05 better from round 1 on, with some noise."""
    noise = [0.001, -0.002, 0.003, 0.0, -0.001]

    def entropy(seed, round):
        return 0.5 + 0.1 * round + (0.05 if round else 0.0) + noise[seed]

    return pd.concat(
        [
            make_frame("random", range(5), ROUNDS, lambda seed, round: 0.5 + 0.1 * round),
            make_frame("entropy", range(5), ROUNDS, entropy),
        ]
    )


def only(comparison):
    (protocol,) = comparison.protocols
    return protocol


def test_a_hand_computed_case(two_arms):
    protocol = only(compare(two_arms, reach=[0.7]))
    base, arm = protocol.arms
    assert (base.arm, arm.arm) == ("random", "entropy")
    assert base.areas == pytest.approx(np.full(5, 0.65))
    # trapezoids: the first of three is half as high
    noise = np.array([0.001, -0.002, 0.003, 0.0, -0.001])
    expected = 0.05 * (0.5 + 1 + 1) / 3 + noise
    assert arm.areas - base.areas == pytest.approx(expected)
    assert arm.paired.mean == pytest.approx(expected.mean())
    assert arm.paired.p_t == pytest.approx(stats.ttest_1samp(expected, 0).pvalue)
    assert arm.p_holm == arm.paired.p_t
    assert arm.verdict == "better"
    assert base.verdict is None
    assert arm.third_differences == pytest.approx(
        np.array([0.025, 0.05, 0.05]) + noise.mean(), abs=1e-12
    )
    assert base.labels_to[0.7].tolist() == [30] * 5
    assert arm.labels_to[0.7].tolist() == [30] * 5
    # random ends with 0.8 at 40 labels; entropy's mean line is there at 30 + 10 * 0.5
    assert arm.saved[0] == pytest.approx(5.0, abs=0.1)
    assert arm.saved[1] <= arm.saved[0] <= arm.saved[2]


@pytest.mark.slow
def test_seeds_needed_are_those_of_the_adjusted_test(make_frame):
    noise = [0.011, -0.02, 0.013, 0.0, -0.004]
    base = make_frame("random", range(5), ROUNDS, lambda s, r: 0.5)
    one = make_frame("bald", range(5), ROUNDS, lambda s, r: 0.503 + noise[s])
    other = make_frame("entropy", range(5), ROUNDS, lambda s, r: 0.501 - noise[s])
    alone = only(compare(pd.concat([base, one]))).arms[1].paired.seeds_needed
    assert alone == seeds_needed(0.003 + np.array(noise))
    both = {arm.arm: arm.paired for arm in only(compare(pd.concat([base, one, other]))).arms[1:]}
    d = 0.003 + np.array(noise)
    assert both["bald"].seeds_needed == seeds_needed(d, 1 - 0.05 / 2) > alone  # the smaller p
    assert both["entropy"].seeds_needed == seeds_needed(0.001 - np.array(noise))


@pytest.mark.slow
def test_the_order_of_rows_is_without_meaning(two_arms):
    shuffled = two_arms.sample(frac=1, random_state=3)
    first, second = (arm_rows(compare(frame, reach=[0.7])) for frame in (two_arms, shuffled))
    pd.testing.assert_frame_equal(first, second)


def test_a_metric_to_be_lowered_is_turned_round(make_frame):
    frame = pd.concat(
        [
            make_frame("random", range(5), ROUNDS, lambda s, r: 2.0 - 0.1 * r, metric="test_nll"),
            make_frame(
                "entropy",
                range(5),
                ROUNDS,
                lambda s, r: 1.8 - 0.1 * r - 0.01 * s,
                metric="test_nll",
            ),
        ]
    )
    result = compare(frame, "test_nll")
    _, arm = only(result).arms
    assert arm.verdict == "better"
    rows = arm_rows(result).set_index("arm")
    assert rows.loc["entropy", "difference"] == pytest.approx(-0.22)
    low, high = rows.loc["entropy", ["difference_low", "difference_high"]]
    assert low < -0.22 < high < 0
    assert arm.saved[0] > 0


def test_words_for_every_verdict(make_frame):
    def arm(name, shift, spread):
        signs = np.array([1, -1, 1, -1, 0.5, -0.5])
        return make_frame(
            name, range(6), ROUNDS, lambda s, r: 0.5 + 0.1 * r + shift + spread * signs[s]
        )

    frame = pd.concat(
        [
            arm("random", 0.0, 0.0),
            arm("up", 0.03, 0.005),
            arm("down", -0.03, 0.005),
            arm("same", 0.0, 0.001),
            arm("wild", 0.01, 0.1),
        ]
    )
    verdicts = {arm.arm: arm.verdict for arm in only(compare(frame)).arms}
    assert verdicts == {
        "random": None,
        "up": "better",
        "down": "worse",
        "same": "equivalent",
        "wild": "not distinguishable",
    }


@pytest.mark.slow
def test_equivalence_is_adjusted_for_the_number_of_arms(make_frame):
    """Ten arms of equal differences: what one arm alone may be called, ten may not."""
    signs = np.array([1, -1, 1, -1, 0.5, -0.5])

    def arm(name):
        spread = 0.0034  # one-sided p of 0.011: below 0.02, ten times of it is not
        return make_frame(name, range(6), ROUNDS, lambda s, r: 0.5 + 0.1 * r + spread * signs[s])

    base = make_frame("random", range(6), ROUNDS, lambda s, r: 0.5 + 0.1 * r)
    alone = only(compare(pd.concat([base, arm("a0")]))).arms[1]
    assert alone.verdict == "equivalent"
    assert alone.p_equivalence_holm == alone.paired.p_equivalence
    ten = only(compare(pd.concat([base, *(arm(f"a{k}") for k in range(10))]))).arms[1:]
    assert {arm.verdict for arm in ten} == {"not distinguishable"}
    assert max(arm.p_equivalence_holm for arm in ten) == pytest.approx(
        10 * alone.paired.p_equivalence
    )
    rows = arm_rows(compare(pd.concat([base, arm("a0")])))
    assert rows["p_equivalence_holm"][1] == alone.p_equivalence_holm


def test_better_by_less_than_the_margin_is_said(make_frame):
    base = make_frame("random", range(6), ROUNDS, lambda s, r: 0.5 + 0.1 * r)
    arm = make_frame("bald", range(6), ROUNDS, lambda s, r: 0.502 + 0.1 * r + 0.0001 * (-1) ** s)
    result = compare(pd.concat([base, arm]))
    assert only(result).arms[1].verdict == "better"
    assert only(result).arms[1].within_margin
    _, sentence = verdicts(only(result), result.measure)
    assert "within 0.50 points all the same" in sentence
    assert "within the margin: bald" in verdict_table(result, only(result)).caption


@pytest.mark.slow
def test_shuffled_rows_and_ties_change_no_number(make_frame):
    rng = np.random.default_rng(0)
    frames = []
    for protocol in ("p0", "p1"):
        for name, seeds in (("random", 4), ("bald", 4), ("entropy", 1), ("margin", 2)):
            v = rng.choice([0.5, 0.6, 0.7, 0.8], size=(seeds, 4))
            rows = make_frame(
                name, range(seeds), ROUNDS, lambda s, r, v=v: v[s, r], protocol=protocol
            )
            frames.append(rows.assign(dataset=protocol))
    frame = pd.concat(frames)
    first, other = (
        compare(rows, reach=[0.7]) for rows in (frame, frame.sample(frac=1, random_state=0))
    )
    pd.testing.assert_frame_equal(arm_rows(first), arm_rows(other))
    pd.testing.assert_frame_equal(*(across_rows(across(c), "random") for c in (first, other)))
    assert first.caveats == other.caveats


def test_pairs_are_made_of_common_seeds_and_the_rest_is_said(two_arms, make_frame):
    fewer = two_arms[(two_arms["strategy"] == "random") | (two_arms["seed"] < 3)]
    result = compare(fewer)
    _, arm = only(result).arms
    assert arm.paired.num_seeds == 3
    assert any("different seeds: entropy 3, random 5" in caveat for caveat in result.caveats)


def test_a_seed_with_a_missing_round_has_no_area(two_arms):
    holed = two_arms[
        ~((two_arms["strategy"] == "entropy") & (two_arms["seed"] == 1) & (two_arms["round"] == 2))
    ]
    with pytest.warns(UserWarning, match="nothing from seed 1 at 30 labels"):
        _, arm = only(compare(holed)).arms
    assert arm.seeds == (0, 2, 3, 4)


def test_one_seed_gives_a_difference_and_no_verdict_but_unclear(two_arms):
    result = compare(two_arms[two_arms["seed"] == 0])
    _, arm = only(result).arms
    assert arm.verdict == "not distinguishable"
    assert math.isnan(arm.paired.low)
    assert any("compared on one seed" in caveat for caveat in result.caveats)


def test_arms_without_a_common_seed_are_not_compared(two_arms):
    apart = two_arms[(two_arms["strategy"] == "random") == (two_arms["seed"] < 2)]
    result = compare(apart)
    _, arm = only(result).arms
    assert arm.paired is None
    assert arm.verdict is None
    assert any("entropy shares no whole seed with random" in caveat for caveat in result.caveats)


def test_arms_of_other_batch_sizes_meet_on_common_counts(make_frame):
    frame = pd.concat(
        [
            make_frame("random", range(3), range(5), lambda s, r: 0.5 + 0.05 * r),
            make_frame(
                "entropy", range(3), range(3), lambda s, r: 0.6 + 0.1 * r + 0.001 * s, batch=20
            ),
        ]
    )
    protocol = only(compare(frame))
    assert (protocol.low, protocol.high) == (10, 50)
    assert protocol.arms[1].paired.mean == pytest.approx(0.101)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baseline": "randon"}, r"no baseline 'randon'\. Did you mean 'random'"),
        ({"metric": "test_acuracy"}, "no values of a metric 'test_acuracy'"),
        ({"metric": "steps", "reach": [5]}, "neither to be raised nor lowered"),
        ({"arms": ["strategy", "modell"]}, "no arm 'modell'"),
        ({"arms": ["model"]}, "lacks strategy"),
    ],
)
def test_what_does_not_exist_is_named(two_arms, options, message):
    with pytest.raises(ConfigError, match=message):
        compare(two_arms, **options)


def test_protocols_are_never_pooled(two_arms):
    other = two_arms.assign(protocol_id="p1", budget="large", run_id="x" + two_arms["run_id"])
    result = compare(pd.concat([two_arms, other]))
    assert len(result.protocols) == 2
    assert {protocol.arms[1].paired.num_seeds for protocol in result.protocols} == {5}


def test_arms_can_be_widened_on_purpose(two_arms):
    other = two_arms.assign(
        protocol_id="p1",
        model="deep_ensemble",
        run_id="x" + two_arms["run_id"],
        test_accuracy=two_arms["test_accuracy"] + 0.1,
    )
    frame = pd.concat([two_arms, other])
    result = compare(frame, baseline="random · mc_dropout", arms=["strategy", "model"])
    names = [arm.arm for arm in only(result).arms]
    assert names[0] == "random · mc_dropout"
    assert set(names[1:]) == {
        "random · deep_ensemble",
        "entropy · mc_dropout",
        "entropy · deep_ensemble",
    }


@pytest.mark.slow
def test_an_engine_that_differs_with_the_arm_is_named(two_arms):
    two_arms["device"] = np.where(two_arms["strategy"] == "random", "cpu", "cuda")
    result = compare(two_arms)
    assert any("engine's device differs with the arm" in caveat for caveat in result.caveats)
    two_arms["device"] = np.where(two_arms["seed"] == 0, "cpu", "cuda")
    assert not any("engine" in caveat for caveat in compare(two_arms).caveats)


def test_controls_and_saturation_are_named(two_arms):
    marked = two_arms.assign(
        label_access=two_arms["strategy"] == "entropy", notes='{"saturated_at": 3}'
    )
    result = compare(marked)
    assert [arm.sees_labels for arm in only(result).arms] == [False, True]
    assert any("entropy sees labels before they are bought" in caveat for caveat in result.caveats)
    assert any("noted saturation in 100 %" in caveat for caveat in result.caveats)


@pytest.mark.slow
def test_a_last_round_with_notes_of_its_model_is_no_batch(two_arms):
    last = two_arms["round"] == two_arms["round"].max()
    marked = two_arms.assign(
        seconds_select=np.where(last, np.nan, 0.5),
        notes=np.where(last, '{"density_jitter": 1e-6}', '{"saturated_at": 3}'),
    )
    assert any("noted saturation in 100 %" in caveat for caveat in compare(marked).caveats)
    marked.loc[marked["round"] == 0, "notes"] = '{"density_jitter": 1e-6}'
    share = round(100 * (1 - 1 / two_arms["round"].max()))
    assert any(f"noted saturation in {share} %" in one for one in compare(marked).caveats)


def test_validation_points_can_be_counted_as_labels(two_arms):
    counted = compare(two_arms.assign(num_validation=100), count_validation=True)
    assert only(counted).low == 110


@pytest.mark.slow
def test_several_protocols_are_ranked_together(two_arms):
    assert across(compare(two_arms)) is None
    other = two_arms.assign(protocol_id="p1", dataset="mnist", run_id="x" + two_arms["run_id"])
    result = compare(pd.concat([two_arms, other]))
    found = across(result)
    assert found.arms == ("entropy", "random")
    assert found.ranks.value.tolist() == [1.0, 2.0]
    rows = across_rows(found, "random").set_index("arm")
    assert rows.loc["entropy", "improvement"] == 1.0
    assert rows.loc["random", "penalty"] == pytest.approx(2 * 3 / 4)  # not in round 0
    assert rows.loc["entropy", "gain"] == pytest.approx(0.05 * 2.5 / 3, abs=0.001)
    assert found.profile.value[0, -1] == 0.0
    assert found.partly == ()


@pytest.mark.slow
def test_arms_that_never_met_are_named_and_not_compared(two_arms):
    other = two_arms.assign(protocol_id="p1", dataset="mnist", run_id="x" + two_arms["run_id"])
    other = other.replace({"strategy_label": {"entropy": "margin"}})
    found = across(compare(pd.concat([two_arms, other])))
    assert set(found.partly) == {"entropy", "margin"}
    entropy, margin = found.arms.index("entropy"), found.arms.index("margin")
    assert np.isnan(found.improvement.value[entropy, margin])
    assert np.isnan(found.improvement.low[entropy, margin])
    assert "Not in every protocol, so ranked among fewer arms" in not_met(found)
    names, matrix = penalty_matrix(compare(pd.concat([two_arms, other])))
    assert np.isnan(matrix[names.index("entropy"), names.index("margin")])
    assert matrix[names.index("entropy"), names.index("random")] == pytest.approx(3 / 4)


@pytest.mark.slow
def test_the_baseline_against_itself_is_seldom_called_better(make_frame):
    """At most 7 % of 500 repeats; 5 % is what the tests promise."""
    rng = np.random.default_rng(0)
    called = 0
    for _ in range(500):
        values = rng.normal(0.7, 0.02, size=(2, 5, 1)) + rng.normal(0, 0.01, size=(2, 5, 3))
        frame = pd.concat(
            [
                make_frame(name, range(5), range(3), lambda s, r, v=v: v[s, r])
                for name, v in zip(("random", "again"), values, strict=True)
            ]
        )
        called += only(compare(frame)).arms[1].verdict in ("better", "worse")
    assert called / 500 <= 0.07


@pytest.mark.slow
def test_ten_arms_at_the_margin_are_seldom_called_equivalent(make_frame):
    """In at most 5 % of comparisons; without adjusting it would be one of four."""
    generator = np.random.default_rng(5)
    wrong = 0
    for _ in range(40):
        own = generator.normal(0, 0.0025 / np.sqrt(2), size=(11, 5))
        own[1:] += 0.005 * np.resize([1, -1], (10, 1))
        frames = [
            make_frame(name, range(5), range(2), lambda s, r, v=v: 0.5 + 0.1 * r + v[s])
            for name, v in zip(["random", *(f"a{k}" for k in range(10))], own, strict=True)
        ]
        arms = only(compare(pd.concat(frames))).arms[1:]
        wrong += any(arm.verdict == "equivalent" or arm.within_margin for arm in arms)
    assert wrong <= 7  # 2 are due at most, 10 without


def test_an_unfinished_arm_leaves_the_others_comparison_alone(two_arms, make_frame):
    begun = make_frame("margin", range(5), range(2), lambda s, r: 0.5)
    with pytest.warns(UserWarning, match="ends at 20 labels"):
        result = compare(pd.concat([two_arms, begun]))
    protocol = only(result)
    assert (protocol.low, protocol.high) == (10, 40)
    verdicts = {arm.arm: arm.verdict for arm in protocol.arms}
    assert verdicts == {"random": None, "entropy": "better", "margin": None}
    assert any("margin has no seed with all rounds from 10 to 40" in c for c in result.caveats)


def test_refused_labels_are_counted_as_asked_for(two_arms):
    some = two_arms.assign(num_queried=two_arms["num_labeled"])
    lost = (some["seed"] + some["round"]) % 3
    some["num_labeled"] = some["num_labeled"] - lost.where(some["round"] > 0, 0)
    result = compare(some)
    assert only(result).arms[1].paired.num_seeds == 5
    assert only(result).high == 40
    assert any("labels asked for are counted" in caveat for caveat in result.caveats)


@pytest.mark.slow
def test_a_ceiling_is_no_protocol(two_arms):
    full = two_arms[two_arms["round"] == 0].assign(
        budget="full", protocol_id="p9", num_labeled=1297
    )
    assert len(compare(pd.concat([two_arms, full])).protocols) == 1


@pytest.mark.slow
def test_gains_have_the_baselines_own_error_in_their_interval(make_frame):
    """Without a true difference the interval holds 0 as often as it says."""
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(40):
        frames = []
        for p in range(3):
            for name in ("random", "again"):
                noise = rng.normal(0.7, 0.02, size=10)
                frames.append(
                    make_frame(
                        name, range(10), range(2), lambda s, r, n=noise: n[s], protocol=f"p{p}"
                    ).assign(dataset=f"d{p}")
                )
        found = across(compare(pd.concat(frames)))
        place = found.arms.index("again")
        held += found.gain.low[place] <= 0 <= found.gain.high[place]
    assert held >= 35
