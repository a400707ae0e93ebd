"""Annotators who err: labels that differ from the truth."""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.data.array_files import read_array
from al_bench.data.base import Dataset, Pool
from al_bench.data.pool import PoolTransform, Stage
from al_bench.errors import (
    ConfigError,
    DataError,
    choose,
    keyed,
    require_list,
    require_number,
    require_whole,
)
from al_bench.seeding import Streams

KINDS = ("uniform", "pair", "structured", "file")


@dataclass(frozen=True)
class LabelNoise:
    """Wrong answers of the annotator, drawn once a seed: asking again gives the same answer.

    Every label is noisy, those of validation and initial points too: they come from the same
    annotator. Test labels and ``true_labels`` are right. Copies of a point share their label.

    Only classes that the data set has an example of are answered, so C counts those.

    Args:
        kind: ``uniform``: each label becomes, with probability ``rate``, one of the C - 1 others.
            ``pair``: it becomes the next class, c + 1 modulo C (Han et al. 2018,
            arXiv:1804.06872). ``structured``: it becomes what ``mistakes`` says of its class
            (Mindermann et al. 2022, arXiv:2206.07137). ``file``: the labels of ``path``.
        rate: Probability of a wrong label, 0 to 1; ``file`` does not use it.
        path: A ``.npy`` file of whole numbers, one a training point of the data set in its order
            (by ``source_index``), in the classes of the pool: after ``remap``.
        array: The name of the array with these numbers where ``path`` is an ``.npz`` file of
            several, such as ``aggre_label`` of CIFAR-10N (Wei et al. 2022, arXiv:2110.12088).
        mistakes: The class that each class is mistaken for with probability ``rate``, its own where
            it is not.
    """

    stage: ClassVar[Stage] = Stage.LABEL_NOISE
    kind: str = "uniform"
    rate: float = 0.1
    path: str | None = None
    array: str | None = None
    mistakes: Sequence[int] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"{keyed('kind')} is {self.kind!r}.", choose(str(self.kind), KINDS))
        require_number("rate", self.rate, 0, 1)
        if (self.kind == "file") != (self.path is not None):
            raise ConfigError(
                f"{keyed('kind')}={self.kind} and path="
                f"{'null' if self.path is None else self.path} do not go together.",
                f"Use {keyed('kind')}=file {keyed('path')}=labels.npy.",
            )
        self._check_mistakes()
        if self.array is not None and self.path is None:
            raise ConfigError(
                f"{keyed('array')}={self.array} needs a file, and {keyed('path')} is null.",
                f"Use {keyed('kind')}=file {keyed('path')}=labels.npz.",
            )

    def _check_mistakes(self) -> None:
        example = f"{keyed('mistakes')}=[0,1,2,5,9,5,6,7,8,7]"
        if (self.kind == "structured") != (self.mistakes is not None):
            raise ConfigError(
                f"{keyed('kind')}={self.kind} and mistakes="
                f"{'null' if self.mistakes is None else self.mistakes} do not go together.",
                f"Use {keyed('kind')}=structured {example}.",
            )
        if self.mistakes is not None:
            require_list("mistakes", self.mistakes)
            for label in self.mistakes:
                require_whole(f"A class in {keyed('mistakes')}", label, 0)

    def load(self, dataset: Dataset) -> tuple[PoolTransform, str | None]:
        """The transform with the labels of the file, and their fingerprint.

        Raises:
            DataError: The file cannot be read, or does not have one label a training point.
        """
        if self.path is None:
            return self, None
        values = read_array(self.path, keyed("path", self), name=self.array)
        if values.shape != (len(dataset.train),) or values.dtype.kind not in "iu":
            raise DataError(
                f"{keyed('path')}={self.path} has shape {values.shape} and type "
                f"{values.dtype}; the data set needs {len(dataset.train)} whole numbers."
            )
        labels = values.astype("<i8")
        fingerprint = hashlib.blake2b(labels.tobytes(), digest_size=16).hexdigest()
        given = GivenLabels(keyed("path", self), self.path, torch.from_numpy(labels))
        return given, fingerprint

    def __call__(self, pool: Pool, streams: Streams) -> Pool:
        """The pool with noisy labels; what is refused stays so.

        Raises:
            ConfigError: ``mistakes`` are not those of the pool's classes.
        """
        generator = streams.generator("noise", member=self.stage)
        n = len(pool)
        wrong = torch.rand(n, dtype=torch.float64, generator=generator) < self.rate
        step = torch.ones(n, dtype=torch.int64)
        answers = pool.answers
        if self.kind == "uniform":
            step = torch.randint(1, max(2, len(answers)), (n,), generator=generator)
        noisy = answers[(torch.searchsorted(answers, pool.labels) + step) % len(answers)]
        if self.mistakes is not None:
            noisy = self._mistaken(pool)
        labels = torch.where(wrong & ~pool.refused, noisy, pool.labels)
        return dataclasses.replace(pool, labels=labels)

    def _mistaken(self, pool: Pool) -> Tensor:
        taken, count = list(self.mistakes or ()), pool.num_classes
        if len(taken) != count or max(taken) >= count:
            raise ConfigError(
                f"{keyed('mistakes', self)} is {taken}; the pool has {count} classes.",
                f"Give one a class, each from 0 to {count - 1}.",
            )
        return torch.tensor(taken)[pool.labels]


@dataclass(frozen=True, eq=False)
class GivenLabels:
    """Answers known beforehand, by index in the data set; points of another keep their labels.

    Args:
        key: Where their file was named.
        path: Where they come from.
        labels: One a training point.
    """

    stage: ClassVar[Stage] = Stage.LABEL_NOISE
    key: str
    path: str
    labels: Tensor

    def __call__(self, pool: Pool, streams: Streams) -> Pool:
        """The pool with these labels; ConfigError when one is not a class of the pool."""
        own = pool.origin == 0
        given = self.labels[torch.where(own, pool.source_index, 0)]
        labels = torch.where(own, given, pool.labels)
        outside = labels[(labels < 0) | (labels >= pool.num_classes)]
        if len(outside):
            raise ConfigError(
                f"{self.key}={self.path} has the label {int(outside[0])}; the pool's "
                f"classes are 0 to {pool.num_classes - 1}."
            )
        return dataclasses.replace(pool, labels=labels)
