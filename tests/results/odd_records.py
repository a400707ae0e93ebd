"""What may lie in the place of a stored file: a value of another kind, a cut file, no file at all.

Strategies begin with a file as a run has written it and change one thing or two, since what is odd
in every place gets no further than the first check.
"""

import copy
import io
import json
import os
import pickle
import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
import yaml
from hypothesis import strategies as st

SPECIAL = ("nothing", "a folder", "a pipe", "a link", "a socket")

_LONG = "a" * 70_000
_TEXTS = (
    *("", "x", "-1", "1e999", "nan", "\0", "a\nb", "\x1b[31m", "[red]x[/]", "[/x]", "$\\foo$", "é"),
    *(
        "../../../x",
        "/etc/passwd",
        "..",
        "a/b",
        "\ud800",
        "\u202e",
        "=1+1",
        "<b>",
        "done",
        "failed",
    ),
    *("running", "${oc.env:HOME}", "${", "foreign_code.Thing", "os.system", "9999-99-99", _LONG),
)
_NUMBERS = (
    *(0, 1, -1, 3.5, True, False, 2**31, 2**63, -(2**63), 10**400, 1e308),
    *(float("nan"), float("inf")),
)
_INTEGERS = (0, 1, -1, 7, 2**31, 2**62, 2**63 - 1, -(2**63))
_FLOATS = (0.0, 1.0, -1.0, 1e308, -1e308, 5e-324, float("nan"), float("inf"), -float("inf"))
_JSON = (
    *(b"", b"null", b"5", b'"x"', b"[]", b"{}", b"NaN", b"[" * 200_000, b'{"a":' * 50_000),
    *(b'{"a":' + b"9" * 6000 + b"}", b'{"status": "done", "status": 5}'),
)
_YAML = (
    *(b"", b"5", b"{", b"a: b: c", b"\t", b"&a [*a]", b"a: &a\n  b: *a\n", b"--- {}\n--- {}\n"),
    *(b"a: !!python/object/apply:os.system ['touch PWNED']", b"a: !!python/name:os.system ''"),
    *(b"[" * 30_000, b"{a: " * 20_000, b"<<: {a: 1}", b"1: 2", b"? {a: 1}\n: 2", b"null: 1"),
    *(b"a: 0x" + b"f" * 9000, b"a: 2026-01-01", b"a: !!binary aGk=", b"a: !x y", b"a: .nan"),
    b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(
        b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9)) for c in range(98, 107)
    ),
)
_KINDS = (
    *(pa.string(), pa.int8(), pa.float16(), pa.float64(), pa.int64(), pa.uint64(), pa.bool_()),
    *(pa.date32(), pa.timestamp("s", "UTC"), pa.list_(pa.int64()), pa.struct([("a", pa.int64())])),
    *(pa.binary(), pa.decimal128(30, 2), pa.dictionary(pa.int32(), pa.string()), pa.null()),
    *(pa.large_string(), pa.map_(pa.string(), pa.int64())),
)
_FOOTER = (
    *(b"config", b"protocol", b"schema_version", b"run_id", b"checkpoint", b"checkpoint_digest"),
    *(b"bought", b"config_digest", b"pandas", b"ARROW:schema"),
)


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


_plain = st.one_of(
    *(st.none(), st.sampled_from(_TEXTS), st.sampled_from(_NUMBERS)),
    *(st.integers(), st.floats(), st.text(max_size=8)),
)
_keys = st.sampled_from(("extra", "_target_", "hydra", "tracker", *_TEXTS[:-1])) | st.text(
    max_size=5
)
_values = st.one_of(
    _plain,
    st.lists(_plain, max_size=3) | st.dictionaries(_keys, _plain, max_size=3),
    st.builds(_nested, st.sampled_from([3, 60, 400])),
)


def instead_of(path: Path, data: bytes) -> st.SearchStrategy[bytes | str]:
    """What may lie at ``path`` instead of ``data``: bytes, or one of ``SPECIAL``."""
    ways = {".yaml": _yamls, ".parquet": _parquets, ".pt": _tensors}
    odd = ways.get(path.suffix, _jsons)(data)
    return st.one_of(*[odd] * 8, st.sampled_from(SPECIAL))


