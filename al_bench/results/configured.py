"""The configuration that the footer of a curve holds, which ``config.yaml`` should say too."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from al_bench.errors import ResultsError
from al_bench.results import damage, inside, parquet, plain, settings
from al_bench.results.history import TrialPaths

logger = logging.getLogger(__name__)


def instead(paths: TrialPaths, content: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a trial was computed with, where ``config.yaml`` cannot be trusted; else ``None``.

    ``config.yaml`` is trusted where it is what the manifest records, or, without such a record,
    where the footer of the curve says the same. Warns where it is not.

    Args:
        paths: The trial.
        content: Its manifest.

    Raises:
        ResultsError: Neither can be trusted.
    """
    path = paths.config
    wrong = {one.path: one.what for one in damage.find(paths, content, thorough=True)}
    if path.name in content.get(damage.FILES, {}) and path not in wrong:
        return None
    try:
        plain.read(path)
        problem = None
    except plain.Unfit as error:
        problem = f"{path} cannot be read: {error}"
    except OSError:
        problem = f"{path} {inside.wrong(path) or 'is missing'}"
    if path in wrong:
        problem = f"{path} {wrong[path]}"
    footer = None if paths.curve in wrong else in_footer(paths.curve)
    if footer is None:
        if problem is None:
            return None
        raise ResultsError(
            f"{problem}, and no curve of {paths.name} says what the run was.",
            "The command line that made it writes both again.",
        )
    if problem is None:
        metadata = {b"config": json.dumps(footer).encode()}
        sentence = settings.disagreement(paths.folder, metadata)
        if sentence is None:
            return None
        logger.warning(sentence)
    else:
        logger.warning("%s: what its curve says is used.", problem)
    return footer


def in_footer(curve: Path) -> dict[str, Any] | None:
    """The configuration in the footer of a curve; ``None`` where there is none to be read."""
    try:
        return plain.from_json((parquet.footer(curve).metadata or {})[b"config"])
    except (OSError, KeyError, ValueError, pa.ArrowException):
        return None


def as_yaml(config: dict[str, Any]) -> str:
    """The text that ``config.yaml`` had for a configuration from a footer."""
    return str(yaml.dump(config, default_flow_style=False, allow_unicode=True, sort_keys=False))


def is_yaml(data: bytes) -> bool:
    """Whether these bytes are a configuration in YAML."""
    try:
        plain.from_yaml(data)
    except plain.Unfit:
        return False
    return True
