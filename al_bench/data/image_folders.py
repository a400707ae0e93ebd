"""Data sets that are folders of image files, a folder a class.

Files are decoded once and held as uint8; what is not an image of the data set is named.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from al_bench.data.base import Dataset
from al_bench.data.build import in_memory
from al_bench.data.files import check_source
from al_bench.data.vision import CIFAR10_CLASSES
from al_bench.errors import ConfigError, DataError, keyed, require_whole, words_of
from al_bench.paths import opened

BACKGROUND = "BACKGROUND_Google"
TEST_EVERY = 5  # a fifth of each class of Caltech-101


@dataclass(frozen=True)
class CINIC10:
    """180,000 training and 90,000 test colour images of CIFAR-10's classes, (3, 32, 32).

    Darlow et al. (2018), arXiv:1810.03505: images of CIFAR-10, and of ImageNet made smaller. Its
    folders ``train`` and ``valid`` are the training set together, in this order.

    Args:
        root: Folder with ``CINIC-10``, which has ``train``, ``valid`` and ``test`` with a folder a
            class each; relative to the current directory.
    """

    root: str = "data"

    COUNT: ClassVar[int] = 9_000  # images of a class in each of the three

    def __post_init__(self) -> None:
        check_source(self.root, False)

    def load(self) -> Dataset:
        """Read all images; raises DataError where one is missing, damaged or of another size."""
        base = (opened(self.root) / "CINIC-10").absolute()
        images, labels = {}, {}
        for part in ("train", "valid", "test"):
            files = [_images_in(base / part / name) for name in CIFAR10_CLASSES]
            for name, of_class in zip(CIFAR10_CLASSES, files, strict=True):
                if len(of_class) != self.COUNT:
                    raise DataError(
                        f"{base / part / name} has {len(of_class):,} images and should have "
                        f"{self.COUNT:,}.",
                        "Unpack the archive again.",
                    )
            images[part] = np.stack([_whole(file, 32) for of_class in files for file in of_class])
            labels[part] = _labels(files)
        return in_memory(
            np.concatenate([images["train"], images["valid"]]),
            np.concatenate([labels["train"], labels["valid"]]),
            images["test"],
            labels["test"],
            CIFAR10_CLASSES,
            (0.4789, 0.4723, 0.4305),
            (0.2421, 0.2383, 0.2587),
        )


@dataclass(frozen=True)
class Caltech101:
    """Some 9,000 colour images of 101 kinds of objects: Fei-Fei et al. (2004).

    Images are of many sizes: each is scaled until its shorter side is ``size`` and cut to the
    middle. There is no published test set: every fifth image of a class, in the order of file
    names, is a test image.

    Args:
        root: Folder with ``caltech101/101_ObjectCategories``, relative to the current directory.
        size: Height and width, at least 8.
        background: Whether the folder ``BACKGROUND_Google`` is a class too, as in experiments with
            102 of them.
    """

    root: str = "data"
    size: int = 64
    background: bool = False

    def __post_init__(self) -> None:
        check_source(self.root, False)
        require_whole("size", self.size, 8)
        if not isinstance(self.background, bool):
            raise ConfigError(
                f"{keyed('background')} must be true or false, got {self.background!r}."
            )

    def load(self) -> Dataset:
        """Read all images; raises DataError where there are none, or one is damaged."""
        base = (opened(self.root) / "caltech101" / "101_ObjectCategories").absolute()
        folders = sorted(folder for folder in _entries(base) if folder.is_dir())
        folders = [folder for folder in folders if self.background or folder.name != BACKGROUND]
        files = [_images_in(folder) for folder in folders]
        for folder, of_class in zip(folders, files, strict=True):
            if len(of_class) < TEST_EVERY:
                raise DataError(
                    f"{folder} has {len(of_class)} images; {TEST_EVERY} are needed for one of them "
                    "to be a test image.",
                    "Unpack the archive again.",
                )
        if len(folders) < 2:
            raise DataError(f"{base} has {len(folders)} classes.", "Unpack the archive again.")
        images = np.stack([_decoded(file, self.size) for of_class in files for file in of_class])
        labels = _labels(files)
        is_test = np.concatenate(
            [np.arange(1, len(of_class) + 1) % TEST_EVERY == 0 for of_class in files]
        )
        names = [folder.name for folder in folders]
        mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        train, test = ~is_test, is_test
        return in_memory(images[train], labels[train], images[test], labels[test], names, mean, std)


def _entries(folder: Path) -> list[Path]:
    if not folder.is_dir():
        hint = f"Set {keyed('root')}=... to the folder that holds the unpacked archive."
        raise DataError(f"There is no folder {folder}.", hint)
    return sorted(folder.iterdir())


def _images_in(folder: Path) -> list[Path]:
    return [file for file in _entries(folder) if file.suffix.lower() in (".jpg", ".jpeg", ".png")]


def _labels(files: Sequence[Sequence[Path]]) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(files)), [len(of_class) for of_class in files])


def _whole(file: Path, size: int) -> NDArray[np.uint8]:
    """The image (3, size, size), which must have that size."""
    image = _decoded(file)
    if image.shape != (3, size, size):
        found = f"{image.shape[2]}x{image.shape[1]}"
        raise DataError(f"{file} has {found} pixels and should have {size}x{size}.")
    return image


def _decoded(file: Path, size: int | None = None) -> NDArray[np.uint8]:
    """The image (3, height, width), or its middle, the shorter side scaled to ``size``."""
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as opened_file:
            image = opened_file.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(
            f"{file} is damaged: {words_of(error).rstrip('.')}.", "Unpack the archive again."
        ) from error
    if size is not None:
        image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=np.uint8).transpose(2, 0, 1)
