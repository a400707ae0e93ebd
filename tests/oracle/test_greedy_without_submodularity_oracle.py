"""Batches whose points tell more together than alone, against brute force in float64."""

import itertools
import math

import pytest
import torch
from pool_views import FakeView, log_probs, seeded
from test_joint_information_oracle import entropy_of, equal_weights, greedy, information

from al_bench.information.predictive import joint_outcomes
from al_bench.strategies.batchbald import BatchBALD
from al_bench.strategies.jepig import JEPIG, DifferenceGreedy, EvalBALD


class ParityView(FakeView):
    """Two bits in the pool beside points that tell nothing; the target is their parity."""

    def target_log_probs(self, num_targets, num_samples=None):
        first, second = self.given[0].argmax(dim=1), self.given[1].argmax(dim=1)
        return said((first + second) % 2)[None].repeat(num_targets, 1, 1)


def said(bits, error=0.05):
    """Log-probabilities (K, 2) of a label that is ``bits`` but for ``error``."""
    certain = torch.nn.functional.one_hot(bits.long(), 2).double()
    return (certain * (1 - 2 * error) + error).log()


def parity_pool(num_useless):
    bits = torch.tensor(list(itertools.product([0, 1], [0, 1])))  # four samples
    useless = torch.full((num_useless, 4, 2), 0.5, dtype=torch.float64).log()
    return torch.cat([said(bits[:, 0])[None], said(bits[:, 1])[None], useless])


def told_of_targets(pool, targets, batch):
    weights = equal_weights(pool)
    together = entropy_of(torch.cat([pool[batch], targets]), weights)
    return entropy_of(pool[batch], weights) + entropy_of(targets, weights) - together


@pytest.mark.parametrize("seed", range(8))
def test_jepig_buys_the_second_bit_though_the_first_told_nothing(seed):
    view = ParityView(parity_pool(2))
    selection = JEPIG(num_targets=1, tolerance=0.0).select(view, 4, seeded(seed))
    positions, targets = selection.positions.tolist(), view.target_log_probs(1)
    told = [told_of_targets(view.given, targets, positions[: n + 1]) for n in range(4)]
    assert told[-1] > 0.25
    assert selection.scores.cumsum(0).tolist() == pytest.approx(told, abs=1e-6)
    assert not selection.scores.isnan().any()
    assert "num_drawn" not in selection.notes
    assert "fell_back" not in selection.notes


@pytest.mark.slow
def test_once_a_bit_is_bought_the_other_comes_next():
    pool = parity_pool(6)
    targets = ParityView(pool).target_log_probs(1)
    for seed in range(5):
        generator = seeded(seed)
        greedy = DifferenceGreedy(pool, joint_outcomes(targets, 100, generator), 100, generator)
        bought = [greedy.pick()[0]]
        while len(bought) < 8:
            left = set(range(8)) - {*bought}
            best = max(told_of_targets(pool, targets, [*bought, i]) for i in left)
            position, score = greedy.pick()
            gain = best - told_of_targets(pool, targets, bought)
            assert score == pytest.approx(gain, abs=1e-6)
            bought.append(position)


def test_bits_and_noise_together_are_the_greedy_batch_of_brute_force():
    noise = log_probs(5, 4, 2, seed=9, scale=0.2).double()
    pool = torch.cat([parity_pool(0), noise])
    view = ParityView(pool)
    targets = view.target_log_probs(1)
    batch, values = greedy(7, 5, lambda picks: told_of_targets(pool, targets, picks))
    selection = JEPIG(num_targets=1, tolerance=0.0).select(view, 5, seeded(0))
    assert selection.positions.tolist() == batch
    assert selection.scores.cumsum(0).tolist() == pytest.approx(values, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_evalbald_goes_on_through_negative_gains(seed):
    pool = log_probs(9, 8, 2, seed=seed, scale=0.7).double()
    view, weights = FakeView(pool), equal_weights(pool)
    targets = view.target_log_probs(3).double()
    soft = targets.exp().mean(dim=1, keepdim=True)
    fitted = (soft * targets.clamp_min(math.log(1e-12))).sum(dim=(0, 2)).softmax(dim=0)

    def difference(batch):
        return information(pool[batch], weights) - information(pool[batch], fitted)

    selection = EvalBALD(num_targets=3).select(view, 9, seeded(0))
    batch, values = greedy(9, 9, difference)
    assert selection.positions.tolist() == batch
    assert selection.scores.cumsum(0).tolist() == pytest.approx(values, abs=1e-5)
    assert "num_drawn" not in selection.notes
    assert min(selection.scores.tolist()[:-1]) < 0  # and picks after it have scores


def test_all_end_where_the_batch_leaves_nothing_in_doubt():
    sure = torch.eye(4).log()[None].repeat(9, 1, 1)  # one label tells the sample
    for strategy in (JEPIG(), EvalBALD(), BatchBALD()):
        selection = strategy.select(FakeView(sure), 4, seeded(1))
        assert selection.notes["num_drawn"] == 3
        assert selection.scores.isnan().tolist() == [False, True, True, True]


def test_versions_say_that_picks_changed():
    assert JEPIG.numerics_version == EvalBALD.numerics_version == 1
    assert BatchBALD.numerics_version == 1
