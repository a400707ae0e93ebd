"""The column of what is worth storing with a round, beside its numbers."""

import json
from collections.abc import Mapping
from typing import Any


def noted(notes: Mapping[str, Any], column: str | None = None) -> dict[str, str]:
    """The column ``notes``, a JSON object, with ``notes`` added; empty where there is nothing new.

    Args:
        notes: Short names to numbers or words.
        column: What the column has already.
    """
    if not notes:
        return {}
    return {"notes": json.dumps({**json.loads(column or "{}"), **notes}, sort_keys=True)}
