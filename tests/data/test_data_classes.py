"""Classes that nothing has are no classes: told or refused, never worked with."""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from al_bench.data.arrays import Arrays
from al_bench.data.base import Dataset, Examples, Pool, TensorInputs
from al_bench.data.contaminate import Contaminate
from al_bench.data.imbalance import Imbalance
from al_bench.data.label_noise import LabelNoise
from al_bench.data.pool import apply_transforms, load_transforms
from al_bench.data.remap import Remap
from al_bench.errors import DataError
from al_bench.rounds import metrics
from al_bench.seeding import Streams

GAPS = {
    "from one": ([1, 2, 3], [1, 2, 3], "class 0 of 4"),
    "even": ([0, 2, 4], [0, 2], "classes 1 and 3 of 5"),
    "one far": ([0, 1, 9], [0, 1, 9], "classes 2, 3, 4, 5, 6, 7 and 8 of 10"),
    "filled by neither": ([0, 1], [0, 3], "class 2 of 4"),
}


def written(folder: Path, train: Any, test: Any, **more: Any) -> str:
    rng = np.random.default_rng(0)
    y_train, y_test = np.resize(train, 100), np.resize(test, 40)
    np.savez(
        folder / "own.npz",
        x_train=rng.normal(size=(100, 4)),
        y_train=y_train,
        x_test=rng.normal(size=(40, 4)),
        y_test=y_test,
        **more,
    )
    return str(folder / "own.npz")


def dataset(train: list[int], test: list[int], num_classes: int, given: bool = False) -> Dataset:
    def examples(labels: list[int]) -> Examples:
        return Examples(TensorInputs(torch.rand(len(labels), 3)), torch.tensor(labels))

    names = tuple(map(str, range(num_classes)))
    return Dataset(examples(train), examples(test), names, "f00d", given)


@pytest.mark.parametrize(("train", "test", "said"), GAPS.values(), ids=GAPS)
def test_gaps_are_refused_with_what_can_be_typed(
    tmp_path: Path, train: list[int], test: list[int], said: str
) -> None:
    path = written(tmp_path, train, test)
    with pytest.raises(DataError, match=said) as caught:
        load_transforms([], Arrays(path).load())
    hint = caught.value.hint or ""
    # The line for NumPy.
    content = dict(np.load(path))
    exec(hint.partition("anew: ")[2].partition("; or use")[0], {"np": np}, content)
    anew = {key: content[key] for key in ("x_train", "y_train", "x_test", "y_test")}
    np.savez(tmp_path / "anew.npz", **anew)
    numbered = Arrays(str(tmp_path / "anew.npz")).load()
    # The line for the command.
    words = dict(word.split("=") for word in shlex.split(hint) if "=" in word and "y_" not in word)
    assert words["pool"] == "remap"
    new = re.findall(r"\d+|null", words["pool.remap.classes"])
    remap = Remap([None if label == "null" else int(label) for label in new])
    mapped = load_transforms([remap], Arrays(path).load())
    assert mapped.num_classes == numbered.num_classes == len({*train, *test})
    assert mapped.test.labels.tolist() == numbered.test.labels.tolist()
    # The key that says that they are meant.
    meant = Arrays(path, num_classes=int(words["dataset.num_classes"])).load()
    assert meant.num_classes == max(*train, *test) + 1
    assert load_transforms([], meant).known_classes == tuple(sorted({*train, *test}))
    assert load_transforms([], meant).notes[-1].endswith("no example at all.")


def test_names_say_that_a_class_is_meant(tmp_path: Path) -> None:
    names = np.array(["nothing", "cat", "dog"])
    loaded = load_transforms([], Arrays(written(tmp_path, [1, 2], [1], class_names=names)).load())
    assert loaded.notes == ("Class 0 has no example at all.",)


