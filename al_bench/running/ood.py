"""The data sets of ``evaluation.ood``: built, loaded and checked."""

import re
from collections.abc import Mapping
from typing import Any

from al_bench.configuration.building import build_with
from al_bench.data.base import Dataset, DatasetSource
from al_bench.data.ood import OodSet, require_ood
from al_bench.errors import DataError
from al_bench.running.loading import Data

_TYPED = "Parameters are typed as in evaluation.ood=[{emnist: {split: letters, root: FOLDER}}]."


def build_ood(node: Any) -> dict[str, DatasetSource]:
    """What reads each data set, by its name in results; ``node`` is ``evaluation.ood``."""
    return {
        str(name): build_with(child, f"evaluation.ood.{name}", ["load"], "al_bench.data.base")
        for name, child in (node or {}).items()
    }


def load_ood(
    sources: Mapping[str, DatasetSource], evaluation: Any, data: Data, dataset: Dataset, name: str
) -> tuple[list[OodSet], list[str]]:
    """The test sets, and what stands for the content of each data set.

    Args:
        sources: From ``build_ood``.
        evaluation: Its resolved configuration.
        data: What this process has loaded.
        dataset: The run's.
        name: The run's data set in results.

    Raises:
        ConfigError: One has another shape, or is the run's own.
        DataError: One is missing or damaged.
    """
    sets = []
    for called, source in sources.items():
        try:
            other = data.dataset(evaluation["ood"][called], source)
        except DataError as error:
            key = rf"evaluation\.ood\.{re.escape(called)}\.(\w+)="
            own = re.sub(key, r"\1: ", error.hint or "")
            hint = f"{own} {_TYPED}".strip()
            raise DataError(f"evaluation.ood: {error.message}", hint) from error
        sets.append(require_ood(called, other, dataset, name))
    return sets, [one.fingerprint for one in sets]
