import errno
import fcntl
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_trials import ENGINE, IDENTITY, run_trial, stored, trial_paths

from al_bench.errors import ResultsError
from al_bench.results import lease, locks
from al_bench.results.lease import Holder, Lease
from al_bench.results.locks import TrialHeld, held_by, take
from al_bench.results.store import Store

REFUSE_LOCKS = """
import errno, fcntl
def refuse(*arguments):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.lockf = refuse
"""
HOLD = """
import sys, time
from pathlib import Path
from al_bench.results.locks import take
lock = take(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""
FORK_AND_HOLD = """
import os, sys, time
from pathlib import Path
from al_bench.results.locks import take
lock = take(Path(sys.argv[1]))
child = os.fork()
if child == 0:
    lock.release()  # not the child's to give back
else:
    print(child, flush=True)
time.sleep(60)
"""


@contextmanager
def process(script: str, *arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A Python process that has printed its first line."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            yield running, running.stdout.readline().strip()
        finally:
            running.kill()


def claim_soon(path: Path, seconds: float = 20.0) -> None:
    """Take and give back the lock, allowing a killed holder its moment to die."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            take(path).release()
            return
        except TrialHeld:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "seed=3.lock"


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    monkeypatch.setattr(lease, "SETTLE_SECONDS", 0.0)


@pytest.mark.parametrize("script", [HOLD, REFUSE_LOCKS + HOLD], ids=["lock", "lease"])
def test_a_trial_held_elsewhere_is_refused_until_its_holder_is_killed(
    path: Path, script: str, request: pytest.FixtureRequest
) -> None:
    if script != HOLD:
        request.getfixturevalue("no_locks")
    with process(script, path) as (holder, line):
        assert line == "held"
        with pytest.raises(TrialHeld) as caught:
            take(path)
        assert (caught.value.host, caught.value.pid) == (socket.gethostname(), holder.pid)
        assert f"process {holder.pid}" in str(caught.value)
        seen = held_by(path)
        assert seen is not None
        assert (seen.host, seen.pid) == (socket.gethostname(), holder.pid)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        claim_soon(path)
        assert held_by(path) is None


def test_children_of_a_killed_holder_do_not_keep_the_trial(path: Path) -> None:
    with process(FORK_AND_HOLD, path) as (holder, line):
        child = int(line)
        try:
            with pytest.raises(TrialHeld):
                take(path)
            os.kill(holder.pid, signal.SIGKILL)
            holder.wait()
            os.kill(child, 0)  # still alive
            claim_soon(path)
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("locks_work", [True, False], ids=["lock", "lease"])
def test_a_second_claim_in_the_same_process_is_refused(
    path: Path, locks_work: bool, request: pytest.FixtureRequest
) -> None:
    if not locks_work:
        request.getfixturevalue("no_locks")
    lock = take(path)
    try:
        with pytest.raises(TrialHeld, match=f"process {os.getpid()}"):
            take(path)
        (path.parent / "same").symlink_to(path.parent)
        with pytest.raises(TrialHeld):
            take(path.parent / "same" / path.name)
        holder = held_by(path)
        assert holder is not None
        assert holder.pid == os.getpid()
        lock.check()
    finally:
        lock.release()
    lock.release()  # harmless
    assert held_by(path) is None
    take(path).release()


