"""Points that do not belong: another data set among the pool's."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.data.base import Dataset, DatasetSource, Examples, Pool
from al_bench.data.beside import beside
from al_bench.data.concat import ConcatInputs
from al_bench.data.pool import PoolTransform, Stage
from al_bench.data.subset import IndexedInputs
from al_bench.errors import ConfigError, DataError, choose, keyed, placed, require_whole
from al_bench.seeding import Streams

LABELS = ("refused", "wasted", "own")


@dataclass(frozen=True)
class Contaminate:
    """Training points of another data set join the pool; the test set stays as it is.

    Outliers in the pool as in Kirsch et al. (2021), arXiv:2106.11719, whose annotator rejects
    them or answers something useless; the ambiguous images of Mukhoti et al. (2023),
    arXiv:2102.11582, have labels of their own.

    Args:
        source: A choice of ``dataset``.
        dataset: What reads it; filled in when a configuration names ``source``.
        labels: ``refused``: the annotator declines, which counts in ``num_queried`` and not in
            ``num_labeled``. ``wasted``: the answer is one of the classes that the data set has an
            example of, drawn uniformly once a seed, and is trained on. ``own``: the other data
            set's labels, whose classes must be the pool's.
        size: Points that join, drawn anew for every seed; ``None`` is all.
    """

    stage: ClassVar[Stage] = Stage.CONTAMINATE
    source: str
    dataset: DatasetSource | None = None
    labels: str = "refused"
    size: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.source, str):
            raise ConfigError(
                f"{keyed('source')} must be a choice of dataset, got {self.source!r}.",
                f"Use {keyed('source')}=fashion_mnist; al-bench list datasets shows more.",
            )
        if self.labels not in LABELS:
            raise ConfigError(
                f"{keyed('labels')} is {self.labels!r}.", choose(str(self.labels), LABELS)
            )
        if self.size is not None:
            require_whole("size", self.size, 1)

    def load(self, dataset: Dataset) -> tuple[PoolTransform, str | None]:
        """The transform with the other data set in memory, and that one's fingerprint.

        Raises:
            ConfigError: Inputs differ in shape, or there are fewer than ``size``.
            DataError: The other data set is missing or damaged.
        """
        if self.dataset is None:
            raise ConfigError(
                f"{keyed('source')}={self.source} has no data set.",
                f"Set {keyed('dataset')} to what reads it.",
            )
        try:
            with placed(self.dataset):
                other = self.dataset.load()
        except DataError as error:
            where = f"{keyed('source')}={self.source}"
            raise DataError(f"{where}: {error.message}", error.hint) from error
        other = beside(other, dataset, f"{keyed('source')}={self.source}")
        if self.size is not None and self.size > len(other.train):
            raise ConfigError(
                f"{keyed('size')} is {self.size} and {self.source} has {len(other.train)} "
                "training points.",
                f"Use {keyed('size')}={len(other.train)} or less.",
            )
        contamination = Contamination(
            self.source, other.train, other.num_classes, self.labels, self.size, self
        )
        return contamination, other.fingerprint

    def __call__(self, pool: Pool, streams: Streams) -> Pool:
        """Nothing can join before ``load``."""
        raise ConfigError(f"{self.source} has not been loaded.", "Call load first.")


@dataclass(frozen=True, eq=False)
class Contamination:
    """A data set in memory that joins pools.

    Args:
        name: The data set's.
        points: Those that may join.
        num_classes: The data set's.
        answers: As ``Contaminate.labels``.
        size: As ``Contaminate.size``.
        owner: What loaded it.
    """

    stage: ClassVar[Stage] = Stage.CONTAMINATE
    name: str
    points: Examples
    num_classes: int
    answers: str
    size: int | None
    owner: Contaminate

    def __call__(self, pool: Pool, streams: Streams) -> Pool:
        """The pool's points and, after them, those that join, in their own order."""
        total = len(self.points)
        generator = streams.generator("split", member=self.stage)
        joining = torch.randperm(total, generator=generator)[: self.size].sort().values
        true_labels = self.points.labels[joining]
        inputs = self.points.inputs
        if len(joining) < total:
            inputs = IndexedInputs(inputs, joining)
        name = self.name if self.name not in pool.origins else f"{self.name} (contamination)"
        return dataclasses.replace(
            pool,
            inputs=ConcatInputs(pool.inputs, inputs),
            labels=torch.cat([pool.labels, self._labels(true_labels, pool, streams)]),
            true_labels=torch.cat([pool.true_labels, true_labels]),
            source_index=torch.cat([pool.source_index, joining]),
            origin=torch.cat([pool.origin, torch.full_like(joining, len(pool.origins))]),
            refused=torch.cat(
                [pool.refused, torch.full((len(joining),), self.answers == "refused")]
            ),
            origins=(*pool.origins, name),
        )

    def _labels(self, true_labels: Tensor, pool: Pool, streams: Streams) -> Tensor:
        if self.answers != "own":  # nobody gets to see the labels of refused points
            generator = streams.generator("noise", member=self.stage)
            drawn = torch.randint(len(pool.answers), true_labels.shape, generator=generator)
            return pool.answers[drawn]
        if self.num_classes != pool.num_classes:
            raise ConfigError(
                f"{keyed('labels', self.owner)}=own: {self.name} has {self.num_classes} "
                f"classes and the pool {pool.num_classes}.",
                f"Use {keyed('labels', self.owner)}=refused or wasted.",
            )
        return true_labels
