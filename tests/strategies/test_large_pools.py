"""What strategies hold of a large pool: once, in parts, or refused before any work."""

from typing import ClassVar

import pytest
import torch
from pool_views import FakeView, log_probs, seeded
from strategy_files import CONF, NAMES, assert_chosen_or_refused, built
from torch.utils._python_dispatch import TorchDispatchMode

from al_bench.errors import AlBenchError
from al_bench.strategies import parts


def chosen(name, view, *overrides, size=5):
    return built(name, *overrides).select(view, size, seeded(0))


@pytest.mark.parametrize("kilobytes", [0, 100])
@pytest.mark.parametrize("name", NAMES)
def test_every_strategy_chooses_or_says_its_bytes_and_a_way_out(name, kilobytes, available):
    available(kilobytes)
    view = FakeView(log_probs(120, 4, 3))
    assert_chosen_or_refused(lambda: chosen(name, view), kilobytes)


REFUSED = {
    "cluster_margin": "Cluster-Margin: distances of 1,000 points to each other take 8 MB",
    "fisher_eig": "Fisher information: matrices of classes by classes of 1,000 points take 13 MB",
    "fisher_epig": "Fisher information: matrices of classes by classes of 1,000 points take 26 MB",
    "fisher_jepig": "Fisher information: matrices of classes by classes of 1,000 points take 26 MB",
    "bait": "BAIT: matrices of classes by classes of 1,000 points take 38 MB",
    "sieve_bald": "SieveBALD: probabilities of 1,000 points take 3 MB",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_more_than_rows_of_features_is_refused_before_it_is_computed(name, available):
    available(1_000)
    with pytest.raises(AlBenchError) as error:
        chosen(name, FakeView(log_probs(1_000, 20, 40)))
    assert str(error.value).startswith(f"{REFUSED[name]}, and 1 MB are available on cpu. ")


@pytest.mark.slow
def test_what_cluster_margin_says_fits_does(available):
    view = FakeView(log_probs(1_000, 2, 3))
    available(2_000)
    with pytest.raises(AlBenchError) as error:
        chosen("cluster_margin", view)
    assert str(error.value) == (
        "Cluster-Margin: distances of 1,000 points to each other take 8 MB, and 2 MB are available "
        "on cpu. Cluster fewer: strategy.max_points=505. Or choose among fewer: strategy=subsample "
        "strategy@strategy.of=… strategy.size=505."
    )
    first = chosen("cluster_margin", view, "strategy.max_points=505")
    within = ("strategy@strategy.of=cluster_margin", "strategy.size=505")
    assert len(chosen("subsample", view, *within).positions) == 5
    available(0)  # its clusters are known by then
    again = FakeView(log_probs(1_000, 2, 3), state=first.state)
    assert len(chosen("cluster_margin", again, "strategy.max_points=505").positions) == 5


def test_the_memory_that_is_left_decides_no_pick_of_probcover(available):
    view = FakeView(log_probs(3_000, 2, 3))
    available(1_000)  # the features fit, a bit for every pair does not
    with pytest.raises(AlBenchError, match=r"^Pairs of 3,000 points take 1 MB, and 1 MB are"):
        chosen("probcover", view, size=30)


class Counted(FakeView):
    """A view that notes of how many points at once it is asked."""

    asked: ClassVar[list[int]] = []

    def features(self):
        self.asked.append(len(self))
        return super().features()

    def gradient_factors(self):
        self.asked.append(len(self))
        return super().gradient_factors()


def test_lcmd_without_labels_asks_for_every_point_once(monkeypatch):
    monkeypatch.setattr(parts, "PART", 7)
    monkeypatch.setattr(Counted, "asked", [])
    chosen("lcmd", Counted(log_probs(50, 4, 3), num_labeled=0))
    assert sum(Counted.asked) == 50


SPACES = [  # information density needs no order of its points
    path.stem
    for path in (CONF / "strategy").glob("*.yaml")
    if "- space:" in path.read_text() and path.stem != "information_density"
]
IN_ORDER = [
    *((name,) for name in sorted(SPACES)),
    ("worst",),
    ("badge",),
    ("logdet", "strategy.kernel=features"),
]


@pytest.mark.parametrize("words", IN_ORDER, ids=lambda words: words[0])
def test_features_of_a_large_pool_are_asked_for_in_parts(words, monkeypatch):
    whole = chosen(words[0], FakeView(log_probs(50, 4, 3)), *words[1:])
    monkeypatch.setattr(parts, "PART", 7)
    monkeypatch.setattr(Counted, "asked", [])
    some = chosen(words[0], Counted(log_probs(50, 4, 3)), *words[1:])
    assert torch.equal(whole.positions, some.positions)
    torch.testing.assert_close(whole.scores, some.scores, equal_nan=True)
    assert Counted.asked == [7] * 7 + [1]


class HostReads(TorchDispatchMode):
    """Counts what a GPU would be waited for: numbers read, and shapes that depend on values."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        waits = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)
        self.count += function in waits
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("name", "a_pick"),
    # Core-set looks for the points that are so near that their distance is computed again.
    [("coreset", 1), ("logdet", 0), ("sieve_bald", 0), ("worst", 0)],
)
def test_picks_are_read_once_at_the_end(name, a_pick):
    counts = []
    for size in (5, 15):
        with HostReads() as reads:
            chosen(name, FakeView(log_probs(50, 4, 3)), size=size)
        counts.append(reads.count)
    assert counts[1] - counts[0] == 10 * a_pick
