"""Speed-ups over the baseline, beside loops that look at one seed and one round at a time."""

import math

import fake_sampling
import numpy as np
import pandas as pd
import pytest

from al_bench.stats.comparison import compare
from al_bench.stats.paired import resampling_weights
from al_bench.stats.rows import arm_rows
from al_bench.stats.speed_up import RESAMPLES, speed_up, summarized

EVERY, ROUNDS = 10, 12  # six passes of 20 steps


def by_loop(base, mine):
    """Speed-up of one seed, from its curves as steps to accuracy."""
    best = max(base.values())
    needed = min(steps for steps, value in base.items() if value == best)
    for steps in sorted(mine):
        if mine[steps] >= best:
            return 1.0 if steps == needed else needed / steps
    return 0.0


def published_by_loop(base, mine, steps_per_pass):
    """The figure of the paper's notebooks for one seed."""
    ends = {steps // steps_per_pass - 1: steps for steps in base if steps % steps_per_pass == 0}
    del ends[-1]  # the untrained network
    best = max(base[steps] for steps in ends.values())
    for number in sorted(ends):
        if mine[ends[number]] >= best:
            return max(ends) / number
    return 0.0


def median_by_loop(values):
    """Where the lower of the middle two never gets there, the median doesn't."""
    ordered = sorted(values)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return 0.0 if low == 0 else (low + high) / 2


def random_walks(seed, label, best):
    """Accuracies that rise and fall: the best is seldom the last."""
    drawn = np.random.default_rng([seed, len(label)])
    values = best * (1 - 0.7 ** np.arange(ROUNDS + 1)) + 0.1 * drawn.random(ROUNDS + 1)
    values[0] = 0.1
    return {EVERY * round: float(value) for round, value in enumerate(values)}


@pytest.fixture(scope="module")
def walks():
    """Curves of a baseline and two arms, six seeds; the last arm seldom has the baseline's best."""
    heights = {"uniform": 0.6, "rho_loss": 0.65, "irreducible_loss": 0.6}
    return {
        name: {seed: random_walks(seed, name, best) for seed in range(6)}
        for name, best in heights.items()
    }


@pytest.fixture(scope="module")
def compared(walks):
    frame = pd.concat(
        [
            fake_sampling.arm(
                name, range(6), lambda seed, steps, own=own: own[seed][steps], every=EVERY,
                rounds=ROUNDS, **fake_sampling.times(name),
            )
            for name, own in walks.items()
        ]
    )  # fmt: skip
    result = compare(frame.sample(frac=1, random_state=0))
    return {arm.arm: arm for arm in result.protocols[0].arms}, arm_rows(result).set_index("arm")


@pytest.mark.slow
def test_the_speed_up_of_each_seed_is_what_a_loop_finds(walks, compared):
    arms, rows = compared
    for name in ("rho_loss", "irreducible_loss"):
        expected = [by_loop(walks["uniform"][seed], walks[name][seed]) for seed in range(6)]
        assert arms[name].speed_up.values == pytest.approx(expected)
        assert rows.loc[name, "speed_up"] == pytest.approx(median_by_loop(expected))
        assert rows.loc[name, "speed_up_never"] == expected.count(0.0)
    assert 0 < rows.loc["irreducible_loss", "speed_up_never"] < 6
    assert arms["uniform"].speed_up is None


def test_the_published_figure_is_what_a_loop_finds(walks, compared):
    arms, rows = compared
    for name in ("rho_loss", "irreducible_loss"):
        expected = [
            published_by_loop(walks["uniform"][s], walks[name][s], fake_sampling.STEPS_PER_PASS)
            for s in range(6)
        ]
        assert arms[name].speed_up_published.values == pytest.approx(expected)
        assert rows.loc[name, "speed_up_published"] == pytest.approx(median_by_loop(expected))


def test_in_time_the_training_of_the_irreducible_loss_model_counts(walks, compared):
    arms, rows = compared

    def seconds(name, steps):  # a round of uniform takes 0.1 s, of others 0.2 s
        first = 1.0 if name == "rho_loss" else 0.0
        return first + (0.1 if name == "uniform" else 0.2) * steps / EVERY

    for name in ("rho_loss", "irreducible_loss"):
        expected = [
            by_loop(
                {seconds("uniform", steps): v for steps, v in walks["uniform"][seed].items()},
                {seconds(name, steps): v for steps, v in walks[name][seed].items()},
            )
            for seed in range(6)
        ]
        assert arms[name].speed_up_time.values == pytest.approx(expected)
    assert (rows["speed_up_time"].dropna() < rows["speed_up"].dropna()).any()


def test_a_baseline_that_is_best_untrained_is_reached_at_once_on_every_clock():
    base, mine = np.array([[0.9, 0.5, 0.5]]), np.array([[0.9, 0.4, 0.4]])
    for places in ([[0, 1, 2]], [[5, 6, 7]]):  # a model of the holdout was trained before
        found = speed_up(np.array([[0, 1, 2]]), base, np.array(places), mine)
        assert (found.median, found.never) == (1.0, 0)


def test_the_interval_is_that_of_the_median_over_resampled_pairs():
    values = np.array([0.0, 1.5, 2.0, 0.9, 3.0, 0.0, 1.2])
    found = summarized(values)
    weights = np.rint(resampling_weights(7, RESAMPLES) * 7).astype(int)
    ordered = np.sort(values)
    medians = [median_by_loop(np.repeat(ordered, counts)) for counts in weights]
    assert found.interval == pytest.approx(tuple(np.quantile(medians, [0.025, 0.975])))
    assert (found.median, found.never) == (1.2, 2)


@pytest.mark.parametrize(
    ("values", "median"),
    [([2], 2.0), ([0, 2], 0.0), ([1, 2], 1.5), ([0, 0, 2], 0.0), ([1, np.inf], np.inf)],
)
def test_what_lies_between_never_and_a_speed_up_is_never(values, median):
    assert summarized(np.array(values, dtype=float)).median == median


def test_one_seed_has_no_interval():
    assert all(map(math.isnan, summarized(np.array([2.0])).interval))


def test_an_arm_with_the_same_curve_is_as_fast_even_where_nothing_gets_better():
    curves = np.array([[0.1, 0.1, 0.1], [0.1, 0.5, 0.4]])
    steps = np.array([0.0, 10.0, 20.0])
    assert speed_up(steps, curves, steps, curves).values.tolist() == [1.0, 1.0]


@pytest.mark.slow
@pytest.mark.parametrize("speed", [0.5, 2.0, 4.0])
def test_known_speeds_come_back(speed):
    """Steps are a multiple of the speed, so that no rounding is between."""
    frame = pd.concat(
        [
            fake_sampling.arm(name, [0], lambda _, steps, v=v: fake_sampling.accuracy(steps, v, 0))
            for name, v in (("uniform", 1.0), ("loss", speed))
        ]
    )
    [row] = arm_rows(compare(frame)).to_dict("records")[1:]
    assert row["speed_up"] == (speed if speed >= 1 else 0.0)


@pytest.mark.slow
def test_a_metric_to_be_lowered_is_reached_from_above():
    frame = fake_sampling.arms(range(3), {"uniform": 1.0, "rho_loss": 2.0}, noise=0.0)
    frame["test_nll"] = 3 * (1 - frame["test_accuracy"])
    rows = [
        arm_rows(compare(frame, metric)).set_index("arm").loc["rho_loss"]
        for metric in ("test_accuracy", "test_nll")
    ]
    for name in ("speed_up", "speed_up_published", "speed_up_time"):
        assert rows[0][name] == rows[1][name] > 0


@pytest.mark.slow
def test_core_sets_see_fewer_candidates_and_do_not_change_what_a_pass_is():
    frame = fake_sampling.arms(range(2), {"uniform": 1.0, "rho_loss": 2.0}, noise=0.0)
    core = fake_sampling.arm("svp", range(2), lambda s, t: 0.1 + t / 1000, see=5)
    alone = arm_rows(compare(frame)).set_index("arm")
    beside = arm_rows(compare(pd.concat([frame, core]))).set_index("arm")
    for name in ("speed_up", "speed_up_published"):
        assert alone.loc["rho_loss", name] == beside.loc["rho_loss", name]


@pytest.mark.slow
def test_the_published_figure_is_left_out_where_passes_are_not_known():
    frame = fake_sampling.arms(range(2), {"uniform": 1.0, "rho_loss": 2.0})
    rows = arm_rows(compare(frame.assign(candidates_seen=pd.NA)))
    assert "speed_up_published" not in rows
    assert rows["speed_up"].notna().sum() == 1
