"""Ambiguous digits are read from files of tensors, and nothing else is unpickled."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from al_bench.data.ambiguous import LABELS, SAMPLES, AmbiguousMNIST, MadeAmbiguousMNIST
from al_bench.errors import ConfigError, DataError


def samples(count: int = 6) -> Tensor:
    return torch.arange(count * 784, dtype=torch.float32).view(count, 1, 28, 28) / (count * 784)


def labels(count: int = 6) -> Tensor:
    return torch.arange(count * 3).view(count, 3) % 10


def write(root: Path, images: Any = None, answers: Any = None, folder: str = "") -> Path:
    place = root / (folder or MadeAmbiguousMNIST.FOLDER)
    place.mkdir(parents=True, exist_ok=True)
    torch.save(samples() if images is None else images, place / SAMPLES)
    torch.save(labels() if answers is None else answers, place / LABELS)
    return root


def test_an_image_is_a_point_for_each_of_its_labels(tmp_path: Path) -> None:
    dataset = MadeAmbiguousMNIST(str(write(tmp_path))).load()
    assert dataset.train.labels.tolist() == labels()[:3].flatten().tolist()
    assert dataset.test.labels.tolist() == labels()[3:].flatten().tolist()
    images = (255 * samples()).round()
    values: Any = dataset.train.inputs
    assert torch.equal(values.values.float(), images[:3].repeat_interleave(3, dim=0))
    shown = dataset.test.inputs.gather(torch.tensor([5]), torch.device("cpu"))
    assert shown == pytest.approx((images[4:5] / 255 - 0.1307) / 0.3081, abs=1e-5)
    assert dataset.num_classes == 10


class Foreign:
    """What runs code where it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.folder),))


def test_files_that_hold_more_than_tensors_run_nothing(tmp_path: Path) -> None:
    for folder, source in (
        (AmbiguousMNIST.FOLDER, AmbiguousMNIST),
        (MadeAmbiguousMNIST.FOLDER, MadeAmbiguousMNIST),
    ):
        write(tmp_path, images=[samples(), Foreign(tmp_path / "touched")], folder=folder)
        with pytest.raises(
            DataError, match=r"amnist_samples.pt holds more than tensors\."
        ) as caught:
            source(str(tmp_path)).load()
        assert "weights_only" not in str(caught.value)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"images": [samples()]}, "amnist_samples.pt holds a list, not a dense tensor"),
        ({"images": samples()[:, 0]}, "amnist_samples.pt holds torch.float32 of shape (6, 28, 28)"),
        ({"images": 255 * samples()}, "amnist_samples.pt holds grey values outside 0 … 1"),
        ({"images": samples().log()}, "amnist_samples.pt holds grey values outside 0 … 1"),
        ({"answers": labels(5)}, "amnist_labels.pt holds torch.int64 of shape (5, 3)"),
        ({"answers": labels() + 1}, "amnist_labels.pt holds labels outside 0 … 9"),
    ],
)
def test_tensors_of_something_else_are_named(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(DataError) as caught:
        MadeAmbiguousMNIST(str(write(tmp_path, **change))).load()
    assert said in str(caught.value)
    assert "scripts/make_ambiguous_mnist.py" in str(caught.value)


def test_what_is_missing_cut_or_not_published_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no folder .*AmbiguousMNIST\. Get its two files"):
        AmbiguousMNIST(str(tmp_path)).load()
    write(tmp_path, folder=AmbiguousMNIST.FOLDER)
    with pytest.raises(DataError, match=r"amnist_samples.pt is not the published file\."):
        AmbiguousMNIST(str(tmp_path)).load()
    file = write(tmp_path) / MadeAmbiguousMNIST.FOLDER / LABELS
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"amnist_labels.pt is damaged\."):
        MadeAmbiguousMNIST(str(tmp_path)).load()
    file.unlink()
    with pytest.raises(DataError, match=r"AmbiguousMNISTMade lacks amnist_labels.pt\."):
        MadeAmbiguousMNIST(str(tmp_path)).load()
    with pytest.raises(ConfigError, match=r"^root must be a folder, got 3"):
        MadeAmbiguousMNIST(3)  # type: ignore[arg-type]
