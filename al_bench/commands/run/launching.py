"""The processes that Hydra's launchers start: each is set up in its job, alike for all of them."""

import contextlib
import functools
import importlib
import io
import logging
import os
import platform
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.plugins.launcher import Launcher

from al_bench import process
from al_bench.commands.run.together import record_failure, run_composed
from al_bench.configuration import launchers, own_hydra, own_path, sweep, until_decided
from al_bench.configuration.composing import Composed, composed_job
from al_bench.configuration.own_hydra import Hydra
from al_bench.errors import AlBenchError, ConfigError, JobEnded, error_line, near, within

logger = logging.getLogger(__name__)

BASIC, JOBLIB, RAY, SLURM = "BasicLauncher", "JoblibLauncher", "RayLauncher", "SlurmLauncher"
OF_SUBMITIT = (SLURM, "LocalLauncher")  # whose jobs go on without the command
ASSIGN_GPUS = (RAY, SLURM)  # each job sees those that are its own
_AGAIN = "Run the same command again to go on"


class Lost(AlBenchError):
    """A process of a job has come to a bad end; what has not begun stays planned."""


@dataclass(frozen=True)
class Setting:
    """What the process of a job takes over from the command.

    Args:
        launcher: The class of the launcher.
        command: The process id of the command.
        here: The working folder.
        folders: In which modules are looked for that are named.
    """

    launcher: str
    command: int
    here: str
    folders: tuple[str, ...]


@contextlib.contextmanager
def started(
    hydra: Hydra, config: Any, instead: Callable[[Any], int] | None = None
) -> Iterator[tuple[Launcher, Any]]:
    """Within this context there is the launcher of a sweep; and who is told of the sweep.

    Args:
        hydra: Where choices are found.
        config: Of the sweep's first job, with Hydra's own part.
        instead: What is done with each job instead of running it.

    Raises:
        ConfigError: There is no Slurm here for a launcher that hands its jobs to it.
        Lost: A process of a job has come to a bad end.
    """
    setting = Setting(launchers.kind(config), os.getpid(), os.getcwd(), tuple(own_path.searched()))
    if setting.launcher == SLURM and shutil.which("srun") is None:
        raise ConfigError(
            f"{launchers.chosen(config)}: there is no Slurm here, whose srun is not found.",
            "Type it on a login node of the cluster, or take hydra/launcher=submitit_local here.",
        )
    task = instead or functools.partial(run_job, setting)
    launcher: Any
    launcher, callbacks = own_hydra.launching(hydra, config, task)
    if setting.launcher == SLURM:  # before Python starts; a cluster may give jobs no environment
        setup = launcher.params.get("setup") or []
        launcher.params["setup"] = ["export PYTHONSAFEPATH=1", *setup]
        if launcher.params.get("constraint") is None and config.resume != "any":
            print(
                "Slurm may give a job that is queued again another kind of node, where a half-done "
                "trial starts again: hydra.launcher.constraint= asks for one kind, and with "
                "resume=any it goes on."
            )
    if setting.launcher in OF_SUBMITIT:
        results = near(config.results)
        print(
            f"The jobs go on if this command is stopped: al-bench status {results} tells of them; "
            f"what they say lies in {near(Path(config.hydra.sweep.dir) / '.submitit')}.",
            flush=True,
        )
    if setting.launcher == JOBLIB:  # a worker ends with the command though it has had no job yet
        launcher.joblib |= {"initializer": begin, "initargs": (setting,)}
    try:
        if setting.launcher == RAY:
            with _ray(launcher.ray_cfg.init):
                yield launcher, callbacks
        else:
            yield launcher, callbacks
    except BrokenProcessPool as error:
        raise Lost(
            "The process of a job was killed, perhaps for memory, and all others with it.",
            f"{_AGAIN}; fewer hydra.launcher.n_jobs= take less memory.",
        ) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("ray", "submitit"):
            raise
        raise Lost(f"A job was lost ({_complaint(error)}).", f"{_AGAIN}.") from error


