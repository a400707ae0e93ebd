"""JEPIG, EvalBALD, SieveBALD, PIG and InformationGain against greedy enumeration in float64."""

import itertools
import math
import statistics

import pytest
import torch
from pool_views import FakeView, log_probs, one_hot, seeded

from al_bench.errors import ConfigError
from al_bench.strategies.batchbald import BatchBALD
from al_bench.strategies.information_gain import InformationGain
from al_bench.strategies.jepig import JEPIG, EvalBALD
from al_bench.strategies.pig import PIG
from al_bench.strategies.sieve_bald import SieveBALD

POOLS = [
    log_probs(8, 5, 2, seed=0),
    log_probs(7, 9, 3, seed=1, scale=0.8),
    log_probs(6, 4, 3, seed=2, scale=30.0),
]


def entropy_of(points, weights):
    """H of the labels of points (n, K, C) together, under weighted samples."""
    table = weights[None].double()  # (1, K): p(labels so far, ω_k)
    for point in points.double().exp():
        table = (table[:, None] * point.T).flatten(end_dim=1)
    return float(torch.special.entr(table.sum(dim=1)).sum())


def information(points, weights):
    """I[Y_1, …, Y_n; Ω]."""
    conditional = torch.special.entr(points.double().exp()).sum(dim=2)  # (n, K)
    return entropy_of(points, weights) - float((conditional @ weights).sum())


def greedy(count, batch_size, value):
    """The greedy batch for ``value`` of a list of positions, with its values."""
    batch, values = [], []
    for _ in range(batch_size):
        left = [i for i in range(count) if i not in batch]
        scored = [value([*batch, i]) for i in left]
        best = max(range(len(left)), key=scored.__getitem__)
        batch.append(left[best])
        values.append(scored[best])
    return batch, values


def equal_weights(predicted):
    return torch.full((predicted.shape[1],), 1 / predicted.shape[1], dtype=torch.float64)


@pytest.mark.parametrize("predicted", POOLS)
def test_jepig_is_the_greedy_batch_of_the_joint_information_with_targets(predicted):
    view, weights = FakeView(predicted), equal_weights(predicted)
    targets = view.target_log_probs(3)

    def between(batch):
        together = entropy_of(torch.cat([predicted[batch], targets]), weights)
        return entropy_of(predicted[batch], weights) + entropy_of(targets, weights) - together

    batch, values = greedy(len(predicted), 3, between)
    selection = JEPIG(3, tolerance=0.0).select(view, 3, seeded(0))
    decided = 3 if values[-1] - values[-2] > 1e-5 else 2  # nothing left tells the rest apart
    assert selection.positions.tolist()[:decided] == batch[:decided]
    assert selection.scores.cumsum(0).tolist() == pytest.approx(values, abs=5e-6)
    assert selection.notes["information"] == pytest.approx(values[-1], abs=5e-6)
    assert selection.notes["num_exact"] == 3
    assert selection.notes["monte_carlo_error"] == 0
    assert selection.notes["target_information"] == pytest.approx(information(targets, weights))


@pytest.mark.parametrize("predicted", POOLS)
def test_evalbald_is_the_greedy_difference_of_two_batchbalds(predicted):
    view, weights = FakeView(predicted), equal_weights(predicted)
    targets = view.target_log_probs(2)
    soft = targets.double().exp().mean(dim=1, keepdim=True)
    logs = targets.double().clamp_min(math.log(1e-12))
    fitted = (soft * logs).sum(dim=(0, 2)).softmax(dim=0)

    def difference(batch):
        return information(predicted[batch], weights) - information(predicted[batch], fitted)

    selection = EvalBALD(2, tolerance=0.0).select(view, 3, seeded(0))
    batch, values = greedy(len(predicted), 3, difference)
    scored = int((~selection.scores.isnan()).sum())  # ends when nothing is gained any more
    assert scored >= 1
    assert selection.positions.tolist()[:scored] == batch[:scored]
    assert selection.scores.cumsum(0).tolist()[:scored] == pytest.approx(values[:scored], abs=5e-6)
    assert selection.notes["effective_samples"] == pytest.approx(1 / float((fitted**2).sum()))


