"""``al-bench export A B merge=C``: trials of several folders brought together in one."""

import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_trials import ENGINE, IDENTITY, OTHER_ENGINE, ROUNDS, run_trial, stored, trial_paths

from al_bench import cli
from al_bench.results import atomic, lease, locks, provenance
from al_bench.results.lease import Holder
from al_bench.results.ledger import DONE, status
from al_bench.results.store import Store


class Killed(BaseException):
    pass


@pytest.fixture
def typed(tmp_path, monkeypatch, capsys):
    """Type ``al-bench export`` in the folder of the results folders: code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def export(*words):
        code = cli.main(["export", *map(str, words)])
        return code, *capsys.readouterr()

    return export


@pytest.fixture
def laptop(tmp_path):
    run_trial(tmp_path / "laptop", seed=0)
    run_trial(tmp_path / "laptop", seed=1)
    return tmp_path / "laptop"


@pytest.fixture
def cluster(tmp_path):
    """Seed 1 with other numbers, and seed 2."""
    run_trial(tmp_path / "cluster", seed=1, engine=OTHER_ENGINE)
    run_trial(tmp_path / "cluster", seed=2, engine=OTHER_ENGINE)
    return tmp_path / "cluster"


def files(root):
    return {
        path.relative_to(root): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def is_done(root, *seeds):
    entries = {entry.seed: entry for entry in status(root, thorough=True)}
    assert entries.keys() == set(seeds)
    return all(entry.state == DONE and not entry.message for entry in entries.values())


@pytest.mark.slow
def test_what_differs_is_merged_only_when_told_which_wins(typed, laptop, cluster, tmp_path):
    code, out, err = typed("laptop", "cluster", "merge=all")
    assert (code, out) == (1, "")
    curves = [trial_paths(Path(name), 1).curve for name in ("laptop", "cluster")]
    assert f"{curves[0]} and {curves[1]} are different results of one trial" in err
    assert "test_accuracy of round 1" in err
    assert "prefer=FOLDER" in err
    assert not (tmp_path / "all").exists()  # not even what does not differ
    for winner in (laptop, cluster):
        target = tmp_path / f"all-{winner.name}"
        code, out, err = typed("laptop", "cluster", f"merge={target}", f"prefer={winner.name}")
        assert (code, err) == (0, "")
        assert "3 trials taken in" in out
        assert stored(target, 1) == stored(winner, 1)
        assert (stored(target, 0), stored(target, 2)) == (stored(laptop, 0), stored(cluster, 2))
        assert is_done(target, 0, 1, 2)
        for words in (["laptop", "cluster"], [winner.name]):
            again = typed(*words, f"merge={target}", f"prefer={winner.name}")
            assert again == (0, f"{target}: 0 trials taken in\n", "")


@pytest.mark.slow
def test_the_target_can_be_preferred_and_can_be_overruled(typed, laptop, cluster):
    before = files(laptop)
    assert typed("cluster", "merge=laptop")[0] == 1
    assert files(laptop) == before
    code, out, _ = typed("cluster", "merge=laptop", "prefer=laptop")
    assert (code, out) == (0, "laptop: 1 trials taken in\n")
    assert {path: data for path, data in files(laptop).items() if path in before} == before
    code, out, _ = typed("cluster", "merge=laptop", "prefer=cluster")
    assert (code, out) == (0, "laptop: 1 trials taken in\n")
    assert stored(laptop, 1) == stored(cluster, 1)
    assert is_done(laptop, 0, 1, 2)


@pytest.mark.slow
def test_a_trial_that_went_further_replaces_its_beginning(typed, laptop, tmp_path):
    run_trial(tmp_path / "begun", seed=0, rounds=2)
    assert typed("laptop", "merge=begun")[:2] == (0, "begun: 2 trials taken in\n")
    assert is_done(tmp_path / "begun", 0, 1)
    run_trial(tmp_path / "other", seed=0, rounds=2)
    assert typed("other", "merge=laptop") == (0, "laptop: 0 trials taken in\n", "")


def test_a_half_done_trial_goes_on_where_it_was_taken(typed, tmp_path):
    run_trial(tmp_path / "whole", warm=True)
    run_trial(tmp_path / "begun", warm=True, rounds=2)
    assert typed("begun", "merge=all")[:2] == (0, "all: 1 trials taken in\n")
    reported = [0, 1]
    run_trial(tmp_path / "all", warm=True, reported=reported)
    assert stored(tmp_path / "all") == stored(tmp_path / "whole")


def test_everything_that_a_manifest_names_comes_along(typed, tmp_path, monkeypatch):
    code = {"package": {"commit": "abc", "diff": "+ a line"}}
    monkeypatch.setattr(provenance, "code", lambda: code)
    run_trial(tmp_path / "laptop")
    paths = trial_paths(tmp_path / "laptop")
    content = json.loads(paths.manifest.read_text())
    paths.manifest.write_text(json.dumps({**content, "more": ["notes.txt", "../../x"]}))
    paths.manifest.with_name("notes.txt").write_text("read me")
    paths.manifest.with_name("stranger.txt").write_text("nobody names this")
    assert typed("laptop", "merge=all")[0] == 0
    there = {path.name for path in trial_paths(tmp_path / "all").manifest.parent.iterdir()}
    (patch,) = paths.manifest.parent.glob("*.patch")
    assert there == {"seed=3.json", patch.name, "notes.txt"}
    assert is_done(tmp_path / "all", 3)


@pytest.mark.slow
def test_a_merge_that_was_killed_anywhere_is_completed_by_the_next(typed, laptop, tmp_path):
    run_trial(tmp_path / "start", seed=0, rounds=2)
    number = 0
    killed = True
    while killed:
        target = tmp_path / f"all{number}"
        shutil.copytree(tmp_path / "start", target)
        left = number

        def replace(old, new):
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            os.replace(old, new)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(atomic, "replace", replace)
            try:
                typed("laptop", f"merge={target}")
                killed = False
            except Killed:
                killed = True
        assert {entry.state for entry in status(target)} <= {DONE, "stale", "damaged"}
        assert typed("laptop", f"merge={target}")[0] == 0
        assert is_done(target, 0, 1)
        assert [stored(target, seed) for seed in (0, 1)] == [stored(laptop, s) for s in (0, 1)]
        assert not list(target.rglob("*.tmp"))
        shutil.rmtree(target)
        number += 1
    assert number >= 6


@pytest.mark.slow
def test_a_running_trial_is_left_out_and_named(typed, laptop):
    with Store(laptop).claim(IDENTITY, 2, ENGINE) as held:
        row = {"num_labeled": 4, "num_queried": 4, "num_validation": 0, "steps": 1}
        held.commit({"round": 0, **row}, [])
        code, out, err = typed("laptop", "merge=all")
    assert (code, out) == (0, "all: 2 trials taken in\n")
    assert "left out: seed=2 in" in err
    assert f"process {os.getpid()}" in err
    with Store(Path("all")).claim(IDENTITY, 0, ENGINE):
        assert typed("laptop", "merge=all")[0] == 0  # it is there already


def test_what_is_done_is_taken_at_once_whoever_has_left_a_lease_beside_it(
    typed, laptop, monkeypatch
):
    for seed in (0, 1):
        left = trial_paths(laptop, seed).lock.with_suffix(".lease")
        left.write_bytes(Holder("node7", 42, "", "elsewhere", "t").to_bytes())
    monkeypatch.setattr(lease, "bury", lambda paths: pytest.fail(f"waits for {paths}"))
    monkeypatch.setattr(locks, "_lock_file", lambda path: None)  # the file system has none
    code, out, err = typed("laptop", "merge=all")
    assert (code, out, err) == (0, "all: 2 trials taken in\n", "")
    assert is_done(Path("all"), 0, 1)


def test_of_a_folder_that_cannot_be_written_only_finished_trials_are_taken(
    typed, laptop, monkeypatch
):
    run_trial(laptop, seed=5, rounds=1)
    take = locks.take

    def refuse(path):
        if laptop.resolve() in path.resolve().parents:
            with atomic.reporting(path):
                raise PermissionError(13, "Permission denied")
        return take(path)

    monkeypatch.setattr(locks, "take", refuse)
    code, out, err = typed("laptop", "merge=all")
    assert (code, out) == (0, "all: 2 trials taken in\n")
    assert err.count("left out") == 1
    assert "seed=5 in laptop" in err
    assert "is not finished" in err


@pytest.mark.slow
def test_what_is_damaged_is_left_out_where_no_whole_copy_is(typed, laptop, tmp_path):
    shutil.copytree(laptop, tmp_path / "copy")
    path = trial_paths(laptop, 0).acquisitions
    pq.write_table(pq.read_table(path).slice(0, 3), path)
    code, out, err = typed("laptop", "merge=all")
    assert (code, out) == (1, "all: 1 trials taken in\n")
    assert "acquisitions/seed=0.parquet has 3 rows, where 8 were stored" in err
    assert typed("laptop", "copy", "merge=both")[:2] == (0, "both: 2 trials taken in\n")
    assert is_done(tmp_path / "both", 0, 1)
    assert typed("copy", "merge=laptop")[:2] == (0, "laptop: 1 trials taken in\n")
    assert is_done(laptop, 0, 1)


@pytest.mark.slow
@pytest.mark.parametrize("change", ["deleted", "truncated"])
def test_a_curve_that_is_lost_is_told_unless_another_copy_has_it(typed, laptop, tmp_path, change):
    shutil.copytree(laptop, tmp_path / "copy")
    path = trial_paths(laptop, 0).curve
    path.unlink()
    if change == "truncated":
        path.write_bytes(b"PAR1")
    code, out, err = typed("laptop", "merge=all")
    assert (code, out) == (1, "all: 1 trials taken in\n")
    assert f"{trial_paths(Path('laptop'), 0).curve} " in err
    for words, number in ((["laptop", "copy"], 1), (["laptop"], 0)):
        code, out, err = typed(*words, "merge=all")
        assert (code, out) == (0, f"all: {number} trials taken in\n")  # nothing is lost
        assert f"{trial_paths(Path('laptop'), 0).curve} " in err
    assert is_done(tmp_path / "all", 0, 1)


@pytest.mark.slow
def test_configurations_of_two_machines_are_one_runs(typed, laptop, cluster, tmp_path):
    for folder, place in ((laptop, "cpu"), (cluster, "cuda")):
        path = trial_paths(folder).config
        text = path.read_text() + f"device: {place}\n"
        path.write_text(text)
    shutil.rmtree(trial_paths(laptop, 1).curve.parent.parent / "locks")
    assert typed("laptop", "cluster", "merge=all", "prefer=laptop")[0] == 0
    assert "device: cpu" in trial_paths(tmp_path / "all").config.read_text()
    assert is_done(tmp_path / "all", 0, 1, 2)


@pytest.mark.slow
def test_parts_and_renamed_folders_come_to_where_they_belong(typed, laptop, tmp_path):
    folder = trial_paths(laptop).folder
    renamed = folder.rename(folder.with_name("best run"))
    for source in (renamed, renamed.parent, laptop):
        target = tmp_path / f"all {source.name}"
        assert typed(source, f"merge={target}")[1].endswith(": 2 trials taken in\n")
        assert {path.parent.parent for path in target.rglob("curves/*")} == {
            target / IDENTITY.folder
        }


@pytest.mark.slow
def test_a_folder_is_merged_with_itself_and_its_parts_in_silence(typed, laptop, tmp_path):
    before = files(laptop)
    assert typed("laptop", "merge=laptop") == (0, "laptop: 0 trials taken in\n", "")
    assert typed("laptop", "laptop/digits", "laptop", "merge=laptop")[0] == 0
    assert files(laptop) == before
    (tmp_path / "link").symlink_to(laptop)
    assert typed("link", "merge=laptop")[:2] == (0, "laptop: 0 trials taken in\n")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["laptob", "merge=all"], 2, "There is no results folder laptob"),
        (["laptop", "merge=all", "prefer=cluster"], 2, "prefer=cluster is none of the folders"),
        (["laptop", "out=x.csv", "prefer=laptop"], 2, "prefer= chooses among folders"),
        (["empty", "merge=all"], 1, "No trials to merge under empty"),
        (["laptop", "merge=laptop/all"], 2, "lies in laptop, whose trials would be there twice"),
        (["laptop", "merge=laptop/all"], 2, "Try merge=all."),
        (["laptop/digits", "laptop", "merge=laptop/digits/all"], 2, "Try merge=all."),
    ],
)
def test_what_cannot_be_merged_is_told_and_nothing_is_made(
    typed, laptop, tmp_path, words, code, message
):
    (tmp_path / "empty").mkdir()
    found, out, err = typed(*words)
    assert (found, out) == (code, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "all").exists()


@pytest.mark.slow
def test_the_files_of_another_trial_are_not_taken_for_this_one(typed, laptop):
    shutil.copy(trial_paths(laptop, 0).curve, trial_paths(laptop, 1).curve)
    code, out, err = typed("laptop", "merge=all")
    assert (code, out) == (1, "all: 1 trials taken in\n")
    assert "curves/seed=1.parquet belongs to another trial" in err
    shutil.copytree("all", "copy")
    code, out, err = typed("laptop", "merge=copy")
    assert (code, out) == (1, "copy: 0 trials taken in\n")
    assert "curves/seed=1.parquet belongs to another trial" in err
    assert stored(Path("all"), 0)[0].num_rows == ROUNDS


@pytest.mark.slow
def test_an_edited_copy_is_refused_beside_another_and_taken_only_on_demand(typed, laptop, tmp_path):
    other = shutil.copytree(laptop, tmp_path / "other")
    path = trial_paths(other, 0).curve
    table = pq.read_table(path)
    place = table.schema.get_field_index("test_accuracy")
    field = table.schema.field(place)
    pq.write_table(table.set_column(place, field, pa.array([0.5] * len(table))), path)
    before = files(laptop)
    code, out, err = typed("other", "merge=laptop")
    assert (code, out) == (1, "")
    assert "are different results of one trial (test_accuracy of round 0" in err
    assert "; of the second, curves/seed=0.parquet is not what was stored" in err
    assert files(laptop) == before
    code, out, err = typed("other", "merge=new")
    assert (code, out) == (1, "new: 1 trials taken in\n")
    assert "curves/seed=0.parquet is not what was stored" in err
    code, out, err = typed("other", "merge=laptop", "prefer=laptop")
    assert (code, out) == (0, "laptop: 0 trials taken in\n")
    code, out, err = typed("other", "merge=laptop", "prefer=other")
    assert (code, out) == (0, "laptop: 1 trials taken in\n")
    assert "curves/seed=0.parquet is not what was stored" in err
    assert "warning: taken, as prefer=other asks: seed=0 in other/" in err
    assert "left out" not in err
    assert not is_done(laptop, 0, 1)
    assert set(stored(laptop, 0)[0]["test_accuracy"].to_pylist()) == {0.5}
