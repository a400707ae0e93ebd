"""What stored configurations may have built: one's own classes, where one says so."""

import json
import shutil
import sys

import pytest

OWN = """
from al_bench.strategies.random import Random
from own_helper import SIZE

class Own(Random):
    pass
"""
QUICK = ("training.max_epochs=1", "training.epoch_size=64", "model.num_samples=2", "seeds=1")


@pytest.fixture(scope="module")
def stored_own(tmp_path_factory):
    """A folder with a user's classes in ``code``, their configuration, and a run of one."""
    from al_bench.running import notebook

    folder = tmp_path_factory.mktemp("own")
    code = folder / "code"
    (code / "mine" / "strategy").mkdir(parents=True)
    (code / "mine" / "strategy" / "own.yaml").write_text("_target_: own_trusted.Own\n")
    (code / "own_trusted.py").write_text(OWN)
    (code / "own_helper.py").write_text("import os\n\nSIZE = 1\n")
    words = (*QUICK, "budget.total=20", "strategy=own", f"results={folder / 'results'}")
    notebook.run(*words, config_dir=code / "mine")
    return folder


@pytest.fixture
def own(stored_own, tmp_path, monkeypatch, al_bench):
    """A copy of that, typed at from a folder where nothing is imported yet."""
    shutil.copytree(stored_own, tmp_path, dirs_exist_ok=True)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    forget()
    yield al_bench
    forget()


def forget():
    for name in [name for name in sys.modules if name.startswith("own_")]:
        del sys.modules[name]


def manifest(tmp_path):
    (found,) = tmp_path.glob("results/**/manifests/seed=0.json")
    return found


def edit_stored(tmp_path, old, new):
    """Change ``config.yaml`` as somebody does who sends a folder: its record too."""
    from al_bench.results import damage

    path = manifest(tmp_path)
    config = path.parents[1] / "config.yaml"
    assert old in config.read_text()
    config.write_text(config.read_text().replace(old, new))
    content = json.loads(path.read_text())
    content["files"]["config.yaml"] = damage.account(config.read_bytes())
    path.write_text(json.dumps(content))


@pytest.mark.slow
@pytest.mark.promise("Repeating results builds only what al-bench ships")
def test_ones_own_class_is_not_run_unless_one_says_so(own, tmp_path):
    shutil.copy(tmp_path / "code" / "own_trusted.py", ".")  # a folder to be in is no permission
    code, out, err = own("rerun", str(manifest(tmp_path)))
    assert (code, out) == (2, "")
    assert "strategy=own_trusted.Own (own_trusted.py), which al-bench does not ship" in err
    assert "--config-dir FOLDER" in err
    assert "trust=results" in err
    assert err.count("\n") == 1
    assert "own_trusted" not in sys.modules


@pytest.mark.slow
def test_ones_own_class_is_run_from_beside_the_folder_of_configuration(own, tmp_path):
    words = ("rerun", str(manifest(tmp_path)), "--config-dir", str(tmp_path / "code" / "mine"))
    code, out, err = own(*words)
    assert (code, err.count("warning")) == (0, 0)
    assert "The same" in out
    assert "trust" not in err


@pytest.mark.slow
def test_ones_own_class_is_run_from_the_current_folder_once_it_was_shown(
    own, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path / "code")
    assert own("rerun", str(manifest(tmp_path)))[0] == 2
    assert "own_trusted" not in sys.modules
    code, out, err = own("rerun", str(manifest(tmp_path)), "trust=results")
    assert (code, "The same" in out) == (0, True)
    first = err.splitlines()[0]
    assert first.startswith("trust=results: ")
    assert first.endswith(" runs strategy=own_trusted.Own (own_trusted.py).")


@pytest.mark.slow
@pytest.mark.promise("Repeating results builds only what al-bench ships")
@pytest.mark.parametrize("name", ["own_trusted", "own_helper"])
def test_edited_code_is_not_run_from_beside_the_folder_of_configuration(own, tmp_path, name):
    path = tmp_path / "code" / f"{name}.py"
    path.write_text(path.read_text() + "X = 2\n")
    words = ("rerun", str(manifest(tmp_path)), "--config-dir", str(tmp_path / "code" / "mine"))
    code, out, err = own(*words)
    assert (code, out) == (2, "")
    assert f"and {name} is not what the run was made with" in err
    assert err.count("\n") == 1
    assert "own_trusted" not in sys.modules
    if name == "own_helper":
        code, _, err = own(*words, "trust=results")
        assert code == 1  # another run id
        assert "trust=results: " in err
        assert "strategy=own_trusted.Own (../code/own_trusted.py)." in err.replace(
            str(tmp_path), ".."
        )
        assert "warning: changed since it was stored: own_helper." in err


def test_code_that_lies_elsewhere_is_not_run(own, tmp_path, monkeypatch):
    (tmp_path / "other" / "mine").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "code")])
    words = ("rerun", str(manifest(tmp_path)), "--config-dir", str(tmp_path / "other" / "mine"))
    code, _, err = own(*words)
    assert code == 2
    assert "own_trusted.py), which does not lie beside" in err
    assert "own_trusted" not in sys.modules
    shutil.copy(tmp_path / "code" / "own_trusted.py", tmp_path / "other")
    code, _, err = own(*words)  # what it imports would be found elsewhere
    assert code == 2
    assert "own_trusted" not in sys.modules


@pytest.mark.parametrize(
    "target", ["own_helper.os.system", "own_trusted.Random.select", "own_trusted.dataclass"]
)
def test_what_ones_own_module_has_imported_is_not_run(own, tmp_path, target):
    edit_stored(tmp_path, "own_trusted.Own", target)
    words = ("rerun", str(manifest(tmp_path)), "--config-dir", str(tmp_path / "code" / "mine"))
    code, _, err = own(*words)
    assert code == 2
    assert target in err
    assert err.count("\n") == 1


@pytest.mark.slow
def test_a_run_of_ones_own_strategy_is_transferred_without_it(own, tmp_path):
    words = ("transfer", str(tmp_path / "results"), "model=deterministic", "dry_run=true")
    code, out, _ = own(*words)
    assert code == 0
    assert "1 runs, 1 trials to be trained" in out
    assert "own_trusted" not in sys.modules


def test_trust_is_of_results_alone(own, tmp_path):
    code, _, err = own("rerun", str(manifest(tmp_path)), "trust=all")
    assert code == 2
    assert "trust must be" in err
