"""The baseline's seeds against themselves, through ``compare`` and the terminal."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from al_bench import cli
from al_bench.commands.compare.terminal import itself_table
from al_bench.errors import ConfigError
from al_bench.stats.against_itself import against_itself
from al_bench.stats.comparison import compare
from al_bench.stats.rows import arm_rows

REFERENCE = str(Path(__file__).parents[2] / "results" / "reference" / "mnist")


def two_arms(make_frame, num_seeds, spread=0.02):
    noise = np.random.default_rng(0).normal(0, spread, size=(2, num_seeds))
    return pd.concat(
        [
            make_frame(name, range(num_seeds), range(2), lambda s, r, n=n: 0.5 + 0.1 * r + n[s])
            for name, n in zip(("random", "bald"), noise, strict=True)
        ]
    )


@pytest.mark.slow
def test_rates_of_all_verdicts_are_given_beside_the_nominal_ones(make_frame):
    result = compare(two_arms(make_frame, 12), aa=True)
    found = result.protocols[0].arms[0].against_itself
    assert (found.seeds, found.pairs) == (12, 6)
    assert sum(found.rates.values()) == pytest.approx(1.0)
    assert found.rates["better"] == found.rates["worse"] <= 0.05
    table = itself_table("random", found)
    assert table.title == "random against itself, 1,000 times 6 pairs of its 12 seeds"
    assert list(table.columns[2].cells) == ["2.5 %", "2.5 %", "", ""]
    base, other = arm_rows(result).to_dict("records")
    assert base["aa_better"] == found.rates["better"]
    assert base["aa_not_distinguishable"] == found.rates["not distinguishable"]
    assert base["aa_better_nominal"] == base["aa_worse_nominal"] == 0.025
    assert np.isnan(other["aa_better"])
    assert "aa_better" not in arm_rows(compare(two_arms(make_frame, 12)))


def test_a_baseline_without_noise_is_equivalent_to_itself(make_frame):
    found = (
        compare(two_arms(make_frame, 9, spread=1e-5), aa=True).protocols[0].arms[0].against_itself
    )
    assert found.pairs == 4  # one of nine is left out
    assert found.rates["equivalent"] > 0.9


@pytest.mark.slow
def test_too_few_seeds_are_refused_and_a_protocol_among_others_is_named(make_frame):
    few = two_arms(make_frame, 5)
    with pytest.raises(ConfigError, match="needs 6 whole ones, there are 5") as caught:
        compare(few, aa=True)
    assert "seeds=6" in str(caught.value)
    other = two_arms(make_frame, 6).assign(dataset="mnist", protocol_id="p1")
    other = other.assign(run_id="x" + other["run_id"])
    result = compare(pd.concat([few, other]), aa=True)
    assert [p.arms[0].against_itself is not None for p in result.protocols] == [False, True]
    assert any("there are 5 in digits" in caveat for caveat in result.caveats)


def test_each_of_several_baselines_is_split(make_frame):
    frame = two_arms(make_frame, 6)
    other = frame.assign(
        model="deep_ensemble", protocol_id="p1", run_id="x" + frame["run_id"], network="cnn"
    )
    result = compare(pd.concat([frame, other]), arms=["strategy", "model"], aa=True)
    (protocol,) = result.protocols
    split = [arm.against_itself is not None for arm in protocol.arms]
    assert split == [arm.is_baseline for arm in protocol.arms]
    assert sum(split) == 2


def test_the_order_of_seeds_is_without_meaning():
    values = np.random.default_rng(1).normal(size=11)
    assert against_itself(values, 0.5) == against_itself(values[::-1], 0.5)


@pytest.mark.slow
@pytest.mark.parametrize(("num_seeds", "baselines", "splits"), [(12, 10, 1000), (40, 3, 400)])
def test_chance_is_called_a_find_as_often_as_it_is_said(num_seeds, baselines, splits):
    """Over several baselines: 5 % of the splits, better and worse together."""
    rng = np.random.default_rng(num_seeds)
    rates = [
        against_itself(rng.normal(size=num_seeds), 0.1, splits).rates for _ in range(baselines)
    ]
    found = np.mean([rate["better"] + rate["worse"] for rate in rates])
    assert found == pytest.approx(0.05, abs=0.025)


@pytest.mark.slow
def test_json_holds_it(capsys):
    assert cli.main(["compare", REFERENCE, "aa=true", "format=json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["aa_pairs"] for row in rows if row["arm"] == "random"} == {3}
