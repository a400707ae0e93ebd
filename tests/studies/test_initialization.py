"""GraNd and EL2N of the study against autograd and their formulas, and their correlations."""

from itertools import combinations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr

from al_bench.data.base import TensorInputs
from al_bench.data.labeled import LabeledSet
from al_bench.models.networks.cnn import digits_cnn
from al_bench.strategies.point_gradients import gradient_norms
from al_bench.studies.initialization import correlations, error_norms


def points(n):
    torch.manual_seed(0)
    inputs = TensorInputs(torch.randn(n, 1, 8, 8))
    return LabeledSet(inputs, torch.arange(n), torch.randint(5, (n,)))


def test_scores_are_those_of_the_paper():
    some = points(6)
    network = digits_cnn(input_shape=(1, 8, 8), num_classes=5).eval()
    inputs = some.inputs.gather(some.indices, torch.device("cpu"))
    found = gradient_norms(network, some, torch.device("cpu"))
    errors = error_norms(network, some.on(torch.device("cpu"), 2**20))
    exact = digits_cnn(input_shape=(1, 8, 8), num_classes=5).eval().double()
    exact.load_state_dict(network.state_dict())
    for i in range(6):
        logits = exact(inputs[i : i + 1].double())
        loss = F.cross_entropy(logits, some.labels[i : i + 1])
        gradients = torch.autograd.grad(loss, list(exact.parameters()))
        norm = float(sum(gradient.square().sum() for gradient in gradients)) ** 0.5
        assert float(found[i]) == pytest.approx(norm, rel=1e-4)
        error = logits.softmax(dim=1)[0] - F.one_hot(some.labels[i], 5)
        assert float(errors[i]) == pytest.approx(float(error.norm().detach()), rel=1e-5)


def test_correlations_are_of_every_network_their_mean_and_every_two():
    generator = np.random.default_rng(0)
    scores, norms = generator.normal(size=(3, 20)), generator.normal(size=20)
    rows = list(correlations(torch.from_numpy(scores), torch.from_numpy(norms)))
    ones = [spearmanr(score, norms).statistic for score in scores]
    mean = spearmanr(scores.mean(axis=0), norms).statistic
    pairs = [spearmanr(scores[i], scores[j]).statistic for i, j in combinations(range(3), 2)]
    assert [row["against"] for row in rows] == ["input_norm"] * 3 + ["input_norm_of_mean"] + [
        "other_initialization"
    ] * 3
    assert [row["spearman"] for row in rows] == pytest.approx([*ones, mean, *pairs])


def test_a_score_that_is_the_same_for_all_points_has_no_correlation():
    rows = list(correlations(torch.ones(2, 5), torch.arange(5.0)))
    assert {row["spearman"] for row in rows} == {None}