def test_many_targets_make_jepig_batchbald():
    predicted = log_probs(30, 8, 4, seed=5)
    view = FakeView(predicted)
    jepig = JEPIG(400).select(view, 4, seeded(0))
    assert jepig.notes["target_information"] == pytest.approx(math.log(8), abs=1e-4)
    assert jepig.positions.tolist() == BatchBALD().select(view, 4, seeded(0)).positions.tolist()


@pytest.mark.slow
def test_sampled_jepig_is_unbiased_and_its_error_honest():
    predicted = log_probs(1, 20, 4, seed=7, scale=0.8).repeat(4, 1, 1)  # picks cannot differ
    view = FakeView(predicted)
    exact = JEPIG(6, 4**9, 0.0).select(view, 3, seeded(0))
    assert exact.notes["num_exact"] == 3
    drawn = [JEPIG(6, 150, 0.0).select(view, 3, seeded(seed)).notes for seed in range(40)]
    informations = [notes["information"] for notes in drawn]
    spread = statistics.stdev(informations)
    offset = statistics.mean(informations) - exact.notes["information"]
    assert abs(offset) < 4 * spread / math.sqrt(40)
    assert all(notes["num_exact"] == 0 for notes in drawn)
    reported = statistics.mean(notes["monte_carlo_error"] for notes in drawn)
    assert spread / 2.5 < reported < 2.5 * spread


def test_saturated_batches_are_completed_by_what_points_have_alone():
    view = FakeView(one_hot(30, 4, 3))  # log 4 nats at most, a third of the points agree
    for strategy in (JEPIG(), EvalBALD(), JEPIG(1), EvalBALD(1)):
        selection = strategy.select(view, 20, seeded(0))
        drawn = int(selection.scores.isnan().sum())
        assert drawn == selection.notes["num_drawn"] > 0
        assert len(selection.positions.unique()) == 20
    agreeing = set(range(0, 30, 3))
    assert not agreeing & set(JEPIG().select(view, 10, seeded(0)).positions.tolist())


@pytest.mark.parametrize("predicted", POOLS)
def test_sieve_bald_subtracts_what_pairs_share(predicted):
    weights = equal_weights(predicted)
    alone = [information(predicted[[i]], weights) for i in range(len(predicted))]

    def shared(i, j):
        return alone[i] + alone[j] - information(predicted[[i, j]], weights)

    def two_bald(batch):
        pairs = itertools.combinations(batch, 2)
        return sum(alone[i] for i in batch) - sum(shared(i, j) for i, j in pairs)

    batch, values = greedy(len(predicted), 4, two_bald)
    selection = SieveBALD().select(FakeView(predicted), 4, seeded(0))
    assert selection.positions.tolist() == batch
    assert selection.scores.cumsum(0).tolist() == pytest.approx(values, abs=5e-6)
    gains = [values[0], *(b - a for a, b in itertools.pairwise(values))]
    first_negative = next((rank for rank, gain in enumerate(gains) if gain < -1e-6), None)
    assert selection.notes.get("negative_from") == first_negative


def test_sieve_bald_of_two_is_batchbald_and_goes_negative_on_copies():
    predicted = log_probs(40, 10, 5, seed=3)
    pair = SieveBALD().select(FakeView(predicted), 2, seeded(0))
    exact = BatchBALD().select(FakeView(predicted), 2, seeded(0))
    assert pair.positions.tolist() == exact.positions.tolist()
    torch.testing.assert_close(pair.scores, exact.scores, atol=2e-6, rtol=0)
    copies = FakeView(one_hot(1, 3, 3)[:1].repeat(5, 1, 1))
    sure = torch.eye(3).log()[None].repeat(5, 1, 1)  # each label tells the sample: log 3 nats
    selection = SieveBALD().select(FakeView(sure), 3, seeded(0))
    assert selection.scores.tolist() == pytest.approx([math.log(3), 0, -math.log(3)], abs=1e-5)
    assert selection.notes["negative_from"] == 2
    assert SieveBALD().select(copies, 3, seeded(0)).notes == {"fell_back": "random"}


