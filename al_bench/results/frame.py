"""Stored curves and acquisitions as data frames, from any folders, copied ones included."""

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from al_bench.errors import ConfigError, ResultsError
from al_bench.results import parquet, settings
from al_bench.results.schema import ACQUISITIONS, CURVE, SCHEMA_VERSION

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

CONFIG = "config"  # a column of frames, not of files
KINDS = ("curves", "acquisitions")  # folders of a run, with files of equal names
Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def read_curves(paths: Paths, columns: Sequence[str] | None = None) -> "pd.DataFrame":
    """A row a (trial, round) of everything stored under ``paths``.

    Files that cannot be read are skipped, named in a warning and listed in
    ``frame.attrs["skipped"]``. Integers that may be missing have pandas' type ``Int64``. Beside the
    stored columns there is ``config``, a JSON object of all that decides the run's results, dotted
    key to value, as the footer of its curve has it (categorical; missing where there is none).
    Where ``config.yaml`` beside the curves says other than they do, a warning says so.

    Args:
        paths: Results folders, folders below them, or parquet files; they may overlap.
        columns: Columns wanted, in this order; ``None`` for all of ``schema.CURVE`` and ``config``.
            Few columns are read twice as fast.

    Raises:
        ConfigError: A path does not exist.
        ResultsError: There is nothing to read.
    """
    wanted = list(columns) if columns is not None else [*CURVE.names, CONFIG]
    keys = ["run_id", "seed", "round"]
    return _frame(_find(paths, "curves"), CURVE, wanted, keys, _whole)


def read_acquisitions(paths: Paths, columns: Sequence[str] | None = None) -> "pd.DataFrame":
    """A row a labeled point of everything stored under ``paths``, as far as rounds are committed.

    Arguments, errors and damaged files are as in ``read_curves``; the columns are those of
    ``schema.ACQUISITIONS``.
    """
    keys = ["run_id", "seed", "round", "rank"]
    return _frame(_find(paths, "acquisitions"), ACQUISITIONS, columns, keys, _committed)


def _find(paths: Paths, kind: str) -> list[Path]:
    """Files ``<kind>/seed=*.parquet`` under ``paths``, sorted; hidden folders are left out."""
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    found = set()
    for path in map(Path, given):
        if path.is_file():
            own = path.resolve()
            if own.parent.name in KINDS:
                own = own.parent.parent / kind / own.name
            found.add(own)
            continue
        if not path.is_dir():
            raise ConfigError(
                f"There is no results folder {path}.",
                "Name a folder that al-bench run has written, such as results.",
            )
        for folder, below, names in os.walk(path.resolve()):
            below[:] = [name for name in below if not name.startswith(".")]
            if os.path.basename(folder) == kind:
                found |= {Path(folder, name) for name in names if _is_ours(name)}
    if not found:
        raise ResultsError(
            f"No {kind} under {', '.join(map(str, given)) or 'no folder at all'}.",
            "Start something with al-bench run, or see what there is with al-bench status.",
        )
    return sorted(found)


def _is_ours(name: str) -> bool:
    return name.startswith("seed=") and name.endswith(".parquet")


def _frame(
    files: list[Path],
    schema: pa.Schema,
    columns: Sequence[str] | None,
    keys: list[str],
    read: Callable[[Path, pa.Schema], pa.Table],
) -> "pd.DataFrame":
    wanted = list(schema.names if columns is None else columns)
    valid = [*schema.names, *([CONFIG] if schema is CURVE else [])]
    unknown = [name for name in wanted if name not in valid]
    if unknown:
        raise ConfigError(f"There is no column {unknown[0]!r}.", f"Valid: {valid}.")
    stored = [name for name in dict.fromkeys([*keys, *wanted]) if name != CONFIG]
    fields = pa.schema([schema.field(name) for name in stored])

    def attempt(path: Path) -> pa.Table | ResultsError:
        try:
            return read(path, fields)
        except FileNotFoundError:
            return ResultsError(f"{path} is gone.")
        except ResultsError as error:
            return error

    with ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
        answers = list(pool.map(attempt, files))
    skipped = []
    for path, answer in zip(files, answers, strict=True):
        if isinstance(answer, ResultsError):
            logger.warning("Skipped a file: %s", answer)
            skipped.append(str(path))
    tables = [answer for answer in answers if not isinstance(answer, ResultsError)]
    if not tables:
        raise ResultsError(f"None of {len(files)} files can be read, the first is {files[0]}.")
    _warn_of_newer(tables)

    whole = pa.concat_tables([table.replace_schema_metadata(None) for table in tables])
    frame: pd.DataFrame = whole.combine_chunks().to_pandas()  # a chunk a file is ten times slower
    if CONFIG in wanted:
        _warn_of_edited(files, answers)
        frame[CONFIG] = _configs(tables)
    frame = frame[~frame.duplicated(keys)].reset_index(drop=True)[wanted]
    integers = [field.name for field in fields if field.nullable and field.type == pa.int64()]
    frame = frame.astype({name: "Int64" for name in integers if name in wanted})
    frame.attrs["skipped"] = skipped
    return frame


def _configs(tables: list[pa.Table]) -> "pd.Categorical":
    """Settings of each row, a text a run however many rows it has."""
    import pandas as pd

    said = [settings.in_footer(table.schema.metadata) for table in tables]
    texts = {text: code for code, text in enumerate(dict.fromkeys(filter(None, said)))}
    codes = [texts[text] if text else -1 for text in said]
    rows = [code for code, table in zip(codes, tables, strict=True) for _ in range(len(table))]
    return pd.Categorical.from_codes(rows, categories=pd.Index(list(texts), dtype=object))


def _warn_of_edited(files: list[Path], answers: "list[pa.Table | ResultsError]") -> None:
    """A line for each run whose ``config.yaml`` does not say what its first curve does."""
    checked = set()
    for path, answer in zip(files, answers, strict=True):
        folder = path.parent.parent
        if isinstance(answer, ResultsError) or folder in checked:
            continue
        checked.add(folder)
        said = settings.disagreement(folder, answer.schema.metadata)
        if said is not None:
            logger.warning(said)


def _whole(path: Path, schema: pa.Schema) -> pa.Table:
    return parquet.read(path, schema)


def _committed(path: Path, schema: pa.Schema) -> pa.Table:
    """Acquisitions of the rounds that the curve beside them has."""
    found = parquet.read(path, schema)
    rounds = parquet.num_rows(path.parent.parent / "curves" / path.name)
    committed = pc.less(found["round"], rounds)
    if rounds:
        committed = pc.or_kleene(committed, pc.is_null(found["round"]))
    return found.filter(committed)


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
