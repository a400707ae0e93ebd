"""Another data set is shown to a model by the moments of the model's own."""

import dataclasses

import numpy as np
import pytest
import torch

from al_bench.data import array_files
from al_bench.data.arrays import Arrays
from al_bench.data.base import Moments, Normalized
from al_bench.data.beside import beside
from al_bench.data.build import in_memory

CPU = torch.device("cpu")
LABELS = np.arange(60) % 3


def floats(center, spread, shape=(4,), seed=0):
    draw = np.random.default_rng(seed)
    return (center + spread * draw.standard_normal((60, *shape))).astype(np.float32)


def pixels(seed=0):
    return np.random.default_rng(seed).integers(0, 200, (60, 1, 5, 5)).astype(np.uint8)


def file(tmp_path, name, x):
    np.savez(tmp_path / f"{name}.npz", x_train=x, y_train=LABELS, x_test=x, y_test=LABELS)
    return str(tmp_path / f"{name}.npz")


def folder(tmp_path, name, x):
    (tmp_path / name).mkdir()
    for key, value in {"x_train": x, "y_train": LABELS, "x_test": x, "y_test": LABELS}.items():
        np.save(tmp_path / name / f"{key}.npy", value)
    return str(tmp_path / name)


@pytest.fixture
def small_memory(monkeypatch):
    """Arrays of a folder stay on the disk, however small they are."""
    monkeypatch.setattr(array_files, "RESIDENT_BYTES", 1)


def shown(inputs):
    return inputs.gather(torch.arange(len(inputs)), CPU).double().numpy()


def by(x, own):
    """``x`` as a model of standardised ``own`` has to be shown it, in float64."""
    x, own = x.astype(np.float64), own.astype(np.float64)
    axes = (0,) if own.ndim == 2 else (0, 2, 3)
    return (x - own.mean(axis=axes, keepdims=True)) / own.std(axis=axes, keepdims=True)


@pytest.mark.parametrize("standardize", [True, False])
def test_a_far_table_stays_far(tmp_path, standardize):
    own, far = floats(3.0, 2.0), floats(1000.0, 70.0, seed=1)
    other = Arrays(file(tmp_path, "far", far), standardize).load()
    found = beside(other, Arrays(file(tmp_path, "own", own)).load(), "far")
    for part in (found.train, found.test):
        np.testing.assert_allclose(shown(part.inputs), by(far, own), rtol=1e-5)
    assert found.fingerprint != other.fingerprint


def test_a_table_as_it_is_makes_others_as_they_are(tmp_path):
    other = Arrays(file(tmp_path, "far", floats(1000.0, 70.0, seed=1))).load()
    own = Arrays(file(tmp_path, "own", floats(3.0, 2.0)), standardize=False).load()
    values = shown(beside(other, own, "far").test.inputs)
    np.testing.assert_allclose(values, floats(1000.0, 70.0, seed=1), rtol=1e-5)


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("own_on_disk", [False, True])
@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize("own_kind", ["uint8", "float32"])
def test_images_are_shown_alike_however_they_are_stored(
    tmp_path, small_memory, on_disk, own_on_disk, kind, own_kind
):
    x, own = pixels(1), pixels(0) // 2

    def load(name, values, kind, on_disk):
        stored = values if kind == "uint8" else (values / 255.0).astype(np.float32)
        return Arrays((folder if on_disk else file)(tmp_path, name, stored)).load()

    other = load("other", x, kind, on_disk)
    found = beside(other, load("own", own, own_kind, own_on_disk), "other")
    np.testing.assert_allclose(shown(found.test.inputs), by(x, own), rtol=1e-4, atol=1e-5)
    border = found.test.inputs.zero.double().numpy()[None]
    np.testing.assert_allclose(border, by(np.zeros((1, 1, 1, 1)), own), rtol=1e-5)


def test_bytes_of_both_keep_the_fingerprint_that_stored_runs_know(tmp_path):
    other = Arrays(file(tmp_path, "other", pixels(1))).load()
    found = beside(other, Arrays(file(tmp_path, "own", pixels(0))).load(), "other")
    assert found.fingerprint == other.fingerprint


def test_equal_moments_change_nothing(tmp_path):
    other = Arrays(file(tmp_path, "far", floats(9.0, 1.0)), standardize=False).load()
    own = Arrays(file(tmp_path, "own", floats(3.0, 2.0)), standardize=False).load()
    found = beside(other, own, "far")
    assert found.test.inputs is other.test.inputs
    assert found.fingerprint == other.fingerprint


def test_tables_of_the_uci_kind_are_shown_alike():
    own, far = floats(3.0, 2.0), floats(1000.0, 70.0, seed=1)

    def load(x):
        mean, std = (tuple(map(float, part)) for part in (x.mean(axis=0), x.std(axis=0)))
        return in_memory(x, LABELS, x, LABELS, "abc", mean, std)

    found = beside(load(far), load(own), "far")
    np.testing.assert_allclose(shown(found.test.inputs), by(far, own), rtol=1e-4)


def test_inputs_of_a_class_of_ones_own_stay_as_they_are(tmp_path):
    own = Arrays(file(tmp_path, "own", floats(3.0, 2.0))).load()

    class Own:
        input_shape, zero = (4,), torch.zeros(4)

        def __len__(self):
            return 60

        def gather(self, indices, device):
            return torch.ones(len(indices), 4)

    inputs = Own()
    assert not isinstance(inputs, Normalized)
    examples = dataclasses.replace(own.train, inputs=inputs)
    other = dataclasses.replace(own, train=examples, test=examples, fingerprint="other")
    found = beside(other, own, "other")
    assert found.train.inputs is inputs
    assert found.fingerprint == "other"


def test_moments_follow_each_other():
    first, then = Moments((1.0, 2.0), (4.0, 0.5)), Moments((3.0,), (2.0,))
    values = np.array([[10.0, 20.0]])

    def apply(moments, values):
        return (values - np.array(moments.mean)) / np.array(moments.std)

    both = first.followed_by(then)
    np.testing.assert_allclose(apply(both, values), apply(then, apply(first, values)))
    np.testing.assert_allclose(
        apply(both.following(first), apply(first, values)), apply(both, values)
    )
