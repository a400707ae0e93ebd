"""One parquet file: encoded with its metadata, read back in the fixed schema or not at all."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from al_bench.errors import ResultsError
from al_bench.results import inside, ood
from al_bench.results.schema import beyond, nested

_MARK = b"al-bench footer:"  # and its SHA-256 stand before it, where no reader looks
MOST_BYTES = 2 * 2**30  # of a file, packed and unpacked; a million acquisitions take 90 MB


class DamagedFile(ResultsError):
    """A parquet file that cannot be read, or that is not one of ours."""


def encode(table: pa.Table, metadata: Mapping[str, str]) -> bytes:
    """The bytes of a parquet file with checksums, of its footer too, and key-value metadata."""
    buffer = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata(metadata),
        buffer,
        write_page_checksum=True,
        use_dictionary=False,  # a few dozen rows: neither pays, and without them files are
        write_statistics=False,  # smaller and read a third faster
    )
    data = buffer.getvalue().to_pybytes()
    footer = data[_footer_at(data) :]
    return data[: -len(footer)] + _MARK + sha256(footer).digest() + footer


def _footer_at(data: bytes) -> int:
    """Where the footer begins, by the length before the last four bytes."""
    return len(data) - 8 - int.from_bytes(data[-8:-4], "little")


def _require_footer(data: bytes) -> bytes:
    """``data``; ValueError where its footer is not what was written.

    Arrow ends the process over some damaged footers. Pages have checksums of their own.
    """
    place = max(_footer_at(data), 0)
    before = data[:place][-len(_MARK) - 32 :]
    if before.startswith(_MARK) and sha256(data[place:]).digest() != before[len(_MARK) :]:
        raise ValueError("its footer is damaged")
    return data


def read(path: Path, schema: pa.Schema, unchecked: bool = False) -> pa.Table:
    """The table at ``path`` in ``schema``, its file metadata kept.

    Nullable columns the file lacks are null; columns the schema lacks are left out. Of ``ood`` the
    metrics may have columns of their own, as ``al-bench export`` writes them.

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
        _require_size(path)
        data = inside.read(path)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise _read_error(path, error) from error
    try:
        raw = _unpacked(data, schema)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _read_error(path, error) from error
    names = set(raw.schema.names)
    try:
        columns = [_column(raw, field, field.name in names) for field in schema]
    except (pa.ArrowException, ValueError, KeyError) as error:
        raise not_results(path, _first_line(error)) from error
    table = pa.Table.from_arrays(columns, schema=schema.with_metadata(raw.schema.metadata))
    if not unchecked and (what := beyond(table)):
        raise not_results(path, what)
    return table


def not_results(path: Path, what: str) -> DamagedFile:
    """The error about a file that can be read, but is none of ours."""
    return DamagedFile(f"{path} is not a results file: {what}")


def footer(path: Path) -> pq.FileMetaData:
    """The footer of the file; OSError, ValueError or ArrowException where it cannot be read."""
    _require_size(path)
    return pq.read_metadata(pa.BufferReader(_require_footer(inside.read(path))))


def num_rows(path: Path) -> int:
    """Rows of the file, from its footer alone; 0 without a file, errors as in ``read``."""
    try:
        return int(footer(path).num_rows)
    except FileNotFoundError:
        return 0
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _read_error(path, error) from error


def _read_error(path: Path, error: Exception) -> ResultsError:
    if isinstance(error, OSError) and error.strerror:  # of the file system; pyarrow gives none
        return ResultsError(f"{path} cannot be read: {error.strerror}.")
    return DamagedFile(f"{path} cannot be read: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _require_size(path: Path) -> None:
    """Raise ValueError where the file is larger than any that a run writes; OSError without one."""
    if (size := inside.size(path)) > MOST_BYTES:
        raise ValueError(f"it has {size / 2**30:.1f} GiB, more than results take")


def _unpacked(data: bytes, schema: pa.Schema) -> pa.Table:
    """The columns of ``schema`` that the file has; ValueError before they would fill the memory.

    A few bytes may stand for any number of values that are equal, missing or begin alike. Runs
    write each value by itself; a file that something else has written over may hold a text once
    and count where it occurs, so that its columns are measured before they are spread out.
    """
    reader = pa.BufferReader(_require_footer(data))
    with pq.ParquetFile(reader, page_checksum_verification=True) as file:
        metadata = file.metadata
        _require_nested(file, schema)
        if metadata.num_rows > len(data):  # each takes a byte at least
            raise ValueError(f"{metadata.num_rows} rows in {len(data)} bytes are no results")
        groups = [metadata.row_group(place) for place in range(metadata.num_row_groups)]
        parts = [group.column(place) for group in groups for place in range(group.num_columns)]
        _require_bytes(sum(part.total_uncompressed_size + 8 * part.num_values for part in parts))
        texts = [part for part in parts if part.physical_type == "BYTE_ARRAY"]
        if any("DELTA_BYTE_ARRAY" in part.encodings for part in texts):
            raise ValueError("it holds texts by what they share with the one before")
        coded = {part.path_in_schema for part in texts if _CODED.intersection(part.encodings)}
        nested = {path for path in coded if "." in path}
        _require_bytes(sum(_at_most(part) for part in texts if part.path_in_schema in nested))
        coded -= nested
        names = schema.names
        if ood.COLUMN in names and ood.COLUMN not in (there := file.schema_arrow.names):
            names = [*names, *ood.columns(there)]
        if not coded:
            return file.read(columns=names, use_threads=False)
    with pq.ParquetFile(
        reader, page_checksum_verification=True, read_dictionary=[*coded], metadata=metadata
    ) as file:
        table = file.read(columns=names, use_threads=False)
    chunks = [chunk for column in table.columns for chunk in column.chunks]
    _require_bytes(sum(map(_spread, chunks)))
    return table


_CODED = frozenset(("PLAIN_DICTIONARY", "RLE_DICTIONARY"))


def _require_nested(file: pq.ParquetFile, schema: pa.Schema) -> None:
    """Raise ValueError where a list of records is not one of ours: Arrow would not cast it."""
    kinds = {field.name: field.type for field in schema if nested(field.type)}
    for field in file.schema_arrow if kinds else ():
        if field.type != kinds.get(field.name, field.type):
            raise ValueError(f"column {field.name} is {field.type}")


def _at_most(part: pq.ColumnChunkMetaData) -> int:
    """Bytes of texts that lie in a list of records, were each as long as all that is stored."""
    return int(part.num_values * part.total_uncompressed_size)


def _require_bytes(number: int) -> None:
    if number > MOST_BYTES:
        raise ValueError(f"unpacked it would be {number / 2**30:.1f} GiB, more than results take")


def _spread(values: pa.Array) -> int:
    """Bytes of texts that are held once each, were every one written out."""
    if not pa.types.is_dictionary(values.type):
        return 0
    return pc.sum(pc.binary_length(values.dictionary).take(values.indices)).as_py() or 0


def _column(rows: pa.Table, field: pa.Field, present: bool) -> pa.ChunkedArray:
    if not present:
        if not field.nullable:
            raise ValueError(f"column {field.name} is missing")
        if field.name == ood.COLUMN and (spread := ood.columns(rows.schema.names)):
            entries = ood.gathered(rows.select(spread).to_pylist())
            return pa.chunked_array([pa.array(entries, field.type)])
        return pa.chunked_array([pa.nulls(rows.num_rows, field.type)])
    column = rows.column(field.name)
    if column.null_count and not field.nullable:
        raise ValueError(f"column {field.name} has nulls")
    return column if column.type == field.type else column.cast(field.type)
