"""What leads out of a run's folder is neither read nor written, and named."""

import os
import shutil

import fake_trials
import pytest

from al_bench import cli
from al_bench.errors import ResultsError
from al_bench.results import locks, sweeps
from al_bench.results.frame import read_curves

PRIVATE = "PRIVATE KEY of the reader"
FILES = ("curve", "acquisitions", "manifest", "lock", "config")
FOLDERS = ("curves", "acquisitions", "manifests", "locks")


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Two finished trials of one run."""
    root = tmp_path_factory.mktemp("links") / "results"
    for seed in (0, 1):
        fake_trials.run_trial(root, seed=seed)
    return root


@pytest.fixture
def results(stored, tmp_path):
    return shutil.copytree(stored, tmp_path / "results")


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "id_rsa").write_text(PRIVATE)
    return folder


def lead_out(path, home, way):
    """Put a link or a pipe in the place of a file."""
    path.unlink()
    if way == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(home / ("id_rsa" if way == "link" else "not_there"))


def unharmed(home):
    return {path.name: path.read_text() for path in home.iterdir()} == {"id_rsa": PRIVATE}


@pytest.mark.promise("Nothing outside the folder is read or written")
@pytest.mark.parametrize("way", ["link", "dangling", "pipe"])
@pytest.mark.parametrize("name", FILES)
def test_a_trial_is_not_worked_on_through_a_link(name, way, results, home):
    paths = fake_trials.trial_paths(results, 0)
    lead_out(getattr(paths, name), home, way)
    with pytest.raises(ResultsError, match=f"{getattr(paths, name)} is "):
        fake_trials.run_trial(results, seed=0)
    assert unharmed(home)


@pytest.mark.parametrize("name", [*FOLDERS, "checkpoints"])
def test_a_trial_is_not_worked_on_in_a_folder_elsewhere(name, results, home):
    folder = fake_trials.trial_paths(results).folder / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.symlink_to(home)
    with pytest.raises(ResultsError, match=f"{folder} is a link"):
        fake_trials.run_trial(results, seed=0)
    assert unharmed(home)


@pytest.mark.promise("Nothing outside the folder is read or written")
@pytest.mark.parametrize("way", ["link", "dangling", "pipe"])
@pytest.mark.parametrize("name", FILES)
def test_what_leads_out_is_not_read(name, way, results, home, tmp_path, capsys, caplog):
    lead_out(getattr(fake_trials.trial_paths(results, 0), name), home, way)
    out = tmp_path / "out.csv"
    assert cli.main(["status", str(results)]) == 0
    assert cli.main(["export", str(results), f"out={out}"]) == 0
    assert "bald" in out.read_text()  # the other trial's
    cli.main(["export", str(results), f"merge={tmp_path / 'merged'}"])
    said = capsys.readouterr()
    assert f"{name}s/seed=0" not in said.err or "is a link" in said.err or way == "pipe"
    assert "Traceback" not in said.err
    assert (
        tmp_path / "merged" / fake_trials.IDENTITY.folder / "curves/seed=1.parquet"
    ).is_file() or (name == "config")
    copied = [path for path in (tmp_path / "merged").rglob("*") if path.is_file()]
    assert not any(PRIVATE in path.read_text(errors="replace") for path in [out, *copied])
    assert not any(path.is_symlink() for path in copied)
    assert unharmed(home)


@pytest.mark.parametrize("name", ["curves", "manifests"])
def test_a_folder_that_leads_out_is_named(name, results, home, caplog):
    folder = fake_trials.trial_paths(results).folder / name
    elsewhere = shutil.move(folder, home / name)
    folder.symlink_to(elsewhere)
    assert cli.main(["status" if name == "manifests" else "compare", str(results)]) in (0, 1)
    assert f"{folder} is a link" in caplog.text


@pytest.mark.promise("Nothing outside the folder is read or written")
def test_a_merge_does_not_write_through_links(results, home, tmp_path, capsys):
    target = shutil.copytree(results, tmp_path / "target")
    places = fake_trials.trial_paths(target, 0)
    places.curve.unlink()
    lead_out(places.lock, home, "link")
    assert cli.main(["export", str(results), f"merge={target}"]) == 1
    assert f"{places.lock} is a link" in capsys.readouterr().err
    assert unharmed(home)


def test_a_merge_takes_no_checkpoint_from_elsewhere(results, home, tmp_path):
    """The name in the footer is a name, not a path."""
    fake_trials.run_trial(tmp_path / "half", seed=0, rounds=1, warm=True)
    checkpoint = fake_trials.trial_paths(tmp_path / "half", 0).checkpoint(0)
    lead_out(checkpoint, home, "link")
    cli.main(["export", str(tmp_path / "half"), f"merge={tmp_path / 'merged'}"])
    copied = [path for path in (tmp_path / "merged").rglob("*") if path.is_file()]
    assert not any(PRIVATE in path.read_text(errors="replace") for path in copied)


def test_results_that_are_a_link_themselves_are_read_and_written(results, tmp_path, caplog):
    (tmp_path / "link").symlink_to(results)
    fake_trials.run_trial(tmp_path / "link", seed=2)
    assert len(read_curves(tmp_path / "link")["seed"].unique()) == 3
    assert not caplog.text
    run = fake_trials.trial_paths(tmp_path / "link").folder
    (tmp_path / "run").symlink_to(run)
    assert cli.main(["info", str(tmp_path / "run")]) == 0


@pytest.mark.promise("Nothing outside the folder is read or written")
def test_records_of_sweeps_are_not_written_elsewhere(tmp_path, home):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / sweeps.FOLDER).symlink_to(home)
    with pytest.raises(ResultsError, match="is a link"):
        sweeps.write_plan(tmp_path / "results" / sweeps.FOLDER / "now", [["strategy=bald"]])
    assert unharmed(home)


@pytest.mark.promise("Nothing outside the folder is read or written")
def test_figures_are_not_written_to_a_folder_elsewhere(results, home, capsys):
    (results / "plots").symlink_to(home)
    assert cli.main(["plot", str(results), "format=svg"]) == 1
    assert f"{results / 'plots'} is a link that leads out" in capsys.readouterr().err
    assert unharmed(home)


def test_nobody_holds_a_trial_through_a_pipe(results):
    path = fake_trials.trial_paths(results, 0).lock
    path.unlink()
    os.mkfifo(path)
    assert locks.held_by(path) is None


@pytest.mark.promise("One odd file is named and left out")
@pytest.mark.slow
def test_a_link_costs_its_trial_alone(tmp_path, home, capsys):
    words = [
        "strategy=random",
        "training.max_epochs=1",
        "training.epoch_size=64",
        "budget.total=30",
    ]
    root = tmp_path / "results"
    assert cli.main(["run", *words, "seeds=1", f"results={root}"]) == 0
    (lock,) = root.rglob("*.lock")
    lead_out(lock, home, "link")
    capsys.readouterr()
    assert cli.main(["run", *words, "seeds=2", f"results={root}"]) == 1
    said = "".join(capsys.readouterr())
    assert "is a link" in said
    assert "Traceback" not in said
    assert len(list(root.rglob("curves/*.parquet"))) == 2
    assert unharmed(home)


@pytest.mark.promise("Nothing outside the folder is read or written")
@pytest.mark.slow
def test_a_report_does_not_publish_what_a_link_leads_to(tmp_path, home, stored, capsys):
    results = shutil.copytree(stored, tmp_path / "results")
    lead_out(fake_trials.trial_paths(results).config, home, "link")
    words = ["report", str(results), "baseline=bald(K=20)", f"out={tmp_path / 'r.html'}"]
    assert cli.main(words) == 0
    assert PRIVATE not in (tmp_path / "r.html").read_text()
    assert capsys.readouterr().err.count("config.yaml is left out: it is a link") == 1
