"""Copies of a trial in a frame of curves that was joined by hand, where files are not known.

The rule is that of ``al_bench.results.copies``: a trial is taken whole. Rows of one copy belong
together by their engine, else by their order in the frame; where neither tells, none is taken.
"""

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from al_bench.results.copies import INCIDENTAL
from al_bench.results.schema import ENGINE, MEASURED

Positions = NDArray[np.intp]

TRIAL = ["run_id", "strategy_label", "seed"]  # where an engine key is an arm, labels name it


def one_copy(frame: pd.DataFrame) -> pd.DataFrame:
    """``frame`` with one copy of each trial, whole; the same where none is there twice.

    Equal copies count once, of those that are the beginning of others the longest. Of copies that
    differ in more than measured times and the engine, the one with more rounds is taken, then the
    one whose engine comes first in the alphabet. The order of rows matters only where copies have
    the same engine. Warns, naming seed and run, where copies differ.
    """
    key = [*TRIAL, "round"]
    if not {*key} <= {*frame.columns} or not frame.duplicated(key).any():
        return frame  # without rounds there is nothing to tell copies by
    columns = [name for name in frame.columns if name not in (*MEASURED, "config")]
    values = pd.DataFrame({name: _comparable(frame[name]) for name in columns}, index=frame.index)
    repeated = values.duplicated().to_numpy()
    twice = np.zeros(len(frame), dtype=bool)  # rounds that differ, be it in the engine alone
    twice[~repeated] = values[~repeated].duplicated(key)
    trials = frame.groupby(TRIAL, sort=False).ngroup().to_numpy()
    keep = ~repeated
    order = np.argsort(trials, kind="stable")
    for trial in np.unique(trials[twice]):
        rows = order[slice(*np.searchsorted(trials[order], [trial, trial + 1]))]
        keep[rows] = False
        keep[rows[_best_copy(values.iloc[rows])]] = True
    return frame[keep]


def _best_copy(rows: pd.DataFrame) -> Positions:
    """Positions of the rows of one trial that are taken; warns where its copies differ."""
    copies = _by_engine(rows) or _by_order(rows)
    first = rows.iloc[0]
    who = f"copies of seed {first['seed']} of run {first['run_id']}"
    if copies is None:
        warnings.warn(
            f"{first['strategy_label']}: different {who} that cannot be told apart; none is used. "
            "Read their folders together with read_curves instead.",
            stacklevel=5,
        )
        return np.empty(0, dtype=np.intp)
    start = rows["round"].min()
    best = max(copies, key=lambda at: (rows["round"].iloc[at].min() == start, len(at)))
    differences = [
        what for at in copies if at is not best and (what := _difference(rows, best, at))
    ]
    if differences:
        rounds = sorted({round for where, _ in differences for round in where})
        count = "two" if len(differences) == 1 else str(len(differences) + 1)
        warnings.warn(
            f"{first['strategy_label']}: {count} different {who}, at {in_a_row(rounds)} "
            f"({differences[0][1]}); one is used, whole.",
            stacklevel=5,
        )
    return best


def _by_engine(rows: pd.DataFrame) -> list[Positions] | None:
    """Positions of the rows of each engine, in the order of their names."""
    engine = [name for name in ENGINE if name in rows.columns]
    single = np.flatnonzero(~rows.duplicated())
    groups: dict[Any, Any] = {"": np.arange(len(single))}
    if engine:
        groups = dict(rows.iloc[single].groupby(engine, dropna=False).indices)
    parts = [single[groups[name]] for name in sorted(groups, key=str)]
    if any(rows["round"].iloc[at].duplicated().any() for at in parts):
        return None
    return parts


def _by_order(rows: pd.DataFrame) -> list[Positions] | None:
    """Positions of rows that follow each other, each time from the first round on."""
    order = np.arange(len(rows))
    if rows.index.is_unique:
        order = np.argsort(rows.index.to_numpy(), kind="stable")
    rounds = rows["round"].to_numpy()[order]
    begins = np.flatnonzero(rounds == rounds.min())
    parts = np.split(np.arange(len(rows)), begins[1:])
    if any((np.diff(rounds[part]) != 1).any() for part in parts) or begins[0] != 0:
        return None
    return [order[part] for part in parts]


def _difference(
    rows: pd.DataFrame,
    one: Positions,
    other: Positions,
) -> tuple[list[int], str] | None:
    """Rounds at which two copies differ, and the first column in which they do."""
    columns = [name for name in rows.columns if name not in INCIDENTAL]
    mine, theirs = (rows.iloc[at][columns].set_index("round") for at in (one, other))
    shared = sorted(set(mine.index) & set(theirs.index))
    mine, theirs = mine.loc[shared], theirs.loc[shared]
    rounds: list[int] = []
    first = ""
    for name in mine.columns:
        unequal = [
            round
            for round, a, b in zip(shared, mine[name], theirs[name], strict=True)
            if (_is_missing(a) != _is_missing(b)) or (not _is_missing(a) and a != b)
        ]
        first = first or (str(name) if unequal else "")
        rounds += unequal
    return (sorted(set(rounds)), first) if first else None


def _comparable(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """A column in which lists are tuples, whose missing items equal each other."""
    if column.dtype != object:
        return column
    return column.map(_tuple)


def _tuple(value: Any) -> Any:
    if not isinstance(value, list | np.ndarray):
        return value
    return tuple(None if _is_missing(item) else item for item in value)


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))


def in_a_row(values: Iterable[int]) -> str:
    """Numbers in a row, at most six of them written out."""
    numbers = [str(value) for value in sorted(set(values))]
    if len(numbers) > 6:
        return f"{', '.join(numbers[:4])}, …, {numbers[-1]} ({len(numbers)} in all)"
    return ", ".join(numbers)