@pytest.mark.parametrize(
    ("num_classes", "more", "said"),
    [
        (3, {}, "y_train has the label 3; num_classes is 3, so labels must be 0 to 2"),
        (5, {"class_names": np.array(list("abcd"))}, "class_names has 4 names and num_classes"),
        (None, {"class_names": np.array(list("ab"))}, "class_names has 2 names, so labels must"),
    ],
)
def test_classes_told_must_fit_the_labels(
    tmp_path: Path, num_classes: int | None, more: Any, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        Arrays(written(tmp_path, [1, 2, 3], [1], **more), num_classes=num_classes).load()


@pytest.mark.parametrize(
    ("train", "test", "num_classes", "said"),
    [
        ([0, 1, 3], [0], 4, "class 2 of 4 has no example"),
        ([0, 1, -1], [0], 2, "training labels have -1; there are 2 class names"),
        ([0, 1], [2], 2, "test labels have 2"),
        ([0, 1], [], 2, "no test points|type torch.float32"),
    ],
)
def test_a_data_set_class_of_ones_own_is_held_to_the_same(
    train: list[int], test: list[int], num_classes: int, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        load_transforms([], dataset(train, test, num_classes))


def test_new_classes_without_an_example_are_refused() -> None:
    gap = dataset([1, 2, 3] * 5, [1, 2, 3], 4)
    with pytest.raises(DataError, match=r"class 1 of 3 .* in pool.remap.classes without 1"):
        load_transforms([Remap([1, 0, 2, 2])], gap)
    assert load_transforms([Remap([None, 0, 1, 1])], gap).known_classes == (0, 1)
    held = load_transforms([Remap([None, 0, 1, 2], test_classes=[0, 1])], gap)
    assert (held.known_classes, held.test.labels.tolist()) == ((0, 1, 2), [0, 1])


def test_a_class_that_only_training_has_cannot_be_emptied() -> None:
    whole = dataset([0, 1, 2] * 5, [0, 1], 3)
    for transform in (
        Imbalance(ratio=None, missing_classes=[2]),
        Imbalance(ratio=None, counts=[2, 2, 0]),
        Imbalance(ratio=None, proportions=[1.0, 1.0, 0.0]),
    ):
        with pytest.raises(DataError, match="no point of class 2, and the test set has none"):
            load_transforms([transform], whole)
    assert load_transforms([Imbalance(ratio=None, missing_classes=[1])], whole).notes == ()


@pytest.mark.parametrize("kind", ["uniform", "pair"])
def test_annotators_answer_classes_that_exist(kind: str) -> None:
    known = dataset([1, 4, 2] * 100, [1, 4, 2], 6, given=True)
    noise = LabelNoise(kind=kind, rate=0.5)
    loaded = load_transforms([noise], known)
    pool = Pool.of(known.train, 6, "own", loaded.known_classes)
    noisy = apply_transforms(pool, loaded.transforms, Streams(0)).labels
    assert set(noisy.tolist()) == {1, 2, 4}
    wrong = noisy != known.train.labels
    assert 0.4 < float(wrong.double().mean()) < 0.6
    if kind == "pair":
        after = {1: 2, 2: 4, 4: 1}
        assert noisy[wrong].tolist() == [after[c] for c in pool.labels[wrong].tolist()]


def test_a_wasted_answer_is_a_class_that_exists() -> None:
    known = dataset([1, 4, 2] * 10, [1], 6, given=True)

    class Other:
        def load(self) -> Dataset:
            return dataset([0] * 50, [0], 1)

    loaded = load_transforms([Contaminate("other", Other(), labels="wasted")], known)
    pool = Pool.of(known.train, 6, "own", loaded.known_classes)
    pool = apply_transforms(pool, loaded.transforms, Streams(0))
    assert set(pool.labels[pool.origin == 1].tolist()) == {1, 2, 4}


def test_macro_f1_leaves_out_classes_that_nothing_has() -> None:
    log_probs = torch.tensor([[0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]).log()
    labels = torch.tensor([1, 1, 2])
    assert metrics.evaluate(log_probs, labels)["macro_f1"] == pytest.approx((0 + 2 / 3 + 1) / 3)
    known = metrics.evaluate(log_probs, labels, known=[1, 2])
    assert known["macro_f1"] == pytest.approx((2 / 3 + 1) / 2)
