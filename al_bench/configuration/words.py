"""What is typed after ``al-bench run``, checked word by word before Hydra reads it."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override
from hydra.errors import OverrideParseException

from al_bench import paths
from al_bench.configuration import own_hydra
from al_bench.configuration.choices import KINDS, choices
from al_bench.configuration.config_dir import config_dir
from al_bench.configuration.overrides import key_of, value_of
from al_bench.configuration.quoting import quoted
from al_bench.configuration.schema import CHOOSERS, REQUIRED, RunConfig
from al_bench.errors import ConfigError

FOLDER = "--config-dir"
_EXAMPLES = {FOLDER: "FOLDER", "--cfg": "job", "--package": "training"}  # of flags with a value
FLAGS = "Keys are written key=value; flags are -m, --config-dir FOLDER, --cfg job and --help."


@dataclass(frozen=True)
class Words:
    """What was typed.

    Args:
        arguments: All of it, flags first: argparse takes no keys on both sides of one.
        overrides: The keys with their values.
        folder: Of ``--config-dir``.
        multirun: Whether ``-m`` is there.
        only_shows: Whether they ask for a page, the configuration or a completion, not for a run.
        shown: Of ``--cfg``: which configuration, and of ``--package``: which part of it.
    """

    arguments: list[str]
    overrides: list[str]
    folder: Path | None
    multirun: bool
    only_shows: bool
    shown: tuple[str | None, str | None] = (None, None)


def read(arguments: Sequence[str], command: str = "run") -> Words:
    """What ``arguments`` ask for.

    Args:
        arguments: What was typed after the command.
        command: Its name, for messages.

    Raises:
        ConfigError: There is no such flag or folder, or a word cannot be meant.
    """
    arguments = _one_word(arguments)
    keys = [word for word in arguments if "=" in word and not word.startswith("-")]
    ordered = [*(word for word in arguments if word not in keys), *quoted(keys)]
    parser = _flags()
    setattr(parser, "error", partial(_refuse_flag, command))  # noqa: B010  # argparse would print a page and exit
    parsed = parser.parse_args(ordered)
    if parsed.cfg is None and (parsed.package or parsed.resolve):
        flag = "--package" if parsed.package else "--resolve"
        raise ConfigError(f"{flag} shows the configuration and runs nothing.", "Add --cfg job.")
    for flag in ("config_name", "config_path", "experimental_rerun"):
        if getattr(parsed, flag) is not None:
            raise ConfigError(f"al-bench {command} has no flag --{flag.replace('_', '-')}.", FLAGS)
    if parsed.cfg is not None and parsed.multirun:
        raise ConfigError("--cfg shows the configuration of one job.", "Leave out -m.")
    folder = None if parsed.config_dir is None else paths.opened(parsed.config_dir).resolve()
    if folder is not None:
        if not parsed.config_dir or not folder.is_dir():
            raise ConfigError(f"There is no folder {parsed.config_dir}, given by --config-dir.")
        ordered = [f"{FOLDER}={folder}" if w.startswith(f"{FOLDER}=") else w for w in ordered]
    if not parsed.help:
        check_overrides(parsed.overrides, folder)
        check_once(parsed.overrides)
    shows = (parsed.help, parsed.hydra_help, parsed.shell_completion, parsed.cfg, parsed.info)
    shown = (parsed.cfg, parsed.package)
    return Words(ordered, parsed.overrides, folder, parsed.multirun, any(shows), shown)


def _flags() -> argparse.ArgumentParser:
    """What reads the flags that Hydra documents."""
    parser = argparse.ArgumentParser(add_help=False)
    for short, long in (
        ("-h", "--help"),
        ("-r", "--run"),
        ("-m", "--multirun"),
        ("-sc", "--shell-completion"),
    ):
        parser.add_argument(short, long, action="store_true")
    for long in ("--hydra-help", "--resolve"):
        parser.add_argument(long, action="store_true")
    for short, long in (("-p", "--package"), ("-cd", FOLDER)):
        parser.add_argument(short, long)
    for short, long in (("-cp", "--config-path"), ("-cn", "--config-name")):
        parser.add_argument(short, long)
    parser.add_argument("--experimental-rerun")
    parser.add_argument("-c", "--cfg", choices=("job", "hydra", "all"))
    parser.add_argument("-i", "--info", nargs="?", const="all", choices=own_hydra.PAGES)
    parser.add_argument("--version", action="version", version=f"Hydra {own_hydra.VERSION}")
    parser.add_argument("overrides", nargs="*")
    return parser


def _one_word(arguments: Sequence[str]) -> list[str]:
    """The arguments with ``--config-dir FOLDER`` as one word: a folder's name may hold ``=``."""
    joined: list[str] = []
    for word in arguments:
        if joined and joined[-1] in (FOLDER, "-cd"):
            joined[-1] = f"{FOLDER}={word}"
        else:
            joined.append(word)
    return joined


