"""The errors al-bench raises on purpose, each one line that says what to do next."""

import contextlib
import difflib
import errno
import math
import os
import re
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from traceback import extract_tb, walk_tb
from typing import Any

from al_bench.masking import masked_text
from al_bench.text.visible import without_colors

PLACE = "_key_in_configuration"
_LONGEST_NAME, _LONGEST_PATH = 255, 4095  # bytes, of nearly every file system
MOST = 2**63 - 1  # that a column of whole numbers holds


class AlBenchError(Exception):
    """Something went wrong that the user can act on.

    Args:
        message: What is wrong, with the value received and what is valid.
        hint: What to type or do next; printed after the message.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint)  # both in args, so that the error survives pickling

    @property
    def message(self) -> str:
        """What is wrong."""
        return plain(self.args[0])

    @property
    def hint(self) -> str | None:
        """What to do next."""
        return None if self.args[1] is None else plain(self.args[1])

    def locate(self, owner: str) -> None:
        """Put the key of what raised it in front of the parameters that it names.

        Args:
            owner: Such as ``strategy.score``; parameters that have one already keep it.
        """

        def whole(match: re.Match[str]) -> str:
            return _below(owner, match[1])

        self.args = tuple(text and _KEYED.sub(whole, text) for text in self.args)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


_KEYED = re.compile("\x02(.*?)\x03")


def keyed(name: str, owner: object = None) -> str:
    """A parameter of an object in an error's message or hint: its name alone.

    An object does not know its place in a configuration. What builds it does, and puts the key in
    front (``AlBenchError.locate``), so that what is read can be typed.

    Args:
        name: The parameter; or the group in which another object is chosen, ``strategy/rule``.
        owner: The object, where it has been built.
    """
    key = getattr(owner, PLACE, "")
    return _below(key, name) if key else f"\x02{name}\x03"


def _below(owner: str, name: str) -> str:
    if "/" not in name:
        return f"{owner}.{name}"
    return name if name.replace("/", ".") == owner else f"{name}@{owner}"


def plain(text: str) -> str:
    """``text`` with the names alone of parameters whose object nobody has placed."""
    return _KEYED.sub(r"\1", text)


def give_key(built: object, key: str) -> None:
    """Tell what was built from a configuration its key, such as ``strategy.score``."""
    with contextlib.suppress(AttributeError, TypeError):  # functions and classes of others
        object.__setattr__(built, PLACE, key)


@contextlib.contextmanager
def placed(owner: object) -> Iterator[None]:
    """Within this context errors name parameters by the key of ``owner``, where it has one."""
    try:
        yield
    except AlBenchError as error:
        if key := owner if isinstance(owner, str) else getattr(owner, PLACE, ""):
            error.locate(key)
        raise


class ConfigError(AlBenchError):
    """The request itself is wrong; nothing has been run."""

    exit_code = 2


class DataError(AlBenchError):
    """A data set is missing, damaged or of the wrong form; nothing has been run."""

    exit_code = 2


class ResultsError(AlBenchError):
    """A results folder cannot be read or written."""


class TrainingError(AlBenchError):
    """A model could not be trained (for example: the loss became NaN)."""


class Stopped(AlBenchError):
    """A trial has failed, which is stored, and ``on_error=stop`` ends the run.

    Attributes:
        trial: Its key, where trials of several runs are executed together.
    """

    trial: Any = None


class JobEnded(BaseException):
    """A launcher ends the job.

    Args:
        error: What its handler of a signal has raised.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


@contextlib.contextmanager
def within(what: str) -> Iterator[None]:
    """Code of others: what would end the process there, as ``sys.exit`` does, is an error of ours.

    Ctrl-C is not, since the process is meant by it.

    Args:
        what: Whose code it is, as the message begins: "The strategy mine.Own".

    Raises:
        AlBenchError: In place of every other exception that is no ``Exception``.
        JobEnded: In place of what a launcher has raised in its handler of a signal.
    """
    try:
        yield
    except (KeyboardInterrupt, JobEnded):
        raise
    except BaseException as error:
        if _raised_in(error) in _LAUNCHERS:
            raise JobEnded(error) from error
        if isinstance(error, Exception):
            raise
        raise AlBenchError(f"{what} must not end the process: {error_line(error)}.") from error


_LAUNCHERS = ("ray", "submitit")


