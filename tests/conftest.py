"""Quick runs and trials that tests of all folders share."""

import signal
import sys

import composed_once
import pytest
from hypothesis import settings

composed_once.install()

# Whoever starts the tests may ignore these, as nohup and a shell's background do; what they do is
# asked here, of this process and of those that it starts.
for _name, _usual in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    if signal.getsignal(getattr(signal, _name)) is signal.SIG_IGN:
        signal.signal(getattr(signal, _name), _usual)

# The same examples in every run, so that a change and not chance decides whether a test passes;
# others are drawn with --hypothesis-profile=default.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    import torch  # not by pytest-xdist's own process, which loads this file and runs no test

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _forgotten_modules(tmp_path_factory):
    """What a test imports from a temporary folder must not be there for the next test."""
    before = set(sys.modules)
    yield
    folder = str(tmp_path_factory.getbasetemp())
    for name in set(sys.modules) - before:
        module = sys.modules[name]
        places = f"{getattr(module, '__file__', '')}\n{getattr(module, '__path__', '')}"
        if folder in places:  # some libraries' modules have a __path__ that is no list
            del sys.modules[name]


# A run that takes a tenth of a second a round: small steps, few samples.
QUICK = (
    "training.max_epochs=1",
    "training.epoch_size=128",
    "model.num_samples=4",
    "model/network=mlp",
    "model.network.hidden=[16]",
    "budget.total=45",
)


@pytest.fixture
def available(tmp_path, monkeypatch):
    """Says how many kilobytes of memory the machine has left."""
    from al_bench.models import room

    path = tmp_path / "meminfo"
    monkeypatch.setattr(room, "MEMINFO", path)
    return lambda kilobytes: path.write_text(f"MemTotal: 99999 kB\nMemAvailable: {kilobytes} kB\n")


@pytest.fixture
def quick(tmp_path):
    """Overrides of a run that is over in a second and writes below tmp_path."""
    return [*QUICK, f"results={tmp_path / 'results'}"]


@pytest.fixture
def make_trials(quick):
    """Trials of a quick run with further overrides."""
    from al_bench.running import notebook

    def make(*overrides):
        return notebook.trials(*quick, *overrides)

    return make
