"""k-center greedy: the farthest point, again and again.

N pool points, M labeled points, D features, B batch size.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from al_bench.checking.views import seeded
from al_bench.strategies.base import Selection
from strategy_benchmarks.case import Case, Facts, Floor, Options, Peer, Work
from strategy_benchmarks.found import choice
from strategy_benchmarks.inputs import random_pool
from strategy_benchmarks.installed import activeml_core_set, bmdal_max_dist


def k_center(options: Options) -> Iterator[Case]:
    """Core-set against scikit-activeml and bmdal_reg."""
    num_points, num_features, batch_size = (200, 16, 5) if options.quick else (20_000, 512, 100)
    view = random_pool(num_points, 1, num_features)
    pool, labeled = view.features(), view.labeled_features()
    strategy = choice("coreset")

    def agreement(ours: Selection, theirs: Mapping[str, list[int]]) -> dict[str, Facts]:
        picks = ours.positions.tolist()
        return {
            peer: {"equal": picks == other, "radius": radius(pool, labeled, other)}
            for peer, other in theirs.items()
        }

    yield Case(
        row="k_center",
        name="k-center greedy",
        work=f"N {num_points:,}, D {num_features}, B {batch_size}, M {len(labeled)}",
        ours=lambda: strategy.select(view, batch_size, seeded(0)),
        peers=(
            Peer("scikit-activeml", activeml_core_set(pool, labeled, batch_size), 5.0),
            Peer("bmdal_reg", bmdal_max_dist(pool, labeled, batch_size), 1.0),
        ),
        floor=Floor(
            "reading the features B times",
            (Work("read", float(batch_size * pool.nbytes), pool.nbytes),),
            at_most=2.0,
        ),
        agreement=agreement,
        facts=lambda ours: {"radius": radius(pool, labeled, ours.positions.tolist())},
    )


def radius(pool: Tensor, labeled: Tensor, picks: list[int]) -> float:
    """Largest distance of a point to the nearest labeled or picked one."""
    centers = torch.cat([labeled, pool[picks]]).double()
    nearest = [torch.cdist(part.double(), centers).amin(dim=1).max() for part in pool.split(1000)]
    return float(torch.stack(nearest).max())


CASES: dict[str, Any] = {"k_center": k_center}