def _raised_in(error: BaseException) -> str:
    """The package whose code has raised an error; empty where it was not raised."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return frames[-1].f_globals.get("__name__", "").partition(".")[0] if frames else ""


def error_line(error: BaseException) -> str:
    """An error on one line; one that is not ours with its type and place."""
    if isinstance(error, AlBenchError):
        return " ".join(masked_text(str(error)).split())
    message = words_of(error)
    if isinstance(error, SyntaxError):  # its text has the place too
        message = error.msg
    where = place(error)
    return f"{type(error).__name__}: {message.rstrip('.')}{f' ({where})' if where else ''}"


def words_of(error: BaseException | str) -> str:
    """What an error of a library says, on one line, but not its advice to load a file unsafely."""
    line = " ".join(masked_text(without_colors(str(error))).split())
    return "it holds objects, and only numbers and texts are read" if _UNSAFE.search(line) else line


_UNSAFE = re.compile("weights_only|allow_pickle|safe_globals|unsafe_load|(Unsafe|Full)Loader")


def scarce(error: BaseException) -> str | None:
    """In one line which limit of the machine an error is about; ``None`` if about none."""
    text = str(error)
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EMFILE, errno.ENFILE):
        return "Too many files are open. Raise the limit, such as ulimit -n 1024."
    of_memory = isinstance(error, MemoryError) or number == errno.ENOMEM
    if of_memory or any(phrase in text for phrase in _OUT_OF_MEMORY):
        return (
            f"Too little memory ({error_line(error)}). Free some, or raise the limit (ulimit -v); "
            "a run takes less with fewer workers= or a smaller chunk_bytes=."
        )
    return None


def barred(error: BaseException) -> str | None:
    """In one line which file an error says may not be read or written; ``None`` if it says none."""
    if not isinstance(error, PermissionError) or not error.filename:
        return None
    return f"No permission for {error.filename}. Have it made readable, or name another."


def overlong(error: BaseException) -> str | None:
    """In one line which name or path an error says is too long; ``None`` if it says none."""
    if not isinstance(error, OSError) or error.errno != errno.ENAMETOOLONG:
        return None
    return too_long(error.filename or "")


def too_long(path: str | bytes | os.PathLike[str]) -> str | None:
    """In one line which part of a path no file or folder can be called; ``None`` if none is."""
    whole = os.fsencode(path)
    name = max(whole.split(os.sep.encode()), key=len)
    for kind, text, most in (("name", name, _LONGEST_NAME), ("path", whole, _LONGEST_PATH)):
        if len(text) > most:
            start = text[:20].decode(errors="ignore")
            return f"The {kind} {start}… has {len(text)} bytes, and {most} is the most."
    return None


_OUT_OF_MEMORY = (  # of libraries that have no type for it
    "failed to map segment",
    "annot allocate memory",
    "an't allocate memory",
    "out of memory",
    "can't start new thread",
)


def place(error: BaseException) -> str:
    """``mine.py:12``: where an error came from, in the user's own code if it went through any."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{Path(error.filename).name}:{error.lineno}"
    installed = ("site-packages", "<frozen", sysconfig.get_paths()["stdlib"])
    frames = [
        frame
        for frame in extract_tb(error.__traceback__)
        if not any(part in frame.filename for part in installed)
    ]
    package = str(Path(__file__).parent) + os.sep
    of_user = [frame for frame in frames if not frame.filename.startswith(package)]
    last = (of_user or frames)[-1:]
    return "".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in last)


def near(path: str | Path) -> str:
    """A path as one would type it here."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def choose(name: str, valid: Iterable[str], prefix: str = "") -> str:
    """Sentence naming the close matches of ``name``, or else everything that is valid.

    Args:
        name: What was typed.
        valid: What could have been.
        prefix: Written before a close match: where in the configuration the names belong.
    """
    valid = sorted(valid)
    close = difflib.get_close_matches(name, valid, n=3, cutoff=0.6)
    if close:
        return f"Did you mean {' or '.join(repr(prefix + match) for match in close)}?"
    return f"Valid: {', '.join(valid)}." if valid else "There is nothing to choose from."


def require_counts(name: str, value: object) -> None:
    """Raise ConfigError unless ``value`` is a list of whole numbers from 0, not all of them 0."""
    require_list(name, value)
    assert isinstance(value, list | tuple)
    for count in value:
        require_whole(name, count, 0)
    if not any(value):
        raise ConfigError(f"{_parameter(name)}={list(value)} asks for no point.")


def require_whole(name: str, value: object, least: int, most: int = MOST) -> None:
    """Raise ConfigError unless ``value`` is a whole number from ``least`` to ``most``.

    Args:
        name: The parameter; the key where it is one of the top level.
        value: Anything.
        least: Smallest valid value.
        most: Largest valid value; what a column of whole numbers holds, unless told.
    """
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not least <= value <= most:  # type: ignore[operator]
        limit = f" to {most}" if whole and value > most else ""  # type: ignore[operator]
        raise ConfigError(
            f"{_parameter(name)} must be a whole number from {least}{limit}, got {typed(value)}."
        )


def _parameter(name: str) -> str:
    return keyed(name) if name.isidentifier() else name


def typed(value: object) -> str:
    """A value in a message: null as one types it, and all else as Python writes it."""
    return "null" if value is None else repr(value)


def require_number(
    name: str,
    value: Any,
    least: float = -math.inf,
    most: float = math.inf,
    *,
    above: float = -math.inf,
    below: float = math.inf,
    hint: str | None = None,
) -> None:
    """Raise ConfigError unless ``value`` is a finite number within the limits.

    Args:
        name: The parameter; the key where it is one of the top level.
        value: Anything.
        least: Smallest valid value.
        most: Largest valid value.
        above: The value must be larger.
        below: The value must be smaller.
        hint: What to type instead.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and least <= value <= most and above < value < below:  # False for NaN and infinity
        return
    limits = ((least, "from"), (above, "above"), (most, "at most"), (below, "below"))
    bounds = " and ".join(f"{word} {limit:g}" for limit, word in limits if math.isfinite(limit))
    raise ConfigError(
        f"{_parameter(name)} must be {f'a number {bounds}'.rstrip()}, got {typed(value)}.", hint
    )


def require_list(name: str, value: object) -> None:
    """Raise ConfigError unless ``value`` is a list."""
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{_parameter(name)} must be a list such as [0,1], got {typed(value)}.")
