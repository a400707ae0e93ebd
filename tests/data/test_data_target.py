"""Target distributions: whose predictions matter."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from al_bench.data.base import Dataset, Examples, Pool, TensorInputs
from al_bench.data.subset import IndexedInputs
from al_bench.data.target import (
    ClassTargets,
    FileTargets,
    HeldOutTargets,
    PoolTargets,
    apart,
    effective_number,
)
from al_bench.errors import ConfigError, DataError
from al_bench.seeding import Streams


def dataset(dtype=torch.uint8):
    values = torch.arange(40).reshape(10, 1, 2, 2).to(dtype)
    labels = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 1, 2])
    examples = Examples(TensorInputs(values, (0.5,), (0.25,)), labels)
    return Dataset(examples, examples, ("a", "b", "c"), "0")


def pool(data):
    return Pool.of(data.train, 3, "own")


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_every_pool_point_is_as_likely_a_target():
    targets = PoolTargets().of(dataset(), pool(dataset()))
    counts = torch.zeros(10)
    for seed in range(400):
        drawn = targets.draw(3, seeded(seed))
        assert len(set(drawn.tolist())) == 3
        counts[drawn] += 1
    assert chisquare(counts).pvalue > 1e-4


def test_a_smaller_draw_is_the_beginning_of_a_larger_one():
    targets = PoolTargets().of(dataset(), pool(dataset()))
    assert torch.equal(targets.draw(4, seeded(1)), targets.draw(9, seeded(1))[:4])


@pytest.mark.slow
def test_targets_have_the_class_proportions_that_were_asked_for():
    targets = ClassTargets([1.0, 3.0, 0.0]).of(dataset(), pool(dataset()))
    labels = dataset().train.labels
    first = torch.stack([labels[targets.draw(1, seeded(seed))] for seed in range(600)])
    counts = torch.bincount(first.flatten(), minlength=3)
    assert counts[2] == 0
    assert chisquare(counts[:2], [150, 450]).pvalue > 1e-4


def test_points_of_another_data_set_are_no_class_targets():
    data = dataset()
    origin = torch.zeros(10, dtype=torch.int64)
    origin[:5] = 1
    mixed = dataclasses.replace(pool(data), origin=origin, origins=("own", "other"))
    assert ClassTargets([1, 0, 0]).of(data, mixed).indices.tolist() == [5]


@pytest.mark.parametrize(
    ("proportions", "message"),
    [([1, 1], "2 numbers for 3 classes"), ([0, 1, 1, 1], "4 numbers for 3")],
)
def test_proportions_must_fit_the_classes(proportions, message):
    with pytest.raises(ConfigError, match=message):
        ClassTargets(proportions).of(dataset(), pool(dataset()))


@pytest.mark.parametrize("proportions", [[], [0, 0, 0], [1, -1, 0], [float("nan"), 1, 1]])
def test_proportions_must_be_proportions(proportions):
    with pytest.raises(ConfigError, match=r"^proportions must be numbers from 0"):
        ClassTargets(proportions)


def test_a_class_that_the_pool_lacks_cannot_be_a_target():
    data = dataset()
    poor = dataclasses.replace(pool(data), true_labels=torch.zeros(10, dtype=torch.int64))
    with pytest.raises(ConfigError, match="wants class 1, which the pool lacks"):
        ClassTargets([1, 1, 0]).of(data, poor)


def test_images_of_a_file_are_normalised_as_the_data_set_is(tmp_path):
    data = dataset()
    np.save(tmp_path / "t.npy", data.train.inputs.values[:4].numpy())
    targets = FileTargets(str(tmp_path / "t.npy")).of(data, pool(data))
    cpu = torch.device("cpu")
    drawn = targets.draw(4, seeded(0))
    expected = data.train.inputs.gather(torch.arange(4), cpu)
    assert torch.equal(targets.inputs.gather(drawn.sort().values, cpu), expected)


def test_a_file_of_targets_is_read_once_for_all_trials(tmp_path):
    data = dataset()
    np.save(tmp_path / "t.npy", data.train.inputs.values[:4].numpy())
    target = FileTargets(str(tmp_path / "t.npy"))
    first = target.of(data, pool(data))
    (tmp_path / "t.npy").unlink()
    assert target.of(data, pool(data)).inputs is first.inputs


def test_floating_point_targets_are_taken_as_they_are(tmp_path):
    values = np.linspace(-1, 1, 12).reshape(3, 1, 2, 2)
    np.save(tmp_path / "t.npy", values)
    targets = FileTargets(str(tmp_path / "t.npy")).of(dataset(), pool(dataset()))
    got = targets.inputs.gather(torch.arange(3), torch.device("cpu"))
    assert torch.equal(got, torch.from_numpy(values).float())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            np.zeros((3, 1, 2, 3), np.uint8),
            r"shape \(3, 1, 2, 3\); the data set needs \(M, 1, 2, 2",
        ),
        (np.zeros((0, 1, 2, 2), np.uint8), r"shape \(0, 1, 2, 2\)"),
        (np.zeros((3, 1, 2, 2), np.int64), "uint8 or finite floating point numbers, got int64"),
        (np.full((3, 1, 2, 2), np.nan), "finite floating point"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, values, message):
    np.save(tmp_path / "t.npy", values)
    with pytest.raises(DataError, match=message):
        FileTargets(str(tmp_path / "t.npy")).of(dataset(), pool(dataset()))


def test_images_for_inputs_that_are_none_are_refused(tmp_path):
    np.save(tmp_path / "t.npy", np.zeros((3, 1, 2, 2), np.uint8))
    data = dataset(torch.float32)
    with pytest.raises(DataError, match="the data set's inputs are not"):
        FileTargets(str(tmp_path / "t.npy")).of(data, pool(data))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"^path=.*gone\.npy cannot be read"):
        FileTargets(str(tmp_path / "gone.npy")).of(dataset(), pool(dataset()))


def of_sizes(*sizes):
    """A pool with that many points of each class."""
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    values = torch.arange(len(labels)).float().reshape(-1, 1)
    names = tuple(str(label) for label in range(len(sizes)))
    examples = Examples(TensorInputs(values), labels)
    return Dataset(examples, examples, names, "0"), Pool.of(examples, len(sizes), "own")


@pytest.mark.parametrize(
    ("sizes", "proportions"),
    [((900, 100), [10, 90]), ((60, 60, 5), [1, 1, 2]), ((50, 8, 50), [0, 3, 1]), ((9, 40), [1, 0])],
)
def test_many_targets_keep_the_proportions_that_few_have(sizes, proportions):
    data, own = of_sizes(*sizes)
    targets = ClassTargets(proportions).of(data, own)
    wanted = torch.tensor(proportions).double() / sum(proportions)
    count = min(100, len(targets.indices))
    for seed in range(20):
        drawn = own.true_labels[targets.draw(count, seeded(seed))]
        share = torch.bincount(drawn, minlength=len(sizes)) / count
        assert (share - wanted).abs().max() <= 3 / count


@pytest.mark.slow
def test_the_average_over_class_targets_is_unbiased_at_every_place():
    data, own = of_sizes(30, 4)
    targets = ClassTargets([1, 3]).of(data, own)
    value = torch.randn(34, generator=seeded(3), dtype=torch.float64)
    exact = value[:30].mean() / 4 + value[30:].mean() * 3 / 4
    drawn = torch.stack([value[targets.draw(20, seeded(seed))] for seed in range(3000)])
    averages = drawn.mean(dim=1)
    assert abs(averages.mean() - exact) < 4 * averages.std() / 3000**0.5
    error = drawn.std(dim=0) / 3000**0.5
    assert ((drawn.mean(dim=0) - exact).abs() < 4.5 * error).all()


def test_a_smaller_draw_of_classes_is_the_beginning_of_a_larger_one():
    data, own = of_sizes(20, 3)
    targets = ClassTargets([1, 1]).of(data, own)
    assert torch.equal(targets.draw(5, seeded(1)), targets.draw(17, seeded(1))[:5])


def test_points_of_a_small_class_are_drawn_again_in_turn_and_the_effective_number_says_so():
    data, own = of_sizes(40, 2)
    targets = ClassTargets([1, 1]).of(data, own)
    drawn = targets.draw(20, seeded(0))
    counts = drawn[drawn >= 40].bincount()[40:]
    assert counts.min() >= 4
    assert len(drawn[drawn < 40].unique()) == int((drawn < 40).sum())
    alone = int((drawn < 40).sum())
    assert effective_number(drawn) == pytest.approx(400 / float(alone + counts.square().sum()))
    assert effective_number(torch.arange(7)) == 7


def copied(data):
    """Every point twice, the last two of another data set."""
    own = pool(data)
    twice = torch.arange(10).repeat(2)
    origin = (twice >= 8).long()
    parts = {name: getattr(own, name)[twice] for name in ("labels", "true_labels", "refused")}
    return dataclasses.replace(
        own,
        inputs=IndexedInputs(own.inputs, twice),
        source_index=twice,
        origin=origin,
        origins=("own", "other"),
        **parts,
    )


def test_held_out_points_are_of_the_classes_and_leave_the_pool_with_their_copies():
    data, drawn = dataset(), torch.zeros(10)
    for seed in range(200):
        target = HeldOutTargets([2, 1, 0])
        left, held = apart(target, copied(data), Streams(seed))
        assert held.labels.tolist() == [0, 0, 1]
        assert not set(held.source_index.tolist()) & set(left.source_index.tolist())
        assert len(left) == 20 - 2 * 3
        targets = target.of(data, held)
        cpu = torch.device("cpu")
        shown = targets.inputs.gather(targets.indices, cpu)
        assert torch.equal(shown, data.train.inputs.gather(held.source_index, cpu))
        drawn[held.source_index] += 1
    assert (drawn[8:] == 0).all()  # another data set's
    assert chisquare(drawn[:6]).pvalue > 1e-4
    assert chisquare(drawn[6:8]).pvalue > 1e-4


def test_targets_that_hold_nothing_out_leave_the_pool_as_it_is():
    own = pool(dataset())
    assert apart(PoolTargets(), own, Streams(0)) == (own, own)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([1, 1], "counts has 2 numbers for 3 classes. Give one a class"),
        ([1, 4, 0], r"counts=\[1, 4, 0\]: there are 3 points of class 1"),
        ([6, 3, 1], "All points of the pool are held out"),
    ],
)
def test_points_that_cannot_be_held_out_are_told(counts, said):
    with pytest.raises(ConfigError, match=said):
        apart(HeldOutTargets(counts), pool(dataset()), Streams(0))


@pytest.mark.parametrize(("counts", "said"), [(3, "must be a list"), ([0, 0, 0], "no point")])
def test_counts_that_ask_for_nothing_are_refused(counts, said):
    with pytest.raises(ConfigError, match=said):
        HeldOutTargets(counts)
