"""The pools that stored runs bought from, made again for the figures that show inputs."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from al_bench.errors import AlBenchError, DataError, placed
from al_bench.plots.figures import Options

if TYPE_CHECKING:
    from al_bench.data.base import Pool

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Bought:
    """What the strategies of one protocol bought with one seed, and the pool it came from.

    Args:
        seed: The seed.
        pool: The pool of that seed, which all strategies share.
        rows: Acquisitions, of the seed and as ``stats.bought.with_names`` returns them.
    """

    seed: int
    pool: "Pool"
    rows: pd.DataFrame

    def inputs(self, indices: ArrayLike) -> Array:
        """(n, …) inputs of these points, scaled as models see them."""
        import torch

        wanted = torch.from_numpy(np.array(indices, dtype=np.int64))
        found: Array = self.pool.inputs.gather(wanted, torch.device("cpu")).double().numpy()
        return found


def bought_by(rows: pd.DataFrame, options: Options) -> Bought | None:
    """One protocol's purchases with the first seed that all its strategies have.

    Args:
        rows: Acquisitions of the protocol, as ``stats.bought.with_names`` returns them.
        options: Where results and data are.

    Returns:
        None, with the reason told, where the strategies have no seed in common or the data set
        cannot be loaded or is not the one that the runs used.
    """
    seeds = set.intersection(*rows.groupby("strategy_label")["seed"].agg(set))
    if not seeds:
        options.explain("the strategies have no seed in common.")
        return None
    seed = int(min(seeds))
    own = rows[rows["seed"] == seed]
    dataset = str(own["dataset"].iloc[0])
    config = _config(options.folders, set(own["run_id"]))
    if config is None:
        options.explain("there is no config.yaml beside these runs.")
        return None
    try:
        pool = _pool(config, dataset, seed, options)
        _check(pool, own)
    except (AlBenchError, ImportError, OSError) as error:
        options.explain(f"it needs the data set {dataset}. {error}")
        return None
    return Bought(seed, pool, own)


def _config(folders: Sequence[Path], runs: set[str]) -> Path | None:
    """The configuration of one of these runs."""
    for given in folders:
        start = given.parent.parent if given.is_file() else given
        inside = next((p for p in (start, *start.resolve().parents) if p.name in runs), start)
        for folder, below, names in os.walk(inside):
            below.sort()
            if os.path.basename(folder) in runs and "config.yaml" in names:
                return Path(folder, "config.yaml")
    return None


def _pool(path: Path, dataset: str, seed: int, options: Options) -> "Pool":
    """The pool of one seed from a run's configuration; nothing is downloaded."""
    from al_bench.configuration.building import build
    from al_bench.configuration.stored import read_part
    from al_bench.data.base import Pool
    from al_bench.data.pool import apply_transforms, load_transforms
    from al_bench.data.target import apart
    from al_bench.seeding import Streams

    groups = ("dataset", "pool", "target", "streams")
    config = read_part(path, seed, groups, options.moved, options.trust)
    source = build(config.dataset, "dataset")
    with placed(source):
        loaded = source.load()
    nodes = (config.pool or {}).items()
    transforms = load_transforms([build(node, f"pool.{name}") for name, node in nodes], loaded)
    offsets = {str(name): value for name, value in config.streams.items() if value is not None}
    pool = Pool.of(loaded.train, loaded.num_classes, dataset)
    streams = Streams(seed, offsets)
    pool = apply_transforms(pool, transforms.transforms, streams)
    if config.target is None:
        return pool
    target = build(config.target, "target")
    with placed(target):
        return apart(target, pool, streams)[0]


def _check(pool: "Pool", rows: pd.DataFrame) -> None:
    """Raise DataError unless the points bought are the pool's."""
    index = rows["index"].to_numpy(dtype=np.int64)
    if index.max() < len(pool):
        columns = {"source_index": pool.source_index, "true_label": pool.true_labels}
        if all(
            (rows[name].to_numpy() == known.numpy()[index]).all() for name, known in columns.items()
        ):
            return
    raise DataError("The data set found is not the one that these runs used.")
