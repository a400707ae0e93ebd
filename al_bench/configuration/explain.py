"""Hydra's complaints, each as one line: what is wrong, what was typed, what is valid."""

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError

from al_bench.configuration import launchers
from al_bench.configuration.building import parameters_of
from al_bench.configuration.choices import KINDS, choice_file, choices
from al_bench.configuration.composing import compose_whole
from al_bench.configuration.config_dir import config_dir
from al_bench.configuration.overrides import key_of, value_of
from al_bench.configuration.schema import RunConfig
from al_bench.errors import ConfigError, choose, near

# What composing a configuration may raise.
UNREADABLE = (YAMLError, UnicodeDecodeError)
COMPLAINTS = (HydraException, OmegaConfBaseException, *UNREADABLE)

_KINDS: dict[Any, str] = {
    int: "a whole number",
    bool: "true or false",
    str: "text",
    int | None: "a whole number",
    str | None: "text",
}


def explain(
    error: Exception, overrides: Sequence[str] = (), folder: Path | None = None
) -> ConfigError:
    """What Hydra said as one line with near names.

    Args:
        error: One of ``COMPLAINTS``.
        overrides: What was typed.
        folder: Of ``--config-dir``.
    """
    if isinstance(error, UNREADABLE):
        return _no_yaml(error, folder)
    text = " ".join(str(part) for part in (error, error.__cause__) if part)
    flat = " ".join(text.split())
    full = re.search(r"full_key: (\S+)", flat)
    if match := re.search(r"Ambiguous value for argument '(.*?)' 1\. ", flat):
        hint = "Add -m; from Python, call al_bench.run for each."
        return ConfigError(f"Several values, {match[1]}, are a sweep.", hint)
    if match := re.search(r"Multiple values for (\S+)\. To override", flat):
        return ConfigError(f"{match[1]} has a choice already.", f"Write {match[1]}=… without +.")
    if match := re.search(r"Could not (?:find|load) '([^']+)'", text):
        return _no_choice(match[1], text, overrides, folder)
    if match := re.search(r"(?:Key|key) '([^']+)' (?:is )?not in", flat):
        return _no_key(full[1] if full else match[1], overrides, folder)
    if match := re.search(
        r"(?:Could not (?:override|delete from config\.)|No earlier Group Default for) '([^']+)'",
        flat,
    ):
        return _no_key(match[1], overrides, folder)
    types = {field.name: field.type for field in fields(RunConfig)}
    unresolved = isinstance(error, InterpolationResolutionError)  # whatever it is, it has no value
    if full and full[1] in types and types[full[1]] in _KINDS and not unresolved:
        return _wrong_value(full[1], _KINDS[types[full[1]]], overrides, flat)
    complaint = flat.split(" See https")[0].split(" full_key: ")[0].rstrip(".")
    return ConfigError(f"{full[1]}: {complaint}." if full else f"{complaint}.")


def check_part(config: DictConfig, kind: str, part: str) -> None:
    """Raise ConfigError unless there is something to show of a part of a configuration.

    Args:
        config: Of the job, with Hydra's own part.
        kind: ``job``, ``hydra`` or ``all``, which of it is shown.
        part: What was typed after ``--package``.
    """
    if part == "_global_":
        return
    names = [
        name
        for name in _paths(config)
        if kind == "all" or (name.partition(".")[0] == "hydra") == (kind == "hydra")
    ]
    if part not in names:
        raise ConfigError(f"There is no part {part!r} of the configuration.", _parts(part, names))
    if OmegaConf.select(config, part) is None:
        raise ConfigError(f"{part} is null, so there is nothing to show of it.", "Leave -p out.")


def _parts(part: str, names: Sequence[str]) -> str:
    """Near names, or else those at the top: all would be a page."""
    near_names = difflib.get_close_matches(part, names)
    return choose(part, near_names or [name for name in names if "." not in name])


