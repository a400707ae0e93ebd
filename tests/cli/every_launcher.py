"""The launchers that start processes, each skipped where its extra is not installed."""

from importlib.util import find_spec

import pytest


def _one(extra, package, *words):
    skipped = pytest.mark.skipif(find_spec(package) is None, reason=f"needs .[{extra}]")
    return pytest.param(list(words), id=words[0].partition("=")[2], marks=skipped)


JOBLIB = _one("joblib", "joblib", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
LOCAL = _one("slurm", "submitit", "hydra/launcher=submitit_local")
RAY = _one("ray", "ray", "hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2")
LAUNCHERS = [JOBLIB, LOCAL, RAY]