def _complaint(error: Exception) -> str:
    """What an error of a launcher says that is wrong, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    is_traced = lines and (lines[0].startswith("Traceback") or lines[0].endswith("trace:"))
    sentence = lines[-1] if is_traced else " ".join(lines[:2])  # submitit's sentence has two
    return ": ".join(filter(None, (type(error).__name__, sentence.rstrip("."))))


def launch(launcher: Launcher, jobs: Sequence[Sequence[str]], number: int) -> bool:
    """Have these jobs done; whether the launcher has waited until they were.

    Args:
        launcher: Of a sweep that has been ``started``.
        jobs: The words of each.
        number: Of the first of them in the sweep.
    """
    is_here = type(launcher).__name__ == BASIC
    with contextlib.nullcontext() if is_here else own_path.unseen():  # by processes it starts
        launched = launcher.launch(jobs, initial_job_idx=number)
    waited = len(launched or ()) == len(jobs)
    for job in launched or ():
        if job.status.name == "UNKNOWN":
            waited = False
        else:
            with contextlib.redirect_stderr(io.StringIO()):  # Hydra says what is raised, too
                _ = job.return_value
    return waited


@contextlib.contextmanager
def _ray(settings: Any) -> Iterator[None]:
    """Within this context there is a Ray whose processes find nothing in the current folder."""
    ray: Any = importlib.import_module("ray")
    if ray.is_initialized():  # by who calls from Python
        yield
        return
    for name in ("USAGE_STATS_ENABLED", "COLOR_PREFIX", "DEDUP_LOGS"):
        os.environ.setdefault(f"RAY_{name}", "0")  # it tells nobody of its use, and jobs tell all
    here, handler = os.getcwd(), signal.getsignal(signal.SIGTERM)
    try:
        os.chdir(sys.prefix)  # Ray's processes look there first, and it has no modules
        with own_path.unseen():
            ray.init(**{"logging_level": "error"} | launchers.plain(settings))
    except Exception as error:
        message = f"Ray could not be started or reached ({error_line(error)})."
        hint = "hydra.launcher.ray.init.address=auto is one that runs here, null a new one."
        raise AlBenchError(message, hint) from error
    finally:
        os.chdir(here)
        with contextlib.suppress(ValueError):  # a thread that is not the main one
            signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        ray.shutdown()


def begin(setting: Setting) -> None:
    """Make this process, which a launcher has started, what the command's is."""
    try:
        os.chdir(setting.here)
    except OSError as error:
        raise AlBenchError(
            f"The folder {setting.here} is not on {platform.node()} ({error.strerror}).",
            "Jobs on several machines need one that all of them share.",
        ) from error
    process.set_up_environment()
    process.set_up_streams()
    process.set_up_path()
    own_path.search(setting.folders)
    if setting.launcher == JOBLIB:
        process.end_with(setting.command)
    elif setting.launcher == RAY:
        process.end_with(os.getppid())  # which ends what the command has left


def run_job(setting: Setting, config: Any) -> int:
    """Run one job of a sweep; a failure is shown, stored and left to the summary."""
    if os.getpid() != setting.command:
        begin(setting)
    record = sweep.JobRecord.of_running_job(config.results)
    if record.stopped():
        return 1  # the summary says so
    try:
        composed = composed_job(config)
        choose_gpu(composed, record.number, setting.launcher)
        with within("A class of this run"):
            return run_composed(composed, record)
    except JobEnded as end:
        raise end.error from None  # the launcher knows what it means
    except Exception as error:
        record_failure(record, error, config)
        return 1


def choose_gpu(composed: Composed, number: int, launcher: str) -> None:
    """Let the jobs of a sweep take the GPUs in turn, unless its launcher gives each its own."""
    import torch

    if composed.config.device == "auto" and launcher not in ASSIGN_GPUS:
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        composed.config.device = f"cuda:{number % count}" if count else "auto"


def does_not_wait(config: Any) -> ConfigError:
    """An error about a sweep that looks at curves which its launcher has not waited for."""
    return ConfigError(
        f"seeds={until_decided.UNTIL_DECIDED} looks at the curves of jobs, for which "
        f"{launchers.chosen(config)} does not wait.",
        "Take one that does: basic, joblib, ray, submitit_local, submitit_slurm.",
    )
