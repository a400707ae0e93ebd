"""Any key may be an arm, compared with the baseline that equals it otherwise."""

import json

import pandas as pd
import pytest

from al_bench.commands.compare.publish import latex, markdown
from al_bench.commands.compare.terminal import across_table, labels_table, verdict_table
from al_bench.errors import ConfigError
from al_bench.stats.across import across
from al_bench.stats.ceilings import ceilings
from al_bench.stats.comparison import compare
from al_bench.stats.protocols import titles
from al_bench.stats.rows import arm_rows
from al_bench.stats.widened import widened

SETTINGS = {
    "dataset._target_": "al_bench.data.digits.Digits",
    "model._target_": "al_bench.models.mc_dropout.MCDropout",
    "model.num_samples": 20,
    "training.start": "cold",
    "training.batch_size": 64,
    "budget.batch_size": 10,
    "pool.label_noise.rate": None,
    "init_strategy": None,
    "numerics_version": 3,
    "fingerprint": "f" * 64,
}


@pytest.fixture
def run(make_frame):
    """A run as it is read; ``gain`` is added to its accuracy."""

    def make(label, gain=0.0, seeds=range(3), rounds=range(5), names=None, **changes):
        settings = {**SETTINGS, **{key.replace("__", "."): v for key, v in changes.items()}}
        settings = {key: value for key, value in settings.items() if value != "left out"}
        text = json.dumps(settings, sort_keys=True)
        other = {k: v for k, v in settings.items() if not k.startswith("strategy.")}
        frame = make_frame(
            label,
            seeds,
            rounds,
            lambda seed, round: 0.5 + 0.05 * round + gain * (round > 0) + 0.001 * seed * round,
            batch=settings["budget.batch_size"],
            protocol=f"p{abs(hash(json.dumps([other, names], sort_keys=True)))}",
            run_id=f"{label} {abs(hash(text + str(names)))}",
            num_queried=None,
            **(names or {}),
        )
        return frame.assign(config=text, numerics_version=3)

    return make


def both(*frames):
    return pd.concat(frames).sample(frac=1, random_state=3)


def arms(result):
    (protocol,) = result.protocols
    return {arm.arm: arm.baseline for arm in protocol.arms}


@pytest.mark.slow
def test_each_arm_is_compared_with_the_baseline_of_its_own_keys(run):
    warm = {"training__start": "warm"}
    frame = both(
        run("random"), run("bald", 0.1), run("random", 0.2, **warm), run("bald", 0.25, **warm)
    )
    result = compare(frame, arms=["strategy", "training.start"])
    assert arms(result) == {
        "random · start=cold": "random · start=cold",
        "random · start=warm": "random · start=warm",
        "bald · start=cold": "random · start=cold",
        "bald · start=warm": "random · start=warm",
    }
    means = {arm.arm: arm.paired.mean for arm in result.protocols[0].arms if arm.paired}
    assert means["bald · start=cold"] == pytest.approx(0.1 * 7 / 8)
    assert means["bald · start=warm"] == pytest.approx(0.05 * 7 / 8)
    said = "Baseline of each arm: random with the same training.start."
    assert verdict_table(result, result.protocols[0]).title.splitlines()[1] == said
    rows = arm_rows(result)
    assert said in markdown(rows)
    assert said in latex(rows)
    # The same by the key's short name, and one baseline for all.
    assert arms(compare(frame, arms=["strategy", "start"])) == arms(result)
    for typed in ("random, start=cold", "random · start=cold", "training.start=cold, random"):
        found = compare(frame, arms=["strategy", "start"], baseline=typed)
        assert set(arms(found).values()) == {"random · start=cold"}
        assert "Baseline of all arms: random · start=cold." in markdown(arm_rows(found))
    assert found.protocols[0].arms[0].arm == "random · start=cold"


@pytest.mark.slow
@pytest.mark.parametrize(
    "other",
    [
        {"pool__label_noise__rate": 0.2},
        {"init_strategy___target_": "al_bench.strategies.typiclust.TypiClust"},
        {"target___target_": "al_bench.data.target.ClassTarget"},
        {"evaluation__num_samples": 100},
        {"fingerprint": "e" * 64},
        {"numerics_version": 2},
        {"part_versions__al_bench.models.networks.mlp": 2},
        {"training__batch_size": 32},
    ],
    ids=lambda other: next(iter(other)),
)
def test_runs_that_differ_in_anything_else_are_never_pooled(run, other):
    deep = {"model___target_": "mine.Ensemble", "names": {"model": "ensemble"}}
    frame = both(run("random"), run("bald"), run("random", **deep), run("bald", **deep, **other))
    rows = widened(frame, ["strategy", "model"]).rows
    assert sorted(rows.groupby("protocol_id")["strategy_label"].nunique()) == [1, 3]
    names = titles(rows)
    assert len(names) == 2
    assert not any(" id " in name for name in names.values())
    whole = both(run("random"), run("bald"), run("random", **deep), run("bald", **deep))
    assert widened(whole, ["strategy", "model"]).rows["protocol_id"].nunique() == 1


