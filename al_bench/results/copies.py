"""Copies of a trial: which of several stored ones is used, and where two of them differ.

A trial, which is what a run id and a seed name, is taken whole. Copies are equal where they differ
in measured times and in the engine alone; of those that are the beginning of others the longest
counts. Copies that differ are told of, and the one with more rounds counts, then the one that was
named first: its curve, its acquisitions and its manifest together. One that is damaged counts only
where no whole one is.
"""

import contextlib
import math
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from al_bench.errors import ResultsError
from al_bench.results import damage, inside, manifest, parquet
from al_bench.results.history import TrialPaths
from al_bench.results.schema import ACQUISITIONS, CURVE, ENGINE, MEASURED

MAX_LINES = 8  # of warnings, each about a run
INCIDENTAL = frozenset((*ENGINE, *MEASURED, "metrics_version"))  # in which equal copies may differ


@dataclass(frozen=True)
class Copy:
    """A trial as one folder has it.

    Args:
        curve: The file with its curve, and perhaps with others'.
        place: The position of the path under which it was found among those named.
        run_id: The run.
        seed: The trial.
    """

    curve: Path
    place: int
    run_id: str
    seed: int

    @property
    def paths(self) -> TrialPaths | None:
        """Its files; ``None`` where the curve does not lie in a run's folder."""
        return TrialPaths.of(self.curve) if self.curve.parent.name == "curves" else None


@dataclass(frozen=True)
class Choice:
    """Which copy is used.

    Args:
        copy: It.
        differing: The others that it differs from, with what ``difference`` says.
        damaged: Copies left out since their files are lost, cut or unreadable, with what is wrong.
    """

    copy: Copy
    differing: tuple[tuple[Copy, str], ...] = ()
    damaged: tuple[tuple[Copy, str], ...] = ()

    @property
    def sentences(self) -> list[str]:
        """What a user has to know of it."""
        conflicts = [
            f"{self.copy.curve} and {other.curve} are different copies of one trial ({what}); "
            "the first of them is used."
            for other, what in self.differing
        ]
        return conflicts + [
            f"{other.curve.parent.parent}: {what}; the copy in {self.copy.curve.parent.parent} "
            "is used."
            for other, what in self.damaged
        ]


@dataclass(frozen=True)
class _Content:
    curve: pa.Table
    acquisitions: pa.Table | None


def choose(copies: Sequence[Copy]) -> Choice:
    """The copy of a trial that is used, of those whose curves can be read.

    Raises:
        ResultsError: None can be read.
    """
    ordered = sorted(copies, key=lambda copy: (copy.place, copy.curve))
    if len(ordered) == 1:
        return Choice(ordered[0])
    if _same_bytes(ordered):
        return Choice(max(ordered, key=has_acquisitions))  # the first of the largest
    contents: dict[Copy, _Content] = {}
    for copy in ordered:
        with contextlib.suppress(ResultsError):  # whoever reads the curve names it
            contents[copy] = _read(copy)
    if not contents:
        raise ResultsError(f"None of {len(ordered)} copies can be read, as {ordered[0].curve}.")
    rounds = {copy: content.curve.num_rows for copy, content in contents.items()}
    longest_first = sorted(contents, key=lambda copy: -rounds[copy])  # equals stay in order
    damages: dict[Copy, str] = {}
    for best in longest_first:
        what = damaged(best)
        if not what:
            break
        damages[best] = what
    else:
        best = longest_first[0]
    others = {copy: difference(contents[best], contents[copy]) for copy in contents if copy != best}
    equal = [copy for copy, what in others.items() if what is None and rounds[copy] == rounds[best]]
    differing = tuple(
        (copy, what) for copy, what in others.items() if what is not None and copy not in damages
    )
    left_out = tuple((copy, what) for copy, what in damages.items() if copy not in (best, *equal))
    return Choice(max([best, *equal], key=has_acquisitions), differing, left_out)


def warn(choices: Sequence[Choice]) -> None:
    """Warn of copies that differ or are damaged, in a line for each of the first runs."""
    runs: dict[str, list[Choice]] = {}
    for choice in choices:
        if choice.differing or choice.damaged:
            runs.setdefault(choice.copy.run_id, []).append(choice)
    for run, (first, *others) in list(runs.items())[:MAX_LINES]:
        likewise = ""
        if others:
            seeds = ", ".join(str(other.copy.seed) for other in others)
            likewise = f" Likewise seed{'s' * (len(others) > 1)} {seeds} of {run}."
        for sentence in first.sentences:
            warnings.warn(sentence + likewise, stacklevel=5)
    if len(runs) > MAX_LINES:
        rest = sum(map(len, list(runs.values())[MAX_LINES:]))
        more = len(runs) - MAX_LINES
        trials, rest_of_runs = (
            f"{rest} trial{'s' * (rest > 1)}",
            f"{more} more run{'s' * (more > 1)}",
        )
        warnings.warn(f"Likewise {trials} of {rest_of_runs}.", stacklevel=5)


def compare(one: Copy, other: Copy) -> str | None:
    """What ``difference`` says of two copies; without reading much where their bytes are equal."""
    if _same_bytes([one, other]):
        return None
    return difference(_read(one), _read(other))


