"""Seeds that were added after a look, through ``compare`` and the command."""

import json

import pandas as pd
import pytest

from al_bench import cli
from al_bench.results import parquet, schema
from al_bench.stats.comparison import compare

# Nothing is to be told after three seeds; five show a difference.
DIFFERENCES = [0.001, 0.03, 0.02, 0.02, 0.021]


@pytest.fixture
def frame(make_frame):
    return pd.concat(
        [
            make_frame("random", range(5), range(3), lambda s, r: 0.5 + 0.1 * r + 0.01 * s),
            make_frame(
                "bald", range(5), range(3), lambda s, r: 0.5 + 0.1 * r + 0.01 * s + DIFFERENCES[s]
            ),
        ]
    )


def spans_of(days):
    """Seeds by the day on which they were run; random before bald on each day."""
    return {
        (f"p0-{arm}", seed): (
            f"2026-01-{day:02d}T{hour:02d}:0{seed}:00Z",
            f"2026-01-{day:02d}T{hour:02d}:0{seed}:59Z",
        )
        for hour, arm in enumerate(("random", "bald"))
        for day, seeds in days.items()
        for seed in seeds
    }


OVERLAPPING = spans_of({1: [0, 1, 2], 2: [3, 4]}) | {
    ("p0-random", 3): ("2026-01-01T00:00:00Z", "2026-01-02T22:00:00Z")
}


def notes(frame, spans):
    return [caveat for caveat in compare(frame, spans=spans).caveats if "began when" in caveat]


@pytest.mark.slow
def test_later_seeds_on_which_a_verdict_hangs_are_noted_in_one_line(frame):
    (note,) = notes(frame, spans_of({1: [0, 1, 2], 2: [3, 4]}))
    assert note.startswith("Seeds 3, 4 began when all others had ended")
    assert "bald was not distinguishable and is better" in note


@pytest.mark.parametrize(
    "spans",
    [
        {},  # no manifests
        spans_of({1: [0, 1, 2, 3, 4]}),  # one sweep, arm after arm
        spans_of({1: [0, 1, 2]}),  # of some nothing is known
        OVERLAPPING,
    ],
)
def test_nothing_is_said_where_no_seeds_came_after_all_others(frame, spans):
    assert notes(frame, spans) == []


@pytest.mark.slow
def test_nothing_is_said_where_the_verdict_is_the_same(frame):
    ahead = 0.2 * (frame["strategy"] == "bald")
    sure = frame.assign(test_accuracy=frame["test_accuracy"] + ahead)
    assert notes(sure, spans_of({1: [0, 1, 2], 2: [3, 4]})) == []


@pytest.mark.slow
def test_seeds_that_a_rule_has_added_are_told_and_no_reproach(frame):
    spans = spans_of({1: [0, 1, 2], 2: [3, 4]})
    decision = {"arm": "bald", "baseline": "random", "seeds": 5, "looks": [3, 5]}
    staged = [decision | {"run_id": "p0-bald", "verdict": "better"}]
    found = compare(frame, spans=spans, staged=staged).caveats
    assert not [caveat for caveat in found if "began when" in caveat]
    (note,) = [caveat for caveat in found if "until arms were decided" in caveat]
    assert "against random, with looks after 3, 5: bald better (5 seeds)." in note
    elsewhere = [decision | {"run_id": "p1-bald", "verdict": None}]
    found = compare(frame, spans=spans, staged=elsewhere).caveats
    assert [caveat for caveat in found if "began when" in caveat]
    assert not [caveat for caveat in found if "until arms were decided" in caveat]


@pytest.mark.slow
def test_an_earlier_look_counts_too(frame):
    (note,) = notes(frame, spans_of({1: [0, 1], 2: [2, 3], 3: [4]}))
    assert "bald was not distinguishable and is better" in note


@pytest.mark.slow
def test_the_command_reads_the_manifests(frame, tmp_path, capsys):
    spans = spans_of({1: [0, 1, 2], 2: [3, 4]})
    fixed = {"num_queried": 0, "num_validation": 0, "steps": 1, "scoring_precision": "float32"}
    fixed |= {"training_precision": "float32", "threads": 1, "chunk_bytes": 1, "device": "cpu"}
    fixed |= {"torch_version": "2", "al_bench_version": "0", "numerics_version": 1}
    for (run, seed), rows in frame.groupby(["run_id", "seed"]):
        folder = tmp_path / "results" / "digits" / "mlp" / "any" / run
        for name in ("curves", "manifests"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        present = rows.assign(**fixed).dropna(axis="columns", how="all").to_dict("records")
        table = parquet.encode(schema.table(present, schema.CURVE), {})
        (folder / "curves" / f"seed={seed}.parquet").write_bytes(table)
        begun, ended = spans[run, seed]
        content = {name: str(rows.iloc[0][name]) for name in schema.IDENTITY}
        content |= {"status": "done", "seed": int(seed)}
        content |= {"first_started": begun, "started": begun, "ended": ended}
        path = folder / "manifests" / f"seed={seed}.json"
        path.write_text(json.dumps(content))
    assert cli.main(["compare", str(tmp_path / "results")]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "began when" in line]
    assert len(lines) == 1
    assert lines[0].startswith("note: Seeds 3, 4 began when all others had ended")
    path.unlink()
    assert cli.main(["compare", str(tmp_path / "results")]) == 0
    assert "began when" not in capsys.readouterr().out
