"""What runs of one process share where it is equal: data sets, transforms, targets, trackers."""

import copy
import json
from collections.abc import Mapping
from typing import Any

from al_bench.data.base import Dataset, DatasetSource
from al_bench.data.pool import Loaded, PoolTransform, load_transforms
from al_bench.data.target import TargetDistribution
from al_bench.errors import placed
from al_bench.tracking.base import Tracker
from al_bench.tracking.guard import Guard


class Data:
    """What runs load, once each.

    This is the one place that judges what is equal: two data sets are where their resolved
    configurations are, class and parameters key by key; so are trackers, and the pool transforms
    and targets of equal data sets. The first one's object is everybody's; a file that changes while
    it is there is not read again.
    """

    def __init__(self) -> None:
        self._guards: dict[str, Guard] = {}
        self._datasets: dict[str, Dataset] = {}
        self._loaded: dict[str, Loaded] = {}
        self._targets: dict[str, TargetDistribution] = {}

    def dataset(self, node: Any, source: DatasetSource) -> Dataset:
        """The data set of a source.

        Args:
            node: The resolved configuration of the source.
            source: What was built of it.
        """
        key = _key(node)
        if key not in self._datasets:
            with placed(source):
                self._datasets[key] = source.load()
        return self._datasets[key]

    def transforms(
        self, node: Any, transforms: Mapping[str, PoolTransform], of: Any, dataset: Dataset
    ) -> Loaded:
        """Pool transforms with what they have read; further data sets of theirs are shared too.

        Args:
            node: The resolved configuration of the transforms, by name.
            transforms: What was built of it, by name.
            of: The resolved configuration of the data set.
            dataset: The data set.
        """
        key = _key([of, node])
        if key not in self._loaded:
            ready = [self._sharing(node[name], each) for name, each in transforms.items()]
            self._loaded[key] = load_transforms(ready, dataset)
        return self._loaded[key]

    def target(self, node: Any, target: TargetDistribution, of: Any) -> TargetDistribution:
        """Which inputs' predictions matter, with what has been read of them.

        Args:
            node: The resolved configuration of the targets.
            target: What was built of it.
            of: The resolved configuration of the data set.
        """
        return self._targets.setdefault(_key([of, node]), target)

    def guard(self, node: Any, tracker: Tracker | None) -> Guard:
        """A tracker, which fails for all runs that share it or for none.

        Args:
            node: The resolved configuration of the tracker.
            tracker: What was built of it.
        """
        return self._guards.setdefault(_key(node), Guard(tracker))

    def _sharing(self, node: Mapping[str, Any], transform: PoolTransform) -> PoolTransform:
        """The transform; of one that reads another data set a copy that gets it from here."""
        source = getattr(transform, "dataset", None)
        if not (isinstance(node.get("dataset"), Mapping) and hasattr(source, "load")):
            return transform
        sharing = copy.copy(transform)
        object.__setattr__(sharing, "dataset", _Source(self, node["dataset"], source))
        return sharing


class _Source:
    """A source whose data set is loaded once."""

    def __init__(self, data: Data, node: Any, source: Any) -> None:
        self._data = data
        self._node = node
        self._source = source

    def load(self) -> Dataset:
        return self._data.dataset(self._node, self._source)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


def _key(node: Any) -> str:
    return json.dumps(node, sort_keys=True, default=repr)
