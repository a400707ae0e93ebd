"""The command lines of every command but ``run``: words and ``key=value``, nothing else."""

import math
import os
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from al_bench.errors import ConfigError, choose, too_long
from al_bench.masking import is_secret, masked_text
from al_bench.paths import file_in_the_way, is_path, opened, refuse_unusable

MOVED = "dataset.path=, dataset.root=, …"
_KEY_VALUE = re.compile(r"([A-Za-z_][\w.]*)=(.*)", re.DOTALL)


def text(value: str) -> str:
    """The value as it was typed; anything but nothing."""
    if not value:
        raise ValueError("needs a value")
    return value


def file_or_folder(value: str) -> str:
    """A path with the home folder in place of ``~``."""
    path = str(opened(text(value)))
    if sentence := too_long(path):
        raise ValueError(f"must be a path: {sentence.rstrip('.')}", "Type a shorter one.")
    return path


def new_folder(value: str) -> str:
    """A path, with the home folder in place of ``~``, at which a folder is or can be made."""
    path = file_or_folder(value)
    if file := file_in_the_way(Path(path)):
        raise ValueError(
            f"must be a folder, and {file} is a file", "Move it away, or name another folder."
        )
    return path


def new_file(example: str) -> Callable[[str], str]:
    """A reader of ``out``, a path with the home folder in place of ``~`` at which no folder is.

    Args:
        example: How a file may be called.
    """

    def read(value: str) -> str:
        path = file_or_folder(value)
        if os.path.isdir(path):
            hint = f"Try out={Path(path, example)}."
            raise ValueError(f"must be a file, and {path} is a folder", hint)
        return path

    return read


def number(minimum: float = float("-inf"), maximum: float = float("inf")) -> Callable[[str], float]:
    """A reader of numbers from ``minimum`` to ``maximum``, both included."""

    def read(value: str) -> float:
        try:
            result = float(value)
        except ValueError:
            raise ValueError("must be a number") from None
        if not minimum <= result <= maximum:  # also refuses nan
            ends = ((minimum, "from"), (maximum, "to"))
            words = [f"{word} {limit:g}" for limit, word in ends if math.isfinite(limit)]
            raise ValueError(f"must be a number {' '.join(words)}".rstrip())
        return result

    return read


def whole_number(minimum: int = 0) -> Callable[[str], int]:
    """A reader of whole numbers from ``minimum``."""

    def read(value: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]+", value) or int(value) < minimum:
            raise ValueError(f"must be a whole number from {minimum}")
        return int(value)

    return read


def one_of(*valid: str) -> Callable[[str], str]:
    """A reader that takes one of the names ``valid``."""

    def read(value: str) -> str:
        if value not in valid:
            raise ValueError("must be a known name", choose(value, valid))
        return value

    return read


def existing_folder(value: str) -> Path:
    """A folder that is there."""
    folder = opened(text(value))
    if not folder.is_dir():
        raise ValueError("must be a folder that is there")
    return folder


def switch(value: str) -> bool:
    """``true`` or ``false``."""
    return one_of("true", "false")(value) == "true"


