"""Rounds are stored whole and in order, and half-done trials go on after the last of them."""

import errno
import json
import logging
import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from fake_trials import (
    ENGINE,
    IDENTITY,
    OTHER_ENGINE,
    ROUNDS,
    bought,
    leftovers,
    row_of,
    run_trial,
    stored,
    trial_paths,
)

from al_bench.errors import ConfigError, ResultsError
from al_bench.results import atomic, provenance
from al_bench.results.store import Store, TrialFiles


def claim(root: Path, seed: int = 3, engine: dict[str, Any] = ENGINE, **options: Any) -> TrialFiles:
    return Store(root).claim(IDENTITY, seed, engine, **options)


def test_a_round_is_on_disk_in_the_schema_when_commit_returns(tmp_path: Path) -> None:
    with claim(tmp_path) as files:
        files.commit(row_of(0, test_accuracy=0.5), [bought(None, 0, 7), bought(0, 0, 8)])
        curve, acquired = stored(tmp_path)
    assert curve.num_rows == 1
    assert curve["strategy_label"].to_pylist() == ["bald(K=20)"]
    assert curve["seed"].to_pylist() == [3]
    assert curve["device"].to_pylist() == ["cpu"]
    assert curve["test_nll"].to_pylist() == [None]
    assert acquired.select(["run_id", "seed", "round", "index"]).to_pylist() == [
        {"run_id": "0123456789ab", "seed": 3, "round": None, "index": 7},
        {"run_id": "0123456789ab", "seed": 3, "round": 0, "index": 8},
    ]


def test_a_file_says_what_it_is(tmp_path: Path) -> None:
    run_trial(tmp_path)
    for path in (trial_paths(tmp_path).curve, trial_paths(tmp_path).acquisitions):
        metadata = pq.read_metadata(path).metadata
        assert metadata[b"schema_version"] == b"1"
        assert metadata[b"run_id"] == b"0123456789ab"
        assert json.loads(metadata[b"config"]) == {
            "model": {"num_samples": 20},
            "training": {"learning_rate": 0.001},
        }
    assert trial_paths(tmp_path).config.read_text() == IDENTITY.config


def test_history_is_what_was_committed(tmp_path: Path) -> None:
    run_trial(tmp_path, rounds=2, warm=True)
    with claim(tmp_path) as files:
        assert [row["round"] for row in files.history.rows] == [0, 1]
        assert [row["round"] for row in files.history.acquisitions] == [None] * 4 + [0, 0, 1, 1]
        assert [row["rank"] for row in files.history.acquisitions] == [0, 1, 2, 3, 0, 1, 0, 1]
        assert files.history.checkpoint is not None
        assert files.history.checkpoint["round"] == 1
        assert not files.is_done


def test_a_finished_trial_is_left_alone(tmp_path: Path) -> None:
    run_trial(tmp_path, warm=True)
    before = {
        path: path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.suffix != ".lock" and path.is_file()
    }
    with claim(tmp_path, engine=OTHER_ENGINE) as files:
        assert files.is_done
        assert len(files.history.rows) == ROUNDS
        with pytest.raises(ValueError, match="finished"):
            files.commit(row_of(ROUNDS), [])
        with pytest.raises(ValueError, match="finished"):
            files.finish("again")
    assert before == {path: path.read_bytes() for path in before}
    assert leftovers(tmp_path) == []


@pytest.mark.slow
def test_more_seeds_join_the_folder(tmp_path: Path) -> None:
    for seed in (0, 1):
        run_trial(tmp_path, seed=seed)
    before = stored(tmp_path, 0)
    for seed in (0, 1, 2):
        run_trial(tmp_path, seed=seed)
    assert stored(tmp_path, 0) == before
    assert stored(tmp_path, 2)[0]["test_accuracy"] != before[0]["test_accuracy"]
    assert len(list(tmp_path.glob("digits/mc_dropout/bald/*"))) == 1


