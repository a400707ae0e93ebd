"""What a command shares with its process: streams, environment, signals, the parent."""

import codecs
import contextlib
import logging
import os
import signal
import sys
import threading
import time
import unicodedata
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any

from al_bench.errors import AlBenchError
from al_bench.text.visible import visible

# What a scheduler sends to a job whose time is up, or whose place another job gets, and a terminal
# that is closed to what runs in it.
_FROM_OUTSIDE = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGHUP") if hasattr(signal, name)
)
_SIGNALS = (signal.SIGINT, *_FROM_OUTSIDE)
_PLAIN = dict(
    zip("–—−×·±→≤≥…", ["-", "-", "-", "x", ".", "+-", "->", "<=", ">=", "..."], strict=True)
)
_SECONDS_TO_END = 0.5  # at most, after the parent
_SECONDS_TO_STOP = 15.0  # at most, after such a signal: a scheduler kills in half a minute
INTERRUPTED, GOES_ON = 130, 75  # exit codes
_parents: set[int] = set()  # with which this process ends
_preempted: list[str] = []  # the signal from outside by which the command has been ended
_staying = threading.Event()  # the process goes on after the command


class UnwritableOutput(AlBenchError):
    """Standard output cannot be written, and what was asked for goes there."""


class _Stream:
    """Standard output or error, for as long as it can be written, on which no text steers.

    Args:
        name: ``stdout`` or ``stderr``.
        stream: The one there was.
        for_show: Whether the work goes on without it; otherwise UnwritableOutput ends it, and
            where nobody reads on, BrokenPipeError.
        is_clean: What is written has no text of others that is not ``visible``.
    """

    def __init__(self, name: str, stream: Any, for_show: bool, is_clean: bool = False) -> None:
        self._name = name
        self._is_clean = is_clean
        self._stream = stream
        self._for_show = for_show
        self._lost = threading.Event()  # shared by all that write to it, so that it is told once

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def drawn(self) -> "_Stream":
        """The same for what is clean already and has colors."""
        clean = _Stream(self._name, self._stream, self._for_show, is_clean=True)
        clean._lost = self._lost
        return clean

    def write(self, text: str) -> int:
        with self._writing():
            self._stream.write(text if self._is_clean else self._cleaned(text))
        return len(text)

    def _cleaned(self, text: str) -> str:
        """``visible`` text; a bar of a library, such as one of a download, begins its line anew."""
        is_bar = self._name == "stderr" and text.startswith("\r")
        return "\r" + visible(text[1:]) if is_bar else visible(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        with self._writing():
            self._stream.flush()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if self._lost.is_set():
                return
            self._lost.set()
            with contextlib.suppress(OSError, ValueError):  # so that its buffer can be emptied
                devnull = os.open(os.devnull, os.O_WRONLY)
                os.dup2(devnull, self._stream.fileno())
                os.close(devnull)
            message = f"Standard output cannot be written: {error.strerror or error}"
            if not self._for_show:
                if isinstance(error, BrokenPipeError):
                    raise
                raise UnwritableOutput(f"{message}.") from error
            if self._name == "stdout" and not isinstance(error, BrokenPipeError):
                print(f"al-bench: {message}; the work goes on.", file=sys.stderr)


def set_up_streams(output_is_for_show: bool = True) -> None:
    """Let standard output and error print any sign, and all streams be there though closed.

    A sign that the terminal lacks becomes one or a few that it has.

    Args:
        output_is_for_show: The work goes on where standard output cannot be written any more, its
            disk being full or its reader gone; that of standard error always is.
    """
    codecs.register_error("al_bench.plain", _plain)
    if sys.stdin is None:  # else the first file that is opened would be taken for it
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None and (output_is_for_show or name == "stderr"):
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif stream is None:  # what cannot be written to is told when it is
            closed = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8")
            setattr(sys, name, _Stream(name, closed, for_show=False))
        else:
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="al_bench.plain")
            if not isinstance(stream, _Stream):
                setattr(sys, name, _Stream(name, stream, output_is_for_show or name == "stderr"))


@contextlib.contextmanager
def logged_as_warnings() -> Iterator[None]:
    """Within this context what is logged and no handler is set up for begins with its level."""
    handler = logging.lastResort
    if handler is None:
        yield
        return
    before = handler.formatter
    handler.setFormatter(_Level())
    try:
        yield
    finally:
        handler.setFormatter(before)