def _no_yaml(error: YAMLError | UnicodeDecodeError, folder: Path | None) -> ConfigError:
    """Which file cannot be read, and the line, or the one in which its end was met."""
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        where = f"{near(error.problem_mark.name)}:{error.problem_mark.line + 1}"
        problem = " ".join(str(error.problem or error.context).split())
        return ConfigError(f"{where} is no YAML: {problem}.")
    for path in sorted(folder.rglob("*.yaml")) if folder else ():
        try:
            path.read_text(encoding="utf-8")
        except UnicodeDecodeError as undecodable:
            line = undecodable.object[: undecodable.start].count(b"\n") + 1
            return ConfigError(f"{near(path)}:{line} is not in UTF-8.", "Save it as UTF-8.")
    return ConfigError(f"A file of the configuration is no YAML: {' '.join(str(error).split())}.")


def _wrong_value(key: str, kind: str, overrides: Sequence[str], message: str) -> ConfigError:
    values = [value_of(word) for word in overrides if key_of(word) == key]
    match = re.search(r"[Vv]alue '(.*?)'", message)  # of a file that nobody typed
    value = values[-1] if values else match[1] if match else "another value"
    return ConfigError(f"{key} must be {kind}, got {value!r}.")


def _no_key(key: str, overrides: Sequence[str], folder: Path | None) -> ConfigError:
    words = {key_of(word): word.lstrip("+~") for word in overrides}
    # A complaint ends at the part that is not there, the key that was typed may go on.
    key = next((name for name in words if name.startswith(f"{key}.")), key)
    below = key.partition("@")[2].split(".")[0]  # override /dataset: is dataset@experiment.dataset
    if "experiment" in words and "experiment" in (key, below):
        return ConfigError(
            f"{_preset(words['experiment'], folder)} does not say where its keys belong.",
            "Make its first line: # @package _global_",
        )
    word = words.get(key, key)
    message = f"There is no key {key!r}."
    if "/" in key:
        group, _, inner = key.partition("@")[0].rpartition("/")
        if key.startswith("experiment/") and "experiment" in words:
            return ConfigError(
                f"{_preset(words['experiment'], folder)}: override {inner} means a group below "
                "experiment.",
                f"Write override /{inner}",
            )
        has_none = f"The {group} that is chosen has no {inner} to choose."
        return ConfigError(
            message, has_none if key in KINDS.values() else choose(key, KINDS.values())
        )
    node: Any = _skeleton(overrides, folder)
    parts = key.split(".")
    path: list[str] = []
    while parts and OmegaConf.is_dict(node) and parts[0] in node:
        path.append(parts.pop(0))
        node = None if OmegaConf.is_missing(node, path[-1]) else node[path[-1]]
    where = ".".join(path)
    if not parts:
        return ConfigError(f"{key} cannot be taken away or replaced.")
    if node is None:
        nested = where.replace(".", "/")
        typed_as = {"init_strategy": "strategy@init_strategy"}.get(where, where)
        group = nested if nested in KINDS.values() else typed_as
        return ConfigError(message, f"{where} is null; choose one with {group}=…")
    if not OmegaConf.is_dict(node):
        return ConfigError(message, f"{where} has no keys of its own.")
    if not path:
        return ConfigError(message, _nested(word, node) or _whole_keys(parts, node))
    valid = {str(name) for name in node if not str(name).startswith("_")}
    if "_target_" in node and not node.get("_partial_"):
        parameters = parameters_of(node) or {}
        if parts[0] in parameters:  # the class has it, its file does not name it
            return ConfigError(message, f"Write +{word}")
        valid |= set(parameters)
    objects = [str(name) for name in node if OmegaConf.is_dict(node._get_node(name))]
    deeper = [name for name in objects if parts[0] in (node[name] or {})]
    if len(parts) == 1 and deeper:  # strategy.num_targets is strategy.score.num_targets
        alternatives = " or ".join(repr(f"{where}.{name}.{parts[0]}") for name in deeper)
        return ConfigError(message, f"Did you mean {alternatives}?")
    hint = choose(parts[0], valid, f"{where}.") if valid else f"{where} has no keys of its own."
    return ConfigError(message, hint)