def test_own_code_keeps_runs_apart_where_both_have_it(run):
    mine = {"model___target_": "mine.Model", "names": {"model": "mine"}}
    first = run("random", **mine, own_code__mine="a" * 64)
    rows = widened(both(run("random"), run("bald"), first), ["strategy", "model"]).rows
    assert rows["protocol_id"].nunique() == 1
    edited = run("bald", **mine, own_code__mine="b" * 64)
    found = widened(both(run("random"), first, edited), ["strategy", "model"])
    assert found.rows["protocol_id"].nunique() == 3
    assert "Runs that also differ in own_code.mine are in protocols" in found.caveats[0]


@pytest.mark.slow
def test_batches_of_other_sizes_are_aligned_on_common_label_counts(run):
    five = {"budget__batch_size": 5, "rounds": range(9)}
    frame = both(run("random"), run("bald", 0.1), run("random", **five), run("bald", 0.1, **five))
    result = compare(frame, arms=["strategy", "budget.batch_size"], reach=[0.6])
    (protocol,) = result.protocols
    assert (protocol.low, protocol.high) == (10, 50)
    assert {len(arm.seeds) for arm in protocol.arms} == {3}
    rows = arm_rows(result)
    steps = rows["labels_to_0.6"] - rows["labels_to_0.6_less_a_batch"]
    assert dict(zip(rows["arm"], steps, strict=True)) == {
        "random · budget.batch_size=10": 10,
        "random · budget.batch_size=5": 5,
        "bald · budget.batch_size=10": 10,
        "bald · budget.batch_size=5": 5,
    }


@pytest.mark.slow
def test_one_run_under_two_engines_is_two_arms(run):
    frames = [run("random"), run("bald", 0.1)]
    cuda = [frame.assign(device="cuda", test_accuracy=frame["test_accuracy"] + 0.01)
            for frame in frames]  # fmt: skip
    result = compare(both(*frames, *cuda), arms=["strategy", "device"])
    assert arms(result)["bald · device=cuda"] == "random · device=cuda"
    assert not any("engine's device" in said for said in result.caveats)
    assert {len(arm.seeds) for arm in result.protocols[0].arms} == {3}


def test_groups_are_arms_with_what_differs_in_them(run):
    fifty = {"model__num_samples": 50}
    frame = both(run("random"), run("bald"), run("random", **fifty), run("bald", **fifty))
    names = set(widened(frame, ["strategy", "model"]).arms)
    assert {"bald · mc_dropout · num_samples=50", "random · mc_dropout · num_samples=20"} < names
    names = set(widened(frame, ["strategy", "model.num_samples"]).arms)
    assert {"bald · num_samples=20", "random · num_samples=50"} < names


@pytest.mark.slow
def test_a_group_that_is_null_in_some_runs_is_an_arm_too(run):
    bought = {
        "init_strategy": "left out",
        "init_strategy._target_": "al_bench.strategies.typiclust.TypiClust",
        "names": {"init_strategy": "typiclust"},
    }
    frame = both(run("random"), run("bald"), run("random", **bought), run("bald", **bought))
    result = compare(frame, arms=["strategy", "init_strategy"])
    assert arms(result) == {
        f"{name} · init_strategy={buyer}": f"random · init_strategy={buyer}"
        for name in ("random", "bald")
        for buyer in ("null", "typiclust")
    }


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"arms": ["strategy", "training.strat"]}, "no arm 'training.strat'. .*'training.start'"),
        ({"arms": ["strategy", "zebra"]}, "no arm 'zebra'. Those that differ here: training.start"),
        ({"arms": ["strategy", "batch_size"]}, "batch_size may be budget.batch_size or training"),
        ({"arms": ["strategy", "seeds"]}, "There is no arm 'seeds'"),
        ({"arms": ["start"]}, r"lacks strategy\. Write arms=\[strategy,start\]"),
        ({"baseline": "bold"}, "no baseline 'bold'. Did you mean 'bald'"),
        ({"baseline": "random, start=hot"}, "No arm is 'start=hot'.*'start=cold'"),
    ],
)
def test_arms_and_baselines_that_are_not_there_are_answered(run, typed, message):
    frame = both(run("random"), run("bald"), run("random", training__start="warm"))
    with pytest.raises(ConfigError) as error:
        compare(frame, **{"arms": ["strategy", "start"], **typed})
    assert pd.Series([str(error.value)]).str.contains(message).all(), str(error.value)


