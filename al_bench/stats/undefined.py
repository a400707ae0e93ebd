"""Why cells of a comparison are empty, in words."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from al_bench.stats.arms import ArmResult, ProtocolResult


def reason(result: ProtocolResult, arm: ArmResult) -> str | None:
    """Why statistics of this arm are undefined; ``None`` where all are there."""
    if math.isnan(result.low):
        return f"arms share fewer than two {result.axis.one} counts, so there is no area"
    if not arm.seeds:
        return "no seed with all rounds, so no area"
    if len(result.arms) == 1:
        return "the only arm, so there is nothing to compare it with"
    if arm.baseline is None:
        return "no baseline, so no difference"
    if arm.is_baseline:
        return "one seed, so no interval" if len(arm.seeds) < 2 else None
    if arm.paired is None:
        return "no seed in common with the baseline, so no difference"
    if arm.paired.num_seeds < 2:
        return "one pair of seeds, so neither an interval nor a p value"
    return None


def reasons(rows: Sequence[Mapping[Any, Any]]) -> str:
    """The reasons of all arms of a protocol, as sentences; empty where nothing is undefined.

    Args:
        rows: As ``rows.arm_rows`` gives them.
    """
    arms: dict[str, list[str]] = {}
    for row in rows:
        if isinstance(row["undefined"], str):
            arms.setdefault(row["undefined"], []).append(str(row["arm"]))
    sentences = []
    for why, names in arms.items():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        sentences.append(f"{', '.join(names[:3])}{more}: {why}.")
    return " ".join(sentences)
