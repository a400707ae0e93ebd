"""A trial has one holder, whose lock dies with it."""

import errno
import fcntl
import itertools
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
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
time.sleep(600)  # until it is killed
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
time.sleep(600)
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


def claim_soon(path: Path, seconds: float = 300.0) -> None:
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


@pytest.mark.slow
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


def stranger(path: Path, **fields: Any) -> Holder:
    """A lease left by a process on another machine."""
    holder = Holder(**{"host": "node7", "pid": 42, "place": "elsewhere", "token": "t"} | fields)
    path.write_bytes(holder.to_bytes())
    return holder


class Clocks:
    """Clocks of the file system and of this process that go when somebody sleeps.

    Files keep the time that tests give them; ``lives`` is called at every tick.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.of_files = time.time()
        self.of_process = 1000.0
        self.rate = 1.0  # of the clock of files
        self.lives: Callable[[], None] = lambda: None
        fake = SimpleNamespace(
            sleep=self.sleep,
            monotonic=lambda: self.of_process,
            strftime=time.strftime,
            gmtime=time.gmtime,
        )
        monkeypatch.setattr(lease, "time", fake)
        real = lease._file_clocks

        def file_clocks(paths: Iterable[Path]) -> dict[Path, float]:
            return dict.fromkeys(real(paths), self.of_files)

        monkeypatch.setattr(lease, "_file_clocks", file_clocks)

    def sleep(self, seconds: float) -> None:
        self.of_process += seconds
        self.of_files += self.rate * seconds
        self.lives()


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


DATES = {"1970": 0, "an hour ago": -3600, "now": 1, "2030": 1893456000, "in 400 years": 1.4e10}


def date(path: Path, when: float) -> None:
    at = when if when == 0 or when > 1e9 else time.time() + when
    os.utime(path, (at, at))


@pytest.mark.parametrize("when", DATES.values(), ids=list(DATES))
def test_a_lease_is_over_once_it_was_seen_not_to_move_whatever_time_it_shows(
    path: Path, no_locks: None, clocks: Clocks, when: float
) -> None:
    left = path.with_suffix(".lease")
    stranger(left)
    date(left, when)
    with pytest.raises(TrialHeld, match="node7, process 42"):
        take(path)
    seen = held_by(path)
    assert seen is not None
    assert seen.host == "node7"
    assert locks.last_sign(path) == pytest.approx(left.stat().st_mtime)
    locks.settle([path])
    assert clocks.of_process == pytest.approx(1000 + lease.STALE_SECONDS)
    assert held_by(path) is None
    assert list(path.parent.iterdir()) == [path]
    take(path).release()


@pytest.mark.parametrize("step", [-1.0, 1.0], ids=["a clock that goes backwards", "forwards"])
@pytest.mark.parametrize("when", DATES.values(), ids=list(DATES))
def test_a_lease_whose_heart_beats_is_not_taken_whatever_time_it_shows(
    path: Path, no_locks: None, clocks: Clocks, when: float, step: float
) -> None:
    left = path.with_suffix(".lease")
    stranger(left)
    date(left, when or 1000)
    ticks = itertools.count(1)

    def beat() -> None:
        if next(ticks) % int(lease.BEAT_SECONDS // lease.LOOK_SECONDS) == 0:
            date(left, left.stat().st_mtime + step)

    clocks.lives = beat
    clocks.of_files += 1e6  # the file server's clock has been set meanwhile
    locks.settle([path])
    assert clocks.of_process <= 1000 + lease.BEAT_SECONDS
    with pytest.raises(TrialHeld, match="node7, process 42"):
        take(path)


def test_a_file_systems_clock_that_jumps_ahead_ends_no_lease_and_one_set_back_keeps_none(
    path: Path, no_locks: None, clocks: Clocks
) -> None:
    left = path.with_suffix(".lease")
    stranger(left)
    jumps = iter([3600.0, 7200.0, -86400.0])

    def jump() -> None:
        clocks.of_files += next(jumps, 0.0)

    clocks.lives = jump
    locks.settle([path])
    waited = clocks.of_process - 1000
    assert lease.STALE_SECONDS - 20 <= waited <= lease.STALE_SECONDS + 20
    assert not left.exists()


def test_nothing_is_over_by_a_clock_that_does_not_go_and_nobody_waits_for_ever(
    path: Path, no_locks: None, clocks: Clocks
) -> None:
    left = path.with_suffix(".lease")
    stranger(left)
    clocks.rate = 0.0
    locks.settle([path])
    assert left.exists()
    assert clocks.of_process < 1000 + 3 * lease.STALE_SECONDS


def test_a_file_systems_coarse_times_are_enough(
    path: Path, no_locks: None, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger(path.with_suffix(".lease"))
    monkeypatch.setattr(
        lease,
        "_file_clocks",
        lambda paths: dict.fromkeys([path.parent for path in paths], clocks.of_files // 2 * 2),
    )
    locks.settle([path])
    assert held_by(path) is None
    assert clocks.of_process < 1000 + lease.STALE_SECONDS + 10


def test_leases_are_watched_together_and_one_of_a_folder_that_cannot_be_written_stays(
    tmp_path: Path, no_locks: None, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / folder / "seed=0.lock" for folder in ("a", "b", "locked")]
    for one in paths:
        one.parent.mkdir()
        stranger(one.with_suffix(".lease"))
    os_open = os.open

    def refuse(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & os.O_CREAT and Path(path).parent.name == "locked":
            raise OSError(errno.EACCES, "Permission denied")
        return os_open(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    locks.settle(paths)
    assert clocks.of_process == pytest.approx(1000 + lease.STALE_SECONDS)
    assert [held_by(one) is None for one in paths] == [True, True, False]


def test_who_was_asleep_and_beats_in_the_last_moment_keeps_its_lease(
    path: Path, no_locks: None, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = path.with_suffix(".lease")
    stranger(left)
    rename = os.rename

    def late(source: Path, target: Path) -> None:
        os.utime(left, (7.0, 7.0))
        rename(source, target)

    monkeypatch.setattr(os, "rename", late)
    locks.settle([path])
    assert left.stat().st_mtime == 7
    assert list(path.parent.iterdir()) == [left]


def test_where_nobody_has_a_lease_nothing_is_written_or_waited_for(
    path: Path, no_locks: None, clocks: Clocks
) -> None:
    lock = take(path)
    before = clocks.of_process
    locks.settle([path, path.with_name("seed=4.lock")])  # our own beats, we know
    assert clocks.of_process == before
    lock.release()


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


def test_of_many_who_find_the_lease_of_an_ended_process_one_gets_it(
    path: Path, no_locks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = path.with_suffix(".lease")
    with subprocess.Popen(["true"]) as ended:
        pass
    here = Holder.here()
    if not here.place:
        pytest.skip("cannot tell this machine's processes apart here")
    stranger(left, place=here.place, pid=ended.pid)
    rename = os.rename

    def slow(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "rename", rename)
        left.unlink()
        stranger(left, host="node8", token="u")  # was faster
        rename(source, target)

    monkeypatch.setattr(os, "rename", slow)
    with pytest.raises(TrialHeld, match="node8"):
        take(path)
    assert list(path.parent.glob("*.lease")) == [left]


def test_a_lease_that_cannot_be_written_is_not_left_behind(
    path: Path, no_locks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ResultsError, match="disk is full"):
        take(path)
    assert not path.with_suffix(".lease").exists()


def test_the_heart_of_a_lease_beats(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.01)
    left = path.with_suffix(".lease")
    held = lease.take_lease(left)
    assert isinstance(held, Lease)
    try:
        date(left, 1893456000)
        deadline = time.monotonic() + 300
        while left.stat().st_mtime == 1893456000 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert left.stat().st_mtime < 1893456000
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


STOPPED = """
import sys
from pathlib import Path
from al_bench.errors import ResultsError
from al_bench.results.store import Store
from fake_trials import ENGINE, IDENTITY, FakeTrial
with Store(Path(sys.argv[1])).claim(IDENTITY, 3, ENGINE) as files:
    trial = FakeTrial(files, warm=False)
    trial.step()
    print("held", flush=True)
    sys.stdin.readline()
    try:
        trial.step()
    except ResultsError as error:
        print(error, flush=True)
