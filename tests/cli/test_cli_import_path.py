"""A file where al-bench is started hides nothing, and one's own classes are found last."""

import importlib.metadata
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from every_launcher import LAUNCHERS

from al_bench import cli, process
from al_bench.configuration import own_path
from al_bench.configuration.targets import locate

SCRIPT = Path(sysconfig.get_path("scripts")) / "al-bench"
TINY = (
    "training.max_epochs=1",
    "training.epoch_size=64",
    "model.num_samples=3",
    "model/network=mlp",
    "model.network.hidden=[16]",
    "budget.total=30",
)
OWN = """
import importlib
import random
import socket
import statistics

from al_bench.strategies.random import Random


class Own(Random):
    def select(self, view, batch_size, generator):
        import tempfile

        import own_helper_of_path

        assert own_helper_of_path.x == 1
        assert random.random() < 1 < statistics.mean([1, 3])
        return super().select(view, batch_size, generator)
"""
NOTED = "import os\nopen(os.environ['RAN'], 'a').write({name!r} + ' ')\nraise ImportError('mine')\n"


def python(folder, *words, code=0, **environment):
    """Run Python, or a script of it, in a folder; its output, and what ran of the files there."""
    ran = folder.parent / "ran"
    ran.write_text("")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "RAN": str(ran)} | environment
    words = [str(word) for word in words]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr, ran.read_text()


@pytest.fixture(scope="module")
def names():
    """What a file could hide: all that is in Python and installed, but what Python itself loads.

    It has put the folder first by then, and ``python -P`` alone helps.
    """
    code = "import runpy, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    installed = importlib.metadata.packages_distributions()
    everything = {*sys.stdlib_module_names, *installed, "sitecustomize", "usercustomize"}
    return {n for n in everything if n.isidentifier()} - {n.split(".")[0] for n in loaded.split()}


@pytest.fixture(scope="module")
def full(names, tmp_path_factory):
    """A folder with a file of every such name and classes of one's own."""
    folder = tmp_path_factory.mktemp("full") / "here"
    (folder / "mine" / "strategy").mkdir(parents=True)
    for name in names - {"hydra"}:
        (folder / f"{name}.py").write_text(NOTED.format(name=name))
    (folder / "hydra").mkdir()
    (folder / "hydra" / "__init__.py").write_text(NOTED.format(name="hydra"))
    (folder / "own_of_path.py").write_text(OWN)
    (folder / "own_helper_of_path.py").write_text("x = 1\n")
    (folder / "mine" / "strategy" / "own.yaml").write_text("_target_: own_of_path.Own\n")
    return folder


@pytest.mark.promise("The current folder is no program")
@pytest.mark.slow
def test_no_file_here_is_run_by_commands_on_results(full):
    words = ["run", "-m", "strategy=random,bald", *TINY, "seeds=1", "results=of_sweep"]
    assert python(full, SCRIPT, *words)[1] == ""
    manifest = str(next(full.glob("of_sweep/digits/mc_dropout/random/*/manifests/seed=0.json")))
    commands = [
        [],
        ["--version"],
        ["list"],
        ["status", "of_sweep"],
        ["info", manifest],
        ["compare", "of_sweep"],
        ["plot", "of_sweep"],
        ["report", "of_sweep", "out=page.html"],
        ["export", "of_sweep", "out=all.csv"],
        ["rerun", manifest],
        ["transfer", "of_sweep", "model=deterministic", "dry_run=true"],
        ["check", "strategy=random"],
    ]
    # As in a process of its own, since this script lies elsewhere.
    driver = full.parent / "driver.py"
    driver.write_text(
        "import json, sys\n"
        "from al_bench.cli import main\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    assert main(words) == 0, words\n"
    )
    assert python(full, sys.executable, driver, json.dumps(commands))[1] == ""