@pytest.mark.slow
def test_an_arm_without_a_baseline_of_its_own_says_so(run):
    frame = both(run("random"), run("bald"), run("bald", training__start="warm"))
    result = compare(frame, arms=["strategy", "start"])
    assert arms(result)["bald · start=warm"] is None
    assert any("bald · start=warm has no baseline" in said for said in result.caveats)
    caption = verdict_table(result, result.protocols[0]).caption
    assert "bald · start=warm: no baseline, so no difference." in caption


@pytest.mark.slow
def test_older_curves_share_data_by_name_which_is_said(run):
    old = {"fingerprint": "left out"}
    frame = both(run("random", **old), run("bald", **old), run("bald", training__start="warm"))
    result = compare(frame, arms=["strategy", "start"])
    assert len(result.protocols) == 1
    assert any("older than the fingerprints" in said for said in result.caveats)
    by_hand = frame.drop(columns="config")
    assert not widened(by_hand, ["strategy"]).caveats
    assert "names of choices alone" in widened(by_hand, ["strategy", "training"]).caveats[0]


@pytest.mark.slow
def test_over_protocols_each_arm_is_held_against_its_own_baseline(run):
    frame = both(
        *(
            run(label, gain + more, training__start=start, names={"dataset": dataset},
                fingerprint=dataset)
            for dataset in ("digits", "mnist")
            for start, more in (("cold", 0.0), ("warm", 0.2))
            for label, gain in (("random", 0.0), ("bald", 0.1 + more / 10))
        )
    )  # fmt: skip
    result = compare(frame, arms=["strategy", "start"])
    found = across(result)
    gains = dict(zip(found.arms, found.gain.value, strict=True))
    assert gains["bald · start=cold"] == pytest.approx(0.1 * 7 / 8, abs=1e-6)
    assert gains["bald · start=warm"] == pytest.approx(0.12 * 7 / 8, abs=1e-6)
    column = list(across_table(found, "random", result.measure).columns[3].cells)
    assert [bool(cell) for cell in column] == ["random" not in arm for arm in found.arms]


@pytest.mark.slow
def test_nothing_undefined_is_printed_as_a_number(run):
    frame = both(run("random", seeds=[0]), run("bald", 0.1, seeds=[0]), run("margin", seeds=[7]))
    frame = pd.concat([frame, run("entropy", seeds=[0], rounds=[0])])
    with pytest.warns(UserWarning, match="entropy"):
        result = compare(frame)
    (protocol,) = result.protocols
    tables = [verdict_table(result, protocol), labels_table(result, protocol)]
    cells = [str(cell) for table in tables for column in table.columns for cell in column.cells]
    rows = arm_rows(result)
    for text in (*cells, markdown(rows), latex(rows)):
        assert "nan" not in text
        assert "n/a" not in text
    reasons = {
        "bald": "one pair of seeds, so neither an interval nor a p value",
        "margin": "no seed in common with the baseline, so no difference",
        "entropy": "no seed with all rounds, so no area",
        "random": "one seed, so no interval",
    }
    found = rows.set_index("arm")["undefined"]
    assert found[list(reasons)].to_dict() == reasons
    for arm, why in reasons.items():
        for text in (tables[0].caption, markdown(rows), latex(rows)):
            assert f"{arm}: {why}." in text


def test_a_ceiling_is_equal_in_all_but_budget_and_strategy(run):
    full = {"names": {"budget": "full"}, "rounds": [0], "budget__total": 1000}
    frame = both(
        run("bald"),
        run("bald", pool__label_noise__rate=0.2),
        run("random", seeds=[0, 1], **full),
        run("bald", seeds=[1, 2], **full),
    )
    tops = ceilings(frame, "test_accuracy")
    clean = ~frame["config"].str.contains("0.2") & (frame["budget"] != "full")
    assert list(tops) == [frame.loc[clean, "protocol_id"].iloc[0]]
    other = run("bald", seeds=[1], **{**full, "budget__validation_size": 7})
    other["test_accuracy"] += 0.1
    with pytest.warns(UserWarning, match="runs on all labels disagree .*validation_size=7: 0.6"):
        assert ceilings(pd.concat([frame, other]), "test_accuracy") == {}
