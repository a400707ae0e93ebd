"""Class imbalance: pools in which some classes are rare or absent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.data.base import Pool
from al_bench.data.class_counts import require_one_a_class
from al_bench.data.pool import Stage
from al_bench.data.subset import part_of
from al_bench.errors import ConfigError, choose, keyed, require_list, require_number, require_whole
from al_bench.seeding import Streams

ORDERS = ("index", "random")


@dataclass(frozen=True)
class Imbalance:
    """Fewer points of some classes; which points stay is drawn anew for every seed.

    The test set stays as it is. With ``ratio``, class sizes fall exponentially (Cui et al. 2019,
    arXiv:1901.05555): of C classes the one of rank r keeps round(n · ratio^(-r / (C - 1))) points,
    at least one, where n is the size of the smallest class, so that the sizes are the same
    whatever the order.

    Args:
        ratio: Largest class size by the smallest, at least 1; ``None`` without a long tail.
        order: ``index`` ranks classes by their index (class 0 is the largest), ``random`` by a
            permutation drawn once a seed.
        proportions: Instead of ``ratio``, one number a class: the largest pool with them, rounded
            down, at least one point of each class above 0.
        counts: Instead of ``ratio``, the points of each class.
        missing_classes: Classes without any point; the others are ranked without them.
    """

    stage: ClassVar[Stage] = Stage.IMBALANCE
    ratio: float | None = 10.0
    order: str = "index"
    proportions: Sequence[float] | None = None
    counts: Sequence[int] | None = None
    missing_classes: Sequence[int] | None = None

    def __post_init__(self) -> None:
        given = [k for k in ("ratio", "proportions", "counts") if getattr(self, k) is not None]
        if len(given) > 1:
            raise ConfigError(
                f"{keyed(given[0])} and {keyed(given[1])} are both given.",
                f"Add {keyed(given[0])}=null.",
            )
        if not given and not self.missing_classes:
            raise ConfigError(
                "An imbalance of nothing changes nothing.",
                f"Add for example {keyed('ratio')}=10.",
            )
        if self.ratio is not None:
            require_number("ratio", self.ratio, 1)
        if self.order not in ORDERS:
            raise ConfigError(
                f"{keyed('order')} is {self.order!r}.", choose(str(self.order), ORDERS)
            )
        if self.order == "random" and self.ratio is None:
            raise ConfigError(
                f"{keyed('order')}=random ranks the classes of a long tail, but ratio is null.",
                f"Use {keyed('order')}=index.",
            )
        for name in ("proportions", "counts", "missing_classes"):
            if getattr(self, name) is not None:
                require_list(name, getattr(self, name))
        for proportion in self.proportions or ():
            require_number("proportions", proportion, 0)
        for count in self.counts or ():
            require_whole("counts", count, 0)
        for label in self.missing_classes or ():
            require_whole("missing_classes", label, 0)

    def __call__(self, pool: Pool, streams: Streams) -> Pool:
        """The pool of the classes' sizes, points in their old order.

        Raises:
            ConfigError: The numbers don't fit the classes, or a class has too few points.
        """
        generator = streams.generator("split", member=self.stage)
        drawn = torch.randperm(len(pool), generator=generator)
        sizes = self._sizes(pool, torch.randperm(pool.num_classes, generator=generator))
        labels = pool.labels[drawn]
        parts = [drawn[labels == label][:size] for label, size in enumerate(sizes)]
        return part_of(pool, torch.cat(parts).sort().values)

    def emptied(self, num_classes: int) -> set[int]:
        """Classes that keep no point; ``num_classes`` is C."""
        numbers = self.proportions or self.counts or ()
        return {*(self.missing_classes or ()), *(c for c, n in enumerate(numbers) if n == 0)}

    def _sizes(self, pool: Pool, permutation: Tensor) -> list[int]:
        """Points to keep of each class."""
        num_classes = pool.num_classes
        for name in ("proportions", "counts"):
            values = getattr(self, name)
            if values is not None:
                require_one_a_class(values, num_classes, keyed(name))
        missing = set(self.missing_classes or ())
        beyond = [label for label in missing if label >= num_classes]
        if beyond:
            raise ConfigError(
                f"{keyed('missing_classes')} names class {beyond[0]}; there are 0 to "
                f"{num_classes - 1}."
            )
        order = permutation.tolist() if self.order == "random" else range(num_classes)
        present = [label for label in order if label not in missing]
        if not present:
            raise ConfigError(f"{keyed('missing_classes')} leaves no class.")
        have = torch.bincount(pool.labels, minlength=num_classes).tolist()
        kept = self._kept(have, present)
        if not any(kept.values()):
            raise ConfigError("The imbalance leaves no points.", "Give numbers above 0.")
        for label, size in kept.items():
            if size > have[label]:
                raise ConfigError(
                    f"The imbalance wants {size} points of class {label}, of which the pool has "
                    f"{have[label]}.",
                    f"Ask for fewer, or list the class in {keyed('missing_classes')}.",
                )
        return [kept.get(label, 0) for label in range(num_classes)]

    def _kept(self, have: Sequence[int], present: Sequence[int]) -> dict[int, int]:
        """Class to points; ``present`` lists the classes by rank."""
        if self.counts is not None:
            return {label: self.counts[label] for label in present}
        if self.proportions is not None:
            wanted = {label: self.proportions[label] for label in present}
            scale = min((have[c] / p for c, p in wanted.items() if p > 0), default=0.0)
            # a share such as 0.1 · 30 must not lose a point to rounding
            return {c: max(1, int(scale * p + 1e-9)) if p > 0 else 0 for c, p in wanted.items()}
        if self.ratio is None:
            return {label: have[label] for label in present}
        largest = min(have[label] for label in present)
        last = max(1, len(present) - 1)
        return {
            label: max(1, round(largest * self.ratio ** (-rank / last)))
            for rank, label in enumerate(present)
        }