def test_asking_who_holds_a_trial_does_not_free_it(path: Path) -> None:
    lock = take(path)
    try:
        held_by(path)  # closing any descriptor of the file would drop the lock
        script = "import sys; from pathlib import Path; from al_bench.results.locks import take\n"
        script += "take(Path(sys.argv[1]))"
        claimed = subprocess.run(
            [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
        )
        assert claimed.returncode != 0
        assert f"process {os.getpid()}" in claimed.stderr
    finally:
        lock.release()


def test_nobody_holds_what_was_never_claimed(path: Path) -> None:
    assert held_by(path) is None
    assert not path.exists()


def test_a_held_trial_survives_pickling_as_an_exception() -> None:
    error = TrialHeld(Path("run/locks/seed=3.lock"), "node7", 42)
    again = pickle.loads(pickle.dumps(error))
    assert (again.host, again.pid, str(again)) == ("node7", 42, str(error))
    assert str(error) == "seed=3 in run is held by node7, process 42."


def test_a_lock_whose_note_is_damaged_still_holds(path: Path) -> None:
    with process(HOLD, path):
        path.write_bytes(b"{")
        with pytest.raises(TrialHeld, match="an unknown host"):
            take(path)


def test_a_folder_without_permission_is_one_line(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ResultsError, match="No permission"):
        take(path)


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def stranger(path: Path, **fields: Any) -> Holder:
    """A lease left by a process on another machine."""
    holder = Holder(**{"host": "node7", "pid": 42, "place": "elsewhere", "token": "t"} | fields)
    path.write_bytes(holder.to_bytes())
    return holder


def test_a_lease_is_honored_while_its_heart_beats_and_taken_over_afterwards(
    path: Path, no_locks: None
) -> None:
    left = path.with_suffix(".lease")
    stranger(left)
    age(left, 200)
    with pytest.raises(TrialHeld, match="node7, process 42"):
        take(path)
    seen = held_by(path)
    assert seen is not None
    assert seen.host == "node7"
    age(left, 400)
    assert held_by(path) is None
    take(path).release()
    assert not left.exists()


def test_a_lease_of_a_dead_process_of_this_machine_is_free_at_once(
    path: Path, no_locks: None
) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    here = Holder.here()
    if not here.place:
        pytest.skip("cannot tell this machine's processes apart here")
    stranger(path.with_suffix(".lease"), place=here.place, pid=ended.pid)
    assert held_by(path) is None
    take(path).release()


def test_a_holder_that_overslept_stores_nothing(tmp_path: Path, no_locks: None) -> None:
    run_trial(tmp_path, rounds=1)
    before = stored(tmp_path)
    with Store(tmp_path).claim(IDENTITY, 3, ENGINE) as files:
        stranger(trial_paths(tmp_path).lock.with_suffix(".lease"))
        row = {"round": 1, "num_labeled": 6, "num_queried": 6, "num_validation": 0, "steps": 1}
        with pytest.raises(ResultsError, match="taken over by another process"):
            files.commit(row, [])
        with pytest.raises(ResultsError, match="taken over"):
            files.finish("budget")
    assert stored(tmp_path) == before
    assert trial_paths(tmp_path).lock.with_suffix(".lease").exists()  # not ours to remove


def test_of_two_who_find_a_stale_lease_one_gets_it(
    path: Path, no_locks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = path.with_suffix(".lease")
    stranger(left)
    age(left, 400)
    monkeypatch.setattr(lease.time, "sleep", lambda _: stranger(left, host="node8", token="u"))
    with pytest.raises(TrialHeld, match="node8"):
        take(path)


def test_the_heart_of_a_lease_beats(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.01)
    left = path.with_suffix(".lease")
    held = lease.take_lease(left)
    assert isinstance(held, Lease)
    try:
        age(left, 400)
        deadline = time.monotonic() + 20
        while lease.lease_holder(left) is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert lease.lease_holder(left) == held.holder
    finally:
        held.release()


def test_a_trial_runs_where_locks_are_refused(tmp_path: Path, no_locks: None) -> None:
    run_trial(tmp_path)
    assert stored(tmp_path)[0].num_rows == 3
    assert locks.held_by(trial_paths(tmp_path).lock) is None


WORK = """
import sys
from pathlib import Path
from al_bench.results.locks import TrialHeld
from fake_trials import run_trial
print("ready", flush=True)
sys.stdin.readline()
todo = list(range(6))
while todo:
    seed = todo.pop(0)
    try:
        run_trial(Path(sys.argv[1]), seed=seed)
    except TrialHeld:
        todo.append(seed)
assert "torch" not in sys.modules
"""


@pytest.mark.slow
def test_two_processes_share_a_folder(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORK, str(tmp_path / "shared")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in range(2)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        worker.communicate(timeout=300)
    assert [worker.returncode for worker in workers] == [0, 0]
    for seed in range(6):
        run_trial(tmp_path / "alone", seed=seed)
        assert stored(tmp_path / "shared", seed) == stored(tmp_path / "alone", seed)


@pytest.mark.parametrize(
    "note",
    [
        b'{"pid": "x"}',
        b'{"pid": -1}',
        b'{"pid": 99999999999999999999}',
        b'{"host": 5}',
        b"[" * 100_000,
        b"5",
    ],
)
def test_a_damaged_note_of_a_holder_is_one_of_nobody_known(note: bytes) -> None:
    assert Holder.parse(note) == Holder()