def listed(read: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    """A reader of one or several values, ``a,b`` or ``[a,b]``, each read by ``read``."""

    def read_all(value: str) -> list[Any]:
        inner = value[1:-1] if value.startswith("[") and value.endswith("]") else value
        return [read(part.strip()) for part in inner.split(",")]

    return read_all


@dataclass(frozen=True)
class Option:
    """One ``key=value`` of a command.

    Args:
        name: The key.
        help: What it does, without a full stop.
        default: The value when the key isn't given; None shows as "decided for you".
        read: Turns what was typed into the value, or raises ``ValueError(reason, hint)``: the end
            of a sentence that begins with the key ("must be a number"), and what to type instead
            (may be left out).
        flag: Whether ``--the-name VALUE`` is understood too, as ``al-bench run`` does.
    """

    name: str
    help: str
    default: Any = None
    read: Callable[[str], Any] = text
    flag: bool = False


_VERBOSE = Option("verbose", "show tracebacks", False, switch)
# Of commands that build what stored runs name.
_OF_BUILDERS = (
    Option(
        "config_dir",
        "folder of your own configuration: classes beside it are yours, and are built where they "
        "are what the run was made with; also --config-dir FOLDER",
        read=existing_folder,
        flag=True,
    ),
    Option(
        "trust",
        "results: build whatever the runs name, be it al-bench's, yours or of others; what that "
        "is is said first",
        read=one_of("results"),
    ),
)


@dataclass(frozen=True)
class Command:
    """What a command understands; ``verbose=`` every command does.

    Args:
        name: As it is typed after ``al-bench``.
        summary: One sentence: what it does.
        options: The keys it takes.
        words: What the words before, between and after the keys are, for the help ("results");
            None when the command takes none.
        words_help: What they mean.
        choices: The only words allowed; empty allows all.
        max_words: How many there may be; None sets no limit.
        reads_data: Whether it reads the data of stored runs, which may have been moved: then the
            keys of their paths, and of secrets that are not stored, are understood as
            ``al-bench run`` does, and ``--config-dir`` and ``trust=`` say which classes they may
            name beside al-bench's.
        keys_of_run: Keys of ``al-bench run`` that it reads by itself, for errors to name.
    """

    name: str
    summary: str
    options: Sequence[Option] = ()
    words: str | None = None
    words_help: str = ""
    choices: Sequence[str] = ()
    max_words: int | None = None
    reads_data: bool = False
    keys_of_run: Sequence[str] = ()

    def parse(self, arguments: Sequence[str]) -> "Arguments | None":
        """What was typed, complete with defaults; None when it was ``--help``, which is answered.

        A word that holds ``=`` after a plain name is a key and its value; write a folder of such a
        name with a leading ``./``.

        Raises:
            ConfigError: An unknown key or word, a key given twice, or a value that doesn't fit.
        """
        if any(argument in ("--help", "-h") for argument in arguments):
            print(self.help())
            return None
        words: list[str] = []
        values: dict[str, Any] = {}
        texts: dict[str, str] = {}
        moved: dict[str, str] = {}
        for argument in self._without_flags(arguments):
            if match := _KEY_VALUE.fullmatch(argument):
                name, value = match.groups()
                if name in texts:
                    message = f"{name} is given twice: {texts[name]} and {value}."
                    raise ConfigError(message, "Type one of them.")
                texts[name] = value
                if self.reads_data and "." in name and (is_path(name) or _is_masked(name, value)):
                    moved[name] = _unquoted(name, value)
                else:
                    values[name] = self._read(name, value)
            else:
                words.append(self._word(argument, len(words)))
        defaults = {option.name: option.default for option in self._all}
        return Arguments(words, {**defaults, **values}, moved)

    def help(self) -> str:
        """The command's page: usage, summary, and a line for each key."""
        words = f" [{self.words} …]" if self.words else ""
        lines = [f"Usage: al-bench {self.name}{words} [key=value …]", "", self.summary]
        rows = [(self.words, self.words_help)] if self.words else []
        for option in self._all:
            default = f" (default: {_text(option.default)})" if option.default is not None else ""
            rows.append((f"{option.name}=", option.help + default))
        if self.reads_data:
            rows.append((MOVED, "where its data lie now, and secrets, by the key of al-bench run"))
        width = max((len(left) for left, _ in rows), default=0)
        indent = " " * (width + 4)
        lines.append("")
        for left, right in rows:
            wrapped = textwrap.fill(
                right,
                width=96,
                initial_indent=f"  {left:<{width}}  ",
                subsequent_indent=indent,
                break_on_hyphens=False,
            )
            lines.append(wrapped)
        return "\n".join(lines)

    @property
    def _all(self) -> tuple[Option, ...]:
        return (*self.options, *(_OF_BUILDERS if self.reads_data else ()), _VERBOSE)

    def _without_flags(self, arguments: Sequence[str]) -> list[str]:
        """The arguments with ``--the-name VALUE`` written as ``the_name=VALUE``."""
        flags = {f"--{o.name.replace('_', '-')}": o.name for o in self._all if o.flag}
        result: list[str] = []
        rest = iter(arguments)
        for argument in rest:
            flag, sign, value = argument.partition("=")
            if flag in flags:
                argument = f"{flags[flag]}={value if sign else next(rest, '')}"
            result.append(argument)
        return result

    def _read(self, name: str, value: str) -> Any:
        option = {option.name: option for option in self._all}.get(name)
        if option is None:
            valid = [*(option.name for option in self._all), *self.keys_of_run]
            hint = choose(name, valid)
            if self.words and opened(f"{name}={value}").exists():
                hint = f"For what is called so write ./{name}={value}."
            raise ConfigError(f"al-bench {self.name} has no key {name!r}.", hint)
        try:
            return option.read(value)
        except ValueError as error:
            reason, hint = (*error.args, self._hint())[:2]
            raise ConfigError(f"{name} {reason}, got {value!r}.", hint) from None

    def _word(self, word: str, position: int) -> str:
        if word.startswith("-"):
            key = word.lstrip("-").split("=")[0].replace("-", "_")
            names = [option.name for option in self._all]
            hint = f"Write {key}=…" if key in names else self._hint()
            raise ConfigError(f"{word!r} is not understood: options are written key=value.", hint)
        if self.words is None or (self.max_words is not None and position >= self.max_words):
            valid = [f"{option.name}=" for option in self._all]
            raise ConfigError(f"{word!r} is one word too many.", choose(word, valid))
        if self.choices and word not in self.choices:
            raise ConfigError(f"There is no {word!r} to {self.name}.", choose(word, self.choices))
        if not word:
            raise ConfigError("A word is empty.", self._hint())
        return str(opened(word)) if word.startswith("~") and not self.choices else word

    def _hint(self) -> str:
        return f"See al-bench {self.name} --help."


@dataclass(frozen=True)
class Arguments:
    """What was typed.

    Args:
        words: In their order.
        values: Every key's value by name.
        moved: Paths of stored runs that are elsewhere now, and secrets that are not stored, by the
            key of ``al-bench run``.
    """

    words: list[str]
    values: dict[str, Any]
    moved: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


def _is_masked(name: str, value: str) -> bool:
    """Whether the text of this key is masked where it is stored."""
    return is_secret(name) or masked_text(value) != value


def _unquoted(name: str, value: str) -> str:
    """A path without the quotes that ``al-bench run`` may need."""
    refuse_unusable(name, value)
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if quoted else value


def _text(default: Any) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, list | tuple):
        return ",".join(map(_text, default))
    return str(default)
