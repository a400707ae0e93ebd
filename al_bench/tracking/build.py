"""From the configuration to a tracker."""

from typing import Any

from al_bench.building import build
from al_bench.errors import ConfigError
from al_bench.tracking.base import Tracker


def build_tracker(node: Any) -> Tracker | None:
    """The tracker of ``node``, whose package is there; ``None`` of a null node.

    Raises:
        ConfigError: Its package is missing, a parameter is wrong, or it is no tracker.
    """
    if node is None:
        return None
    tracker: Tracker = build(node, "tracker")
    for method in ("start", "log", "finish"):
        if not callable(getattr(tracker, method, None)):
            raise ConfigError(
                f"tracker: {type(tracker).__name__} has no method {method}.",
                "al_bench.tracking.base says what trackers have.",
            )
    return tracker