def difference(one: _Content, other: _Content) -> str | None:
    """The first column in which two copies differ as far as both go, in words; ``None`` for none.

    Acquisitions are compared where both have them and the curves are the same.
    """
    rounds = min(one.curve.num_rows, other.curve.num_rows)
    curves = [content.curve.slice(0, rounds) for content in (one, other)]
    for name, row, mine, theirs in differences(curves[0], curves[1], INCIDENTAL):
        return f"{name} of round {row}: {mine} and {theirs}"
    if one.acquisitions is None or other.acquisitions is None:
        return None
    acquisitions = [_before(table, rounds - 1) for table in (one.acquisitions, other.acquisitions)]
    numbers = [table.num_rows for table in acquisitions]
    if numbers[0] != numbers[1]:
        return f"number of labels: {numbers[0]} and {numbers[1]}"
    for name, row, mine, theirs in differences(acquisitions[0], acquisitions[1]):
        return f"{name} of label {row}: {mine} and {theirs}"
    return None


def differences(
    one: pa.Table, other: pa.Table, but: Collection[str] = ()
) -> Iterator[tuple[str, int, Any, Any]]:
    """Columns in which two tables differ: name, first differing row, both values there.

    A missing value equals NaN and no number; lists are compared by their items.

    Args:
        one: A table.
        other: One with the same columns; those it lacks are not compared.
        but: Columns that may differ.
    """
    if one.num_rows != other.num_rows:
        yield "number of rows", min(one.num_rows, other.num_rows), one.num_rows, other.num_rows
        return
    for name in one.schema.names:
        if name in but or name not in other.schema.names or one[name].equals(other[name]):
            continue
        pairs = zip(one[name].to_pylist(), other[name].to_pylist(), strict=True)
        for row, (mine, theirs) in enumerate(pairs):
            if not _equal(mine, theirs):
                yield name, row, mine, theirs
                break


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if _is_missing(one) or _is_missing(other):
        return _is_missing(one) and _is_missing(other)
    return bool(one == other)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _same_bytes(copies: Sequence[Copy]) -> bool:
    """Whether their curves are the same, and their acquisitions where there are any."""
    paths = [copy.paths.acquisitions for copy in copies if copy.paths is not None]
    acquisitions = [path for path in paths if path.is_file()]
    return all(map(_are_one, ([copy.curve for copy in copies], acquisitions)))


def _are_one(files: Sequence[Path]) -> bool:
    try:
        if len({inside.size(file) for file in files}) > 1:
            return False
        return len({sha256(inside.read(file)).digest() for file in files}) <= 1
    except OSError:
        return False


def has_acquisitions(copy: Copy) -> bool:
    """Whether acquisitions lie beside the curve, as many as its manifest says."""
    if copy.paths is None or not copy.paths.acquisitions.is_file():
        return False
    return not damage.find(copy.paths, manifest.read(copy.paths.manifest), thorough=False)


def damaged(copy: Copy) -> str:
    """Whether its curve or its acquisitions are lost, cut or unreadable, in words.

    Files that were edited are those of a copy that differs.
    """
    if copy.paths is None:
        return ""
    try:
        if copy.paths.acquisitions.is_file():
            parquet.num_rows(copy.paths.acquisitions)
    except ResultsError as error:
        return error.message
    content = manifest.read(copy.paths.manifest)
    damages = damage.find(copy.paths, content, thorough=False)
    hurts = (one for one in damages if damage.hurts(copy.paths, one) and not one.is_edit)
    return "; ".join(map(str, hurts))


def _read(copy: Copy) -> _Content:
    """The trial's rows in their order, with the columns that the files have."""
    try:
        curve = _rows(copy, copy.curve, CURVE)
        if curve.num_rows == 0:
            raise ResultsError(f"{copy.curve} has nothing of seed {copy.seed} of {copy.run_id}.")
    except FileNotFoundError as error:
        raise ResultsError(f"{copy.curve} is gone.") from error
    if copy.paths is None:
        return _Content(curve, None)
    try:
        return _Content(curve, _rows(copy, copy.paths.acquisitions, ACQUISITIONS))
    except (FileNotFoundError, ResultsError):  # ``damaged`` tells of it
        return _Content(curve, None)


def _rows(copy: Copy, path: Path, schema: pa.Schema) -> pa.Table:
    try:
        names = set(parquet.footer(path).schema.to_arrow_schema().names)
    except (pa.ArrowException, OSError, ValueError):
        names = set(schema.names)  # the reader says what is wrong
    fields = [field for field in schema if field.name in names or not field.nullable]
    rows = parquet.read(path, pa.schema(fields))
    of_trial = pc.and_(pc.equal(rows["run_id"], copy.run_id), pc.equal(rows["seed"], copy.seed))
    order = [(name, "ascending") for name in ("round", "rank") if name in rows.schema.names]
    return rows.filter(of_trial).sort_by(order)


def _before(acquisitions: pa.Table, round: int) -> pa.Table:
    """What was bought before a round, the initial set included."""
    is_before = pc.or_kleene(
        pc.less(acquisitions["round"], round), pc.is_null(acquisitions["round"])
    )
    return acquisitions.filter(is_before)
