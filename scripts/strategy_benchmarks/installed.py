"""Peers that may be installed (``pip install 'al-bench[peers]'``), called as their users would.

Each function returns a way to run the peer on given tensors, or None where it is not installed.
"""

import importlib
import warnings
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

PACKAGES = ("batchbald_redux", "toma", "scikit-activeml", "bmdal_reg")


def module(name: str) -> ModuleType | None:
    """A peer's module; None where it, or what it needs, is missing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError:
        return None


def redux_batchbald(
    log_probs: Tensor, batch_size: int, num_samples: int
) -> Callable[[], list[int]] | None:
    """batchbald_redux in the precision of its input."""
    found, joint = module("batchbald_redux.batchbald"), module("batchbald_redux.joint_entropy")
    if found is None or joint is None:
        return None
    for part in (found, joint):
        part.tqdm = partial(part.tqdm, disable=True)

    def run() -> list[int]:
        torch.manual_seed(0)
        batch = found.get_batchbald_batch(
            log_probs, batch_size, num_samples, dtype=log_probs.dtype, device="cpu"
        )
        return list(batch.indices)

    return run


def activeml_core_set(
    pool: Tensor, labeled: Tensor, batch_size: int
) -> Callable[[], list[int]] | None:
    """scikit-activeml's CoreSet; the labeled points come after the pool's."""
    found = module("skactiveml.pool")
    if found is None:
        return None
    points = torch.cat([pool, labeled]).numpy()
    answers = np.full(len(points), np.nan)
    answers[len(pool) :] = 0

    def run() -> list[int]:
        strategy = found.CoreSet(random_state=0)
        return strategy.query(points, answers, batch_size=batch_size).tolist()

    return run


def bmdal_max_dist(
    pool: Tensor, labeled: Tensor, batch_size: int
) -> Callable[[], list[int]] | None:
    """bmdal_reg's MaxDist with a linear kernel on the features, counting the labeled points."""
    vars(np).setdefault("Inf", np.inf)  # bmdal_reg 3.0.2 uses a name that NumPy 2 has dropped
    selection, features, maps, data = (
        module(f"bmdal_reg.bmdal.{name}")
        for name in ("selection", "features", "feature_maps", "feature_data")
    )
    if selection is None or features is None or maps is None or data is None:
        return None

    def of(values: Tensor) -> Any:
        feature_map = maps.IdentityFeatureMap(n_features=values.shape[1])
        return features.Features(feature_map, data.TensorFeatureData(values))

    def run() -> list[int]:
        method = selection.MaxDistSelectionMethod(
            of(pool), of(labeled), sel_with_train=True, verbosity=0
        )
        return method.select(batch_size).tolist()

    return run
