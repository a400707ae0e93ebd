"""What decides a run's results, key by key, as the footer of its curves tells it.

*Settings* map dotted keys to plain values: ``{"training.start": "warm", "fingerprint": …}``. They
are the resolved configuration, nulls included, without the keys that say how and where something is
computed, and all that the protocol's id is the hash of beside it: the data's fingerprint, the
digests of files, versions.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from al_bench.results import parquet, plain
from al_bench.results.identity import ENGINE_KEYS, PATHS, RunIdentity, is_among

if TYPE_CHECKING:
    import pandas as pd

Settings = Mapping[str, Any]

CONFIG = "config"  # settings as JSON: a column of frames, not of files
FINGERPRINT = "fingerprint"  # of the data; unknown to older curves
VERSION = "numerics_version"  # where it is known, all versions are

_OF_RUN = b"settings/"  # with a run's id behind it: in the footer of one file of several runs


def in_footer(metadata: Mapping[bytes, bytes] | None) -> str | None:
    """Settings as JSON from the metadata of a curve's file; ``None`` where it has none."""
    content = metadata or {}
    return _text(content.get(b"config", b""), content.get(b"protocol", b""))


def of_rows(table: pa.Table) -> list[str | None]:
    """Settings as JSON of each row of a curve's file, or of a file that holds several runs."""
    metadata = table.schema.metadata or {}
    if not any(key.startswith(_OF_RUN) for key in metadata):
        return [in_footer(metadata)] * len(table)
    runs = table["run_id"].to_pylist()
    text_of = {run: _plain_text(metadata.get(_OF_RUN + run.encode(), b"")) for run in set(runs)}
    return [text_of[run] for run in runs]


def with_settings(table: pa.Table, text_of: Mapping[str, str]) -> pa.Table:
    """The rows of several runs for one file, whose footer has each run's settings as JSON."""
    added = {_OF_RUN + run.encode(): text.encode() for run, text in sorted(text_of.items())}
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **added})


def of_runs(frame: "pd.DataFrame") -> dict[str, str]:
    """Run id to settings as JSON, of the runs of a frame that have them."""
    if CONFIG not in frame:
        return {}
    rows = frame.loc[frame[CONFIG].notna(), ["run_id", CONFIG]].drop_duplicates("run_id")
    return dict(zip(rows["run_id"].astype(str), rows[CONFIG].astype(str), strict=True))


def _plain_text(stored: bytes) -> str | None:
    try:
        return json.dumps(plain.from_json(stored), sort_keys=True)
    except plain.Unfit:
        return None


@lru_cache(maxsize=4096)  # the seeds of a run share them
def _text(config: bytes, protocol: bytes) -> str | None:
    settings = _settings(config, protocol)
    return None if settings is None else json.dumps(settings, sort_keys=True)


def _settings(config: bytes, protocol: bytes = b"") -> dict[str, Any] | None:
    try:
        return _decides(plain.from_json(config), plain.from_json(protocol or b"{}"))
    except plain.Unfit:
        return None


def _decides(config: dict[str, Any], protocol: dict[str, Any]) -> dict[str, Any]:
    decides = {key: value for key, value in config.items() if key not in ENGINE_KEYS}
    settings = flat(decides) | flat(protocol.pop("config", {})) | flat(protocol)
    return {key: value for key, value in settings.items() if not is_among(key, PATHS)}


def flat(node: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted key to value of all that lies in nested mappings; lists are values."""
    if not isinstance(node, Mapping):
        return {prefix.removesuffix("."): node}
    return {
        key: value
        for name, child in node.items()
        for key, value in flat(child, f"{prefix}{name}.").items()
    }


def of_identity(identity: RunIdentity) -> Settings:
    """Settings of a run that may not be stored yet."""
    return (
        _settings(
            json.dumps(plain.from_yaml(identity.config.encode())).encode(),
            identity.protocol.encode(),
        )
        or {}
    )


def of_run(folder: Path) -> Settings | None:
    """Settings of the run in this folder, of a curve or of ``config.yaml``; None without both."""
    for curve in sorted(folder.glob("curves/seed=*.parquet")):
        try:
            footer = parquet.footer(curve).metadata or {}
        except (pa.ArrowException, OSError, ValueError):
            continue
        settings = _settings(footer.get(b"config", b""), footer.get(b"protocol", b""))
        if settings is not None:
            return settings
    return _in_yaml(folder / "config.yaml")


def disagreement(folder: Path, metadata: Mapping[bytes, bytes] | None) -> str | None:
    """A sentence where ``config.yaml`` in a run's folder says other than the footer of a curve.

    The file is parsed only where its bytes are not those that the curve was begun with.
    """
    footer = metadata or {}
    if (expected := footer.get(b"config_digest")) and _digest(folder / "config.yaml") == expected:
        return None
    of_file, of_curve = _in_yaml(folder / "config.yaml"), _settings(footer.get(b"config", b""))
    if of_file is None or of_curve is None:
        return None
    for key in sorted(of_curve.keys() | of_file.keys()):
        if of_curve.get(key) != of_file.get(key):
            return (
                f"{folder / 'config.yaml'} says {key}={json.dumps(of_file.get(key))}, its curves "
                f"were made with {json.dumps(of_curve.get(key))}: what the curves say is used."
            )
    return None


def digest(config: str) -> str:
    """What stands for the text of ``config.yaml`` in a footer, as ``config_digest``."""
    return hashlib.sha256(config.encode()).hexdigest()


def _digest(path: Path) -> bytes | None:
    try:
        return hashlib.sha256(plain.content(path)).hexdigest().encode()
    except (OSError, plain.Unfit):
        return None


def _in_yaml(path: Path) -> dict[str, Any] | None:
    try:
        return _decides(plain.read(path), {})
    except (OSError, plain.Unfit):
        return None
