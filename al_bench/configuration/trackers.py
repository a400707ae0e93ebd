"""How the experiment tracker that a configuration names is built."""

from typing import Any

from al_bench.configuration.building import build_with
from al_bench.tracking.base import Tracker


def build_tracker(node: Any) -> Tracker | None:
    """The tracker of ``node``, whose package is there; ``None`` of a null node.

    Raises:
        ConfigError: Its package is missing, a parameter is wrong, or it is no tracker.
    """
    if node is None:
        return None
    methods = ("start", "log", "finish")
    tracker: Tracker = build_with(node, "tracker", methods, "al_bench.tracking.base")
    return tracker