def test_another_engine_starts_again_unless_told_otherwise(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_trial(tmp_path, rounds=2)
    with claim(tmp_path, engine=OTHER_ENGINE, resume="any") as files:
        assert len(files.history.rows) == 2
    with claim(tmp_path, engine=OTHER_ENGINE) as files:
        assert files.history.rows == []
        assert files.history.acquisitions == []
        assert files.history.checkpoint is None
    assert "device cpu -> cuda" in caplog.text
    assert "resume=any" in caplog.text
    with claim(tmp_path) as files:  # nothing had replaced the rounds of the first engine
        assert len(files.history.rows) == 2
    run_trial(tmp_path, engine=OTHER_ENGINE, resume="any")
    assert stored(tmp_path)[0]["device"].to_pylist() == ["cpu", "cpu", "cuda"]


def test_rounds_of_other_kernels_are_another_engine(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_trial(tmp_path, rounds=2)
    with claim(tmp_path, engine=ENGINE | {"deterministic": False}) as files:
        assert files.history.rows == []
    assert "deterministic None -> False" in caplog.text


def test_a_row_of_the_wrong_round_is_refused_and_nothing_is_stored(tmp_path: Path) -> None:
    with claim(tmp_path) as files:
        with pytest.raises(ValueError, match="next round is 0"):
            files.commit(row_of(1), [])
        with pytest.raises(ValueError, match="round 0"):
            files.commit(row_of(0), [bought(1, 0, 5)])
        with pytest.raises(ValueError, match="not in the schema: test_acuracy"):
            files.commit(row_of(0, test_acuracy=1.0), [])
        with pytest.raises(ValueError, match="null"):
            files.commit(row_of(0, steps=None), [])
        assert not trial_paths(tmp_path).acquisitions.exists()
        files.commit(row_of(0), [])
        with pytest.raises(ValueError, match="next round is 1"):
            files.commit(row_of(0), [])


def test_a_wrong_resume_option_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="same or any, got 'all'"):
        claim(tmp_path, resume="all")


DAMAGE = {
    "truncated": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "bits flipped": lambda data: data[:40] + bytes(byte ^ 255 for byte in data[40:60]) + data[60:],
    "text": lambda data: b"not a parquet file",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize("kind", ["curve", "acquisitions"])
def test_a_damaged_file_is_kept_aside_and_the_trial_starts_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, damage: Any
) -> None:
    run_trial(tmp_path / "whole")
    run_trial(tmp_path, rounds=2)
    path = getattr(trial_paths(tmp_path), kind)
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    run_trial(tmp_path)
    assert stored(tmp_path) == stored(tmp_path / "whole")
    assert path.with_name("seed=3.parquet.damaged").read_bytes() == damaged
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "starts again" in caplog.text


@pytest.mark.parametrize("state", ["missing", "damaged", "empty", "another"])
def test_a_warm_start_without_its_checkpoint_starts_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, state: str
) -> None:
    run_trial(tmp_path / "whole", warm=True)
    run_trial(tmp_path, rounds=2, warm=True)
    path = trial_paths(tmp_path).checkpoint(1)
    if state == "missing":
        path.unlink()
    elif state == "another":  # as good as the one that was stored, by its form
        weights = torch.load(path, weights_only=True)
        torch.save({**weights, "weights": weights["weights"] + 1}, path)
    else:
        path.write_bytes(path.read_bytes()[:100] if state == "damaged" else b"")
    run_trial(tmp_path, warm=True)
    assert stored(tmp_path) == stored(tmp_path / "whole")
    assert f"round=1.pt {'is missing' if state == 'missing' else 'was damaged'}" in caplog.text
    assert "weights_only" not in caplog.text  # torch's advice


def test_a_finished_trial_whose_curve_is_damaged_or_deleted_runs_again(tmp_path: Path) -> None:
    run_trial(tmp_path)
    before = stored(tmp_path)
    trial_paths(tmp_path).curve.write_bytes(b"")
    run_trial(tmp_path)
    assert stored(tmp_path) == before
    trial_paths(tmp_path).curve.unlink()
    run_trial(tmp_path)
    assert stored(tmp_path) == before


def test_the_files_of_another_trial_are_not_continued(tmp_path: Path) -> None:
    run_trial(tmp_path, seed=3, rounds=2)
    trial_paths(tmp_path, 4).curve.write_bytes(trial_paths(tmp_path, 3).curve.read_bytes())
    with claim(tmp_path, seed=4) as files:
        assert files.history.rows == []


def test_the_manifest_tells_how_a_trial_was_run(tmp_path: Path) -> None:
    path = trial_paths(tmp_path).manifest
    with claim(tmp_path) as files:
        assert json.loads(path.read_text())["status"] == "running"
        files.commit(row_of(0), [])
        files.fail(FloatingPointError("loss is NaN"), "Traceback ...", round=1)
    failed = json.loads(path.read_text())
    assert (failed["status"], failed["attempt"], failed["rounds"]) == ("failed", 1, 1)
    assert (failed["error"], failed["failed_round"]) == ("loss is NaN", 1)
    assert failed["error_type"] == "FloatingPointError"
    assert failed["traceback"] == "Traceback ..."
    assert failed["engine"] == ENGINE
    assert failed["pid"] == os.getpid()
    assert failed["versions"].keys() >= {"python", "torch", "pyarrow", "hydra-core"}
    assert failed["hardware"].keys() == {"system", "cpu", "cores", "memory_bytes", "gpus"}
    assert failed["command"]
    with claim(tmp_path) as files:
        files.interrupt()
    interrupted = json.loads(path.read_text())
    assert (interrupted["status"], interrupted["attempt"]) == ("interrupted", 2)
    assert interrupted["rounds_at_start"] == 1
    assert "error" not in interrupted
    run_trial(tmp_path)
    done = json.loads(path.read_text())
    assert (done["status"], done["attempt"], done["reason"]) == ("done", 3, "budget")
    assert done["first_started"] <= done["started"] <= done["ended"]


