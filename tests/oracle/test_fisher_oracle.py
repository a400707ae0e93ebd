"""Fisher forms against dense matrices, written from 2208.00549 with nothing factored."""

import itertools
import math

import pytest
import torch
from pool_views import FakeView, log_probs, seeded

from al_bench.information import last_layer
from al_bench.information.fisher import (
    expected_information_gain,
    expected_predictive_information_gain,
    joint_expected_information_gain,
)
from al_bench.information.last_layer import Points, posterior_of
from al_bench.strategies.fisher import FisherEIG, FisherEPIG, FisherJEPIG


def fishers(factors):
    """The Fisher information of each point, dense (n, P, P): (diag p - p pᵀ) ⊗ z zᵀ."""
    matrices = []
    for row, h in zip(factors.log_probs.double(), factors.features.double(), strict=True):
        p, z = row.exp(), torch.cat([h, torch.ones(1, dtype=torch.float64)])
        matrices.append(torch.kron(torch.diag(p) - torch.outer(p, p), torch.outer(z, z)))
    size = factors.log_probs.shape[1] * (factors.features.shape[1] + 1)
    return torch.stack(matrices) if matrices else torch.zeros(0, size, size, dtype=torch.float64)


def half_log_det(matrix):
    return 0.5 * float((matrix + torch.eye(len(matrix), dtype=torch.float64)).logdet())


def half_trace(matrix):
    return 0.5 * float(matrix.trace())


class Dense:
    """What the batch's points tell, from P × P matrices."""

    def __init__(self, view, prior_precision, num_targets=5):
        self.pool = fishers(view.gradient_factors())
        labeled = fishers(view.labeled_gradient_factors()).sum(dim=0)
        self.prior = labeled + prior_precision * torch.eye(len(labeled), dtype=torch.float64)
        targets = fishers(view.target_gradient_factors(num_targets))
        self.mean, self.sum = targets.mean(dim=0), targets.sum(dim=0)

    def bought(self, batch):
        return self.pool[list(batch)].sum(dim=0)

    def eig(self, batch, of):
        return of(self.bought(batch) @ self.prior.inverse())

    def left(self, batch, targets, of):
        return of(targets @ (self.bought(batch) + self.prior).inverse())

    def epig(self, batch, of):
        return self.left((), self.mean, of) - self.left(batch, self.mean, of)

    def jepig(self, batch, of):
        return self.left((), self.sum, of) - self.left(batch, self.sum, of)


def greedy(worth, num_points, batch_size):
    """Positions in greedy order and what each added."""
    batch, added = [], []
    for _ in range(batch_size):
        left = [i for i in range(num_points) if i not in batch]
        gains = [worth((*batch, i)) - (worth(tuple(batch)) if batch else 0.0) for i in left]
        best = max(range(len(left)), key=gains.__getitem__)
        batch.append(left[best])
        added.append(gains[best])
    return batch, added


FORMS = {"logdet": half_log_det, "trace": half_trace}
STRATEGIES = {"eig": FisherEIG, "epig": FisherEPIG, "jepig": FisherJEPIG}
VIEWS = {
    "ordinary": FakeView(log_probs(9, 4, 3)),
    "two_classes": FakeView(log_probs(7, 3, 2, seed=5), num_labeled=1),
    "no_label": FakeView(log_probs(8, 3, 4, seed=6), num_labeled=0),
    "confident": FakeView(log_probs(9, 1, 3, seed=7, scale=6.0), num_labeled=20),
}


def built(name, form, prior_precision):
    targets = {} if name == "eig" else {"num_targets": 5}
    return STRATEGIES[name](form=form, prior_precision=prior_precision, **targets)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", STRATEGIES)
def test_batches_are_those_of_dense_matrices(name, form, view):
    for prior_precision in (0.3, 10.0):
        dense = Dense(VIEWS[view], prior_precision)
        expected, gains = greedy(
            lambda batch: getattr(dense, name)(batch, FORMS[form]),  # noqa: B023
            len(VIEWS[view]),
            4,
        )
        selection = built(name, form, prior_precision).select(VIEWS[view], 4, seeded(0))
        assert selection.positions.tolist() == expected
        assert selection.scores.tolist() == pytest.approx(gains, rel=1e-5, abs=1e-9)
        assert selection.notes["structure"] == "full"


@pytest.mark.parametrize("name", STRATEGIES)
def test_scores_of_a_log_det_batch_sum_to_what_it_tells_together(name):
    view = VIEWS["ordinary"]
    selection = built(name, "logdet", 1.0).select(view, 9, seeded(0))
    together = getattr(Dense(view, 1.0), name)(range(9), half_log_det)
    assert float(selection.scores.sum()) == pytest.approx(together, rel=1e-6)
    assert selection.notes["information"] == pytest.approx(together, rel=1e-6)


def points(factors):
    return Points.of(factors.log_probs, factors.features)