def check_overrides(overrides: Sequence[str], folder: Path | None = None) -> None:
    """Raise ConfigError unless every word is a key and a value that it can have."""
    for word in overrides:
        if any("\ud800" <= sign <= "\udfff" for sign in word):
            raise ConfigError(
                f"{word!r} has signs that are no text in this locale.", "Set LC_ALL=C.UTF-8."
            )
        if "=" not in word and not word.startswith("~"):
            raise ConfigError(f"{word!r} is not key=value.", _suggestion(word, folder))
        try:
            (override,) = OverridesParser.create().parse_overrides([word])
        except OverrideParseException as error:
            if (fewer := _without_comma(word)) is not None:
                raise ConfigError(f"{word} has a comma too many.", f"Write {fewer}") from error
            reason = " ".join(str(error).split()).split(" See https")[0]
            raise ConfigError(
                f"{word!r} cannot be read ({reason}).",
                "Values with special signs take quotes of their own: \"key='my value'\".",
            ) from error
        _check_override(override, word)


def _without_comma(word: str) -> str | None:
    """The word without commas beside which there is no value, where it can be read so."""
    key, sign, value = word.partition("=")
    value = re.sub(r",\s*(?=,|$|[\])}])|(?<![^\[({])\s*,", "", value)
    fewer = f"{key}{sign}{value}"
    if fewer == word or not value:
        return None
    try:
        OverridesParser.create().parse_overrides([fewer])
    except OverrideParseException:
        return None
    return fewer


def check_once(overrides: Sequence[str]) -> None:
    """Raise ConfigError where a key has two values: Hydra takes the last and says nothing.

    ``+key=`` and ``++key=`` give a value as ``key=`` does, ``~key`` gives none, and the several
    values of a sweep, ``key=a,b``, are one word.
    """
    values: dict[tuple[str, str | None], str] = {}
    for word in overrides:
        (override,) = OverridesParser.create().parse_overrides([word])
        if override.is_delete():
            continue
        name, value = key_of(word), value_of(word)
        key = (override.key_or_group, override.package)
        if key not in values:
            values[key] = value
        else:
            first = values[key]
            raise ConfigError(f"{name} is given twice: {first} and {value}.", "Type it once.")


def sweeps(overrides: Sequence[str]) -> bool:
    """Whether one of these overrides has several values."""
    parser = OverridesParser.create()
    return any(override.is_sweep_override() for override in parser.parse_overrides(list(overrides)))


