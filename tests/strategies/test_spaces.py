"""Feature spaces: what they read, and what they refuse."""

import numpy as np
import pytest
import torch
from pool_views import FakeView, log_probs, seeded

from al_bench.errors import DataError
from al_bench.models.base import FEATURES
from al_bench.strategies.coreset import CoreSet
from al_bench.strategies.spaces import Embeddings, Inputs, LastLayer, located


def saved(path, values):
    np.save(path, values)
    return str(path)


def test_each_space_says_what_it_needs():
    assert LastLayer().needs == CoreSet(LastLayer()).needs == {FEATURES}
    assert Inputs().needs == CoreSet(Inputs()).needs == frozenset()


def test_last_layer_is_the_features_and_inputs_are_flattened():
    class Images(FakeView):
        def features(self):
            return torch.zeros(6, 2)

        def inputs(self, positions):
            return self.embedding[positions].reshape(-1, 2, 1, 2)

        def labeled_inputs(self):
            return torch.ones(0, 2, 1, 2)

    view = Images(log_probs(6, 1, 2), torch.randn(6, 4, generator=seeded(0)))
    assert torch.equal(LastLayer().pool(view), torch.zeros(6, 2))
    assert torch.equal(Inputs().pool(view), view.embedding)
    assert Inputs().labeled(view).shape == (0, 4)


def test_normalized_points_have_unit_length_and_zeros_stay():
    embedding = torch.tensor([[3.0, 4.0], [0.0, 0.0], [-1e-3, 0.0]])
    view = FakeView(log_probs(3, 1, 2), embedding)
    expected = torch.tensor([[0.6, 0.8], [0.0, 0.0], [-1.0, 0.0]])
    assert torch.allclose(LastLayer(normalize=True).pool(view), expected)
    assert torch.allclose(LastLayer(True).labeled(view).norm(dim=1), torch.ones(4))


def test_embeddings_are_rows_by_source_index(tmp_path):
    values = np.arange(40, dtype=np.float64).reshape(20, 2)
    space = Embeddings(saved(tmp_path / "e.npy", values))
    assert space.needs == frozenset()
    order = torch.tensor([7, 3, 3, 11])  # copies of 3 share its row
    view = FakeView(log_probs(4, 1, 2), order=order, num_labeled=2)
    assert space.pool(view).dtype == torch.float32
    assert torch.equal(space.pool(view), torch.from_numpy(values[[7, 3, 3, 11]]).float())
    rows = view.labeled_source_indices.tolist()
    assert torch.equal(space.labeled(view), torch.from_numpy(values[rows]).float())


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.zeros((3, 2), np.float32), "has 3 rows"),
        (np.zeros((9, 2), np.int64), "int64"),
        (np.zeros((9, 2, 1)), r"\(9, 2, 1\)"),
        (np.zeros((9, 0)), r"\(9, 0\)"),
        (np.full((9, 2), np.nan), "not finite in row 0"),
        (np.full((9, 2), 1e300), "not finite in row 0"),
    ],
)
def test_embeddings_that_do_not_fit_are_refused(tmp_path, values, says):
    path = saved(tmp_path / "e.npy", values)
    with pytest.raises(DataError, match=says):
        Embeddings(path).pool(FakeView(log_probs(5, 1, 2)))


def test_file_that_is_missing_or_no_array_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(DataError, match=r"^path=nowhere"):
        Embeddings("nowhere.npy")
    for content in (b"", b"not an array"):
        (tmp_path / "e.npy").write_bytes(content)
        with pytest.raises(DataError, match=r"e\.npy cannot be read"):
            Embeddings(str(tmp_path / "e.npy"))


def test_features_that_are_not_finite_are_refused():
    for wrong in (torch.nan, torch.inf):
        embedding = torch.ones(4, 2)
        embedding[2, 1] = wrong
        with pytest.raises(ValueError, match="1 of 4 points are NaN"):
            LastLayer().pool(FakeView(log_probs(4, 1, 2), embedding))


def test_features_too_large_to_square_are_refused():
    view = FakeView(log_probs(3, 1, 2), torch.tensor([[0.0], [1e30], [1.0]]))
    with pytest.raises(ValueError, match="too large"):
        located(LastLayer(), view, 1, seeded(0))


def test_order_names_the_points_and_the_view_stays_as_it_was():
    view = FakeView(log_probs(9, 1, 2))
    before = view.embedding.clone()
    order, pool, labeled = located(LastLayer(), view, 2, seeded(1))
    shift = pool.values - before[order]
    assert torch.allclose(shift, shift[0].expand_as(shift), atol=1e-6)
    assert torch.allclose(labeled.values, view.labeled_features() + shift[0], atol=1e-6)
    assert torch.equal(view.embedding, before)
