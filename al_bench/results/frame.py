"""Stored curves and acquisitions as data frames, from any folders, copied ones included."""

import logging
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from al_bench.errors import ConfigError, ResultsError, choose
from al_bench.paths import opened
from al_bench.results import inside, ood, parquet, settings
from al_bench.results.copies import Copy, warn
from al_bench.results.copies import choose as choose_copy
from al_bench.results.history import TrialPaths
from al_bench.results.schema import ACQUISITIONS, CURVE, ENGINE, SCHEMA_VERSION, beyond
from al_bench.results.settings import CONFIG

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

COLUMNS = (*(name for name in CURVE.names if name != ood.COLUMN), CONFIG)  # of every curve
KINDS = ("curves", "acquisitions")  # folders of a run, with files of equal names
Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def read_curves(
    paths: Paths, columns: Sequence[str] | None = None, apart: Sequence[str] = ()
) -> "pd.DataFrame":
    """A row a (trial, round) of everything stored under ``paths``.

    Files that cannot be read are skipped, named in a warning and listed in
    ``frame.attrs["skipped"]``. Of a trial that is stored several times one copy is used, whole:
    the longest, then the one whose path was named first. Copies that differ in more than measured
    times and the engine are named in a warning; ``frame.attrs["unused"]`` lists the curves of those
    not used. Integers that may be missing have pandas' type
    ``Int64``. The column ``ood`` is spread: each of its metrics is a column, such as
    ``ood_auroc_entropy_fashion_mnist``. Beside the stored columns there is ``config``, a JSON
    object of all that decides the run's results, dotted key to value, as the footer of its curve
    has it, or that of the one file to which several runs were written (categorical; missing where
    there is none). Where ``config.yaml`` beside the curves says other than they do, a warning says
    so.

    Args:
        paths: Results folders, folders below them, or parquet files; they may overlap.
        columns: Columns wanted, in this order; ``None`` for all of ``schema.CURVE`` and ``config``.
            Few columns are read twice as fast.
        apart: Engine columns, such as ``device``, that are compared: copies of a trial that differ
            in them are not copies, and all are returned.

    Raises:
        ConfigError: A path or a column does not exist.
        ResultsError: There is nothing to read.
    """
    names = list(columns) if columns is not None else [*CURVE.names, CONFIG]
    if wrong := [name for name in apart if name not in ENGINE]:
        raise ConfigError(f"There is no engine column {wrong[0]!r}.", choose(wrong[0], ENGINE))
    by_kind = _find(paths, "curves")
    return _frame(by_kind, "curves", CURVE, names, ["run_id", "seed", "round"], _whole, apart)


def read_acquisitions(paths: Paths, columns: Sequence[str] | None = None) -> "pd.DataFrame":
    """A row a labeled point of everything stored under ``paths``, as far as rounds are committed.

    Arguments, errors and damaged files are as in ``read_curves``; the columns are those of
    ``schema.ACQUISITIONS``. Of a trial that is stored several times, those of the copy are used
    whose curve ``read_curves`` uses.
    """
    by_kind = _find(paths, "acquisitions")
    keys = ["run_id", "seed", "round", "rank"]
    return _frame(by_kind, "acquisitions", ACQUISITIONS, columns, keys, _committed)


def _find(paths: Paths, kind: str) -> dict[str, dict[Path, int]]:
    """Files ``seed=*.parquet`` under ``paths`` by the folder they lie in, sorted.

    Each with the position of the first path that holds it. Hidden folders are left out.
    """
    sources = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    by_kind: dict[str, dict[Path, int]] = {name: {} for name in KINDS}
    for place, path in enumerate(map(opened, sources)):
        if path.is_file():
            file = path.resolve()
            if file.parent.name in KINDS:
                file = file.parent.parent / kind / file.name
            by_kind[kind].setdefault(file, place)
            continue
        if not path.is_dir():
            raise ConfigError(
                f"There is no results folder {path}.",
                "Name a folder that al-bench run has written, such as results.",
            )
        for folder, _, names in inside.walk(path.resolve()):
            if (files := by_kind.get(os.path.basename(folder))) is not None:
                for name in filter(_is_ours, names):
                    files.setdefault(Path(folder, name), place)
    if not by_kind[kind]:
        raise ResultsError(
            f"No {kind} under {', '.join(map(str, sources)) or 'no folder at all'}.",
            "Start something with al-bench run, or see what there is with al-bench status.",
        )
    return {name: dict(sorted(files.items())) for name, files in by_kind.items()}


