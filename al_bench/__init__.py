"""al-bench: a benchmark runner for deep active learning.

From a notebook::

    import al_bench

    curves = al_bench.run("strategy=batchbald", "seeds=3")  # what `al-bench run` does; a frame
    curves = al_bench.run_together(["strategy=random"], ["strategy=bald"])  # several at once
    curves = al_bench.read_curves(["results"])  # everything stored, as a frame
    trials = al_bench.trials("strategy=bald", "seeds=[3,7]")  # one a seed, at their beginning
    curves = al_bench.execute(trials)  # in memory, nothing stored
"""

import importlib

TYPE_CHECKING = False  # that of typing, which python -m al_bench would look for in this folder
if TYPE_CHECKING:
    from typing import Any

    from al_bench.results.frame import read_acquisitions, read_curves
    from al_bench.running.notebook import execute, run, run_together, trials

__all__ = ["execute", "read_acquisitions", "read_curves", "run", "run_together", "trials"]

_HOMES = {
    "execute": "al_bench.running.notebook",
    "read_acquisitions": "al_bench.results.frame",
    "read_curves": "al_bench.results.frame",
    "run": "al_bench.running.notebook",
    "run_together": "al_bench.running.notebook",
    "trials": "al_bench.running.notebook",
}


def __getattr__(name: str) -> "Any":
    # Imported on use: the command line must not wait for torch or pandas.
    if name not in _HOMES:
        raise AttributeError(f"module 'al_bench' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