def _check_override(override: Override, word: str) -> None:
    key = override.key_or_group
    if not key:
        raise ConfigError(f"{word!r} has no key.", "Write key=value.")
    if key.startswith("evaluation.ood."):
        other, _, parameter = key.removeprefix("evaluation.ood.").partition(".")
        typed = f"{{{other}: {{{parameter}: {value_of(word)}}}}}" if parameter else other
        raise ConfigError(f"{key}: evaluation.ood is a list.", f"Write evaluation.ood=[{typed}].")
    if key == "results" and override.is_sweep_override():
        raise ConfigError(
            f"{word}: a sweep has one results folder.",
            "Type the command once for each, and a folder with a comma in its name in quotes of "
            "its own: \"results='a,b'\".",
        )
    if not (override.is_delete() or override.is_sweep_override()):
        paths.refuse_unusable(key, override.value())
    if key in KINDS.values() and (override.package or key not in REQUIRED):
        _check_null(override, word)
    if override.is_sweep_override():
        return
    if key == "hydra.sweeper.params" and not override.is_delete() and override.value() is not None:
        raise ConfigError(f"{word}: this is for files of presets.", "Type -m key=a,b.")
    is_group = "/" in key or key == "hydra" or key in KINDS.values()
    is_number = isinstance(override.value(), bool | int | float)
    field = RunConfig.__dataclass_fields__.get(key)
    # Hydra takes any number but 0 for true, so that a switch taken for a count would do nothing.
    if field and field.type is bool and is_number and not isinstance(override.value(), bool):
        raise ConfigError(f"{key} must be true or false, got {value_of(word)!r}.")
    if is_group and (override.package or key not in REQUIRED) and is_number:
        raise ConfigError(f"{word}: a choice is a name.", _where_to_look(key))
    if key == "init_strategy" and (is_number or isinstance(override.value(), str)):
        name = "NAME" if is_number else override.value()
        raise ConfigError(
            f"{word}: a strategy that buys the initial set is chosen by its group.",
            f"Write strategy@init_strategy={name}.",
        )
    if key not in (*REQUIRED, *CHOOSERS) or override.package:  # strategy@init_strategy may be null
        return
    chosen: Any = None if override.is_delete() else override.value()
    if isinstance(chosen, str) or (chosen is None and key in CHOOSERS):
        return
    if isinstance(chosen, list):
        if key != "pool":
            raise ConfigError(
                f"{word}: there is one {key} to a run.",
                f"For a run each: -m {key}={','.join(map(str, chosen))}.",
            )
        if not chosen:
            raise ConfigError(f"{word} names no pool.", "Write pool=full for all points.")
        return
    raise ConfigError(f"{word}: every run has one {key}, chosen by name.", _where_to_look(key))


def _check_null(override: Override, word: str) -> None:
    """Raise ConfigError where a group that may be absent is null: Hydra takes it away by ~."""
    value = override.value()
    name = key_of(word)
    if isinstance(value, ChoiceSweep) and None in value.list:
        hint = f"Type the command once for the others, and once with ~{name}."
    elif value is None and not override.is_delete():
        hint = f"Write ~{name}."
    else:
        return
    raise ConfigError(f"{word}: null is no choice.", hint)


def _where_to_look(group: str) -> str | None:
    kinds = [kind for kind in KINDS if KINDS[kind] == group]
    return f"See al-bench list {kinds[0]}." if kinds else None


def _suggestion(word: str, folder: Path | None) -> str:
    """What someone who typed a word without ``=`` may have meant."""
    folders = [config_dir(), *([folder] if folder else [])]
    for kind, group in KINDS.items():
        if word in (group, kind):
            return f"Write {group}=…, one of those that al-bench list {kind} shows."
        if word in dict(choices(group, folders)):
            return f"Did you mean {group}={word}?"
    keys = [*RunConfig.__dataclass_fields__, *KINDS.values()]
    return f"Write {word}=…" if word in keys else FLAGS


def _refuse_flag(command: str, message: str) -> NoReturn:
    unknown = message.removeprefix("unrecognized arguments: ")
    if lacking := re.fullmatch(r"argument \S*?(--[\w-]+)\S*: expected one argument", message):
        flag = lacking[1]
        raise ConfigError(f"{flag} needs a value.", f"Write {flag} {_EXAMPLES.get(flag, '…')}")
    if unknown == message:
        raise ConfigError(f"{message}.", FLAGS)
    flag = unknown.split()[0]
    key = flag.lstrip("-").split("=")[0].replace("-", "_")
    keys = RunConfig.__dataclass_fields__
    hint = f"Write {key}=…" if key in keys else FLAGS
    raise ConfigError(f"al-bench {command} has no flag {flag}.", hint)
