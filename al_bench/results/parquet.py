"""One parquet file: encoded with its metadata, read back in the fixed schema or not at all."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from al_bench.errors import ResultsError
from al_bench.results import inside
from al_bench.results.schema import beyond


class DamagedFile(ResultsError):
    """A parquet file that cannot be read, or that is not one of ours."""


def encode(table: pa.Table, metadata: Mapping[str, str]) -> bytes:
    """The bytes of a parquet file with checksums and key-value metadata."""
    buffer = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata(metadata),
        buffer,
        write_page_checksum=True,
        use_dictionary=False,  # a few dozen rows: neither pays, and without them files are
        write_statistics=False,  # smaller and read a third faster
    )
    return buffer.getvalue().to_pybytes()


def read(path: Path, schema: pa.Schema, unchecked: bool = False) -> pa.Table:
    """The table at ``path`` in ``schema``, its file metadata kept.

    Nullable columns the file lacks are null; columns the schema lacks are left out.

    Args:
        path: The file.
        schema: ``schema.CURVE`` or ``schema.ACQUISITIONS``, or some of their fields.
        unchecked: Whoever reads it looks at many tables together, whether any is ``beyond`` what a
            run writes.

    Raises:
        DamagedFile: The file is truncated, corrupted or not one of ours.
        FileNotFoundError: There is no file.
        ResultsError: The file may not be read.
    """
    try:
        data = inside.read(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ResultsError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True) as file:
            _require_rows(file.metadata, len(data))
            found = file.read(columns=schema.names, use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DamagedFile(f"{path} cannot be read: {_first_line(error)}") from error
    names = set(found.schema.names)
    try:
        columns = [_column(found, field, field.name in names) for field in schema]
    except (pa.ArrowException, ValueError, KeyError) as error:
        raise not_results(path, _first_line(error)) from error
    table = pa.Table.from_arrays(columns, schema=schema.with_metadata(found.schema.metadata))
    if not unchecked and (what := beyond(table)):
        raise not_results(path, what)
    return table


def not_results(path: Path, what: str) -> DamagedFile:
    """The error about a file that can be read, but is none of ours."""
    return DamagedFile(f"{path} is not a results file: {what}")


def footer(path: Path) -> pq.FileMetaData:
    """The footer of the file; OSError, ValueError or ArrowException where it cannot be read."""
    return pq.read_metadata(pa.BufferReader(inside.read(path)))


def num_rows(path: Path) -> int:
    """Rows of the file, from its footer alone; 0 without a file, DamagedFile as in ``read``."""
    try:
        return int(footer(path).num_rows)
    except FileNotFoundError:
        return 0
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DamagedFile(f"{path} cannot be read: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _require_rows(metadata: pq.FileMetaData, size: int) -> None:
    """Raise ValueError where a file claims more rows than it can hold: each takes a byte at least.

    Repeated values take none, and a few bytes would fill the memory.
    """
    if metadata.num_rows > size:
        raise ValueError(f"{metadata.num_rows} rows in {size} bytes are no results")


def _column(found: pa.Table, field: pa.Field, present: bool) -> pa.ChunkedArray:
    if not present:
        if not field.nullable:
            raise ValueError(f"column {field.name} is missing")
        return pa.chunked_array([pa.nulls(found.num_rows, field.type)])
    column = found.column(field.name)
    if column.null_count and not field.nullable:
        raise ValueError(f"column {field.name} has nulls")
    return column if column.type == field.type else column.cast(field.type)
