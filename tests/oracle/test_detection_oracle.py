"""AUROC, AUPR and FPR at 95 % recall agree with scikit-learn, ties and infinities included."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from al_bench.rounds.detection import detection


def expected(own, other):
    scores = np.concatenate([own, other])
    is_other = np.arange(len(scores)) >= len(own)
    # Accepting a point of one's own is what is recalled here: low scores are accepted.
    alarms, recall, _ = roc_curve(~is_other, -scores, drop_intermediate=False)
    return {
        "auroc": roc_auc_score(is_other, scores),
        "aupr": average_precision_score(is_other, scores),
        "fpr95": alarms[recall >= 0.95].min(),
    }


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("n", "m"), [(1, 1), (7, 3), (20, 41), (400, 300)])
@pytest.mark.parametrize("levels", [None, 3, 1])
def test_detection_is_scikit_learns(seed, n, m, levels):
    generator = np.random.default_rng(seed)
    own, other = generator.normal(size=n), generator.normal(0.7, size=m)
    if levels is not None:  # ties
        own, other = (np.clip(np.floor(s), 0, levels - 1) for s in (own, other))
    found = detection(torch.from_numpy(own), torch.from_numpy(other))
    assert found == pytest.approx(expected(own, other), abs=1e-12)


def test_detection_of_infinite_scores():
    own = torch.tensor([-torch.inf, 0.0, torch.inf])
    other = torch.tensor([torch.inf, torch.inf, 1.0])
    finite = [scores.clamp(-9, 9).numpy() for scores in (own, other)]
    assert detection(own, other) == pytest.approx(expected(*finite))


def test_a_perfect_score_a_useless_one_and_one_that_is_the_wrong_way_round():
    low, high = torch.arange(100.0), torch.arange(200.0, 260.0)
    assert detection(low, high) == {"auroc": 1.0, "aupr": 1.0, "fpr95": 0.0}
    assert detection(high, low)["auroc"] == 0.0
    assert detection(high, low)["fpr95"] == 1.0
    same = detection(torch.zeros(30), torch.zeros(10))
    assert same == {"auroc": 0.5, "aupr": 0.25, "fpr95": 1.0}
