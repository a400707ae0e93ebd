"""What the runs and protocols of a frame are: names of choices, and settings where it has them."""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import pandas as pd

from al_bench.results.identity import text_hash
from al_bench.results.settings import FINGERPRINT, VERSION, Settings, of_runs
from al_bench.results.wording import NAMES, Setup, is_of_protocol


def by_run(frame: pd.DataFrame) -> dict[str, Setup]:
    """Run id to what the run is.

    Args:
        frame: Rows of curves; with the column ``config`` of ``read_curves`` or without.
    """
    column_of = {group: name for group, name in NAMES.items() if name in frame}
    columns = [*column_of.values(), *([VERSION] if VERSION in frame else [])]
    table = frame[["run_id", *columns]].drop_duplicates("run_id").set_index("run_id")
    texts = of_runs(frame)
    runs = {}
    for row in table.itertuples():
        run = str(row.Index)
        settings = dict(_parsed(texts[run])) if run in texts else {}
        version = getattr(row, VERSION, None)
        if settings and version is not None and not pd.isna(version):
            settings.setdefault(VERSION, int(version))
        names = {group: _name(getattr(row, column)) for group, column in column_of.items()}
        runs[run] = Setup(names, settings)
    return runs


def by_protocol(frame: pd.DataFrame) -> dict[str, Setup]:
    """Protocol id to what all of its runs have in common, strategies left out."""
    runs = by_run(frame)
    pairs = frame[["protocol_id", "run_id"]].drop_duplicates()
    return {
        str(key): common([runs[run] for run in rows["run_id"]])
        for key, rows in pairs.groupby("protocol_id")
    }


def common(runs: Sequence[Setup]) -> Setup:
    """What runs have in common but their strategies; those without settings have no say in them."""
    names = [one.names for one in runs]
    settings = [without_strategy(one.settings) for one in runs if one.settings] or [{}]
    every = dict.fromkeys(key for one in settings for key in one)
    shared = {
        key: settings[0][key]
        for key in every
        if all(key in one and one[key] == settings[0].get(key) for one in settings)
    }
    return Setup(
        {key: value for key, value in names[0].items() if all(n[key] == value for n in names)},
        shared,
        frozenset(every) - shared.keys(),
    )


def without_strategy(settings: Settings) -> Settings:
    """Settings of the protocol alone."""
    return {key: value for key, value in settings.items() if is_of_protocol(key)}


def covering(keys: Iterable[str]) -> Callable[[str], bool]:
    """Whether a key tells arms apart; the data's fingerprint belongs to data set and pool."""
    every = [*keys, *([FINGERPRINT] if {"dataset", "pool"} & set(keys) else [])]
    return lambda key: any(f"{key}.".startswith(f"{other}.") for other in every)


def alike(frame: pd.DataFrame, keys: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Which runs are equal in all but these keys and their strategies.

    Args:
        frame: Rows of curves.
        keys: Of settings, or groups.

    Returns:
        Run id to an id that such runs share, and sentences on what is not known of them.
    """
    runs, covers = by_run(frame), covering(keys)
    protocols = frame.drop_duplicates("run_id").set_index("run_id")["protocol_id"]
    equal: dict[str, list[str]] = {}
    for run, one in runs.items():
        equal.setdefault(_rest(one, covers), []).append(run)
    ids, doubtful = {}, set()
    for rest, members in equal.items():
        apart = _contradicted([runs[run].settings for run in members], covers)
        for run in members:
            values = {key: runs[run].settings.get(key) for key in apart}
            ids[run] = text_hash(f"{rest} {json.dumps(values)}" if values else rest)
        if protocols[members].nunique() > 1:
            doubtful |= {
                bool(runs[run].settings) for run in members if FINGERPRINT not in runs[run].settings
            }
    caveats = {
        True: "Some curves are older than the fingerprints in their files: that arms share their "
        "data is taken from its name.",
        False: "Some curves hold names of choices alone: that arms share all other keys is not "
        "known.",
    }
    return ids, tuple(caveats[kind] for kind in sorted(doubtful))


def _is_only_sometimes_known(key: str) -> bool:
    """Whether a key that is missing may be unknown, or of code that is not used."""
    return key == FINGERPRINT or key.startswith("own_code.")


def _contradicted(settings: Sequence[Settings], covers: Callable[[str], bool]) -> list[str]:
    """Keys that are only sometimes known, of which those who have them have several values."""
    values: dict[str, set[str]] = {}
    for one in settings:
        for key, value in one.items():
            if _is_only_sometimes_known(key) and not covers(key):
                values.setdefault(key, set()).add(str(value))
    return sorted(key for key, distinct in values.items() if len(distinct) > 1)


def _rest(one: Setup, covers: Callable[[str], bool]) -> str:
    """All that arms of a protocol share, as text; of the data its name."""
    settings = without_strategy(one.settings)
    classes = {str(value) for key, value in settings.items() if covers(key)}
    rest: dict[str, Any] = {
        key: int(value) if isinstance(value, float) and value.is_integer() else value
        for key, value in settings.items()
        if value is not None
        and not covers(key)
        and not _is_only_sometimes_known(key)
        and key.partition(".")[2] not in classes
    }
    if FINGERPRINT not in one.settings and "Replay" in str(rest.get("init_strategy._target_")):
        rest.pop("init_strategy.run", None)  # each replays its own run, of one initial set
    names = one.names if not one.settings else {"dataset": one.names.get("dataset", "")}
    rest |= {f"name of {group}": name for group, name in names.items() if not covers(group)}
    return json.dumps(rest, sort_keys=True, default=str)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Settings:
    settings: dict[str, Any] = json.loads(text)
    return settings


def _name(value: Any) -> str:
    return "" if value is None or pd.isna(value) else str(value)