def _is_ours(name: str) -> bool:
    return name.startswith("seed=") and name.endswith(".parquet")


def _frame(
    by_kind: dict[str, dict[Path, int]],
    kind: str,
    schema: pa.Schema,
    columns: Sequence[str] | None,
    keys: list[str],
    read: Callable[[Path, pa.Schema], pa.Table],
    apart: Sequence[str] = (),
) -> "pd.DataFrame":
    files = list(by_kind[kind])
    columns = list(schema.names if columns is None else columns)
    valid = [*schema.names, *([CONFIG] if schema is CURVE else [])]
    if wrong := [name for name in columns if name not in valid]:
        raise ConfigError(f"There is no column {wrong[0]!r}.", f"Valid: {valid}.")
    names = [name for name in dict.fromkeys([*keys, *columns, *apart]) if name != CONFIG]
    fields = pa.schema([schema.field(name) for name in names])

    def attempt(path: Path) -> pa.Table | ResultsError:
        try:
            return read(path, fields)
        except FileNotFoundError:
            return ResultsError(f"{path} is gone.")
        except ResultsError as error:
            return error

    with ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
        answers = _without_beyond(files, list(pool.map(attempt, files)))
    skipped: list[str] = []
    table_of: dict[Path, pa.Table] = {}
    for path, answer in zip(files, answers, strict=True):
        if isinstance(answer, ResultsError):
            logger.warning("Skipped a file: %s", answer)
            skipped.append(str(path))
        else:
            table_of[path] = answer
    if not table_of:
        raise ResultsError(
            f"None of {len(files)} files can be read, the first is {files[0]}.",
            "The command line that made it computes it again.",
        )
    tables = list(table_of.values())
    _warn_of_newer(tables)

    whole = _joined(tables)
    spread = {}
    if ood.COLUMN in columns:
        spread = _spread(whole[ood.COLUMN])
        whole = whole.drop_columns(ood.COLUMN)
        place = columns.index(ood.COLUMN)
        columns[place : place + 1] = spread
    frame: pd.DataFrame = whole.combine_chunks().to_pandas()  # a chunk a file is ten times slower
    frame = frame.assign(**spread)
    if CONFIG in columns:
        _warn_of_edited(table_of)
        frame[CONFIG] = _configs(tables)
    lengths = [len(table) for table in tables]
    keep, unused = _one_copy(frame, by_kind, kind, list(table_of), lengths, apart)
    frame = frame if keep is None else frame[keep]
    twice = frame.duplicated([*keys, *apart])
    frame = frame[~twice].reset_index(drop=True)[columns]
    integers = [field.name for field in fields if field.nullable and field.type == pa.int64()]
    frame = frame.astype({name: "Int64" for name in integers if name in columns})
    frame.attrs |= {"skipped": skipped, "unused": unused}
    return frame


def _spread(column: pa.ChunkedArray) -> dict[str, list[float]]:
    """A column for each metric, data set and score of ``ood``, in the order of their names."""
    if column.null_count == len(column):
        return {}
    rows = [ood.spread(entries) for entries in column.to_pylist()]
    names = sorted({name for row in rows for name in row})
    return {name: [row.get(name, math.nan) for row in rows] for name in names}


