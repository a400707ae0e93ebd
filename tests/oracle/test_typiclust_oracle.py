"""TypiClust on blobs that k-means cannot miss, against typicality by its formula in float64."""

import pytest
import torch
from pool_views import FakeView, log_probs, seeded

from al_bench.errors import ConfigError
from al_bench.strategies.spaces import LastLayer
from al_bench.strategies.typiclust import TypiClust

SIZES = [9, 30, 14, 6, 3]  # of blobs 100 apart


class Blobs(FakeView):
    """A pool of blobs with labeled points in the blobs named."""

    def __init__(self, labeled=()):
        parts = [
            torch.randn(size, 4, generator=seeded(size)) + 100 * blob
            for blob, size in enumerate(SIZES)
        ]
        super().__init__(log_probs(sum(SIZES), 1, 3), torch.cat(parts))
        self.labeled = torch.tensor([[100.0 * blob] * 4 for blob in labeled]).reshape(-1, 4)
        self.blob = torch.arange(len(SIZES)).repeat_interleave(torch.tensor(SIZES))

    def labeled_features(self):
        return self.labeled


def typicalities(points, num_neighbors):
    distances = torch.cdist(points.double(), points.double())
    nearest = distances.sort(dim=1).values[:, 1 : num_neighbors + 1]
    return 1 / (nearest.mean(dim=1) + 1e-5)


def check(view, selection, blobs):
    """The batch has the most typical points of ``blobs``, in that order."""
    left = torch.ones(len(view), dtype=torch.bool)
    for pick, score, blob in zip(
        selection.positions.tolist(), selection.scores.tolist(), blobs, strict=True
    ):
        members = ((view.blob == blob) & left).nonzero().squeeze(1)
        typicality = typicalities(view.embedding[members], min(20, len(members) // 2))
        assert pick == int(members[typicality.argmax()])
        assert score == pytest.approx(float(typicality.max()), rel=1e-4)
        left[pick] = False


def test_picks_the_most_typical_points_of_the_largest_clusters():
    view = Blobs()
    for seed in range(3):
        selection = TypiClust(LastLayer()).select(view, 5, seeded(seed))
        assert selection.notes == {"num_clusters": 5}
        check(view, selection, [1, 2, 0, 3, 1])  # the blob of 3 is left out


def test_clusters_with_labels_come_after_those_without():
    view = Blobs(labeled=[1, 0])
    selection = TypiClust(LastLayer()).select(view, 3, seeded(0))
    check(view, selection, [2, 3, 1])


def test_clusters_are_capped_and_visited_again():
    view = Blobs()
    selection = TypiClust(LastLayer(), max_clusters=5, min_cluster_size=10).select(
        view, 7, seeded(0)
    )
    check(view, selection, [1, 2, 1, 2, 1, 2, 1])


def test_small_clusters_follow_when_the_others_are_used_up():
    view = Blobs()
    selection = TypiClust(LastLayer(), max_clusters=5, num_neighbors=3).select(view, 62, seeded(0))
    assert sorted(selection.positions.tolist()) == list(range(62))
    assert set(view.blob[selection.positions[-3:]].tolist()) == {4}
    assert selection.scores[-1].isnan()  # a lone point has no neighbor


def test_more_than_50_clusters_are_found_by_mini_batches():
    view = FakeView(log_probs(300, 1, 3), torch.randn(300, 4, generator=seeded(1)))
    selection = TypiClust(LastLayer(), min_cluster_size=2).select(view, 60, seeded(0))
    assert len(selection.positions.unique()) == 60
    assert selection.notes["num_clusters"] > 50


@pytest.mark.parametrize("name", ["max_clusters", "min_cluster_size", "num_neighbors"])
def test_counts_are_whole_and_positive(name):
    for wrong in (0, 2.5, True):
        with pytest.raises(ConfigError, match=f"^{name}"):
            TypiClust(LastLayer(), **{name: wrong})