def _preset(word: str, folder: Path | None) -> str:
    """The file of the preset that ``word`` chooses, or the word."""
    name = word.partition("=")[2]
    file = choice_file("experiment", name, [config_dir(), *([folder] if folder else [])])
    return near(file) if file else word


def _nested(word: str, node: DictConfig) -> str | None:
    """What to type for ``word``, whose key lacks the groups that it lies in, if there is such."""
    key, sign, value = word.partition("=")
    ours = OmegaConf.masked_copy(node, [str(name) for name in node if name != "hydra"])
    launcher = OmegaConf.select(node, "hydra.launcher")
    names = [*_paths(ours), *_paths(launcher, "hydra.launcher.")]
    keys = [name for name in names if name.endswith(f".{key}")]
    keys = [
        name.replace(".", "/") if name.replace(".", "/") in KINDS.values() else name
        for name in keys
    ]
    return f"Did you mean {' or '.join(f'{name}{sign}{value}' for name in keys)}?" if keys else None


def _whole_keys(parts: Sequence[str], node: DictConfig) -> str:
    """Near names of a key whose first part is not there, with what was typed behind it."""
    rest = ".".join(parts[1:])
    groups = difflib.get_close_matches(parts[0], top_level_keys())
    keys = [f"{group}.{rest}" for group in groups if f"{group}.{rest}" in set(_paths(node))]
    return choose(".".join(parts), keys) if keys else choose(parts[0], top_level_keys())


def _paths(node: Any, prefix: str = "") -> Iterator[str]:
    """Every key of a configuration, with its dots."""
    for key in node if isinstance(node, DictConfig) else ():
        name = str(key)
        yield prefix + name
        if not OmegaConf.is_missing(node, name) and not OmegaConf.is_interpolation(node, name):
            yield from _paths(node[name], f"{prefix}{name}.")


def top_level_keys() -> set[str]:
    """Every key and group at the top level."""
    top = {group for group in KINDS.values() if "/" not in group}
    return {*RunConfig.__dataclass_fields__, *top}


def _skeleton(overrides: Sequence[str], folder: Path | None) -> DictConfig:
    """The configuration of the choices that were typed, without the keys that were."""
    folders = [config_dir(), *([folder] if folder else [])]
    chosen = []
    for word in overrides:
        group, sign, value = word.partition("=")
        if sign and group.startswith("hydra/"):
            chosen.append(word)
        elif sign and any((base / group.split("@")[0].lstrip("+")).is_dir() for base in folders):
            chosen.append(f"{group}={value if value.startswith('[') else value.split(',')[0]}")
    for words in (chosen, []):
        try:
            return compose_whole(words, folder)
        except Exception:  # a second mistake: its turn comes when the first is mended
            continue
    return DictConfig({})


def _no_choice(path: str, text: str, overrides: Sequence[str], folder: Path | None) -> ConfigError:
    groups = [group for group in KINDS.values() if path.startswith(f"{group}/")]
    group = max(groups, key=len, default=path.rpartition("/")[0])
    choice = path.removeprefix(f"{group}/")
    if group == launchers.GROUP and (error := launchers.missing(choice)):
        return error
    valid = {name for name, _ in choices(group, [config_dir(), *([folder] if folder else [])])}
    listed = re.search(r"Available options in '[^']*':\s*(.*)", text, re.DOTALL)
    if listed and group != "experiment":  # folders of hydra.searchpath have more
        valid |= {word for word in listed[1].split("Config search path")[0].split() if word}
    keys = [key_of(word) for word in overrides if choice in value_of(word).split(",")]
    # As it was typed: strategy@init_strategy= chooses among the strategies too.
    key = next((key for key in keys if key.split("@")[0] == group), group)
    return ConfigError(f"There is no {key}={choice}.", choose(choice, valid))