class _Level(logging.Formatter):
    """``warning: what is logged``, as warnings of commands are printed."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.lower()}: {super().format(record)}"


def set_up_environment() -> None:
    """Set what libraries read from the environment, for this process and those that it starts."""
    os.environ.pop("MPLBACKEND", None)  # figures are files, whatever a notebook draws on
    # Python's tracker cleans up after processes that were ended at once; it need not tell.
    filters = [*filter(None, (os.environ.get("PYTHONWARNINGS"), "ignore:resource_tracker"))]
    os.environ["PYTHONWARNINGS"] = ",".join(dict.fromkeys(",".join(filters).split(",")))
    os.environ["PYTHONSAFEPATH"] = "1"  # else Python looks for its own modules in this folder first


def set_up_path() -> None:
    """Let no file here, or beside the script that calls al-bench, hide a module that is installed.

    What is found in the script's folder is found last; in the current one, if it is named.
    """
    sys.path[:] = [folder for folder in sys.path if folder]  # "" is the current one
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    with contextlib.suppress(OSError):  # where the current one is gone
        folders = (os.getcwd(), os.path.dirname(os.path.abspath(script or "")))
        if sys.path[:1] and sys.path[0] in folders and not sys.flags.safe_path:
            sys.path.append(sys.path.pop(0))


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """What is written instead of the first sign that an encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    sign, after = error.object[error.start], error.start + 1
    if "\udc80" <= sign <= "\udcff":  # a byte of a file name that is no text
        return bytes([ord(sign) - 0xDC00]), after
    letters = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode()
    return _PLAIN.get(sign) or letters or "?", after


def catch_signals(goes_on: bool = False) -> dict[signal.Signals, Any]:
    """Let Ctrl-C, SIGTERM, SIGUSR1 and SIGHUP interrupt the command, and a second one end it.

    Args:
        goes_on: Whether the command goes on where it is typed again: then all but Ctrl-C are a
            scheduler's or those of a terminal that is closed (``preempted``), and end the process a
            while later whatever it is at.

    Returns:
        The handlers there were, for ``signal.signal``. Other handlers than Python's own, signals
        that are ignored (as SIGHUP is under nohup), and threads but the main one are left alone.
    """
    before: dict[signal.Signals, Any] = {}
    _preempted.clear()
    _staying.clear()
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            handler = signal.getsignal(number)
            if handler in (signal.SIG_DFL, signal.default_int_handler):
                before[number] = handler
                preempts = goes_on and number in _FROM_OUTSIDE
                signal.signal(number, _preempt if preempts else _interrupt)
    return before


def _interrupt(signum: int, frame: FrameType | None) -> None:
    end_on_signals()
    raise KeyboardInterrupt


def _preempt(signum: int, frame: FrameType | None) -> None:
    _preempted.append(signal.Signals(signum).name)
    end_on_signals()
    threading.Thread(target=_end_later, daemon=True).start()
    raise KeyboardInterrupt


def preempted() -> str | None:
    """The signal from outside that has ended a command which can go on; ``None`` for none."""
    return _preempted[0] if _preempted else None


def stay() -> None:
    """The process, in which a command was called from Python, goes on after its end."""
    _staying.set()


def end_on_signals() -> None:
    """From now on a signal ends the process: what there was to keep is kept already."""
    for number in _SIGNALS:
        if signal.getsignal(number) in (_interrupt, _preempt):
            signal.signal(number, _end)


def _end(signum: int, frame: FrameType | None) -> None:
    _end_at_once()


def _end_later() -> None:
    if not _staying.wait(_SECONDS_TO_STOP):
        _end_at_once()


def _end_at_once() -> None:
    with contextlib.suppress(OSError):
        os.write(2, b"al-bench: stopped at once.\n")
    if multiprocessing := sys.modules.get("multiprocessing"):
        with contextlib.suppress(Exception):  # a suspended one does not see its parent end
            for child in multiprocessing.active_children():
                child.kill()
    os._exit(GOES_ON if _preempted else INTERRUPTED)


def end_with(parent: int) -> None:
    """End this process soon after its parent, however that one ends.

    Args:
        parent: The process id of the parent.
    """
    if parent not in _parents:
        _parents.add(parent)
        threading.Thread(target=_wait_for_end, args=(parent,), daemon=True).start()


def _wait_for_end(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS_TO_END)
    os._exit(1)