@pytest.mark.parametrize("predicted", POOLS)
def test_pig_is_the_greedy_batch_of_labels_that_make_targets_certain(predicted):
    view = FakeView(predicted)
    labels, targets = view.pool_labels(), view.target_log_probs(6).double().exp()
    probs = predicted.double().exp()

    def gained(batch):
        likelihood = torch.stack([probs[i, :, labels[i]] for i in batch]).prod(dim=0)
        weights = likelihood / likelihood.sum()
        before = torch.special.entr(targets.mean(dim=1)).sum(dim=1).mean()
        after = torch.special.entr(weights @ targets).sum(dim=1).mean()
        return float(before - after)

    _, values = greedy(len(predicted), 3, gained)
    selection = PIG(6).select(view, 3, seeded(0))
    chosen = selection.positions.tolist()
    scored = int((~selection.scores.isnan()).sum())  # ends when no label changes anything
    assert scored == 3 - selection.notes.get("num_drawn", 0) >= 1
    for rank in range(scored):  # which of equally good labels comes first is the generator's
        assert gained(chosen[: rank + 1]) == pytest.approx(values[rank], abs=5e-6)
    assert selection.scores.cumsum(0).tolist()[:scored] == pytest.approx(values[:scored], abs=5e-6)
    likelihood = torch.stack([probs[i, :, labels[i]] for i in chosen[:scored]]).prod(dim=0)
    weights = likelihood / likelihood.sum()
    assert selection.notes["effective_samples"] == pytest.approx(1 / float((weights**2).sum()))


def posterior_entropies(predicted):
    """H[Ω | y_A] for every set of points A, as a mapping from frozensets, by Bayes' rule."""
    labels = FakeView(predicted).pool_labels()
    found = {}
    for size in range(len(predicted) + 1):
        for chosen in itertools.combinations(range(len(predicted)), size):
            likelihood = [
                math.prod(math.exp(float(predicted[i, k, labels[i]])) for i in chosen)
                for k in range(predicted.shape[1])
            ]
            total = sum(likelihood)
            weights = [part / total for part in likelihood]
            found[frozenset(chosen)] = -sum(w * math.log(w) for w in weights if w > 0)
    return found


@pytest.mark.parametrize("predicted", POOLS)
def test_information_gain_is_the_greedy_batch_of_labels_that_tell_most_of_the_samples(predicted):
    left = posterior_entropies(predicted)
    nothing = left[frozenset()]
    assert nothing == pytest.approx(math.log(predicted.shape[1]))
    _, values = greedy(len(predicted), 4, lambda batch: nothing - left[frozenset(batch)])
    selection = InformationGain().select(FakeView(predicted), 4, seeded(0))
    chosen = selection.positions.tolist()
    scored = int((~selection.scores.isnan()).sum())  # ends when no label changes anything
    assert scored == 4 - selection.notes.get("num_drawn", 0) >= 1
    for rank in range(scored):  # which of equally good labels comes first is the generator's
        told = nothing - left[frozenset(chosen[: rank + 1])]
        assert told == pytest.approx(values[rank], abs=1e-6)
    assert selection.scores.cumsum(0).tolist()[:scored] == pytest.approx(values[:scored], abs=1e-6)


def test_a_label_that_contradicts_those_before_it_has_a_negative_score():
    """Two samples, of which each label favors another: the second undoes the first."""
    sure = torch.tensor([[[0.9, 0.1], [0.1, 0.9]], [[0.1, 0.9], [0.9, 0.1]]]).log()
    view = FakeView(sure)
    view.pool_labels = lambda: torch.tensor([0, 0])
    selection = InformationGain().select(view, 2, seeded(0))
    first = math.log(2) + 0.9 * math.log(0.9) + 0.1 * math.log(0.1)
    assert selection.scores.tolist() == pytest.approx([first, -first], abs=1e-6)
    assert selection.notes["effective_samples"] == pytest.approx(2)


@pytest.mark.parametrize("strategy", [JEPIG, EvalBALD, PIG])
def test_parameters_that_make_no_sense_are_refused(strategy):
    for name in ("num_targets", "max_configurations"):
        if strategy is PIG and name != "num_targets":
            continue
        for wrong in (0, 2.5, True):
            with pytest.raises(ConfigError, match=rf"^{name}"):
                strategy(**{name: wrong})
    if strategy is not PIG:
        with pytest.raises(ConfigError, match=r"^tolerance must"):
            strategy(tolerance=-1.0)