def _joined(tables: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables([table.replace_schema_metadata(None) for table in tables])


def _without_beyond(
    files: Sequence[Path], answers: Sequence[pa.Table | ResultsError]
) -> list[pa.Table | ResultsError]:
    """An error in the place of each table that no run writes; all are looked at together first."""
    tables = [answer for answer in answers if not isinstance(answer, ResultsError)]
    if not tables or beyond(_joined(tables)) is None:
        return list(answers)
    return [
        parquet.not_results(path, what)
        if not isinstance(answer, ResultsError) and (what := beyond(answer))
        else answer
        for path, answer in zip(files, answers, strict=True)
    ]


def _one_copy(
    frame: "pd.DataFrame",
    by_kind: dict[str, dict[Path, int]],
    kind: str,
    files: list[Path],
    lengths: list[int],
    apart: Sequence[str],
) -> "tuple[NDArray[np.bool_] | None, list[str]]":
    """Which rows belong to the copies that are used, and the curves of the other copies.

    ``None`` and nothing where no trial is stored twice.
    """
    import numpy as np
    import pandas as pd

    run, names = pd.factorize(frame["run_id"])
    rows = pd.DataFrame(
        {"run": run, "seed": frame["seed"], "file": np.repeat(np.arange(len(files)), lengths)}
    )
    curves = [file.parent.parent / "curves" / file.name for file in files]
    if kind == "curves":
        curves = files
    rivals = _without_acquisitions(by_kind, curves) if kind == "acquisitions" else {}
    parts = rows.drop_duplicates()
    several = parts.duplicated(["run", "seed"], keep=False).to_numpy()
    if rivals:
        pairs = zip(parts["run"], parts["seed"], strict=True)
        several = several | [(names[code], seed) in rivals for code, seed in pairs]
    if not several.any():
        return None, []
    part_of = rows.groupby(["run", "seed", "file"], sort=False).ngroup()  # position in ``parts``
    places = np.flatnonzero(several)
    by_part = frame[part_of.isin(places)].groupby(part_of)
    engines: list[Any] = [by_part[name].agg(_all_of) for name in apart]
    groups: dict[tuple[Any, ...], dict[Path, int]] = {}
    for part, (code, seed, file) in zip(places, parts[several].to_numpy(), strict=True):
        engine = tuple(values[part] for values in engines)
        groups.setdefault((names[code], int(seed), *engine), {})[curves[file]] = int(part)
    trials = [
        [
            Copy(curve, by_kind["curves"].get(curve, 0), key[0], key[1])
            for curve in [*group, *rivals.get(key[:2], ())]
        ]
        for key, group in groups.items()
    ]
    with ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
        choices = list(pool.map(choose_copy, trials))
    warn(choices)
    unused = {
        part: str(curve)
        for group, choice in zip(groups.values(), choices, strict=True)
        for curve, part in group.items()
        if curve != choice.copy.curve
    }
    return np.asarray(~part_of.isin(list(unused))), list(unused.values())


def _all_of(values: "pd.Series[Any]") -> Any:
    return frozenset(values.dropna())


def _without_acquisitions(
    by_kind: dict[str, dict[Path, int]], curves: list[Path]
) -> dict[tuple[str, int], list[Path]]:
    """Curves of run id and seed, by the names of their places, beside which no acquisitions are."""
    beside = set(curves)
    rivals: dict[tuple[str, int], list[Path]] = {}
    for curve in by_kind["curves"]:
        paths = TrialPaths.of(curve)
        if curve not in beside and paths is not None:
            rivals.setdefault((paths.folder.name, paths.seed), []).append(curve)
    return rivals


def _configs(tables: list[pa.Table]) -> "pd.Categorical":
    """Settings of each row, a text a run however many rows it has."""
    import pandas as pd

    rows = [text for table in tables for text in settings.of_rows(table)]
    codes = {text: code for code, text in enumerate(dict.fromkeys(filter(None, rows)))}
    return pd.Categorical.from_codes(
        [codes[text] if text else -1 for text in rows],
        categories=pd.Index(list(codes), dtype=object),
    )


def _warn_of_edited(table_of: Mapping[Path, pa.Table]) -> None:
    """A line for each run whose ``config.yaml`` does not say what its first curve does."""
    first: dict[Path, pa.Table] = {}
    for path, table in table_of.items():
        first.setdefault(path.parent.parent, table)
    for folder, table in first.items():
        sentence = settings.disagreement(folder, table.schema.metadata)
        if sentence is not None:
            logger.warning(sentence)


def _whole(path: Path, schema: pa.Schema) -> pa.Table:
    return parquet.read(path, schema, unchecked=True)


def _committed(path: Path, schema: pa.Schema) -> pa.Table:
    """Acquisitions of the rounds that the curve beside them has."""
    rows = parquet.read(path, schema, unchecked=True)
    rounds = parquet.num_rows(path.parent.parent / "curves" / path.name)
    committed = pc.less(rows["round"], rounds)
    if rounds:
        committed = pc.or_kleene(committed, pc.is_null(rows["round"]))
    return rows.filter(committed)


def _warn_of_newer(tables: list[pa.Table]) -> None:
    versions = {(table.schema.metadata or {}).get(b"schema_version", b"0") for table in tables}
    newest = max((int(version) for version in versions if version.isdigit()), default=0)
    if newest > SCHEMA_VERSION:
        logger.warning(
            "Some files were written by a newer al-bench (schema %d, this one knows %d): "
            "columns it does not know are left out. Upgrade to see them.",
            newest,
            SCHEMA_VERSION,
        )
