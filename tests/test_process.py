"""What a run shares with its process is as it was: for applications, notebooks and terminals."""

import ast
import contextlib
import errno
import io
import logging
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.version import getbase
from threadpoolctl import threadpool_info

import al_bench
from al_bench import cli
from al_bench.configuration.own_hydra import BASE
from al_bench.engine import Engine, restored
from al_bench.errors import ResultsError
from al_bench.results import locks

ROOT = Path(__file__).parents[1]
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)


def state():
    """What others in this process may rely on."""
    loggers = {name: logging.getLogger(name) for name in ("", "al_bench", "hydra")}
    numpy_state = np.random.get_state()  # noqa: NPY002
    return {
        "environment": dict(os.environ),
        "path": list(sys.path),
        "words": list(sys.argv),
        "folder": os.getcwd(),
        "signals": {number: signal.getsignal(number) for number in SIGNALS},
        "logging": {name: (log.level, list(log.handlers)) for name, log in loggers.items()},
        "warnings": list(warnings.filters),
        "threads": (torch.get_num_threads(), [pool["num_threads"] for pool in threadpool_info()]),
        "torch": (
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.benchmark,
            torch.backends.cuda.matmul.allow_tf32,
            torch.get_rng_state().tolist(),
        ),
        "random": (random.getstate(), numpy_state[1].tolist(), numpy_state[2]),
        "hydra": (
            GlobalHydra.instance().hydra,
            HydraConfig.instance().cfg,
            getbase(),
            set(ConfigStore.instance().repo),
        ),
    }


@pytest.fixture
def own_folder(tmp_path):
    folder = tmp_path / "mine" / "strategy"
    folder.mkdir(parents=True)
    (folder / "own.yaml").write_text("# Mine\n_target_: al_bench.strategies.random.Random\n")
    return folder.parent


@pytest.mark.slow
def test_a_run_from_python_leaves_its_process_as_it_was(quick, own_folder):
    al_bench.run("strategy=random", "seeds=1", *quick)  # what is imported now stays
    torch.set_num_threads(2)
    try:
        before = state()
        al_bench.run("strategy=own", "seeds=1", *quick, config_dir=own_folder)
        al_bench.execute(al_bench.trials("strategy=margin", "seeds=1", *quick))
        after = state()
    finally:
        torch.set_num_threads(1)
    for name, value in before.items():
        assert after[name] == value, name


@pytest.mark.slow
def test_a_run_that_fails_leaves_its_process_as_it_was(quick):
    found = []
    for _ in range(2):  # what the first one imports may change what it likes
        with pytest.raises(al_bench.errors.ConfigError):
            al_bench.run("strategy=randon", *quick)
        found.append(state())
    assert found[0] == found[1]


def kernels():
    """Whether torch refuses what is not deterministic, and what cuDNN may choose from."""
    cudnn = torch.backends.cudnn
    return torch.are_deterministic_algorithms_enabled(), cudnn.deterministic, cudnn.benchmark


def test_kernels_of_a_device_are_deterministic_unless_told_otherwise():
    before, device = kernels(), torch.device("cuda", 0)  # which need not be there
    with restored():
        Engine(device, deterministic=False).set_up()
        assert kernels() == (False, False, True)
        Engine(device).set_up()
        assert kernels() == (True, True, False)
        Engine(device, deterministic=False).set_up()  # the next group of a sweep
        assert kernels() == (False, False, True)
    assert kernels() == before


@pytest.mark.slow
def test_a_run_works_inside_an_application_that_uses_hydra(quick, tmp_path):
    import hydra

    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "app.yaml").write_text("name: mine\n")
    store = ConfigStore.instance()
    store.store(name="schema", node={"size": 3})  # al-bench has one of this name too
    kept = dict(store.repo)
    base = {"version_base": "1.2"} if BASE else {}  # another than al-bench's
    with hydra.initialize_config_dir(str(tmp_path / "conf"), **base):
        application = GlobalHydra.instance().hydra
        HydraConfig.instance().set_config(hydra.compose("app", return_hydra_config=True))
        before = state()["hydra"]
        curves = al_bench.run("strategy=random", "seeds=1", *quick)
        assert GlobalHydra.instance().hydra is application
        assert state()["hydra"] == before
        assert hydra.compose("app").name == "mine"
    HydraConfig.instance().cfg = None
    assert len(curves) == 4
    assert store.repo["schema.yaml"] is kept["schema.yaml"]


@pytest.mark.slow
def test_a_run_works_in_a_thread(quick):
    found = []

    def run():
        found.append(al_bench.run("strategy=random", "seeds=1", *quick))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
        thread.join()
    assert [len(frame) for frame in found] == [4, 4]


