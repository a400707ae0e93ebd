"""What decides a run's results, key by key, as the footer of its curves tells it.

*Settings* map dotted keys to plain values: ``{"training.start": "warm", "fingerprint": …}``. They
are the resolved configuration, nulls included, without the keys that say how and where something is
computed, and all that the protocol's id is the hash of beside it: the data's fingerprint, the
digests of files, versions.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from al_bench.results.identity import ENGINE_KEYS, PATHS

Settings = Mapping[str, Any]


def in_footer(metadata: Mapping[bytes, bytes] | None) -> str | None:
    """Settings as JSON from the metadata of a curve's file; ``None`` where it has none."""
    content = metadata or {}
    return _settings(content.get(b"config", b""), content.get(b"protocol", b""))


@lru_cache(maxsize=4096)  # the seeds of a run share them
def _settings(config: bytes, protocol: bytes) -> str | None:
    try:
        found = json.loads(config)
        beside = json.loads(protocol or b"{}")
    except ValueError:
        return None
    if not isinstance(found, dict) or not isinstance(beside, dict):
        return None
    decides = {key: value for key, value in found.items() if key not in ENGINE_KEYS}
    settings = flat(decides) | flat(beside.pop("config", {})) | flat(beside)
    for key in PATHS:
        settings.pop(key, None)
    return json.dumps(settings, sort_keys=True)


def flat(node: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted key to value of all that lies in nested mappings; lists are values."""
    if not isinstance(node, Mapping):
        return {prefix.removesuffix("."): node}
    return {
        key: value
        for name, child in node.items()
        for key, value in flat(child, f"{prefix}{name}.").items()
    }


def of_run(folder: Path) -> Settings | None:
    """Settings of the run in this folder, of a curve or of ``config.yaml``; None without both."""
    for curve in sorted(folder.glob("curves/seed=*.parquet")):
        try:
            said = in_footer(pq.read_metadata(curve).metadata)
        except (pa.ArrowException, OSError, ValueError):
            continue
        if said is not None:
            return dict(json.loads(said))
    said = _in_yaml(folder / "config.yaml")
    return None if said is None else dict(json.loads(said))


def disagreement(folder: Path, metadata: Mapping[bytes, bytes] | None) -> str | None:
    """A sentence where ``config.yaml`` in a run's folder says other than the footer of a curve."""
    said = _in_yaml(folder / "config.yaml")
    kept = in_footer({b"config": (metadata or {}).get(b"config", b"")})
    if said is None or kept is None or said == kept:
        return None
    typed, stored = json.loads(said), json.loads(kept)
    for key in sorted(stored.keys() | typed.keys()):
        if stored.get(key) != typed.get(key):
            return (
                f"{folder / 'config.yaml'} says {key}={json.dumps(typed.get(key))}, its curves "
                f"were made with {json.dumps(stored.get(key))}: what the curves say is used."
            )
    return None


def _in_yaml(path: Path) -> str | None:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        found = yaml.load(path.read_bytes(), loader)
    except (OSError, ValueError, yaml.YAMLError):
        return None
    return in_footer({b"config": json.dumps(found, default=str).encode()})
