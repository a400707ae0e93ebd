"""Two commands share a results folder also where file locks are refused."""

import errno
import fcntl
import json
import os
import threading
import time

import pytest

from al_bench.results import lease
from al_bench.results.lease import Holder

HOLDER = Holder("node7", 42, "2026-01-01T00:00:00Z", "elsewhere", "t")


@pytest.fixture
def no_locks(monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    monkeypatch.setattr(lease, "STALE_SECONDS", 1.0)
    monkeypatch.setattr(lease, "LOOK_SECONDS", 0.05)


def leave_lease(manifest, seed, when):
    """A lease of another host, which shows this time."""
    path = manifest.parents[1] / "locks" / f"seed={seed}.lease"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(HOLDER.to_bytes())
    os.utime(path, (when, when))
    return path


@pytest.mark.slow
def test_a_seed_whose_holder_is_gone_is_done_last_whatever_time_its_lease_shows(
    quick_run, al_bench, tmp_path, no_locks
):
    code, _, err = quick_run("strategy=random", "seeds=[1]")
    assert code == 0, err
    (manifest,) = (tmp_path / "results").rglob("seed=1.json")
    left = leave_lease(manifest, 0, 1893456000)
    code, out, err = quick_run("strategy=random", "seeds=[0,1,2]")
    assert code == 0, err
    said = [line.partition(" ")[2] for line in out.splitlines()]
    waited = said.index(
        "node7, process 42, holds 1 trial here; waiting at most 1 s for a sign of life."
    )
    assert said.index("seed 1 done") < said.index("seed 2 done") < waited
    assert waited < said.index("seed 0 done")
    assert not left.exists()
    code, out, _ = al_bench("status")
    assert "3 done" in out


@pytest.mark.slow
def test_a_seed_whose_holder_lives_is_left_to_it_though_its_clock_is_years_behind(
    quick_run, tmp_path, no_locks, monkeypatch
):
    monkeypatch.setattr(lease, "STALE_SECONDS", 60.0)
    code, _, err = quick_run("strategy=random", "seeds=[1]")
    assert code == 0, err
    (manifest,) = (tmp_path / "results").rglob("seed=1.json")
    left = leave_lease(manifest, 0, 0)
    over = threading.Event()

    def beat():
        for second in range(1, 100_000):
            if over.wait(0.05):
                return
            os.utime(left, (second, second))

    heart = threading.Thread(target=beat)
    heart.start()
    try:
        code, out, err = quick_run("strategy=random", "seeds=[0,1]")
    finally:
        over.set()
        heart.join()
    assert code == 1
    assert "seed 0 held: seed=0 in" in out
    assert "is held by node7, process 42." in out
    assert left.exists()
    assert not (manifest.parents[1] / "curves" / "seed=0.parquet").exists()


@pytest.mark.parametrize(
    ("when", "said"),
    [
        (-12.0, "last sign of life 12 s ago"),
        (-86400.0, "last sign of life 1 d ago"),
        (1893456000, "last sign of life dated 2030-01-01 00:00:00 UTC, by another clock"),
        (1e300, "last sign of life dated beyond the year 9999, by another clock"),
    ],
)
def test_status_tells_who_holds_a_trial_and_its_last_sign_of_life_and_does_not_judge(
    al_bench, tmp_path, monkeypatch, when, said
):
    manifest = tmp_path / "results/digits/m/random/0123456789ab/manifests/seed=0.json"
    manifest.parent.mkdir(parents=True)
    names = "task dataset pool model network training budget strategy strategy_label protocol_id"
    content = dict.fromkeys(names.split(), "x") | {"run_id": "0123456789ab"}
    content |= {"status": "running", "host": "node6", "pid": 3}
    manifest.write_text(json.dumps(content))
    at = time.time() + when if abs(when) < 1e6 else when
    left = leave_lease(manifest, 0, min(at, 1893456000))
    if at > 1e10:  # more than the file system of a test can hold
        monkeypatch.setattr("al_bench.results.lease.last_sign", lambda path: at)
    before = sorted(tmp_path.rglob("*"))
    code, out, err = al_bench("status")
    assert (code, err) == (0, "")
    assert f"on node7, process 42, {said}" in out
    assert "1 running" in out
    assert sorted(tmp_path.rglob("*")) == before
    assert left.exists()