def test_uncommitted_changes_are_stored_once_beside_the_manifests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = {"package": {"commit": "abc", "diff": "+ a line"}}
    monkeypatch.setattr(provenance, "code", lambda: code)
    for seed in (0, 1):
        run_trial(tmp_path, seed=seed)
    patches = list(trial_paths(tmp_path).manifest.parent.glob("*.patch"))
    assert [path.read_text() for path in patches] == ["+ a line\n"]
    recorded = json.loads(trial_paths(tmp_path, 1).manifest.read_text())["code"]
    assert recorded == {"package": {"commit": "abc", "diff": patches[0].name}}


def test_results_are_written_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert provenance.code.__wrapped__() == {}
    assert provenance.hardware.__wrapped__()["gpus"] == []


class Refusal:
    """An operating-system call that fails from its n-th use on."""

    def __init__(self, call: Any, error: int, first: int) -> None:
        self.call = call
        self.error = error
        self.left = first

    def __call__(self, *arguments: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise OSError(self.error, os.strerror(self.error))
        return self.call(*arguments)


@pytest.mark.slow
def test_a_full_disk_loses_nothing_whenever_it_fills(tmp_path: Path) -> None:
    run_trial(tmp_path / "whole", warm=True)
    messages = set()
    for first in range(100):
        root = tmp_path / str(first)
        reported: list[int] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(atomic, "write_some", Refusal(os.write, errno.ENOSPC, first))
            try:
                run_trial(root, warm=True, reported=reported)
            except ResultsError as error:
                messages.add(str(error).replace(str(root), "..."))
            else:
                break
        run_trial(root, warm=True, reported=reported)
        assert stored(root) == stored(tmp_path / "whole")
        assert leftovers(root) == []
    assert first > 10
    assert all("disk is full" in message and "\n" not in message for message in messages)


def test_a_round_that_did_not_fit_can_be_committed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with claim(tmp_path) as files:
        files.commit(row_of(0), [bought(None, 0, 7), bought(0, 0, 8)])
        for first in (0, 1):
            with monkeypatch.context() as patch:
                patch.setattr(atomic, "write_some", Refusal(os.write, errno.ENOSPC, first))
                with pytest.raises(ResultsError, match="disk is full"):
                    files.commit(row_of(1), [bought(1, 0, 9)])
        files.commit(row_of(1), [bought(1, 0, 9)])
    curve, acquired = stored(tmp_path)
    assert curve["round"].to_pylist() == [0, 1]
    assert acquired["index"].to_pylist() == [7, 8, 9]


@pytest.mark.parametrize("error", [errno.EACCES, errno.EROFS, errno.EPERM])
@pytest.mark.parametrize("call", ["mkdir", "open_file", "replace"])
def test_a_folder_that_cannot_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: int
) -> None:
    monkeypatch.setattr(
        atomic, call, Refusal(getattr(os, "open" if call == "open_file" else call), error, 0)
    )
    with pytest.raises(ResultsError, match=r"No permission to write .*Make the folder") as caught:
        run_trial(tmp_path)
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    run_trial(tmp_path)  # and the lock was given back


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_read_only_folder_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(ResultsError, match="No permission"):
        claim(tmp_path)


def test_a_results_folder_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(ResultsError, match="a file stands where a folder is needed"):
        claim(tmp_path / "results")


def test_temporary_files_of_a_killed_run_are_removed_by_the_next_holder_only(
    tmp_path: Path,
) -> None:
    run_trial(tmp_path, rounds=1)
    paths = trial_paths(tmp_path)
    mine = paths.curve.with_name(".seed=3.seed=3.parquet.0a.tmp")
    others = paths.curve.with_name(".seed=30.seed=30.parquet.0b.tmp")
    for path in (mine, others):
        path.write_bytes(b"half")
    with claim(tmp_path):
        assert not mine.exists()
        assert others.exists()