@pytest.mark.promise("The current folder is no program")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("begin", "words"),
    [
        ([SCRIPT], ["strategy=own_of_path.Own", "seeds=2", "workers=2"]),
        ([sys.executable, "-m", "al_bench"], ["--config-dir", "mine", "strategy=own", "workers=2"]),
    ],
)
def test_ones_own_classes_run_beside_any_file_in_every_process(full, tmp_path, begin, words):
    seeds = () if any(word.startswith("seeds") for word in words) else ("seeds=2",)
    words = ["run", *words, *TINY, *seeds, f"results={tmp_path / 'results'}"]
    said, ran = python(full, *begin, *words)
    assert ran == "", said
    assert len(list(tmp_path.glob("results/digits/mc_dropout/*own*/*/curves/seed=*.parquet"))) == 2


@pytest.mark.promise("The current folder is no program")
@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_ones_own_classes_run_beside_any_file_in_the_jobs_of_every_launcher(
    full, tmp_path, launcher
):
    beside = ("--config-dir", "mine", "-m", "strategy=own,own_of_path.Own")
    words = ["run", *beside, *TINY, "seeds=2", f"results={tmp_path / 'results'}", *launcher]
    said, ran = python(full, SCRIPT, *words)
    assert ran == "", said
    assert "4 done" in said


@pytest.mark.promise("The current folder is no program")
@pytest.mark.slow
def test_processes_that_a_call_from_python_starts_find_no_file_here_either(tmp_path):
    (tmp_path / "here").mkdir()
    for name in ("socket", "rich", "statistics", "queue", "yaml"):
        (tmp_path / "here" / f"{name}.py").write_text(NOTED.format(name=name))
    (tmp_path / "here" / "own_of_call.py").write_text(OWN.replace("own_helper_of_path", "math"))
    words = ["run", "strategy=random", *TINY, "seeds=2", "workers=2"]
    code = (
        "import os, sys\n"
        "from al_bench.cli import main\n"
        "before = list(sys.path), dict(os.environ)\n"
        f"assert sys.path[0] == '' and main({words!r}) == 0\n"
        "assert before == (sys.path, dict(os.environ))\n"
    )
    assert python(tmp_path / "here", sys.executable, "-c", code)[1] == ""


@pytest.mark.slow
def test_a_class_is_found_from_the_folder_of_the_call_in_every_process(tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "own_of_folder.py").write_text(
        "from al_bench.strategies.random import Random\nclass Own(Random): pass\n"
    )
    driver = tmp_path / "driver.py"
    words = ["run", "strategy=own_of_folder.Own", *TINY, "seeds=2", "workers=2"]
    driver.write_text(
        "import multiprocessing, os, sys\n"
        "from al_bench.cli import main\n"
        "if __name__ == '__main__':\n"
        "    os.chdir('here')\n"
        f"    sys.exit(main({words!r}))\n"
    )
    python(tmp_path, sys.executable, driver)


@pytest.mark.parametrize(
    ("files", "word", "said"),
    [
        ({"random.py": "class Mine: pass"}, "random.Mine", "random.py is hidden by Python's own"),
        ({"random.py": "class Random: pass"}, "random.Random", "random.py is hidden by Python's"),
        ({"time.py": ""}, "time.Mine", "time.py is hidden by Python's own module time. Rename"),
        ({"wave/__init__.py": "", "wave/a.py": ""}, "wave.a.Mine", "wave/__init__.py is hidden by"),
        ({"yaml/a.py": ""}, "yaml.a.Mine", "yaml is hidden by the installed module yaml ("),
        ({"al_bench.py": ""}, "al_bench.Mine", "al_bench.py is hidden by the installed module al"),
        ({"rich.pyc": ""}, "rich.Mine", "rich.pyc is hidden by the installed module rich ("),
        (
            {"mine/strategy/a.yaml": "_target_: colorsys.A", "colorsys.py": ""},
            "a",
            "colorsys.py is hidden by",
        ),
    ],
)
def test_a_class_whose_module_is_hidden_is_refused_for_that(al_bench, tmp_path, files, word, said):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    more = ["--config-dir", "mine"] if "mine/strategy/a.yaml" in files else []
    code, _, err = al_bench("run", f"strategy={word}", *more, "dry_run=true")
    assert code == 2
    assert said in err
    assert err.endswith("Rename it.\n")
    assert err.count("\n") == 1