def test_information_of_single_points_and_of_all_together():
    view = VIEWS["ordinary"]
    dense = Dense(view, 2.0)
    pool, targets = points(view.gradient_factors()), points(view.target_gradient_factors(5))
    posterior = posterior_of(points(view.labeled_gradient_factors()), 2.0)
    for form, of in FORMS.items():
        eig = expected_information_gain(pool, posterior, form)
        epig, jepig = (
            expected_predictive_information_gain(pool, targets, posterior, form, joint)
            for joint in (False, True)
        )
        for i in range(9):
            assert float(eig[i]) == pytest.approx(dense.eig((i,), of), rel=1e-6)
            assert float(epig[i]) == pytest.approx(dense.epig((i,), of), rel=1e-5)
            assert float(jepig[i]) == pytest.approx(dense.jepig((i,), of), rel=1e-5)
    together = joint_expected_information_gain(pool, posterior)
    assert together == pytest.approx(dense.eig(range(9), half_log_det), rel=1e-6)
    assert together < float(expected_information_gain(pool, posterior).sum())
    bound = expected_information_gain(pool, posterior, "trace")
    assert (bound >= expected_information_gain(pool, posterior)).all()


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("form", FORMS)
def test_kronecker_factors_stand_in_for_the_labeled_set_when_weights_are_many(
    name, form, monkeypatch
):
    """Exact for one labeled point; for more the dense matrix is that of the factors."""
    view = FakeView(log_probs(8, 3, 3, seed=8), num_labeled=1)
    strategy = built(name, form, 0.7)
    full = strategy.select(view, 4, seeded(0))
    monkeypatch.setattr(last_layer, "FULL_LIMIT", 17)  # of 18 weights
    selection = strategy.select(view, 4, seeded(0))
    assert selection.notes["structure"] == "kronecker"
    assert torch.equal(selection.positions, full.positions)
    torch.testing.assert_close(selection.scores, full.scores, rtol=1e-6, atol=1e-9)

    several = FakeView(log_probs(8, 3, 3, seed=8), num_labeled=6)
    factors = several.labeled_gradient_factors()
    probs = factors.log_probs.double().exp()
    inputs = torch.cat([factors.features.double(), torch.ones(6, 1, dtype=torch.float64)], dim=1)
    dense = Dense(several, 0.7)
    a = sum(torch.diag(p) - torch.outer(p, p) for p in probs)
    b = inputs.T @ inputs / 6
    dense.prior = torch.kron(a, b) + 0.7 * torch.eye(18, dtype=torch.float64)
    expected, _ = greedy(lambda batch: getattr(dense, name)(batch, FORMS[form]), 8, 4)
    assert strategy.select(several, 4, seeded(0)).positions.tolist() == expected


def test_the_greedy_batch_is_close_to_the_best_of_all():
    view = VIEWS["ordinary"]
    dense = Dense(view, 0.3)
    best = max(dense.eig(batch, half_log_det) for batch in itertools.combinations(range(9), 3))
    found = FisherEIG(prior_precision=0.3).select(view, 3, seeded(0)).notes["information"]
    assert (1 - 1 / math.e) * best <= found <= best + 1e-9


def test_the_log_det_avoids_copies_and_the_trace_does_not():
    given = log_probs(6, 3, 3, seed=9)
    view = FakeView(given)
    first = int(FisherEIG().select(view, 1, seeded(0)).positions)
    other = (first + 1) % 6
    given[other] = given[first]
    view.embedding[other] = view.embedding[first]
    strategies = [FisherEIG(prior_precision=0.05, form=form) for form in FORMS]
    logdet, trace = (set(s.select(view, 2, seeded(0)).positions.tolist()) for s in strategies)
    assert trace == {first, other}
    assert logdet != trace


def test_eig_is_what_samples_of_a_narrow_posterior_say():
    """To second order in the weights BALD is ½ tr(F Σ), and so is the log-det."""
    generator = seeded(1)
    weights = torch.randn(3, 6, generator=generator, dtype=torch.float64)
    features = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    inputs = torch.cat([features, torch.ones(5, 1, dtype=torch.float64)], dim=1)
    predicted = (inputs @ weights.T).log_softmax(dim=1)
    pool = Points.of(predicted, features)
    gains = expected_information_gain(pool, posterior_of(pool.at(slice(0, 0)), 1e4))
    draws = weights + 0.01 * torch.randn(20_000, 3, 6, generator=generator, dtype=torch.float64)
    sampled = torch.einsum("nh,kch->nkc", inputs, draws).log_softmax(dim=2).exp()
    entropy = torch.special.entr(sampled.mean(dim=1)).sum(dim=1)
    bald = entropy - torch.special.entr(sampled).sum(dim=2).mean(dim=1)
    torch.testing.assert_close(gains, bald, rtol=0.05, atol=0)


def test_nearly_certain_points_keep_their_information():
    """1 - p of a sure class comes from the other classes, since float32 would lose it."""
    logits = torch.tensor([[20.0, 0.0, -1.0]])
    exact = logits.double().log_softmax(dim=1)
    posterior = posterior_of(Points.of(exact, torch.ones(1, 2)).at(slice(0, 0)), 1.0)
    p = exact.exp()[0]
    expected = 0.5 * float(((p * (1 - p)).sum()) * 3)
    rounded = Points.of(logits.log_softmax(dim=1), torch.ones(1, 2))
    found = float(expected_information_gain(rounded, posterior, "trace"))
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("form", FORMS)
def test_points_without_information_are_drawn(name, form):
    certain = torch.eye(3)[[0, 1, 2, 0, 1]][:, None].log()
    view = FakeView(certain)
    selections = [built(name, form, 1.0).select(view, 2, seeded(seed)) for seed in range(60)]
    assert all(selection.notes["fell_back"] == "random" for selection in selections)
    assert {int(selection.positions[0]) for selection in selections} == set(range(5))
    assert not selections[0].scores.any()


def test_impossible_settings_are_refused():
    from al_bench.errors import ConfigError

    with pytest.raises(ConfigError, match="logdet"):
        FisherEIG(form="log_det")
    for wrong in (0, -1.0, math.inf, math.nan):
        with pytest.raises(ConfigError, match="prior_precision"):
            FisherEIG(prior_precision=wrong)
    with pytest.raises(ConfigError, match="num_targets"):
        FisherEPIG(num_targets=0)
