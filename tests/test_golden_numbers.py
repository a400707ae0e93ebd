"""The numbers of a few short runs: to the last bit where they are known, else nearly.

``golden_numbers.json`` has, of each run and for the numerics versions of its parts, what it buys
and how well it predicts, and for each platform that is known the hash of every bit of that. On a
platform that is not, sums are rounded in another order; then the same points are bought, for these
runs have no near ties, metrics agree to 1e-3, and the platform's entry is printed. Who raises a
numerics version is told the entry to add.
"""

import hashlib
import json
import os
import platform
from pathlib import Path

import numpy
import pytest
import scipy
import sklearn
import torch

from al_bench.engine import device_name
from al_bench.results.schema import METRICS, NUMERICS_VERSION
from al_bench.running import notebook

FILE = Path(__file__).with_name("golden_numbers.json")
SHORT = (
    "dataset=digits",
    "pool=[subset]",
    "pool.subset.size=300",
    "training.max_epochs=4",
    "training.epoch_size=256",
    "budget.batch_size=3",
    "budget.total=26",
    "seeds=1",
    "device=cpu",
)
RUNS = {
    "one network, entropy": ("model=deterministic", "model/network=mlp", "strategy=entropy"),
    "dropout, BatchBALD": ("model=mc_dropout", "model.num_samples=8", "strategy=batchbald"),
    "ensemble, BALD": (
        "model=deep_ensemble",
        "model.num_members=3",
        "model/network=mlp",
        "strategy=bald",
    ),
    "forest, power": ("model=random_forest", "model.num_trees=20", "strategy=softmaxentropy"),
    "Laplace, JEPIG": (
        "model=last_layer_laplace",
        "model.num_samples=10",
        "model/network=mlp",
        "strategy=jepig",
    ),
    "dropout, core-set": ("model=mc_dropout", "model.num_samples=4", "strategy=coreset"),
}
# What decides in which order a sum is rounded.
SWITCHES = ("ATEN_CPU_CAPABILITY", "MKL_CBWR", "ONEDNN_MAX_CPU_ISA", "OPENBLAS_CORETYPE")


def this_platform():
    """Whatever the last bits depend on, beside the parts."""
    about = [
        f"torch {torch.__version__}",
        f"numpy {numpy.__version__}",
        f"scipy {scipy.__version__}",
        f"scikit-learn {sklearn.__version__}",
        f"{platform.system()} {platform.machine()}",
        torch.backends.cpu.get_cpu_capability(),
        f"mkldnn {torch.backends.mkldnn.is_available()}",
        device_name(torch.device("cpu")),
        *(f"{name}={os.environ[name]}" for name in SWITCHES if name in os.environ),
    ]
    return ", ".join(about)


def run(name):
    """Numerics versions, points bought by round, metrics by name, and the hash of their bits."""
    (trial,) = notebook.trials(*SHORT, *RUNS[name])
    start = len(trial.labeled)
    rows = notebook.execute([trial])
    versions = {"all": NUMERICS_VERSION, **trial.run.identity.part_versions}
    ends = [*rows["num_labeled"][1:]]
    bought = [trial.labeled[a:b] for a, b in zip([start, *ends], ends, strict=False)]
    metrics = {name: rows[name].tolist() for name in METRICS if rows[name].notna().all()}
    exact = [trial.labeled, {name: [v.hex() for v in values] for name, values in metrics.items()}]
    digest = hashlib.sha256(json.dumps(exact).encode()).hexdigest()[:16]
    rounded = {name: [round(value, 5) for value in values] for name, values in metrics.items()}
    return json.dumps(versions, sort_keys=True), bought, rounded, digest


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_the_numbers_of_a_short_run_are_known(name, capsys):
    versions, bought, metrics, digest = run(name)
    entry = {"bought": bought, "metrics": metrics, "exact": {this_platform(): digest}}
    known = json.loads(FILE.read_text()).get(name, {}).get(versions)
    if known is None:
        pytest.fail(f"Add to {FILE.name}:\n{json.dumps({name: {versions: entry}}, indent=1)}")
    if (exact := known["exact"].get(this_platform())) is not None:
        assert digest == exact, "a bit has changed: an error, or a numerics version to be raised"
        return
    with capsys.disabled():
        print(f"\nAdd to {name!r} of {FILE.name}: {json.dumps(entry['exact'])}")
    assert bought == known["bought"]
    for metric, values in known["metrics"].items():
        assert metrics[metric] == pytest.approx(values, abs=1e-3), metric
