"""Folders of image files are read as data sets; the tests write small ones."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from al_bench.data.image_folders import CINIC10, Caltech101
from al_bench.data.vision import CIFAR10_CLASSES
from al_bench.errors import ConfigError, DataError


def write(path: Path, color: tuple[int, int, int], size: tuple[int, int] = (32, 32)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)


@pytest.fixture
def cinic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(CINIC10, "COUNT", 1)
    for place, part in enumerate(("train", "valid", "test")):
        for label, name in enumerate(CIFAR10_CLASSES):
            write(tmp_path / "CINIC-10" / part / name / "a.png", (place, label, 7))
    return tmp_path


def test_cinic10_has_train_and_valid_in_its_training_set(cinic: Path) -> None:
    dataset = CINIC10(str(cinic)).load()
    assert dataset.class_names == CIFAR10_CLASSES
    assert dataset.train.labels.tolist() == [*range(10), *range(10)]
    values = dataset.train.inputs.values  # type: ignore[attr-defined]
    assert values.shape == (20, 3, 32, 32)
    assert values[:, :, 5, 9].tolist() == [[p, c, 7] for p in (0, 1) for c in range(10)]
    assert len(dataset.test) == 10


def test_what_is_wrong_in_cinic10_is_named(cinic: Path) -> None:
    with pytest.raises(DataError, match=r"There is no folder .*airplane\. Set root="):
        CINIC10(str(cinic / "nowhere")).load()
    image = cinic / "CINIC-10" / "valid" / "cat" / "a.png"
    write(image, (0, 0, 0), (31, 32))
    with pytest.raises(DataError, match=r"a\.png has 31x32 pixels and should have 32x32"):
        CINIC10(str(cinic)).load()
    image.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"a\.png is damaged: cannot identify"):
        CINIC10(str(cinic)).load()
    image.unlink()
    with pytest.raises(DataError, match="cat has 0 images and should have 1"):
        CINIC10(str(cinic)).load()


@pytest.fixture
def caltech(tmp_path: Path) -> Path:
    base = tmp_path / "caltech101" / "101_ObjectCategories"
    for label, name in enumerate(("BACKGROUND_Google", "ant", "barrel")):
        for i in range(1, 8):
            write(base / name / f"image_{i:04}.png", (label, i, 0), (60, 30))
    return tmp_path


def test_every_fifth_image_of_caltech101_is_a_test_image(caltech: Path) -> None:
    dataset = Caltech101(str(caltech), size=16).load()
    assert dataset.class_names == ("ant", "barrel")
    assert dataset.train.labels.tolist() == [0] * 6 + [1] * 6
    values = dataset.test.inputs.values  # type: ignore[attr-defined]
    assert values.shape == (2, 3, 16, 16)
    assert values[:, :, 8, 8].tolist() == [[1, 5, 0], [2, 5, 0]]
    with_background = Caltech101(str(caltech), size=16, background=True).load()
    assert with_background.class_names == ("BACKGROUND_Google", "ant", "barrel")


def test_a_wide_image_is_scaled_and_cut_to_its_middle(caltech: Path) -> None:
    pixels = np.zeros((30, 60, 3), dtype=np.uint8)
    pixels[:, 15:45] = 200  # the middle square
    base = caltech / "caltech101" / "101_ObjectCategories"
    Image.fromarray(pixels).save(base / "ant" / "image_0001.png")
    dataset = Caltech101(str(caltech), size=10).load()
    assert (dataset.train.inputs.values[0, :, :, 1:-1] == 200).all()  # type: ignore[attr-defined]


def test_what_is_wrong_in_caltech101_is_told(caltech: Path) -> None:
    with pytest.raises(ConfigError, match="size must be a whole number from 8"):
        Caltech101(size=4)
    with pytest.raises(ConfigError, match="background must be true or false"):
        Caltech101(background="no")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="There is no folder"):
        Caltech101(str(caltech / "nowhere")).load()
    for i in range(1, 5):
        (caltech / f"caltech101/101_ObjectCategories/ant/image_{i:04}.png").unlink()
    with pytest.raises(DataError, match="ant has 3 images; 5 are needed"):
        Caltech101(str(caltech)).load()
