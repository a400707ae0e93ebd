"""The errors al-bench raises on purpose, each one line that says what to do next."""

import contextlib
import difflib
import math
import os
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from traceback import extract_tb
from typing import Any


class AlBenchError(Exception):
    """Something went wrong that the user can act on.

    Args:
        message: What is wrong, with the value received and what is valid.
        hint: What to type or do next; printed after the message.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint)  # both in args, so that the error survives pickling
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


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
    """A trial has failed, which is stored, and ``on_error=stop`` ends the run."""


@contextlib.contextmanager
def within(what: str) -> Iterator[None]:
    """Code of others: what would end the process there, as ``sys.exit`` does, is an error of ours.

    Ctrl-C is not, since the process is meant by it.

    Args:
        what: Whose code it is, as the message begins: "The strategy mine.Own".

    Raises:
        AlBenchError: In place of every exception that is no ``Exception``.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise AlBenchError(f"{what} must not end the process: {told(error)}.") from error


def told(error: BaseException) -> str:
    """An error on one line; one that is not ours with its type and place."""
    said = " ".join(str(error).split())
    if isinstance(error, AlBenchError):
        return said
    if isinstance(error, SyntaxError):  # its text has the place too
        said = error.msg
    where = place(error)
    return f"{type(error).__name__}: {said.rstrip('.')}{f' ({where})' if where else ''}"


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
    own = [frame for frame in frames if not frame.filename.startswith(package)]
    last = (own or frames)[-1:]
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


def require_whole(name: str, value: object, least: int) -> None:
    """Raise ConfigError unless ``value`` is a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{name} must be a whole number from {least}, got {value!r}.")


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
        name: The key as it is typed.
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
    said = " and ".join(f"{word} {limit:g}" for limit, word in limits if math.isfinite(limit))
    raise ConfigError(f"{name} must be {f'a number {said}'.rstrip()}, got {value!r}.", hint)


def require_list(name: str, value: object) -> None:
    """Raise ConfigError unless ``value`` is a list."""
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{name} must be a list such as [0,1], got {value!r}.")
