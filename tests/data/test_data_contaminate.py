"""Points of another data set lie in the pool, and their labels are refused or wasted."""

from dataclasses import dataclass

import pytest
import torch
from scipy.stats import chisquare

from al_bench.data.base import Dataset, Examples, Pool, TensorInputs
from al_bench.data.concat import ConcatInputs
from al_bench.data.contaminate import Contaminate
from al_bench.data.imbalance import Imbalance
from al_bench.data.label_noise import LabelNoise
from al_bench.data.pool import PoolTransform, apply_transforms, copies_of, load_transforms
from al_bench.data.repeat import Repeat
from al_bench.data.subset import Subset
from al_bench.data.target import ClassTargets
from al_bench.errors import ConfigError, DataError
from al_bench.seeding import Streams

CPU = torch.device("cpu")


def examples(n: int, num_classes: int, first: int = 0) -> Examples:
    values = (torch.arange(n) + first).to(torch.uint8).view(n, 1, 1, 1)
    return Examples(TensorInputs(values, (first / 255,)), torch.arange(n) % num_classes)


OWN = Dataset(examples(40, 4), examples(12, 4), ("a", "b", "c", "d"), "f00d")


@dataclass(frozen=True)
class Other:
    """Another data set of n points and C classes; its inputs begin at 100."""

    n: int = 30
    num_classes: int = 7

    def load(self) -> Dataset:
        train = examples(self.n, self.num_classes, 100)
        return Dataset(train, train, tuple("stuvwxy")[: self.num_classes], "beef")


def contaminated(*transforms: PoolTransform, seed: int = 0, name: str = "toy") -> Pool:
    loaded = load_transforms(transforms, OWN)
    assert loaded.fingerprint == "f00d+beef"
    return apply_transforms(Pool.of(OWN.train, 4, name), loaded.transforms, Streams(seed))


def test_points_of_the_other_data_set_follow_the_pools_own() -> None:
    pool = contaminated(Contaminate("other", Other()))
    assert len(pool) == len(pool.inputs) == 70
    assert pool.origins == ("toy", "other")
    assert pool.origin.tolist() == [0] * 40 + [1] * 30
    assert pool.source_index.tolist() == [*range(40), *range(30)]
    assert torch.equal(pool.labels[:40], OWN.train.labels)
    assert torch.equal(pool.true_labels[40:], torch.arange(30) % 7)  # their classes there
    assert pool.num_classes == 4


def test_refused_is_the_default_and_concerns_the_others_alone() -> None:
    pool = contaminated(Contaminate("other", Other()))
    assert torch.equal(pool.refused, pool.origin == 1)


def test_wasted_labels_are_drawn_from_the_pools_classes_once_a_seed() -> None:
    wasted = Contaminate("other", Other(250), labels="wasted")
    pools = [contaminated(wasted, seed=seed) for seed in range(4)]
    labels = torch.stack([pool.labels[40:] for pool in pools])
    assert not pools[0].refused.any()
    assert chisquare(torch.bincount(labels.flatten(), minlength=4).numpy()).pvalue > 1e-4
    assert torch.equal(contaminated(wasted).labels, pools[0].labels)
    assert not torch.equal(labels[0], labels[1])


def test_own_labels_are_kept_when_the_classes_are_the_pools() -> None:
    pool = contaminated(Contaminate("other", Other(num_classes=4), labels="own"))
    assert torch.equal(pool.labels[40:], torch.arange(30) % 4)
    with pytest.raises(ConfigError, match="other has 7 classes and the pool 4"):
        contaminated(Contaminate("other", Other(), labels="own"))


def test_a_part_of_the_other_data_set_is_drawn_anew_for_every_seed() -> None:
    some = Contaminate("other", Other(), size=9)
    drawn = [contaminated(some, seed=seed).source_index[40:] for seed in (0, 0, 1)]
    assert all(len(one) == 9 and one.diff().min() > 0 for one in drawn)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_images_are_normalized_as_the_pools_are() -> None:
    pool = contaminated(Contaminate("other", Other()))
    read = pool.inputs.gather(torch.tensor([69, 3, 40, 0]), CPU).flatten() * 255
    torch.testing.assert_close(read, torch.tensor([129.0, 3, 100, 0]))


def test_inputs_come_in_the_order_they_are_asked_for() -> None:
    inputs = ConcatInputs(examples(5, 2).inputs, examples(5, 2, 50).inputs)
    everything = inputs.gather(torch.arange(10), CPU)
    for indices in ([9, 0, 4, 5, 9], [1, 2], [7, 6], []):
        places = torch.tensor(indices, dtype=torch.int64)
        assert torch.equal(inputs.gather(places, CPU), everything[places])


def test_all_transforms_compose_in_the_order_of_their_stages() -> None:
    transforms = [
        Repeat(2, 0),
        LabelNoise("pair", 1),
        Contaminate("other", Other(), size=5, labels="wasted"),
        Imbalance(ratio=None, missing_classes=[3]),
        Subset(32),
    ]
    pool = contaminated(*transforms)
    own = pool.origin == 0
    assert int((~own).sum()) == 10  # after subset and imbalance, before the copies
    assert 3 not in pool.true_labels[own]
    assert torch.equal(pool.labels[own], pool.true_labels[own] + 1)
    half = len(pool) // 2
    assert torch.equal(pool.origin[:half], pool.origin[half:])
    foreign = int((~own).nonzero()[0])
    assert copies_of(pool, torch.tensor([foreign])).tolist() == [foreign, foreign + half]
    reordered = contaminated(*transforms[::-1])
    assert torch.equal(reordered.labels, pool.labels)
    assert torch.equal(reordered.source_index, pool.source_index)


def test_targets_of_certain_classes_are_never_the_contamination() -> None:
    pool = contaminated(Contaminate("other", Other(), labels="wasted"))
    targets = ClassTargets([1, 1, 0, 0]).of(OWN, pool)
    assert set(targets.indices.tolist()) == {i for i in range(40) if i % 4 < 2}


def test_a_data_set_that_contaminates_itself_has_another_name() -> None:
    assert contaminated(Contaminate("toy", Other())).origins == ("toy", "toy (contamination)")


def test_other_shapes_are_refused_with_both() -> None:
    @dataclass(frozen=True)
    class Wide:
        def load(self) -> Dataset:
            points = Examples(TensorInputs(torch.zeros(3, 1, 1, 2)), torch.zeros(3).long())
            return Dataset(points, points, ("a",), "beef")

    with pytest.raises(ConfigError, match=r"wide has inputs of shape \(1, 1, 2\).*\(1, 1, 1\)"):
        contaminated(Contaminate("wide", Wide()))


def test_damage_is_reported_with_whose_it_is() -> None:
    class Broken:
        def load(self) -> Dataset:
            raise DataError("It is broken.", "Mend it.")

    with pytest.raises(DataError, match=r"source=bad: It is broken\. Mend it\."):
        contaminated(Contaminate("bad", Broken()))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"labels": "refuse"}, r"labels is 'refuse'. Did you mean 'refused'"),
        ({"size": 0}, r"size must be a whole number from 1, got 0"),
        ({"source": None}, r"source must be a choice of dataset, got None"),
    ],
)
def test_requests_that_make_no_sense_are_refused(wanted: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Contaminate(**{"source": "other", **wanted})  # type: ignore[arg-type]


def test_more_points_than_there_are_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"size is 31 and other has 30.*size=30"):
        contaminated(Contaminate("other", Other(), size=31))