@pytest.mark.slow
def test_a_stray_file_hides_no_class_that_is_installed(al_bench, tmp_path):
    (tmp_path / "collections.py").write_text("import torch\nprint(torch.nn.Linear)\n")
    (tmp_path / "al_bench.py").write_text("strategies = None\nclass strategies: pass\n")
    code, _, err = al_bench("run", "strategy=collections.Counter", "dry_run=true")
    assert code == 2
    assert "hidden" not in err
    locate("al_bench.strategies.random.Random")
    assert str(tmp_path) not in sys.path


@pytest.mark.slow
def test_what_ones_own_module_lacks_is_told_with_the_file_that_is_not_seen(al_bench, tmp_path):
    (tmp_path / "own_imports.py").write_text("from statistics import mine\nclass Own: pass\n")
    (tmp_path / "statistics.py").write_text("mine = 1\n")
    code, _, err = al_bench("run", "strategy=own_imports.Own")
    assert code == 2
    assert "cannot import name 'mine'" in err
    assert "statistics.py is hidden by Python's own module statistics (" in err
    (tmp_path / "elsewhere" / "mine" / "strategy").mkdir(parents=True)
    (tmp_path / "elsewhere" / "mine" / "strategy" / "own.yaml").write_text("_target_: own_far.Own")
    (tmp_path / "elsewhere" / "own_far.py").write_text("import own_near\n")
    (tmp_path / "own_near.py").write_text("")
    code, _, err = al_bench("run", "--config-dir", "elsewhere/mine", "strategy=own")
    assert code == 2
    assert "What a class imports is found in its own folder: move own_near there." in err


@pytest.mark.slow
def test_what_lies_beside_the_folder_of_configuration_comes_first(al_bench, tmp_path):
    (tmp_path / "beside" / "mine" / "strategy").mkdir(parents=True)
    (tmp_path / "beside" / "mine" / "strategy" / "own.yaml").write_text("_target_: own_twice.Own")
    (tmp_path / "beside" / "own_twice.py").write_text("raise ValueError('beside')\n")
    (tmp_path / "own_twice.py").write_text("raise ValueError('here')\n")
    words = ("run", "--config-dir", "beside/mine", "strategy=own", "dry_run=true")
    assert "ValueError: beside" in al_bench(*words)[2]
    assert "ValueError: here" in al_bench("run", "strategy=own_twice.Own")[2]


@pytest.mark.promise("The current folder is no program")
def test_a_command_leaves_the_path_as_it_was(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["al-bench"])
    (tmp_path / "own_unseen.py").write_text("")
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    before, environment = list(sys.path), dict(os.environ)
    assert cli.main(["run", "strategy=own_unseen.Own"]) == 2
    assert sys.path == before
    assert dict(os.environ) == environment


def test_the_folder_of_the_script_that_calls_comes_last(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    main = sys.modules["__main__"]
    for file, first in ((tmp_path / "script.py", tmp_path), (tmp_path / "a" / "b.py", "/x")):
        monkeypatch.setattr(main, "__file__", str(file), raising=False)
        monkeypatch.setattr(sys, "path", [str(first), "", "/y"])
        process.set_up_path()
        assert sys.path == (["/x", "/y"] if first == "/x" else ["/y", str(first)])


def test_a_package_without_a_file_is_not_hidden_by_one_of_ones_own(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", [str(tmp_path / "installed"), *sys.path])
    (tmp_path / "installed" / "spread_out").mkdir(parents=True)
    (tmp_path / "installed" / "spread_out" / "part.py").write_text("x = 1\n")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "spread_out.py").write_text("raise ImportError('mine')\n")
    (tmp_path / "own" / "named.py").write_text("")
    monkeypatch.setattr(own_path, "_beside", [str(tmp_path / "own")])
    own_path.look_for("named.Own")
    assert sys.path[-1] == str(tmp_path / "own")
    import spread_out.part

    assert spread_out.part.x == 1
    for name in ("spread_out.part", "spread_out"):
        del sys.modules[name]