"""


@pytest.mark.slow
def test_a_stopped_holder_that_wakes_after_others_have_gone_on_commits_nothing(
    tmp_path: Path, no_locks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "STALE_SECONDS", 300.0)  # what beats may be slow to
    monkeypatch.setattr(lease, "LOOK_SECONDS", 0.1)
    lock = trial_paths(tmp_path).lock
    quick = "from al_bench.results import lease; lease.BEAT_SECONDS = 0.05\n"
    with subprocess.Popen(
        [sys.executable, "-c", REFUSE_LOCKS + quick + STOPPED, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            locks.settle([lock])  # it beats
            with pytest.raises(TrialHeld, match=f"process {holder.pid}"):
                run_trial(tmp_path)
            holder.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, holder.pid, os.WSTOPPED)  # it may beat once more before it stops
            monkeypatch.setattr(lease, "STALE_SECONDS", 0.5)
            locks.settle([lock])
            run_trial(tmp_path)
            after = stored(tmp_path)
            holder.send_signal(signal.SIGCONT)
            said, _ = holder.communicate("go\n", timeout=300)
        finally:
            holder.kill()
    assert "was taken over by another process" in said
    assert stored(tmp_path) == after
    run_trial(tmp_path / "alone")
    assert after == stored(tmp_path / "alone")
    assert held_by(lock) is None
