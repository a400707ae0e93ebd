"""BEMPS: vectors of expected changes by definition, batches by what k-means must do with them."""

import collections
import itertools

import pytest
import torch
from pool_views import FakeView, log_probs, one_hot, seeded
from scipy.stats import chisquare

from al_bench.errors import ConfigError
from al_bench.strategies.bemps import CoreLogBatch, CoreMSEBatch
from al_bench.strategies.epig import EPIG, CoreMSE
from al_bench.strategies.pointwise import Pointwise
from al_bench.strategies.rules import TopB

PAIRS = [(CoreMSEBatch, CoreMSE), (CoreLogBatch, EPIG)]


@pytest.mark.parametrize(("batch", "score"), PAIRS)
def test_scores_are_those_of_points_one_at_a_time_and_so_is_the_batch_of_one(batch, score):
    view = FakeView(log_probs(40, 8, 5))
    alone = score(12).of_pool(view, None)
    selection = batch(12).select(view, 6, seeded(0))
    torch.testing.assert_close(selection.scores, alone[selection.positions], atol=2e-6, rtol=0)
    assert (selection.scores.diff() <= 0).all()
    one = batch(12).select(view, 1, seeded(0)).positions
    assert torch.equal(one, Pointwise(score(12), TopB()).select(view, 1, seeded(0)).positions)


def on_targets(groups):
    """A pool of groups of points; each group bears on one of four targets, the same way."""
    bits = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)))  # (K = 16, 4)
    of_group = torch.stack([0.2 + 0.6 * bits, 0.8 - 0.6 * bits], dim=-1)  # (16, 4, C)
    pool = of_group.transpose(0, 1)[groups].log()

    class View(FakeView):
        def target_log_probs(self, num_targets, num_samples=None):
            assert num_targets == 4
            return of_group.transpose(0, 1).log()

    return View(pool)


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "score"), PAIRS)
def test_a_batch_changes_different_predictions(batch, score):
    """Top-B may buy four points of the large group; the batch has one of each group."""
    groups = torch.tensor([0] * 20 + [1] * 5 + [2] * 5 + [3] * 5)
    view = on_targets(groups)
    redundant = 0
    members = collections.Counter()
    for seed in range(60):
        picks = batch(4, share=1.0).select(view, 4, seeded(seed)).positions
        assert sorted(groups[picks].tolist()) == [0, 1, 2, 3]
        members.update(picks[groups[picks] == 1].tolist())
        top = Pointwise(score(4), TopB()).select(view, 4, seeded(seed)).positions
        redundant += len(groups[top].unique()) < 4
    assert redundant > 40
    assert chisquare([members[i] for i in range(20, 25)]).pvalue > 1e-4


def test_only_the_best_share_is_clustered():
    view = FakeView(log_probs(40, 8, 5))
    scores = CoreMSE(12).of_pool(view, None)
    best = set(scores.argsort(descending=True)[:10].tolist())
    for seed in range(10):
        picks = CoreMSEBatch(12, share=0.25).select(view, 5, seeded(seed)).positions.tolist()
        assert set(picks) <= best
    all_ten = CoreMSEBatch(12, share=0.01).select(view, 10, seeded(0)).positions.tolist()
    assert set(all_ten) == best  # never fewer than the batch


@pytest.mark.parametrize("batch", [CoreMSEBatch, CoreLogBatch])
def test_points_whose_samples_agree_come_last_and_are_drawn(batch):
    view = FakeView(one_hot(12, 5, 3))  # every third point is agreed on
    selection = batch(20).select(view, 10, seeded(0))
    assert selection.notes["num_drawn"] >= 2
    agreed = selection.positions % 3 == 0
    assert (selection.scores[agreed] == 0).all()
    assert agreed[:8].sum() == 0
    certain = FakeView(torch.eye(3)[[0, 1, 2, 0]][:, None].expand(4, 6, 3).log())
    nothing = batch(20).select(certain, 2, seeded(0))
    assert nothing.notes == {"num_drawn": 2, "fell_back": "random"}


@pytest.mark.parametrize("share", [0, -0.1, 1.1, True, "half"])
def test_shares_that_make_no_sense_are_refused(share):
    with pytest.raises(ConfigError, match=r"^share must"):
        CoreMSEBatch(share=share)
