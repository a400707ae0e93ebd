"""How long what is left will take: from made-up stored curves, and from rounds as they come."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from fake_trials import ENGINE, IDENTITY, OTHER_ENGINE, row_of

from al_bench.results import damage, manifest, parquet, sweeps
from al_bench.results.history import TrialPaths
from al_bench.results.schema import CURVE, table
from al_bench.results.trial_key import TrialKey
from al_bench.running.progress import BarReport, LogReport, first_estimate
from al_bench.running.remaining import (
    Pace,
    Place,
    Remaining,
    Round,
    RunRemaining,
    StoredRounds,
    place_of,
    stored_rounds,
)
from al_bench.text.console import Console
from al_bench.text.duration import in_words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, "less than a second"),
        (0.6, "1 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (90, "2 min"),
        (3569, "59 min"),
        (3571, "1 h"),
        (4800, "1 h 20 min"),
        (86_369, "23 h 59 min"),
        (86_371, "1 d"),
        (100 * 3600, "4 d 4 h"),
    ],
)
def test_spans_of_time_are_said_in_human_units(seconds, said):
    assert in_words(seconds) == said


SCHEDULE = [Round(labels, 100) for labels in (20, 30, 40)]
RUN = Path("/results/digits/mc_dropout/bald/0")
ZERO, ONE = TrialKey(RUN, 0), TrialKey(RUN, 1)


def left_of(stored, seeds, workers=1, place=None):
    """What is left of one run."""
    return Remaining({RUN: RunRemaining(stored, SCHEDULE, seeds, workers)}, place)


def row(round, seconds, labels=None):
    return {"round": round, "num_labeled": labels or 20 + 10 * round, "seconds_fit": seconds}


def test_nothing_is_said_before_any_round_is_known():
    remaining = left_of(StoredRounds(), [0, 1])
    assert remaining.seconds() is None
    assert remaining.in_words() == ""
    assert not remaining.is_over


def test_rounds_that_grow_are_extended():
    pace = Pace([(20, 2.0), (30, 3.0), (30, 3.0), (30, 90.0)])
    assert pace.seconds([10, 20, 25, 30, 40]).tolist() == [1.0, 2.0, 2.5, 3.0, 4.0]
    falling = Pace([(20, 3.0), (30, 2.0)])
    assert falling.seconds([40, 10]).tolist() == [2.0, 3.0]
    assert Pace([(20, 2.0)]).seconds([20, 500]).tolist() == [2.0, 2.0]


def test_the_first_round_counts_only_until_there_is_another():
    pace = Pace()
    pace.add(20, 60.0)  # libraries are loaded
    assert pace.seconds([30]).tolist() == [60.0]
    pace.add(20, 1.0)
    assert pace.seconds([30]).tolist() == [1.0]
    stored = Pace([(20, 2.0), (30, 4.0)])
    stored.add(20, 60.0)
    assert stored.seconds([30]).tolist() == [4.0]
    stored.add(20, 6.0)  # three times as slow as it was
    assert stored.seconds([20, 30]).tolist() == [6.0, 12.0]


def test_what_is_left_shrinks_round_by_round():
    remaining = left_of(StoredRounds([(20, 1.0), (30, 2.0), (40, 3.0)]), [0, 1])
    assert remaining.seconds() == 12.0
    remaining.begin(ZERO, 0)
    remaining.begin(ONE, 2)
    assert remaining.seconds() == 9.0
    remaining.round(ZERO, row(0, 1.0))
    assert remaining.seconds() == 8.0
    assert remaining.in_words() == "about 8 s left"
    remaining.end(ZERO)  # failed, perhaps
    remaining.end(ONE)
    assert remaining.seconds() == 0.0
    assert remaining.is_over
    assert remaining.in_words() == ""


def test_workers_share_the_seeds_and_none_shares_a_seed():
    stored = StoredRounds([(20, 1.0), (30, 2.0), (40, 3.0)])
    assert left_of(stored, range(6), workers=3).seconds() == 12.0
    assert left_of(stored, range(2), workers=8).seconds() == 6.0


def test_the_time_is_that_of_all_runs_and_unknown_ones_count_as_the_others():
    other = TrialKey(RUN.with_name("1"), 0)
    stored = StoredRounds([(20, 1.0), (30, 2.0), (40, 3.0)])
    runs = {
        RUN: RunRemaining(stored, SCHEDULE, [0, 1]),
        other.folder: RunRemaining(StoredRounds(), SCHEDULE, [0]),
    }
    remaining = Remaining(runs)
    assert (remaining.seconds(), remaining.unknown) == (12.0 + 6.0, 1)
    remaining.end(ONE)
    assert remaining.seconds() == 6.0 + 6.0
    remaining.begin(other, 0)
    remaining.round(other, row(0, 5.0))
    assert (remaining.seconds(), remaining.unknown) == (6.0 + 10.0, 0)
    remaining.end(other)
    assert remaining.seconds() == 6.0
    assert not remaining.is_over


@pytest.mark.parametrize(
    ("seeds", "shown", "hidden"),
    [(2, ["all", "bald seed 1"], []), (9, ["all", "bald", "random"], ["seed 1"])],
)
def test_bars_are_of_trials_and_where_these_are_many_of_runs(seeds, shown, hidden):
    names = {RUN: "bald", RUN.with_name("1"): "random"}
    trials = [TrialKey(folder, seed) for folder in names for seed in range(seeds)]
    left = Remaining(
        {folder: RunRemaining(StoredRounds(), SCHEDULE, range(seeds)) for folder in names}
    )
    stream = io.StringIO()
    committed = {**row(0, 60.0), "test_accuracy": 0.5, "test_nll": 1.0}
    with BarReport(Console(stream, 100, force_terminal=True), trials, left, names) as report:
        for key in trials:
            report.begin(key, 0, 3)
            report.round(key, committed, 3)
    said = [line.partition("━")[0] for line in stream.getvalue().splitlines()]
    assert all(any(name in line for line in said) for name in shown)
    assert not any(name in line for line in said for name in hidden)
    assert f"0/{len(trials)} trials" in stream.getvalue()


def test_the_place_in_a_sweep_is_said_with_the_time_of_all_its_jobs():
    stored = StoredRounds([(20, 60.0), (30, 60.0), (40, 60.0)])
    place = Place(2, 12, earlier=[500.0, 220.0])
    said = left_of(stored, [0], place=place).in_words()
    assert said == "job 3 of 12, about 48 min left"  # 3 min, and nine of 5 min
    alone = left_of(stored, [0], place=Place(2, 12, side_by_side=True)).in_words()
    assert alone == "job 3 of 12, about 3 min left of it"
    assert left_of(StoredRounds(), [0], place=place).in_words() == "job 3 of 12"


def test_first_steps_tell_where_no_round_is_known():
    remaining = left_of(StoredRounds(), [0, 1])
    said = first_estimate(remaining, {}, ZERO, 50, 10.0)
    assert said == (
        "50 steps of training took 10 s; by that all training takes at most about 2 min"
    )
    remaining.round(ZERO, row(0, 1.0))
    assert first_estimate(remaining, {}, ZERO, 50, 10.0) == ""


def test_a_log_line_says_what_is_left(caplog):
    caplog.set_level("INFO")
    report = LogReport(left_of(StoredRounds([(20, 60.0)]), [0]))
    report.begin(ZERO, 0, 3)
    committed = {**row(0, 60.0), "test_accuracy": 0.5, "test_nll": 1.0}
    report.round(ZERO, committed, 3)
    assert caplog.messages == [
        "seed 0 round 0/2 labels=20 accuracy=0.500 nll=1.000 60.0s; about 2 min left"
    ]


def store(root, seconds, seed=0, engine=ENGINE, **changes):
    identity = replace(IDENTITY, **changes)
    paths = TrialPaths(root / identity.folder, seed)
    paths.curve.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {**identity.columns, **engine, "seed": seed, **row_of(n, seconds_fit=s, test_accuracy=0.5)}
        for n, s in enumerate(seconds)
    ]
    paths.curve.write_bytes(parquet.encode(table(rows, CURVE), {}))
    return paths


def test_stored_rounds_of_the_run_itself_come_first(tmp_path):
    store(tmp_path, [1.0, 2.0])
    store(tmp_path, [9.0], run_id="other", strategy_label="bald(K=5)")
    paths = store(tmp_path, [3.0], seed=1)
    found = stored_rounds(tmp_path, IDENTITY, ENGINE)
    assert sorted(found.rounds) == [(4, 1.0), (4, 3.0), (6, 2.0)]
    assert found.source == "the same run"
    assert found.done == {0: 2, 1: 1}
    paths.manifest.parent.mkdir()
    content = {"status": "done", **{name: "" for name in manifest.IDENTITY}}
    paths.manifest.write_text(json.dumps(content))
    assert stored_rounds(tmp_path, IDENTITY, ENGINE).done == {0: 2, 1: None}
    data = paths.curve.read_bytes()
    content[damage.FILES] = {"curves/seed=1.parquet": damage.account(data, 1)}
    paths.manifest.write_text(json.dumps(content))
    assert stored_rounds(tmp_path, IDENTITY, ENGINE).done == {0: 2, 1: None}
    store(tmp_path, [4.0], seed=1)  # edited: it will be computed again
    assert stored_rounds(tmp_path, IDENTITY, ENGINE).done == {0: 2, 1: 0}


def test_then_those_of_runs_that_are_near(tmp_path):
    store(tmp_path, [5.0], run_id="5", strategy="random", protocol_id=IDENTITY.protocol_id)
    assert stored_rounds(tmp_path, IDENTITY, ENGINE).source == "random in the same protocol"
    store(tmp_path, [4.0], run_id="4", protocol_id="ffff", budget="large")
    found = stored_rounds(tmp_path, IDENTITY, ENGINE)
    assert (found.source, list(found.rounds)) == ("bald with another protocol", [(4, 4.0)])
    store(tmp_path, [3.0], run_id="3", strategy_label="bald(K=5)")
    found = stored_rounds(tmp_path, IDENTITY, ENGINE)
    assert (found.source, list(found.rounds)) == ("bald with other parameters", [(4, 3.0)])


def test_rounds_that_say_nothing_of_this_run_are_left_out(tmp_path):
    store(tmp_path, [1.0], engine=OTHER_ENGINE)
    store(tmp_path, [1.0], seed=1, engine=ENGINE | {"threads": 8})
    store(tmp_path, [1.0], run_id="a", protocol_id="ffff", network="resnet")
    store(tmp_path, [1.0], run_id="b", protocol_id="ffff", strategy="random")
    store(tmp_path, [1.0], run_id="c", dataset="mnist")
    assert not stored_rounds(tmp_path, IDENTITY, ENGINE).rounds
    assert list(stored_rounds(tmp_path, IDENTITY, OTHER_ENGINE).rounds) == [(4, 1.0)]


def test_what_cannot_be_read_is_not_known(tmp_path, monkeypatch):
    assert stored_rounds(tmp_path / "nowhere", IDENTITY, ENGINE) == StoredRounds()
    paths = store(tmp_path, [1.0])
    store(tmp_path, [2.0], seed=1)
    paths.curve.write_bytes(b"no parquet")
    found = stored_rounds(tmp_path, IDENTITY, ENGINE)
    assert (list(found.rounds), found.done) == ([(4, 2.0)], {0: 0, 1: 1})
    monkeypatch.setattr(parquet, "read", lambda *given: 1 / 0)
    assert not stored_rounds(tmp_path, IDENTITY, ENGINE).rounds
    assert place_of(tmp_path / "nowhere" / "0", 0, False, 1) is None


def test_earlier_jobs_of_a_sweep_count(tmp_path):
    folder = tmp_path / ".sweeps" / "0"
    assert place_of(folder / "0", 0, False, 1) is None
    sweeps.write_plan(folder, [[f"strategy={name}"] for name in "abc"])
    assert place_of(folder / "0", 0, False, 1) == Place(0, 3, False, [])
    sweeps.write_job(folder / "0", ["strategy=a"], {IDENTITY.folder: [0, 1]})
    store(tmp_path, [1.0, 2.0])
    store(tmp_path, [3.0], seed=1)
    sweeps.write_job(folder / "1", ["strategy=b"], {}, "refused")
    assert place_of(folder / "2", 2, False, 2) == Place(2, 3, False, [3.0])
    assert place_of(folder / "2", 2, True, 2) == Place(2, 3, True, [])
