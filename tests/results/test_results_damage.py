"""What becomes of a trial whose files are no longer what was stored."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_trials import ENGINE, IDENTITY, ROUNDS, run_trial, stored, trial_paths

from al_bench import cli
from al_bench.results import provenance
from al_bench.results.history import TrialPaths
from al_bench.results.ledger import DAMAGED, DONE, STALE, Entry, status
from al_bench.results.store import Store


def one(root: Path, thorough: bool = False) -> Entry:
    (entry,) = status(root, thorough)
    return entry


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(pa.BufferReader(path.read_bytes()))), path)


def cut(path: Path) -> None:
    rewrite(path, lambda table: table.slice(0, 2))


HURTS = {
    "acquisitions deleted": (lambda p: p.acquisitions.unlink(), "is missing"),
    "acquisitions cut": (lambda p: cut(p.acquisitions), "has 2 rows, where 8 were stored"),
    "curve deleted": (lambda p: p.curve.unlink(), "is missing"),
    "curve cut": (lambda p: cut(p.curve), "has 2 rows, where 3 were stored"),
    "curve truncated": (lambda p: p.curve.write_bytes(b"PAR1"), "cannot be read"),
    "curve rewritten": (
        lambda p: rewrite(p.curve, lambda table: table.drop_columns(["test_ece"])),
        "is not what was stored (edited or damaged)",
    ),
}


@pytest.mark.parametrize(("hurt", "said"), HURTS.values(), ids=HURTS.keys())
def test_a_finished_trial_that_is_damaged_is_told_and_runs_again(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    hurt: Callable[[TrialPaths], None],
    said: str,
) -> None:
    run_trial(tmp_path)
    before = stored(tmp_path)
    assert one(tmp_path, thorough=True).message == ""
    hurt(trial_paths(tmp_path))
    assert one(tmp_path).state == DAMAGED
    assert cli.main(["status", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    name = "curves" if "curve" in str(one(tmp_path).message) else "acquisitions"
    assert f"seed 3: {name}/seed=3.parquet {said}" in out
    assert "1 damaged" in out
    run_trial(tmp_path)
    assert "starts again" in caplog.text
    assert said in caplog.text
    assert stored(tmp_path) == before
    assert one(tmp_path, thorough=True).state == DONE


@pytest.mark.parametrize("name", ["curve", "acquisitions"])
def test_an_edit_that_keeps_the_size_is_seen_by_hashes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    run_trial(tmp_path)
    before = stored(tmp_path)
    path = getattr(trial_paths(tmp_path), name)
    whole = path.read_bytes()
    at = whole.index(b"0123456789ab")
    path.write_bytes(whole[:at] + b"1" + whole[at + 1 :])
    edited = path.read_bytes()
    assert one(tmp_path).state == DONE
    assert cli.main(["status", str(tmp_path), "check=true"]) == 1
    assert f"{path.parent.name}/seed=3.parquet is not what was stored" in capsys.readouterr().out
    run_trial(tmp_path)
    assert stored(tmp_path) == before
    assert path.with_name("seed=3.parquet.damaged").read_bytes() == edited
    assert cli.main(["status", str(tmp_path), "check=true"]) == 0


def test_what_is_set_aside_replaces_nothing_that_was(tmp_path: Path) -> None:
    path = trial_paths(tmp_path).curve
    for text in (b"first", b"second"):
        run_trial(tmp_path)
        path.write_bytes(text)
    run_trial(tmp_path)
    kept = {found.read_bytes() for found in path.parent.glob("*.damaged")}
    assert kept == {b"first", b"second"}


@pytest.mark.parametrize("change", ["gone", "edited", "no yaml"])
def test_the_configuration_is_written_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    for seed in (3, 4):
        run_trial(tmp_path, seed=seed)
    path = trial_paths(tmp_path).config
    whole = path.read_text()
    if change == "gone":
        path.unlink()
    else:
        path.write_text(whole.replace("20", "50") if change == "edited" else "- {")
    said = {entry.message for entry in status(tmp_path, thorough=True)}
    assert all("config.yaml is" in sentence for sentence in said)
    assert {entry.state for entry in status(tmp_path)} == {DONE}  # what it computed is there
    with Store(tmp_path).claim(IDENTITY, 3, ENGINE) as files:
        assert files.is_done
    assert path.read_text() == whole
    assert "written anew" in caplog.text
    assert {entry.message for entry in status(tmp_path, thorough=True)} == {""}
    if change == "edited":
        assert "says model.num_samples=50, its curves were made with 20" in caplog.text
        assert path.with_name("config.yaml.damaged").exists()


def test_a_configuration_written_anew_is_that_of_the_other_trials(tmp_path: Path) -> None:
    run_trial(tmp_path)
    run_trial(tmp_path, seed=4)
    older = trial_paths(tmp_path).manifest
    content = json.loads(older.read_text())
    del content["files"]
    older.write_text(json.dumps(content))
    trial_paths(tmp_path).config.unlink()
    other = replace(IDENTITY, config=f"{IDENTITY.config}seeds: [3]\n")
    with Store(tmp_path).claim(other, 3, ENGINE) as files:
        assert files.is_done
    assert {entry.message for entry in status(tmp_path, thorough=True)} == {""}


@pytest.mark.slow
@pytest.mark.parametrize("change", ["cut", "edited"])
def test_a_half_done_trial_whose_purchases_were_changed_starts_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    run_trial(tmp_path / "whole")
    run_trial(tmp_path, rounds=2)
    path = trial_paths(tmp_path).acquisitions

    def edited(table: pa.Table) -> pa.Table:
        column = pa.array([row + 1 for row in table["index"].to_pylist()])
        return table.set_column(4, table.schema.field("index"), column)

    rewrite(path, edited if change == "edited" else lambda table: table.slice(0, 7))
    run_trial(tmp_path)
    assert "the curve was computed with others" in caplog.text
    assert stored(tmp_path) == stored(tmp_path / "whole")


@pytest.mark.slow
def test_the_checkpoint_of_another_seed_is_not_gone_on_with(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_trial(tmp_path / "whole", warm=True)
    for seed in (3, 4):
        run_trial(tmp_path, seed=seed, warm=True, rounds=2)
    path = trial_paths(tmp_path).checkpoint(1)
    path.write_bytes(path.with_name("seed=4.round=1.pt").read_bytes())
    run_trial(tmp_path, warm=True)
    assert "it is not what was stored" in caplog.text
    assert stored(tmp_path) == stored(tmp_path / "whole")


def test_an_edited_configuration_of_a_half_done_trial_is_noticed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_trial(tmp_path, rounds=2)
    path = trial_paths(tmp_path).config
    whole = path.read_text()
    path.write_text(whole.replace("0.001", "0.1"))
    run_trial(tmp_path)
    assert path.read_text() == whole
    assert "says training.learning_rate=0.1, its curves were made with 0.001" in caplog.text
    assert one(tmp_path, thorough=True).message == ""


def test_a_comment_in_the_configuration_of_a_half_done_trial_is_left_alone(tmp_path: Path) -> None:
    run_trial(tmp_path, rounds=2)
    path = trial_paths(tmp_path).config
    path.write_text("# mine\n" + path.read_text())
    run_trial(tmp_path)
    assert path.read_text().startswith("# mine")
    assert one(tmp_path, thorough=True).message == ""


ODD = {
    "empty": "{}",
    "no mapping": '["done"]',
    "no JSON": '{"status": "do',
    "status": '{"status": "fine"}',
    "attempt": '{"status": "done", "attempt": "three"}',
    "no names": '{"status": "done", "attempt": 3}',
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_an_odd_manifest_is_kept_aside_and_the_trial_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    run_trial(tmp_path)
    before = stored(tmp_path)
    path = trial_paths(tmp_path).manifest
    path.write_text(text)
    assert one(tmp_path).state == STALE
    assert "cannot be read" in one(tmp_path).message
    with Store(tmp_path).claim(IDENTITY, 3, ENGINE) as files:
        assert len(files.history.rows) == ROUNDS  # nothing is computed again
        files.finish("budget")
    assert stored(tmp_path) == before
    aside = path.with_name("seed=3.json.damaged")
    assert aside.read_text() == text
    assert json.loads(path.read_text())["earlier"] == aside.name
    assert "says nothing of this trial that makes sense" in caplog.text


@pytest.mark.parametrize(
    "changes",
    [{"seed": 4}, {"run_id": "ffffffffffff"}, {"ended": 5}, {"own_code": None}],
    ids=["seed", "run", "time", "own code"],
)
def test_the_manifest_of_another_trial_is_none_of_this(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, changes: dict[str, Any]
) -> None:
    run_trial(tmp_path)
    before = stored(tmp_path)
    path = trial_paths(tmp_path).manifest
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    if "run_id" not in changes:  # whose folder it is, only the run knows
        assert "cannot be read as the manifest of this trial" in one(tmp_path).message
    with Store(tmp_path).claim(IDENTITY, 3, ENGINE) as files:
        assert len(files.history.rows) == ROUNDS
        files.finish("budget")
    assert stored(tmp_path) == before
    assert (one(tmp_path, True).state, one(tmp_path, True).message) == (DONE, "")
    assert "is kept as seed=3.json.damaged" in caplog.text


def test_a_check_tells_of_an_odd_manifest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_trial(tmp_path)
    path = trial_paths(tmp_path).manifest
    path.write_text("{}")
    assert cli.main(["status", str(tmp_path), "check=true"]) == 1
    assert f"stale: {path} cannot be read as" in capsys.readouterr().out


def test_older_manifests_hold_nothing_against_the_files(tmp_path: Path) -> None:
    run_trial(tmp_path)
    paths = trial_paths(tmp_path)
    content = json.loads(paths.manifest.read_text())
    assert content.pop("files").keys() >= {
        "config.yaml",
        "curves/seed=3.parquet",
        "acquisitions/seed=3.parquet",
    }
    paths.manifest.write_text(json.dumps(content))
    paths.acquisitions.unlink()
    assert (one(tmp_path, True).state, one(tmp_path, True).message) == (DONE, "")
    with Store(tmp_path).claim(IDENTITY, 3, ENGINE) as files:
        assert files.is_done


def test_a_patch_that_is_lost_is_told_and_costs_no_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    code = {"package": {"commit": "abc", "diff": "+ a line"}}
    monkeypatch.setattr(provenance, "code", lambda: code)
    run_trial(tmp_path)
    (patch,) = trial_paths(tmp_path).manifest.parent.glob("*.patch")
    patch.unlink()
    assert one(tmp_path).state == DONE
    assert one(tmp_path).message == f"manifests/{patch.name} is missing"
    caplog.set_level(logging.WARNING)
    with Store(tmp_path).claim(IDENTITY, 3, ENGINE) as files:
        assert files.is_done
    assert f"is done, but manifests/{patch.name} is missing" in caplog.text
