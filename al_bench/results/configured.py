"""The configuration that the footer of a curve holds, which ``config.yaml`` should say too."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml


def in_footer(curve: Path) -> dict[str, Any] | None:
    """The configuration in the footer of a curve; ``None`` where there is none to be read."""
    try:
        found = json.loads((pq.read_schema(curve).metadata or {})[b"config"])
    except (OSError, KeyError, ValueError, pa.ArrowException):
        return None
    return found if isinstance(found, dict) else None


def as_yaml(config: dict[str, Any]) -> str:
    """The text that ``config.yaml`` had for a configuration from a footer."""
    return str(yaml.dump(config, default_flow_style=False, allow_unicode=True, sort_keys=False))


def is_yaml(data: bytes) -> bool:
    """Whether these bytes are a mapping in YAML."""
    try:
        return isinstance(yaml.safe_load(data), dict)
    except (yaml.YAMLError, ValueError):
        return False