def put(path: Path, what: bytes | str, home: Path) -> None:
    """Put it there; a link leads to a file in ``home``."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if isinstance(what, bytes):
        path.write_bytes(what)
    elif what == "a folder":
        path.mkdir()
    elif what == "a pipe":
        os.mkfifo(path)
    elif what == "a link":
        path.symlink_to(home / "private")
    elif what == "a socket":
        before = Path.cwd()
        os.chdir(path.parent)  # an address is short
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
        os.chdir(before)


def _jsons(data: bytes) -> st.SearchStrategy[bytes]:
    changed = _changed(json.loads(data)).map(_dumped)
    return st.one_of(changed, changed, changed, _damaged(data), st.sampled_from(_JSON))


def _dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def _yamls(data: bytes) -> st.SearchStrategy[bytes]:
    changed = _changed(yaml.safe_load(data)).map(_dumped_as_yaml)
    more = st.sampled_from(
        [
            *(
                data + b"hydra: {}\n",
                data + b"tracker: {_target_: os.system}\n",
                data + b"<<: {}\n",
            ),
            *(data + b"x: ${oc.env:HOME}\n", data.replace(b"seeds: 2", b"seeds: ${oc.env:HOME}")),
            data.replace(b"dataset:", b"dataset: &x", 1) + b"x: *x\n",
            data.replace(b"_target_: al_bench", b"_target_: foreign_code.Thing #"),
            data.replace(b"al_bench.", b"al_bench.cli.", 1),
            data.replace(b"al_bench.data.digits.Digits", b"os.system", 1),
        ]
    )
    return st.one_of(changed, changed, changed, more, _damaged(data), st.sampled_from(_YAML))


def _dumped_as_yaml(value: Any) -> bytes:
    return yaml.safe_dump(value, allow_unicode=True, sort_keys=False).encode(errors="surrogatepass")


def _places(node: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    for key in (
        node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    ):
        yield from _places(node[key], (*at, key))


@st.composite
def _changed(draw: Any, content: Any) -> Any:
    """``content`` with a value or two replaced, removed or added."""
    for _ in range(draw(st.integers(1, 2))):
        *above, last = draw(st.sampled_from([at or (None,) for at in _places(content)]))
        content = copy.deepcopy(content)
        if last is None:
            content = draw(_values)
            continue
        node = content
        for key in above:
            node = node[key]
        what = draw(st.sampled_from(["replace", "replace", "replace", "remove", "add"]))
        if what == "remove":
            del node[last]
        elif what == "add" and isinstance(node, dict):
            node[draw(_keys)] = draw(_values)
        else:
            node[last] = draw(_values)
    return content


@st.composite
def _damaged(draw: Any, data: bytes) -> bytes:
    at = draw(st.integers(0, max(len(data) - 1, 0)))
    return draw(
        st.sampled_from(
            [
                *(
                    b"",
                    data[:at],
                    b"\xef\xbb\xbf" + data,
                    data + b"\0",
                    data[:at] + b"\xe9" + data[at:],
                ),
                data[:at] + bytes([data[at] ^ 0x55] if data else []) + data[at + 1 :],
                data.decode(errors="replace").encode("utf-16"),
            ]
        )
        | st.binary(max_size=60)
    )


def _parquets(data: bytes) -> st.SearchStrategy[bytes]:
    claim = pa.table(
        {"run_id": pa.nulls(1_000_000, pa.string()), "seed": pa.array([0] * 1_000_000)}
    )
    odd = st.sampled_from([b"PAR1PAR1", b"PARE" + data[4:-4] + b"PARE", _written(claim)])
    return st.one_of(*[_tables(data)] * 6, _damaged(data), odd)


class Foreign:
    """What runs code where it is unpickled."""

    def __reduce__(self) -> Any:
        return (os.mkdir, ("home/touched",))


def _tensors(data: bytes) -> st.SearchStrategy[bytes]:
    """Instead of what torch has saved of plain values and tensors."""
    content = torch.load(io.BytesIO(data), weights_only=True)
    changed = _changed(_opened(content)).map(_saved)
    odd = [5, None, [], {}, {"weights": []}, Foreign(), {"weights": [Foreign()]}, Path("x")]
    more = [*map(_saved, odd), pickle.dumps(Foreign()), pickle.dumps({"weights": []})]
    return st.one_of(*[changed] * 5, _damaged(data), st.sampled_from(more))


def _opened(value: Any) -> Any:
    """Plain mappings and lists, a tensor among them as its shape and type, which may change."""
    if isinstance(value, torch.Tensor):
        return {"shape": list(value.shape), "type": str(value.dtype).removeprefix("torch.")}
    if isinstance(value, Mapping):
        return {key: _opened(inner) for key, inner in value.items()}
    return [_opened(inner) for inner in value] if isinstance(value, list | tuple) else value


def _saved(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(_closed(value), buffer)
    return buffer.getvalue()


def _closed(value: Any) -> Any:
    if isinstance(value, dict) and {"shape", "type"} == set(value):
        kind = getattr(torch, value["type"], None) if isinstance(value["type"], str) else None
        try:
            return torch.full(value["shape"], float("nan"), dtype=kind)
        except (TypeError, RuntimeError, ValueError, OverflowError, MemoryError):
            return value
    if isinstance(value, dict):
        return {key: _closed(inner) for key, inner in value.items()}
    return [_closed(inner) for inner in value] if isinstance(value, list) else value


def _written(table: pa.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def _cells(kind: pa.DataType) -> st.SearchStrategy[Any]:
    if pa.types.is_integer(kind):
        return st.sampled_from(_INTEGERS)
    if pa.types.is_floating(kind):
        return st.sampled_from(_FLOATS)
    if pa.types.is_boolean(kind):
        return st.booleans()
    if pa.types.is_struct(kind):
        return st.fixed_dictionaries({field.name: _cells(field.type) | st.none() for field in kind})
    if pa.types.is_list(kind):
        return st.lists(_cells(kind.value_type) | st.none(), max_size=4)
    texts = [text for text in _TEXTS if text != "\ud800"]
    return st.sampled_from([*texts, "{", "[]", '"x"', '{"saturated_at": "x"}', "[" * 100_000])


@st.composite
def _tables(draw: Any, data: bytes) -> bytes:
    table = pq.read_table(pa.BufferReader(data))
    footer = dict(table.schema.metadata or {})
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.integers(0, table.num_columns - 1))
        name, kind = table.schema.names[place], table.schema.field(place).type
        what = draw(st.sampled_from(_WAYS))
        if what in ("cell", "column") and table.num_rows:
            values = table.column(place).to_pylist()
            new = draw(st.none() | _cells(kind))
            rows = [draw(st.integers(0, len(values) - 1))] if what == "cell" else range(len(values))
            for row in rows:
                values[row] = new
            table = table.set_column(place, name, [pa.array(values, kind)])
        elif what == "type":
            kind = draw(st.sampled_from(_KINDS))
            try:
                column = table.column(place).cast(kind)
            except pa.ArrowException:
                column = pa.nulls(table.num_rows, kind)
            table = table.set_column(place, name, column)
        elif what == "drop" and table.num_columns > 1:
            table = table.drop_columns([name])
        elif what == "twice":
            table = table.append_column(name, table.column(place))
        elif what == "more":
            table = table.append_column(
                draw(st.sampled_from(["config", "\x1b"])), table.column(place)
            )
        elif what == "rows":
            table = table.slice(0, draw(st.integers(0, table.num_rows)))
        elif what == "double":
            table = pa.concat_tables([table, table])
        elif what == "order":
            table = table.take(list(range(table.num_rows))[::-1])
        elif what == "footer":
            key = draw(st.sampled_from(_FOOTER))
            content = footer.get(key, b"{}")
            try:
                changed = _changed(json.loads(content)).map(_dumped)
            except ValueError:
                changed = _values.map(_dumped)
            footer[key] = draw(
                st.one_of(changed, changed, _damaged(content), st.sampled_from(_JSON))
            )
    options = {"use_dictionary": draw(st.booleans()), "write_statistics": draw(st.booleans())}
    try:
        return _written(table.replace_schema_metadata(footer), **options)
    except pa.ArrowException:  # a type that no parquet file has
        return data[:-8]


_WAYS = (
    *("cell", "cell", "cell", "column", "column", "type", "drop", "twice", "more"),
    *("rows", "double", "order", "footer", "footer", "footer"),
)
