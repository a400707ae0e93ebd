"""Properties of what a strategy picks: fair, free of order, and after what it looks for.

B is the batch size. Checks as in ``al_bench.checking.checks``; laws are tested by chi-square.
"""

import itertools
from collections import Counter

import torch

from al_bench.checking.pools import POOLS, disagreeing, identical_points, two_copies
from al_bench.checking.probing import draws, require, require_samples, select
from al_bench.checking.views import FakeView, log_probs
from al_bench.strategies.base import Strategy

LEAST_P = 1e-4  # seeds are fixed: a right strategy passes for good


def order_of_the_pool_is_irrelevant(strategy: Strategy) -> None:
    """Permuting the pool permutes the batch, in law where the strategy draws."""
    from scipy.stats import chi2_contingency

    view = FakeView(log_probs(5, 4, 3, seed=2))
    order = torch.tensor([3, 0, 4, 2, 1])
    other = view.permuted(order)

    def tallies(seeds: range) -> tuple[Counter[tuple[int, ...]], Counter[tuple[int, ...]]]:
        there = draws(strategy, other, 2, seeds)
        back = Counter({tuple(order[list(batch)].tolist()): n for batch, n in there.items()})
        return draws(strategy, view, 2, seeds), back

    plain, permuted = tallies(range(20))
    if len(plain) == len(permuted) == 1:  # nothing random in it
        (one,), (two,) = plain, permuted
        require(one == two, f"picks {list(one)}, and {list(two)} when the pool is reordered")
        return
    more = tallies(range(20, 120))
    firsts = [_firsts(counts, len(view)) for counts in (plain + more[0], permuted + more[1])]
    table = [column for column in zip(*firsts, strict=True) if sum(column)]
    fair = len(table) == 1 or chi2_contingency(table).pvalue > LEAST_P
    require(fair, f"first picks {firsts[0]}, and {firsts[1]} when the pool is reordered")


def identical_points_are_equally_likely(strategy: Strategy) -> None:
    """Among points that nothing tells apart every batch in every order is equally likely."""
    _require_fair(draws(strategy, identical_points(4), 2, range(132)), "identical points")


def copies_are_picked_equally_often(strategy: Strategy) -> None:
    """Of two copies of a point, each is picked first equally often."""
    from scipy.stats import chisquare

    firsts: Counter[int | None] = Counter()
    for batch, count in draws(strategy, two_copies(), 5, range(120)).items():  # of 6 points
        firsts[next((p for p in batch if p in (1, 5)), None)] += count
    fair = chisquare([firsts[1] + 1, firsts[5] + 1]).pvalue > LEAST_P
    require(fair, f"the copies at 1 and 5 are picked {firsts[1]} and {firsts[5]} times")


def equal_samples_give_a_random_batch(strategy: Strategy) -> None:
    """Posterior samples that cannot differ (K = 1) give a fair random batch that says so."""
    require_samples(strategy)
    for name in ("one posterior sample", "identical samples"):
        view = POOLS[name]().restricted(torch.arange(4))
        noted = select(strategy, view, 2, name).notes.get("fell_back")
        require(noted == "random", f"{name}: notes fell_back={noted!r}, not 'random'")
        _require_fair(draws(strategy, view, 2, range(132)), name)


def disagreement_is_wanted(strategy: Strategy) -> None:
    """Points whose samples disagree are picked before those that are certain and agree."""
    require_samples(strategy)
    view = disagreeing(30, 10)
    batches = draws(strategy, view, 3, range(60))
    hits = sum(n * (10 <= place < 20) for batch, n in batches.items() for place in batch[:2])
    share = hits / 120
    # At random a third of 120 picks disagree, with a standard deviation of 0.043.
    require(share > 0.45, f"{share:.0%} of the first two picks disagree, 33% would be chance")


def _require_fair(counts: Counter[tuple[int, ...]], where: str) -> None:
    """Batches of 2 of 4 points are all equally likely."""
    from scipy.stats import chisquare

    pairs = list(itertools.permutations(range(4), 2))
    pvalue = chisquare([counts[pair] for pair in pairs]).pvalue
    common = ", ".join(f"{list(batch)} {n}×" for batch, n in counts.most_common(3))
    require(pvalue > LEAST_P, f"{where}: {counts.total()} batches are not fair: {common}")


def _firsts(counts: Counter[tuple[int, ...]], num_points: int) -> list[int]:
    """How often each position comes first."""
    firsts = [0] * num_points
    for batch, count in counts.items():
        firsts[batch[0]] += count
    return firsts
