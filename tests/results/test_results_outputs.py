"""What users ask for is written whole, or what was there before stays."""

import contextlib
import dataclasses
import os
import resource
import signal
import stat
import subprocess
import sys
import threading

import fake_trials
import pytest

from al_bench import cli

COMMANDS = {
    "report": ["report", "{results}", "out={out}.html"],
    "plot": ["plot", "{results}", "out={out}", "format=svg"],
    "export": ["export", "{results}", "out={out}.csv"],
    "export-parquet": ["export", "{results}", "kind=acquisitions", "out={out}.parquet"],
    "compare": ["compare", "{results}", "out={out}.txt"],
    "compare-parquet": ["compare", "{results}", "format=parquet", "out={out}.parquet"],
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp("outputs") / "results"
    with pytest.MonkeyPatch.context() as patch:
        for name in ("random", "bald"):
            names = {"strategy": name, "strategy_label": name, "run_id": f"{name:_<12}"}
            patch.setattr(
                fake_trials, "IDENTITY", dataclasses.replace(fake_trials.IDENTITY, **names)
            )
            for seed in range(3):
                fake_trials.run_trial(root, seed=seed)
    return root


@contextlib.contextmanager
def files_no_larger_than(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def typed(command, **places):
    return [word.format(**places) for word in COMMANDS[command]]


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [pytest.param(name, marks=[pytest.mark.slow] * (name == "report")) for name in COMMANDS],
)
def test_what_was_good_stays_where_the_new_one_does_not_fit(command, results, tmp_path, capsys):
    words = typed(command, results=results, out=tmp_path / "out")
    assert cli.main(words) == 0
    before = content(tmp_path)
    assert len(before) == 1
    capsys.readouterr()
    with files_no_larger_than(100):
        assert cli.main(words) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("al-bench: Cannot write")
    assert "unharmed" in error
    assert content(tmp_path) == before
    assert cli.main(words) == 0
    assert content(tmp_path).keys() == before.keys()


@pytest.mark.slow
def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(results, tmp_path):
    thesis = tmp_path / "thesis.txt"
    thesis.write_text("years of work")
    out = tmp_path / "out.csv"
    out.symlink_to(thesis)
    assert cli.main(typed("export", results=results, out=out.with_suffix(""))) == 0
    assert thesis.read_text() == "years of work"
    assert not out.is_symlink()
    assert out.read_text().startswith("task,")


def test_a_new_file_may_be_read_by_whom_the_old_one_could_be(results, tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("")
    out.chmod(0o600)
    assert cli.main(typed("export", results=results, out=out.with_suffix(""))) == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


@pytest.mark.slow
def test_what_is_no_file_is_not_written_to(results, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    assert cli.main(typed("export", results=results, out=tmp_path / "pipe")) == 1
    assert f"Cannot write {tmp_path / 'pipe'}.csv" in capsys.readouterr().err
    assert cli.main(typed("export", results=results, out=tmp_path / "folder")) == 2
    assert f"{tmp_path / 'folder'}.csv is a folder" in capsys.readouterr().err
    assert stat.S_ISFIFO((tmp_path / "pipe.csv").lstat().st_mode)


@pytest.mark.slow
def test_a_pipe_of_the_shell_takes_a_table(results, capfd):
    ours, theirs = os.pipe()
    read = []

    def take():
        with os.fdopen(ours, "rb") as stream:
            read.append(stream.read())

    reader = threading.Thread(target=take)
    reader.start()
    try:
        words = ["compare", str(results), "format=csv", f"out=/dev/fd/{theirs}"]
        assert cli.main(words) == 0
    finally:
        os.close(theirs)
        reader.join()
    assert read[0].startswith(b"protocol")


@pytest.mark.slow
def test_what_a_killed_command_left_is_removed_by_the_next(results, tmp_path):
    words = typed("export", results=results, out=tmp_path / "out")
    die = "atomic.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)"
    ours = "import os, signal, sys; from al_bench import cli; from al_bench.results import atomic"
    command = [sys.executable, "-c", f"{ours}; {die}; cli.main(sys.argv[1:])", *words]
    assert subprocess.run(command, capture_output=True).returncode == -signal.SIGKILL
    assert [path.suffix for path in tmp_path.iterdir()] == [".tmp"]
    assert cli.main(words) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
