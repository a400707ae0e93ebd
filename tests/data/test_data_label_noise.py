"""Labels err at the rate and between the classes that were asked for."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, chisquare

from al_bench.data.base import Dataset, Examples, Pool, TensorInputs
from al_bench.data.label_noise import LabelNoise
from al_bench.data.pool import apply_transforms, load_transforms
from al_bench.data.repeat import Repeat
from al_bench.data.subset import Subset
from al_bench.errors import ConfigError, DataError
from al_bench.seeding import Streams


def make_pool(n: int = 4000, num_classes: int = 5) -> Pool:
    examples = Examples(TensorInputs(torch.zeros(n, 1)), torch.arange(n) % num_classes)
    return Pool.of(examples, num_classes, "toy")


def test_uniform_noise_flips_at_its_rate_to_every_other_class_alike() -> None:
    pool = LabelNoise(rate=0.3)(make_pool(20_000), Streams(0))
    wrong = pool.labels != pool.true_labels
    assert binomtest(int(wrong.sum()), len(pool), 0.3).pvalue > 1e-4
    steps = (pool.labels - pool.true_labels)[wrong] % 5
    assert chisquare(torch.bincount(steps)[1:].numpy()).pvalue > 1e-4
    assert torch.equal(pool.true_labels, make_pool(20_000).labels)


def test_pair_noise_mistakes_a_class_for_the_next_and_the_last_for_the_first() -> None:
    pool = LabelNoise("pair", 0.4)(make_pool(), Streams(0))
    wrong = pool.labels != pool.true_labels
    assert binomtest(int(wrong.sum()), len(pool), 0.4).pvalue > 1e-4
    assert torch.equal(pool.labels[wrong], (pool.true_labels[wrong] + 1) % 5)


@pytest.mark.parametrize("kind", ["uniform", "pair"])
def test_the_extreme_rates_flip_nothing_and_everything(kind: str) -> None:
    for rate, share in ((0, 0.0), (1, 1.0)):
        pool = LabelNoise(kind, rate)(make_pool(), Streams(0))
        assert (pool.labels != pool.true_labels).double().mean() == share


def test_noise_is_reproducible_differs_between_seeds_and_follows_the_noise_stream() -> None:
    labels = [
        LabelNoise()(make_pool(), streams).labels
        for streams in (Streams(0), Streams(0, {"split": 1}), Streams(1), Streams(0, {"noise": 1}))
    ]
    assert torch.equal(labels[0], labels[1])
    assert not torch.equal(labels[0], labels[2])
    assert not torch.equal(labels[0], labels[3])


def test_copies_share_their_label_and_look_as_they_do_without_label_noise() -> None:
    transforms = [Repeat(3), Subset(50)]
    noisy = apply_transforms(make_pool(), [*transforms, LabelNoise(rate=0.5)], Streams(0))
    plain = apply_transforms(make_pool(), transforms, Streams(0))
    assert torch.equal(noisy.source_index, plain.source_index)
    assert (noisy.labels.view(3, 50) == noisy.labels[:50]).all()
    everything = torch.arange(150)
    cpu = torch.device("cpu")
    read = noisy.inputs.gather(everything, cpu)
    assert torch.equal(read, plain.inputs.gather(everything, cpu))


def test_refused_points_stay_as_they_are() -> None:
    refused = torch.arange(4000) % 2 == 0
    pool = dataclasses.replace(make_pool(), refused=refused)
    noisy = LabelNoise(rate=1)(pool, Streams(0))
    assert torch.equal(noisy.labels == pool.labels, refused)


def from_file(path: Path, labels: np.ndarray) -> tuple[Pool, str]:  # type: ignore[type-arg]
    np.save(path, labels)
    train = make_pool(20).inputs, make_pool(20).labels
    dataset = Dataset(Examples(*train), Examples(*train), tuple("abcde"), "f00d")
    noise = LabelNoise("file", path=str(path))
    loaded = load_transforms([noise, Subset(7)], dataset)
    return apply_transforms(make_pool(20), loaded.transforms, Streams(0)), loaded.fingerprint


def test_given_labels_are_read_by_source_index(tmp_path: Path) -> None:
    given = np.arange(20, dtype=np.uint8) // 4
    pool, _ = from_file(tmp_path / "a.npy", given)
    assert pool.labels.tolist() == given[pool.source_index.numpy()].tolist()
    assert torch.equal(pool.true_labels, pool.source_index % 5)


def test_given_labels_are_part_of_the_fingerprint_wherever_they_lie(tmp_path: Path) -> None:
    given = np.arange(20) // 4
    _, first = from_file(tmp_path / "a.npy", given)
    _, moved = from_file(tmp_path / "b.npy", given.astype(np.int32))
    _, other = from_file(tmp_path / "b.npy", given[::-1].copy())
    assert first == moved
    assert first != other
    assert first.startswith("f00d+")


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (np.zeros(19, np.int64), DataError, r"shape \(19,\).*needs 20 whole numbers"),
        (np.zeros(20), DataError, r"type float64"),
        (np.full(20, 5), ConfigError, r"has the label 5; the pool's classes are 0 to 4"),
        (np.full(20, -1), ConfigError, r"has the label -1"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    tmp_path: Path,
    labels: np.ndarray,
    error: type[Exception],
    message: str,  # type: ignore[type-arg]
) -> None:
    with pytest.raises(error, match=message):
        from_file(tmp_path / "a.npy", labels)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    noise = LabelNoise("file", path=str(tmp_path / "none.npy"))
    train = Examples(make_pool(20).inputs, make_pool(20).labels)
    with pytest.raises(DataError, match=r"none\.npy cannot be read"):
        noise.load(Dataset(train, train, tuple("abcde"), "f00d"))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"kind": "unifrom"}, r"kind is 'unifrom'. Did you mean 'uniform'"),
        ({"rate": 1.1}, r"rate must be a number from 0 and at most 1, got 1\.1"),
        ({"kind": "file"}, r"kind=file and path=null do not go together"),
        ({"path": "a.npy"}, r"kind=uniform and path=a\.npy do not go together"),
        ({"array": "a"}, r"array=a needs a file, and path is null"),
        ({"kind": "structured"}, r"kind=structured and mistakes=null do not go together"),
        ({"mistakes": [0, 0]}, r"kind=uniform and mistakes=\[0, 0\] do not go together"),
        ({"kind": "structured", "mistakes": 3}, r"mistakes must be a list"),
        ({"kind": "structured", "mistakes": [0, -1]}, r"A class in mistakes"),
    ],
)
def test_requests_that_make_no_sense_are_refused(wanted: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LabelNoise(**wanted)  # type: ignore[arg-type]


def test_structured_noise_mistakes_some_classes_for_given_ones() -> None:
    noise = LabelNoise("structured", 0.5, mistakes=[0, 3, 2, 4, 4])
    pool = noise(make_pool(), Streams(0))
    wrong = pool.labels != pool.true_labels
    assert set(pool.true_labels[wrong].tolist()) == {1, 3}
    for known, taken in ((1, 3), (3, 4)):
        of_class = pool.true_labels == known
        assert set(pool.labels[of_class & wrong].tolist()) == {taken}
        assert binomtest(int((of_class & wrong).sum()), int(of_class.sum()), 0.5).pvalue > 1e-4
    for mistakes in ([0, 1, 2, 3], [0, 1, 2, 3, 5]):
        with pytest.raises(ConfigError, match=r"mistakes is \[0, 1, 2, 3.*the pool has 5 classes"):
            LabelNoise("structured", 0.5, mistakes=mistakes)(make_pool(), Streams(0))


def of_archive(tmp_path: Path, array: str | None) -> tuple[object, str | None]:
    path = tmp_path / "human.npz"
    np.savez(path, clean_label=np.arange(20) % 5, aggre_label=np.arange(20) // 4)
    train = Examples(make_pool(20).inputs, make_pool(20).labels)
    noise = LabelNoise("file", path=str(path), array=array)
    return noise.load(Dataset(train, train, tuple("abcde"), "f00d"))


def test_an_array_of_several_is_read_by_its_name(tmp_path: Path) -> None:
    loaded, fingerprint = of_archive(tmp_path, "aggre_label")
    pool = loaded(make_pool(20), Streams(0))  # type: ignore[operator]
    assert pool.labels.tolist() == [i // 4 for i in range(20)]
    assert fingerprint != of_archive(tmp_path, "clean_label")[1]
    np.save(tmp_path / "alone.npy", np.arange(20) // 4)
    train = Examples(make_pool(20).inputs, make_pool(20).labels)
    data = Dataset(train, train, tuple("abcde"), "f00d")
    assert LabelNoise("file", path=str(tmp_path / "alone.npy")).load(data)[1] == fingerprint
    with pytest.raises(DataError, match=r"no \.npz file, in which there could be .* aggre_label"):
        LabelNoise("file", path=str(tmp_path / "alone.npy"), array="aggre_label").load(data)


def test_an_archive_without_a_name_or_with_a_wrong_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"several arrays \(clean_label, aggre_label\)"):
        of_archive(tmp_path, None)
    with pytest.raises(DataError, match="no array 'aggre'") as caught:
        of_archive(tmp_path, "aggre")
    assert "aggre_label" in str(caught.value.hint)
