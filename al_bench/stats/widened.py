"""Arms that differ in more than their strategy, on purpose, and which is compared with which."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from al_bench.errors import ConfigError, choose
from al_bench.results.schema import ENGINE
from al_bench.results.wording import (
    GROUPS,
    Setup,
    candidates,
    choice,
    differing,
    distinctions,
    is_of_protocol,
    setting_in_words,
    shortest,
)
from al_bench.stats.runs import alike, by_protocol, by_run, covering
from al_bench.stats.summary import distinct_runs

STRATEGY = "strategy"


@dataclass(frozen=True)
class Arm:
    """What is compared.

    Args:
        strategy: Its strategy's label.
        others: The other keys that tell arms apart, with what they are here ("start=warm").
    """

    strategy: str
    others: Mapping[str, str]

    @property
    def label(self) -> str:
        """All of it: "random · start=warm"."""
        return " · ".join([self.strategy, *filter(None, self.others.values())])


@dataclass(frozen=True)
class Widened:
    """Rows by arm and protocol.

    Args:
        rows: Rows whose ``strategy_label`` names the arm and whose ``protocol_id`` all the rest.
        arms: By these labels.
        caveats: Sentences on what could not be looked at.
    """

    rows: pd.DataFrame
    arms: Mapping[str, Arm]
    caveats: tuple[str, ...] = ()


def widened(frame: pd.DataFrame, arms: Sequence[str]) -> Widened:
    """Rows by arm, where arms are told apart by these keys; all others are equal within a protocol.

    Args:
        frame: Rows of curves.
        arms: ``strategy`` and more: keys of the configuration (``training.start``, or ``start``
            where no other key ends so), whole groups (``model``, with its network), or columns of
            the engine (``device``).

    Raises:
        ConfigError: There is no such key, or several end so; ``strategy`` is missing.
    """
    if STRATEGY not in arms:
        hint = f"Write arms=[{','.join([STRATEGY, *arms])}]."
        raise ConfigError(f"arms={list(arms)} lacks strategy.", hint)
    runs = by_run(frame)
    keys = list(dict.fromkeys(_key(name, list(runs.values())) for name in arms))
    keys.remove(STRATEGY)
    if not keys:
        rows = distinct_runs(frame)
        labels = rows["strategy_label"].astype(str).unique()
        return Widened(rows, {label: Arm(label, {}) for label in labels})
    rows = frame
    for key in keys:
        if key in ENGINE and key not in rows:
            raise ConfigError(f"There is no column {key}, as in arms={list(arms)}.")
        if key in ENGINE:  # one run under two engines is two arms
            rows = rows.assign(run_id=rows["run_id"] + f" {key}=" + rows[key].astype(str))
    table = rows.drop_duplicates("run_id").set_index("run_id")
    runs = by_run(rows)
    protocols, caveats = alike(rows, keys)
    arm_of = _arms(table, runs, protocols, keys)
    rows = distinct_runs(
        rows.assign(
            protocol_id=rows["run_id"].map(protocols),
            strategy_label=rows["run_id"].map({run: arm.label for run, arm in arm_of.items()}),
        )
    )
    by_label = {}
    for run, label in rows.drop_duplicates("run_id").set_index("run_id")["strategy_label"].items():
        arm = arm_of[str(run)]
        beside = str(label).removeprefix(arm.label)  # of runs that are told apart by no arm
        by_label[str(label)] = Arm(arm.strategy + beside, arm.others)
    covers = covering(keys)
    others = [key for key in differing(list(by_protocol(rows).values())) if not covers(key)]
    if others:
        text = _listed([*others[:4], *([f"{len(others) - 4} more"] if others[4:] else [])], "and")
        caveats += (f"Runs that also differ in {text} are in protocols of their own.",)
    return Widened(rows, by_label, caveats)


def baselines(baseline: str, arms: Mapping[str, Arm]) -> tuple[dict[str, str], str]:
    """Which arm each is compared with; a baseline is compared with itself.

    Args:
        baseline: An arm ("random · start=cold", "random, start=cold"), which is everyone's
            baseline, or a strategy with some of the other keys or none: then each arm's baseline is
            the one that equals it in the keys that are not typed.
        arms: By label.

    Returns:
        Arm to baseline, arms without one left out; and a sentence on which it is, empty where arms
        are told apart by their strategy alone.

    Raises:
        ConfigError: There is no such arm.
    """
    strategies = {arm.strategy for arm in arms.values()}
    words = [baseline] if baseline in strategies else _words(baseline)
    strategy = next((word for word in words if word in strategies), None)
    if strategy is None:
        raise ConfigError(
            f"There is no baseline {baseline!r}.", choose(baseline, {*strategies, *arms})
        )
    words.remove(strategy)
    by_key = {
        key: {arm.others[key] for arm in arms.values()}
        for arm in arms.values()
        for key in arm.others
    }
    fixed: dict[str, set[str]] = {}
    for word in words:
        for key, values in by_key.items():
            fits = {value for value in values if _fits(word, key, value)}
            if fits:
                fixed[key] = fits & fixed.get(key, fits)
                break
        else:
            every = {value for values in by_key.values() for value in values if value}
            raise ConfigError(
                f"No arm is {word!r}, as in baseline={baseline}.", choose(word, every)
            )
    baseline_of = {}
    for label, arm in arms.items():
        for other, base in arms.items():
            if base.strategy == strategy and all(
                base.others[key] in fixed[key] if key in fixed else base.others[key] == value
                for key, value in arm.others.items()
            ):
                baseline_of[label] = other
    if not baseline_of:
        raise ConfigError(
            f"There is no baseline {baseline!r}.", choose(baseline, {*strategies, *arms})
        )
    free = [key for key in by_key if key not in fixed]
    if not by_key:
        return baseline_of, ""
    if not free or len(set(baseline_of.values())) == 1:
        return baseline_of, f"Baseline of all arms: {next(iter(baseline_of.values()))}."
    name = ", ".join([strategy, *words])
    return baseline_of, f"Baseline of each arm: {name} with the same {_listed(free, 'and')}."


def _key(name: str, runs: Sequence[Setup]) -> str:
    """The key, group or column that is meant."""
    keys = {key for one in runs for key in one.settings}
    nodes = {".".join(key.split(".")[:n]) for key in keys for n in range(1, key.count(".") + 1)}
    nodes |= {*GROUPS, STRATEGY}
    if name in (*nodes, *ENGINE):
        return name
    if matches := candidates(name, {*keys, *nodes}):
        if len(matches) == 1:
            return matches[0]
        raise ConfigError(
            f"arms: {name} may be {_listed(matches, 'or')}.", f"Write arms=[strategy,{matches[0]}]."
        )
    short = shortest(keys, keys)
    hint = choose(name, {*keys, *short.values(), *nodes, *ENGINE})
    if not hint.startswith("Did you mean"):
        differ = [key for key in differing(runs) if is_of_protocol(key)]
        hint = f"Those that differ here: {', '.join(differ) or 'none'}."
    raise ConfigError(f"There is no arm {name!r}.", hint)


def _arms(
    table: pd.DataFrame,
    runs: Mapping[str, Setup],
    protocols: Mapping[str, str],
    keys: Sequence[str],
) -> dict[str, Arm]:
    """The arm of each run."""
    every = {key for one in runs.values() for key in one.settings}
    short = shortest(keys, {*every, *keys})
    arm_of: dict[str, Arm] = {run: Arm(str(table.at[run, "strategy_label"]), {}) for run in runs}
    for protocol in set(protocols.values()):
        members = [run for run in runs if protocols[run] == protocol]
        group = [runs[run] for run in members]
        for key in keys:
            if key in ENGINE:
                words = [setting_in_words(key, _plain(table.at[run, key]), key) for run in members]
            elif key in every and not any(other.startswith(f"{key}.") for other in every):
                words = [setting_in_words(key, one.settings.get(key), short[key]) for one in group]
            else:
                more = distinctions(group, (key,), covers=covering([key]), others=every)
                words = [
                    " · ".join([*_choice_of(key, one), *rest])
                    for one, rest in zip(group, more, strict=True)
                ]
            for run, word in zip(members, words, strict=True):
                arm_of[run] = Arm(arm_of[run].strategy, {**arm_of[run].others, key: word})
    return arm_of


def _choice_of(group: str, one: Setup) -> list[str]:
    """A group's choice, where it has one."""
    name = one.names.get(group)
    return [choice(group, name)] if name or group == "init_strategy" else []


def _words(text: str) -> list[str]:
    """``random(a=1, b=2), start=cold`` or the same with dots: its parts."""
    return [word.strip() for word in re.split(r"[,·](?![^(]*\))", text) if word.strip()]


def _fits(word: str, key: str, value: str) -> bool:
    """Whether ``start=cold``, ``training.start=cold`` or a part of a longer name is meant."""
    name, _, text = word.partition("=")
    if f"{key}.".endswith(f"{name}.") and text:
        return value == text or value.endswith(f"={text}")
    return word in (value, *value.split(" · "))


def _plain(value: Any) -> Any:
    return None if pd.isna(value) else value


def _listed(words: Sequence[str], last: str) -> str:
    return f" {last} ".join([*([", ".join(words[:-1])] if words[1:] else []), words[-1]])
