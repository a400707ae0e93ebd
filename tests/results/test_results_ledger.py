"""The ledger knows what is planned, running, done, failed or stale."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fake_trials import ENGINE, IDENTITY, ROUNDS, row_of, run_trial, trial_paths

from al_bench.configuration.sweep import withdraw
from al_bench.errors import ConfigError
from al_bench.results import sweeps
from al_bench.results.ledger import (
    DONE,
    FAILED,
    INTERRUPTED,
    PLANNED,
    RUNNING,
    STALE,
    Entry,
    status,
)
from al_bench.results.store import Store
from al_bench.results.sweeps import read_sweeps, write_job, write_plan


def states(root: Path) -> dict[int | None, str]:
    return {entry.seed: entry.state for entry in status(root)}


def one(root: Path) -> Entry:
    (entry,) = status(root)
    return entry


def test_every_state_of_a_trial_is_told(tmp_path: Path) -> None:
    run_trial(tmp_path, seed=0)
    run_trial(tmp_path, seed=1, rounds=2)  # left without a word, as a killed process leaves it
    with Store(tmp_path).claim(IDENTITY, 2, ENGINE) as files:
        files.commit(row_of(0), [])
        files.fail(ValueError("loss is NaN"), "Traceback ...", round=1)
    with Store(tmp_path).claim(IDENTITY, 10, ENGINE) as files:
        files.commit(row_of(0), [])
        files.interrupt()
    with Store(tmp_path).claim(IDENTITY, 11, ENGINE) as files:
        files.interrupt()  # before it had begun
    with Store(tmp_path).claim(IDENTITY, 4, ENGINE) as files:
        files.commit(row_of(0), [])
        entries = {entry.seed: entry for entry in status(tmp_path)}
        files.commit(row_of(1), [])  # looking has not cost us the lock
        assert states(tmp_path)[4] == RUNNING
    assert list(entries) == [0, 1, 2, 4, 10, 11]
    assert [entry.state for entry in entries.values()] == [
        DONE,
        STALE,
        FAILED,
        RUNNING,
        INTERRUPTED,
        PLANNED,
    ]
    assert [entry.rounds for entry in entries.values()] == [ROUNDS, 2, 1, 1, 1, 0]
    spent = [entry.spent and str(entry.spent) for entry in entries.values()]
    assert spent == [*(f"{count} labels" for count in (8, 6, 4, 4, 4)), None]
    assert entries[2].message == "round 1: ValueError: loss is NaN"
    assert entries[0].message == ""
    assert entries[4].pid == os.getpid()
    assert {entry.strategy_label for entry in entries.values()} == {"bald(K=20)"}
    assert {entry.folder for entry in entries.values()} == {tmp_path / IDENTITY.folder}


@pytest.mark.slow
def test_a_trial_of_a_killed_process_is_stale_and_then_done(tmp_path: Path) -> None:
    script = "import os, signal; from pathlib import Path; from fake_trials import *\n"
    script += "files = Store(Path(sys.argv[1])).claim(IDENTITY, 3, ENGINE)\n"
    script += "files.commit(row_of(0), []); os.kill(os.getpid(), signal.SIGKILL)"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    subprocess.run(
        [sys.executable, "-c", "import sys\n" + script, tmp_path], env=environment, check=False
    )
    stale = one(tmp_path)
    assert (stale.state, stale.rounds, stale.attempt) == (STALE, 1, 1)
    with Store(tmp_path).claim(IDENTITY, 3, ENGINE) as files:
        assert len(files.history.rows) == 1
        assert one(tmp_path).state == RUNNING
        files.finish("target accuracy")
    assert (one(tmp_path).state, one(tmp_path).attempt) == (DONE, 2)


def test_a_trial_that_left_no_manifest_has_failed_until_it_is_tried_again(tmp_path: Path) -> None:
    sweep = tmp_path / ".sweeps" / "2026-01-01_10-00-00"
    words, seeds = ["strategy=bald"], {IDENTITY.folder: [0, 1]}
    write_job(sweep / "0", words, seeds, failed={IDENTITY.folder: {1: "No permission."}})
    entries = status(tmp_path)
    assert [(e.state, e.seed, e.message) for e in entries] == [
        (PLANNED, 0, ""),
        (FAILED, 1, "No permission."),
    ]
    write_job(sweep.with_name("later") / "0", words, seeds)
    assert set(states(tmp_path).values()) == {PLANNED}
    write_job(sweep.with_name("last") / "0", words, seeds, failed={IDENTITY.folder: {1: "No."}})
    run_trial(tmp_path, seed=1)
    assert states(tmp_path) == {0: PLANNED, 1: DONE}


def test_jobs_are_planned_until_they_start(tmp_path: Path) -> None:
    sweep = tmp_path / ".sweeps" / "2026-01-01_10-00-00"
    jobs = [["strategy=random"], ["strategy=bald"]]
    write_plan(sweep, jobs, "al-bench run -m strategy=random,bald")
    assert [entry.overrides for entry in status(tmp_path)] == [tuple(job) for job in jobs]
    assert {entry.state for entry in status(tmp_path)} == {PLANNED}
    write_job(sweep / "1", jobs[1], {IDENTITY.folder: [0, 1]})
    run_trial(tmp_path, seed=0)
    entries = status(tmp_path)
    assert [(entry.state, entry.seed, entry.overrides) for entry in entries] == [
        (DONE, 0, ()),
        (PLANNED, 1, ("strategy=bald",)),
        (PLANNED, None, ("strategy=random",)),
    ]
    assert entries[1].folder == tmp_path / IDENTITY.folder
    assert entries[1].run_id == IDENTITY.run_id
    run_trial(tmp_path, seed=1)
    write_job(sweep / "0", jobs[0], {IDENTITY.folder: [0, 1]})
    assert {entry.state for entry in status(tmp_path)} == {DONE}


def test_a_job_started_by_another_sweep_is_planned_no_more(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_plan(tmp_path / ".sweeps" / name, [["strategy=bald", "budget=small"]])
    assert one(tmp_path).state == PLANNED  # once, though it was typed twice
    started = tmp_path / ".sweeps" / "b" / "0"
    write_job(started, ["budget=small", "strategy=bald"], {IDENTITY.folder: [0]})
    run_trial(tmp_path, seed=0)
    assert one(tmp_path).state == DONE


def test_a_refused_job_is_failed_until_it_is_accepted(tmp_path: Path) -> None:
    overrides = ["strategy=bald", "model=deterministic"]
    write_job(tmp_path / ".sweeps" / "a" / "0", overrides, {}, error="BALD needs samples.")
    refused = one(tmp_path)
    assert (refused.state, refused.message, refused.sweep) == (FAILED, "BALD needs samples.", "a")
    write_job(tmp_path / ".sweeps" / "b" / "0", overrides, {IDENTITY.folder: [5]})
    assert states(tmp_path) == {5: PLANNED}


def clock_of_records(monkeypatch: pytest.MonkeyPatch, *times: str) -> None:
    """Records are dated with these, one after the other."""
    left = iter(times)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Clock":
            return cls.fromisoformat(next(left))

    monkeypatch.setattr(sweeps, "datetime", Clock)


@pytest.mark.parametrize("second", ["2020-01-01", "2026-01-01", "2030-01-01"])
def test_which_record_came_last_does_not_hang_on_clocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: str
) -> None:
    clock_of_records(monkeypatch, "2026-01-01", second)
    overrides = ["strategy=bald"]
    write_job(tmp_path / ".sweeps" / "b" / "0", overrides, {}, error="BALD needs samples.")
    write_job(tmp_path / ".sweeps" / "a" / "0", overrides, {IDENTITY.folder: [5]})
    assert [job.sweep for job in read_sweeps(tmp_path)] == ["b", "a"]
    assert states(tmp_path) == {5: PLANNED}


def test_planned_sweeps_are_told_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_of_records(monkeypatch, "2026-01-02", "2026-01-01")
    write_plan(tmp_path / ".sweeps" / "20260102", [["strategy=bald"]])
    write_plan(tmp_path / ".sweeps" / "20260101", [["strategy=random"]])
    assert [entry.sweep for entry in status(tmp_path)] == ["20260102", "20260101"]


def test_records_from_before_they_were_numbered_come_first_by_their_time(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_job(tmp_path / ".sweeps" / name / "0", ["strategy=bald"], {}, error=name)
    for name, written in (("a", "2030-01-01"), ("b", "2029-01-01")):
        path = tmp_path / ".sweeps" / name / "0" / "job.json"
        old = json.loads(path.read_text()) | {"written": written}
        del old["order"]
        path.write_text(json.dumps(old))
    assert [job.sweep for job in read_sweeps(tmp_path)] == ["b", "a", "c"]
    assert one(tmp_path).message == "c"


def test_a_sweep_that_is_withdrawn_leaves_nothing_but_what_others_have(tmp_path: Path) -> None:
    root = tmp_path / "results"
    for name in ("a", "b"):
        write_plan(root / ".sweeps" / name, [["strategy=bald"]])
    withdraw(root / ".sweeps" / "b")
    write_plan(root / ".sweeps" / "c", [["strategy=bald"]])
    assert [job.order for job in read_sweeps(root)] == [1, 3]
    for name in ("a", "c"):
        withdraw(root / ".sweeps" / name)
    assert not root.exists()


@pytest.mark.parametrize("order", [True, "7", -1, 1e30, None, [1]])
def test_an_odd_number_of_a_record_is_none(tmp_path: Path, order: object) -> None:
    for name in ("b", "a"):
        write_job(tmp_path / ".sweeps" / name / "0", [name], {IDENTITY.folder: [0]})
    path = tmp_path / ".sweeps" / "a" / "0" / "job.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"order": order}))
    assert [(job.sweep, job.order) for job in read_sweeps(tmp_path)] == [("a", 0), ("b", 1)]


def test_records_that_are_written_at_once_have_numbers_of_their_own(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as several:
        for number in range(40):
            job = tmp_path / ".sweeps" / f"s{number}" / "0"
            several.submit(write_job, job, [f"x={number}"], {IDENTITY.folder: [number]})
    assert [job.order for job in read_sweeps(tmp_path)] == list(range(1, 41))


def test_seeds_that_several_jobs_ask_for_are_planned_once(tmp_path: Path) -> None:
    for name, seeds in (("a", [0, 1]), ("b", [1, 2])):
        job = tmp_path / ".sweeps" / name / "0"
        write_job(job, [f"seeds={seeds}"], {IDENTITY.folder: seeds})
    assert sorted(entry.seed or 0 for entry in status(tmp_path)) == [0, 1, 2]


def test_many_jobs_keep_their_order(tmp_path: Path) -> None:
    write_plan(tmp_path / ".sweeps" / "a", [[f"x={number}"] for number in range(12)])
    assert [job.job for job in read_sweeps(tmp_path)] == [str(number) for number in range(12)]


def test_damaged_records_do_not_hide_the_others(tmp_path: Path) -> None:
    run_trial(tmp_path, seed=0)
    run_trial(tmp_path, seed=1)
    trial_paths(tmp_path, 1).manifest.write_bytes(b'{"status": "do')
    broken = tmp_path / ".sweeps" / "a"
    (broken / "0").mkdir(parents=True)
    (broken / "plan.json").write_text("[")
    (broken / "0" / "job.json").write_text("")
    with pytest.warns(UserWarning, match=r"(plan|job)\.json is left out: it is not JSON"):
        entries = status(tmp_path)
    assert [entry.state for entry in entries] == [DONE, STALE]
    assert "cannot be read" in entries[1].message


def test_a_folder_without_results_is_empty_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    assert status(tmp_path) == []
    with pytest.raises(ConfigError, match=r"no results folder .*nowhere"):
        status(tmp_path / "nowhere")


@pytest.mark.slow
def test_the_ledger_and_the_store_need_neither_torch_nor_pandas() -> None:
    script = "import sys, al_bench.results.ledger, al_bench.results.store, al_bench.results.frame\n"
    script += "assert not {'torch', 'pandas', 'hydra'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    "text",
    [
        '{"jobs": [5, {"job": "0"}, {"job": "1", "overrides": "a"}]}',
        '{"jobs": 5}',
        "[" * 100_000,
        '{"a": ' + "9" * 6000 + "}",
        "[]",
        "",
    ],
)
def test_an_odd_plan_is_named_and_left_out(tmp_path: Path, text: str) -> None:
    run_trial(tmp_path, seed=0)
    write_plan(tmp_path / ".sweeps" / "good", [["strategy=random"]])
    odd = tmp_path / ".sweeps" / "odd" / "plan.json"
    odd.parent.mkdir()
    odd.write_text(text)
    with pytest.warns(UserWarning, match=r"odd.plan\.json .* left out"):
        entries = status(tmp_path)
    assert [entry.state for entry in entries] == [DONE, PLANNED]


@pytest.mark.parametrize(
    "fields",
    [
        '"overrides": ["a"], "trials": {"x": 5}',
        '"overrides": ["a"], "trials": {"x": ["b", 1]}',
        '"overrides": ["a"], "trials": {"x": [-1]}',
        '"overrides": ["a"], "trials": ["x"]',
        '"overrides": ["a"], "trials": {"../../etc": [0]}',
        '"overrides": ["a"], "trials": {"/etc": [0]}',
        '"overrides": [["a"]], "trials": {}',
        '"overrides": "a"',
        '"overrides": ["a"], "written": 5',
        '"overrides": ["a"], "error": {"a": 1}',
    ],
)
def test_an_odd_record_of_a_job_is_named_and_left_out(tmp_path: Path, fields: str) -> None:
    run_trial(tmp_path, seed=0)
    odd = tmp_path / ".sweeps" / "odd" / "0" / "job.json"
    odd.parent.mkdir(parents=True)
    odd.write_text(f'{{"written": "2026", {fields}}}')
    with pytest.warns(
        UserWarning, match=r"job\.json is left out: \w+ is not what a run writes there"
    ):
        entries = status(tmp_path)
    assert [entry.state for entry in entries] == [DONE]


@pytest.mark.parametrize(
    "changed",
    [
        {"status": ["x"]},
        {"status": "weird"},
        {"rounds": "many"},
        {"num_labeled": "x"},
        {"total_steps": "x"},
        {"strategy_label": 5},
        {"task": ["a"]},
        {"run_id": {"a": 1}},
        {"hardware": "x"},
        {"versions": [1]},
        {"code": {"package": 5}},
        {"seed": "x"},
        {"ended": 5},
        {"status": "running", "pid": "x"},
        {"host": {}, "status": "running"},
    ],
)
def test_an_odd_manifest_is_named_alone(tmp_path: Path, changed: dict[str, object]) -> None:
    run_trial(tmp_path, seed=0)
    run_trial(tmp_path, seed=1)
    path = trial_paths(tmp_path, 0).manifest
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    odd, good = status(tmp_path)
    assert odd.state == STALE
    assert odd.message.startswith(f"{path} cannot be read")
    assert good.state == DONE
