"""Digits that are ambiguous, each with several labels: Mukhoti et al. (2023), arXiv:2102.11582."""

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.data.base import Dataset
from al_bench.data.build import in_memory
from al_bench.data.files import check_source, missing, read_checked
from al_bench.data.vision import DIGITS, MNIST
from al_bench.errors import DataError, keyed
from al_bench.paths import opened

SAMPLES = "amnist_samples.pt"
LABELS = "amnist_labels.pt"
PUBLISHED = "github.com/BlackHC/ddu_dirty_mnist, release data-v1.0.0"


@dataclass(frozen=True)
class AmbiguousMNIST:
    """The published images, (1, 28, 28), a point for each image and each of its labels.

    The first half of the images is for training, the second for testing: 60,000 points each. An
    image with ten labels is ten points, one after the other. Grey values are rounded to the 256 of
    MNIST, and normalised as MNIST's.

    Args:
        root: Folder with ``AmbiguousMNIST``, relative to the current directory.
    """

    root: str = "data"

    FOLDER: ClassVar[str] = "AmbiguousMNIST"
    SOURCE: ClassVar[str] = f"Get its two files from {PUBLISHED}."
    MD5: ClassVar[dict[str, str]] = {
        SAMPLES: "4f7865093b1d28e34019847fab917722",
        LABELS: "3bfc055a9f91a76d8d493e8b898c3c95",
    }

    def __post_init__(self) -> None:
        check_source(self.root, False)

    def load(self) -> Dataset:
        """Read both files; raises DataError where one is missing, damaged or of another kind."""
        folder = (opened(self.root) / self.FOLDER).absolute()
        if absent := missing(folder, [SAMPLES, LABELS]):
            what = (
                f"{folder} lacks {absent[0]}" if folder.is_dir() else f"There is no folder {folder}"
            )
            raise DataError(
                f"{what}.",
                f"{self.SOURCE} {keyed('root')}=... is the folder that holds {self.FOLDER}.",
            )
        samples = self._tensor(folder / SAMPLES)
        labels = self._tensor(folder / LABELS)
        self._check(folder, samples, labels)
        images = (255 * samples.float()).round().to(torch.uint8)
        per_image = labels.shape[1]
        half = len(images) // 2
        parts = []
        for part in (slice(None, half), slice(half, None)):
            parts.append(images[part].repeat_interleave(per_image, dim=0).numpy())
            parts.append(labels[part].flatten().to(torch.int64).numpy())
        x_train, y_train, x_test, y_test = parts
        return in_memory(x_train, y_train, x_test, y_test, DIGITS, (MNIST.MEAN,), (MNIST.STD,))

    def _tensor(self, path: Path) -> Tensor:
        """What the file holds; nothing else than a tensor is unpickled."""
        data = read_checked(path).tobytes()
        try:
            content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise self._wrong(path, "holds more than tensors") from error
        except Exception as error:  # a cut or damaged archive raises what it likes
            raise self._wrong(path, "is damaged") from error
        if type(content) is not Tensor or content.layout != torch.strided:
            raise self._wrong(path, f"holds a {type(content).__name__}, not a dense tensor")
        if path.name in self.MD5:
            try:
                read_checked(path, md5=self.MD5[path.name])
            except DataError as error:
                raise self._wrong(path, "is not the published file") from error
        return content.detach()

    def _check(self, folder: Path, samples: Tensor, labels: Tensor) -> None:
        if samples.shape[1:] != (1, 28, 28) or not samples.is_floating_point() or len(samples) < 2:
            raise self._wrong(
                folder / SAMPLES, f"holds {samples.dtype} of shape {tuple(samples.shape)}"
            )
        if not bool(((samples >= 0) & (samples <= 1)).all()):
            raise self._wrong(folder / SAMPLES, "holds grey values outside 0 … 1")
        if labels.ndim != 2 or len(labels) != len(samples) or labels.dtype.is_floating_point:
            raise self._wrong(
                folder / LABELS, f"holds {labels.dtype} of shape {tuple(labels.shape)}"
            )
        if not bool(((labels >= 0) & (labels < 10)).all()):
            raise self._wrong(folder / LABELS, "holds labels outside 0 … 9")

    def _wrong(self, path: Path, what: str) -> DataError:
        return DataError(f"{path} {what}.", self.SOURCE)


class MadeAmbiguousMNIST(AmbiguousMNIST):
    """A stand-in for it, in files as it has, that ``scripts/make_ambiguous_mnist.py`` has made."""

    FOLDER = "AmbiguousMNISTMade"
    SOURCE = "Make its two files: python scripts/make_ambiguous_mnist.py --root FOLDER."
    MD5: ClassVar[dict[str, str]] = {}