def typed(words, encoding):
    """What a terminal of this encoding gets; standard output and error are one."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        code = cli.main(words)
    stream.flush()
    return code, raw.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_signs_that_a_terminal_lacks_are_replaced(encoding, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "naïve – results").mkdir()
    commands = [["--help"], ["plot", "--help"], ["list"], ["status", "naïve – results"]]
    for words in commands:
        code, said = typed(words, encoding)
        assert code == 0, (words, said)
    assert "nothing yet" in said
    code, said = typed(["compare", "größe – ω"], encoding)
    assert code == 2
    assert {"ascii": "gro?e - ?.", "latin-1": "größe - ?."}[encoding] in said
    assert "Traceback" not in said


def test_a_file_name_that_is_no_text_is_printed_as_its_bytes():
    code, said = typed(["compare", os.fsdecode(b"gr\xf6sse")], "latin-1")
    assert code == 2
    assert "grösse" in said


def test_a_closed_standard_output_is_told_where_the_answer_would_go_there(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(["list", "scores"]) == 1
    assert sys.stdout is None
    said = capsys.readouterr().err
    assert said.startswith("al-bench: Standard output cannot be written: ")
    assert said.count("\n") == 1


def test_a_closed_standard_output_is_no_loss_where_files_are_written(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(["export", "--help"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("words", [["--version"], ["run", "--version"], ["list", "--version"]])
def test_every_command_tells_the_version_of_al_bench(words, capsys):
    assert cli.main(words) == 0
    assert capsys.readouterr().out.startswith("al-bench ")


def test_the_command_line_leaves_python_as_it_was(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("MPLBACKEND", "module://nowhere.backend")
    monkeypatch.setattr(sys, "argv", ["mine.py"])
    found = []
    for _ in range(2):
        assert cli.main(["run", "strategy=randon"]) == 2
        found.append(state())
    assert found[0] == found[1]
    assert found[0]["words"] == ["mine.py"]
    assert found[0]["environment"]["MPLBACKEND"] == "module://nowhere.backend"


@pytest.mark.slow
def test_figures_do_not_ask_for_the_backend_of_a_notebook(tmp_path):
    # A process of its own: matplotlib reads the variable when it is imported.
    words = ["strategy=random", "seeds=1", "budget.total=20", "training.epoch_size=64"]
    script = (
        "from al_bench import cli; import os\n"
        f"codes = [cli.main(words) for words in (['run', *{words}], ['plot'], ['report'])]\n"
        "print(codes, os.environ['MPLBACKEND'])"
    )
    environment = os.environ | {"MPLBACKEND": "module://nowhere.backend"}
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True
    )
    assert ended.stdout.decode().splitlines()[-1] == "[0, 0, 0] module://nowhere.backend"
    assert list(tmp_path.glob("results/plots/*.png"))


def test_a_second_signal_ends_a_command_at_once():
    script = (
        "import os, signal, time; from al_bench import process\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored in the background
        "process.catch_signals()\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT); time.sleep(5)\n"
        "except KeyboardInterrupt:\n"
        "    print('first', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)\n"
        "    print('never')\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (130, "first\n")
    assert ended.stderr == "al-bench: stopped at once.\n"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGHUP"])
@pytest.mark.parametrize(
    ("words", "code"), [(["run"], 75), (["transfer"], 75), (["rerun"], 130), (["plot"], 130)]
)
def test_a_schedulers_signal_says_whether_to_go_on(monkeypatch, capsys, name, words, code):
    def work(rest):
        os.kill(os.getpid(), getattr(signal, name))

    module, function, _ = cli.COMMANDS[words[0]]
    monkeypatch.setattr(f"al_bench.commands.{module}.{function}", work)
    assert cli.main(words) == code
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("al-bench: stopped")
    assert (f" by {name}" in said) == (code == 75) == ("Run it again to go on" in said)


def test_what_is_logged_is_told_as_a_warning_within_a_command(monkeypatch, capsys):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # but pytest's
    log = logging.getLogger("al_bench.results.frame")
    monkeypatch.setattr("al_bench.commands.list.list_choices", lambda rest: log.warning("A file."))
    cli.main(["list"])
    assert capsys.readouterr().err == "warning: A file.\n"
    log.warning("A file.")
    assert capsys.readouterr().err == "A file.\n"  # of who imports the package


def test_a_closed_terminal_does_not_end_what_ignores_it(monkeypatch, capsys):
    def work(rest):
        os.kill(os.getpid(), signal.SIGHUP)
        return 0

    monkeypatch.setattr("al_bench.commands.run.command.run", work)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        assert cli.main(["run"]) == 0
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert capsys.readouterr() == ("", "")


def test_what_a_schedulers_signal_has_ended_beside_is_no_failure(monkeypatch, capsys):
    def work(rest):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            raise ResultsError("a process of a job was lost")

    monkeypatch.setattr("al_bench.commands.run.command.run", work)
    assert cli.main(["run"]) == 75
    assert capsys.readouterr().err.startswith("al-bench: stopped by SIGTERM; finished rounds")


def test_a_process_that_does_not_stop_ends_soon_after_a_schedulers_signal():
    script = (
        "import os, signal, time; from al_bench import process\n"
        "process._SECONDS_TO_STOP = 0.1\n"
        "process.catch_signals(goes_on=True)\n"
        "while True:\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)\n"
        "        print('never')\n"
        "    except KeyboardInterrupt:\n"
        "        time.sleep(5)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (75, "")
    assert ended.stderr == "al-bench: stopped at once.\n"


def test_a_process_ends_with_its_parent():
    child = "from al_bench import process; import os, time; process.end_with(os.getppid()); "
    child += "print(os.getpid(), flush=True); time.sleep(600)"
    script = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}]); "
    script += "import time; time.sleep(600)"
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 300
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().split()[2] != "Z"
    except FileNotFoundError:
        return False


SOURCES = [path for name in ("al_bench", "scripts") for path in (ROOT / name).rglob("*.py")]


@pytest.mark.slow
def test_files_are_read_and_written_in_one_encoding_whatever_the_locale():
    found = []
    for path in SOURCES:
        source = path.read_text(encoding="utf-8")
        nodes = ast.walk(ast.parse(source)) if re.search(r"\b(open|\w+_text)\(", source) else ()
        for node in nodes:
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            said = [str(getattr(value, "value", "")) for value in node.args]
            said += [str(keyword.arg) for keyword in node.keywords]
            plain = name in ("read_text", "write_text") or ast.unparse(node.func) == "open"
            if plain and not {"encoding", "utf-8", "rb", "wb", "xb"} & set(said):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not found


class Full(io.StringIO):
    """A stream on a full disk."""

    def write(self, text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fileno(self):
        raise io.UnsupportedOperation


class Unread(Full):
    """A pipe whose reader is gone."""

    def write(self, text):
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def test_a_full_output_is_one_line_where_it_is_the_answer(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Full())
    assert cli.main(["list", "scores"]) == 1
    said = capsys.readouterr().err
    assert said == "al-bench: Standard output cannot be written: No space left on device.\n"
    assert isinstance(sys.stdout, Full)


def test_an_answer_that_nobody_reads_is_silent(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Unread())
    assert cli.main(["list", "scores"]) == 1
    assert capsys.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.parametrize("stream", [Full, Unread])
def test_a_run_goes_on_where_nobody_can_read_of_it(stream, monkeypatch, capsys, quick, tmp_path):
    monkeypatch.setattr(sys, "stdout", stream())
    words = ["run", "strategy=random", "seeds=1", *quick[:-2], "budget.total=20", quick[-1]]
    assert cli.main(words) == 0
    said = capsys.readouterr().err
    assert said.count("\n") == said.count("; the work goes on.") == (stream is Full)
    assert len(list(tmp_path.glob("results/**/curves/seed=0.parquet"))) == 1


def test_errors_that_nobody_can_read_change_no_exit_code(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Full())
    assert cli.main(["nonsense"]) == 2


@pytest.mark.slow
def test_a_folder_that_is_gone_is_one_line(tmp_path):
    script = (
        "import os, sys; os.rmdir(os.getcwd()); from al_bench.cli import main; sys.exit(main())"
    )
    (tmp_path / "gone").mkdir()
    command = [sys.executable, "-c", script, "list", "scores"]
    ended = subprocess.run(command, cwd=tmp_path / "gone", capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.startswith("al-bench: The current folder is gone.")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "Too little memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "Too little memory"),
        (ImportError("libx.so: failed to map segment from shared object"), "Too little memory"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many files are open. Raise the limit"),
    ],
)
def test_what_the_machine_lacks_is_said_in_a_line(error, said, monkeypatch, capsys):
    def fail(words):
        raise error

    monkeypatch.setattr("al_bench.commands.list.list_choices", fail)
    assert cli.main(["list"]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"al-bench: {said}")
    assert err.count("\n") == 1


@pytest.mark.slow
def test_few_open_files_are_enough_for_many_trials(quick, monkeypatch, tmp_path):
    monkeypatch.setattr("resource.getrlimit", lambda which: (8, 8))
    under_way, most = set(), 0
    take, release = locks.take, locks.TrialLock.release

    def taken(path):
        nonlocal most
        under_way.add(path)
        most = max(most, len(under_way))
        return take(path)

    def released(lock):
        under_way.discard(lock.path)
        release(lock)

    monkeypatch.setattr(locks, "take", taken)
    monkeypatch.setattr(locks.TrialLock, "release", released)
    words = ["strategy=random", "seeds=5", *quick[:-2], "budget.total=20", quick[-1]]
    assert cli.main(["run", *words]) == 0
    assert most == 2
