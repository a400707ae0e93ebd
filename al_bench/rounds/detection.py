"""How well a score tells points that do not belong from those that do: AUROC, AUPR and FPR.

n points of one's own, m of another set, which is the positive class: it should score higher.
"""

import torch
from torch import Tensor

RECALL = 95  # per cent of one's own points that are accepted where FPR is taken


def detection(inliers: Tensor, outliers: Tensor) -> dict[str, float]:
    """Areas under both curves, and the false positive rate at 95 % recall.

    - ``auroc``: the probability that a point of the other set scores higher than one of one's own,
      equal scores counting half; 0.5 is guessing.
    - ``aupr``: the average precision with which the other set is found, sum_i (R_i - R_{i-1}) P_i
      over the distinct scores, as scikit-learn's ``average_precision_score``; m / (n + m) is
      guessing.
    - ``fpr95``: the share of the other set that is accepted, having a score no higher than the
      least one that accepts 95 % of one's own.

    Args:
        inliers: (n,) scores, infinite ones included, none NaN; n at least 1.
        outliers: (m,) likewise.
    """
    n, m = len(inliers), len(outliers)
    scores, order = torch.cat([inliers, outliers]).double().sort(descending=True)
    outliers_above = (order >= n).cumsum(0)  # at or above each place
    inliers_above = torch.arange(1, n + m + 1) - outliers_above
    last = torch.ones(n + m, dtype=torch.bool)  # of each group of equal scores
    last[:-1] = scores[1:] != scores[:-1]
    nothing = torch.zeros(1, dtype=torch.int64)
    hits = torch.cat([nothing, outliers_above[last]])  # at or above each distinct score
    alarms = torch.cat([nothing, inliers_above[last]])
    recall, alarm_rate = hits.double() / m, alarms.double() / n
    precision = hits[1:].double() / (hits[1:] + alarms[1:])
    accepts = 100 * (n - alarms[:-1]) >= RECALL * n  # up to each distinct score, the highest first
    return {
        "auroc": float(torch.trapezoid(recall, alarm_rate)),
        "aupr": float((recall.diff() * precision).sum()),
        "fpr95": float((m - hits[:-1])[accepts][-1]) / m,
    }
