"""Cluster-Margin against the paper's two algorithms, written out, on blobs with known clusters."""

import json
from collections import Counter

import pytest
import torch
from pool_views import FakeView, log_probs, seeded
from scipy.stats import chisquare

from al_bench.errors import ConfigError
from al_bench.strategies.cluster_margin import ClusterMargin
from al_bench.strategies.scores import margin
from al_bench.strategies.spaces import LastLayer

SIZES = [12, 10, 8]


def blobs():
    """Three far blobs of 10 points on average."""
    parts = [
        torch.randn(size, 3, generator=seeded(size)) + 100 * blob for blob, size in enumerate(SIZES)
    ]
    return FakeView(log_probs(30, 3, 4, seed=8), torch.cat(parts))


BLOB = torch.arange(3).repeat_interleave(torch.tensor(SIZES)).tolist()


@pytest.mark.parametrize("batch_size", [1, 4, 9])
@pytest.mark.parametrize("margin_factor", [1.0, 2.0, 10.0])
def test_batch_is_drawn_round_robin_from_the_clusters_of_uncertain_points(
    batch_size, margin_factor
):
    view = blobs()
    scores = margin(view.given)
    considered = scores.argsort(descending=True)[: int(margin_factor * batch_size)].tolist()
    held = Counter(BLOB[point] for point in considered)
    for seed in range(5):
        selection = ClusterMargin(LastLayer(), margin_factor).select(view, batch_size, seeded(seed))
        picks = selection.positions.tolist()
        assert set(picks) <= set(considered)
        assert torch.equal(selection.scores, scores[picks])
        assert selection.notes == {"num_clusters": 3}
        left = dict(held)
        taken = [BLOB[pick] for pick in picks]
        while taken:  # one round: every cluster that is not used up, fewest points first
            turn = [taken.pop(0) for _ in range(min(len(taken), sum(n > 0 for n in left.values())))]
            assert len(set(turn)) == len(turn)
            sizes = [held[cluster] for cluster in turn]
            assert sizes == sorted(n for c, n in held.items() if left[c] > 0)[: len(turn)]
            for cluster in turn:
                left[cluster] -= 1


@pytest.mark.slow
def test_points_of_a_cluster_are_equally_likely():
    view = FakeView(log_probs(4, 1, 3, seed=1))
    firsts = Counter(
        int(ClusterMargin(LastLayer()).select(view, 1, seeded(seed)).positions)
        for seed in range(200)
    )
    assert chisquare([firsts[place] for place in range(4)]).pvalue > 1e-4


def test_clusters_of_a_subset_are_carried_over_to_the_nearest_points():
    view = blobs()
    strategy = ClusterMargin(LastLayer(), margin_factor=10.0, max_points=15)
    for seed in range(5):
        picks = strategy.select(view, 3, seeded(seed)).positions.tolist()
        assert {BLOB[pick] for pick in picks} == {0, 1, 2}


def test_clusters_of_the_first_round_stay_though_features_change():
    view = blobs()
    first = ClusterMargin(LastLayer()).select(view, 3, seeded(0))
    left = [place for place in range(30) if place not in first.positions.tolist()]
    later = FakeView(
        view.given[left],
        torch.randn(27, 3, generator=seeded(4)),
        round=1,
        state=json.loads(json.dumps(first.state)),
        order=torch.tensor(left),
    )
    second = ClusterMargin(LastLayer()).select(later, 3, seeded(1))
    assert second.state == first.state
    assert {BLOB[left[pick]] for pick in second.positions.tolist()} == {0, 1, 2}


def test_point_unknown_to_the_state_has_the_pool_clustered_anew():
    view = blobs()
    known = ClusterMargin(LastLayer()).select(view, 3, seeded(0))
    order = torch.arange(30) + 5  # indices 30 … 34 are new
    later = FakeView(view.given, view.embedding, state=known.state, order=order)
    second = ClusterMargin(LastLayer()).select(later, 3, seeded(1))
    assert second.state != known.state
    assert {BLOB[pick] for pick in second.positions.tolist()} == {0, 1, 2}


def test_state_of_another_strategy_is_passed_over():
    view = blobs()
    view.state = {"trajectory": [1, 2]}
    assert len(ClusterMargin(LastLayer()).select(view, 3, seeded(0)).positions) == 3


@pytest.mark.parametrize(
    ("name", "wrong"), [("margin_factor", 0.5), ("cluster_size", 0), ("max_points", 1)]
)
def test_impossible_numbers_are_refused(name, wrong):
    with pytest.raises(ConfigError, match=f"^{name}"):
        ClusterMargin(LastLayer(), **{name: wrong})
