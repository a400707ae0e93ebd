"""``al-bench info`` on trials that are made up, and on results of an older version."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from fake_trials import ENGINE, IDENTITY, OTHER_ENGINE, ROUNDS, bought, row_of, run_trial

from al_bench import cli
from al_bench.results.store import Store

REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "mnist" / "mc_dropout"
OLD = REFERENCE / "random" / "041e2a922a40"


@pytest.fixture
def info(capsys):
    def run(*words):
        code = cli.main(["info", *map(str, words)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def store(root, identity=IDENTITY, seed=0, engine=ENGINE, fails=False, **row):
    with Store(root).claim(identity, seed, engine) as files:
        rounds = 1 if fails else ROUNDS
        for round in range(rounds):
            start = [bought(None, 0, 1)] if round == 0 else []
            said = {"test_accuracy": 0.5 + 0.1 * round + 0.01 * seed, "seconds_fit": 60.0, **row}
            said = {name: x(round) if callable(x) else x for name, x in said.items()}
            files.commit(row_of(round, **said), start)
        if fails:
            files.fail(RuntimeError("not today"), "", 1)
        else:
            files.finish("budget")
    return root / identity.folder


def test_a_run_in_words(tmp_path, info):
    for seed in (0, 1):
        folder = store(tmp_path, seed=seed)
    store(tmp_path, seed=2, fails=True)
    code, out, err = info(folder)
    assert (code, err) == (0, "")
    told = {line[2:17].strip(): line[17:] for line in out.splitlines()[1:] if line.strip()}
    assert out.startswith("bald(K=20) on classification, mc_dropout (mlp)\n")
    assert told["run"] == "0123456789ab, protocol ba9876543210"
    assert told["model"] == "mc_dropout: num_samples=20"
    assert told["training"] == "adam: learning_rate=0.001"
    assert told["seeds"] == "0–1 done; 2 failed"
    assert "  seed 2: round 1: RuntimeError: not today" in out.replace(" " * 15, "")
    assert told["labels"] == "4 to 8 in 3 rounds"
    assert told["accuracy"] == "70.50 % at 8 labels [64.15, 76.85], mean of 2 seeds, 95 %"
    assert told["time"] == "2 min a seed, 7 min in all, 100 % of it fit"
    assert told["engine"] == "cpu, float32 scoring, float32 training, 1 thread, torch 2.15.0"
    assert told["command"]
    assert "al-bench 0.1.0" in told["versions"]
    assert told["files"].startswith(f"{folder}: 3 curves, 3 acquisitions, 3 manifests, config.yaml")
    assert " to " in told["when"]


@pytest.mark.slow
def test_it_is_found_by_folder_file_and_id(tmp_path, info, monkeypatch):
    folder = store(tmp_path / "results")
    store(tmp_path / "results", seed=1, engine=OTHER_ENGINE)
    monkeypatch.chdir(tmp_path)
    whole = info(folder)[1]
    assert "seeds 0: cpu" in whole
    assert "seeds 1: cuda (H100)" in whole
    short = folder.relative_to(tmp_path)
    for word in (short, f"{short}/", short.parent, "0123456789ab", "0123", short / "config.yaml"):
        code, out, err = info(word)
        assert (code, err) == (0, ""), word
        assert "0–1 done" in out
    for kind, ending in (("curves", "parquet"), ("acquisitions", "parquet"), ("manifests", "json")):
        _, out, _ = info(short / kind / f"seed=1.{ending}")
        assert "\n  seeds          1 done\n" in out
        assert "one seed\n" in out
    assert "0–1 done" in info("0123", f"results={tmp_path / 'results'}")[1]


def test_a_last_round_with_notes_of_its_model_is_no_batch(tmp_path, info):
    folder = store(
        tmp_path,
        notes=lambda round: '{"jitter": 1e-6}' if round == ROUNDS - 1 else '{"saturated_at": 3}',
        seconds_select=lambda round: None if round == ROUNDS - 1 else 0.1,
    )
    assert "saturation was noted in 2 of 2 batches" in info(folder)[1]


def test_what_should_be_known_is_noted(tmp_path, info):
    buyer = replace(IDENTITY, init_strategy="typiclust")
    said = {"label_access": True, "notes": '{"saturated_at": 3}', "seconds_select": 0.1}
    folder = store(tmp_path, buyer, **said)
    store(tmp_path, seed=1)
    (folder / "config.yaml").write_text("model:\n  num_samples: 30\n")
    (folder / "curves" / "seed=1.parquet").write_bytes(b"no parquet")
    out = info(folder)[1]
    assert "sees labels before they are bought: a control" in out
    assert "initial set was bought by typiclust" in out
    assert "saturation was noted in 3 of 3 batches" in out
    assert "config.yaml says model.num_samples=30" in out
    assert "1 of its curves cannot be read" in out
    assert "0 done; 1 damaged" in out


def test_a_run_of_curves_alone_is_told(tmp_path, info):
    folder = store(tmp_path)
    for name in ("manifests", "acquisitions", "locks"):
        shutil.rmtree(folder / name)
    (folder / "config.yaml").unlink()
    code, out, _ = info(folder)
    assert code == 0
    assert "0 without manifests" in out
    assert "adam: learning_rate=0.001" in out


def test_what_differs_between_two(tmp_path, info):
    first = store(tmp_path)
    text = "model:\n  num_samples: 20\ntraining:\n  learning_rate: 0.003\n  start: warm\n"
    other = replace(IDENTITY, run_id="ffff", protocol_id="eeee", config=text)
    second = store(tmp_path, other, seed=1, engine=OTHER_ENGINE)
    path = second / "manifests" / "seed=1.json"
    content = json.loads(path.read_text())
    content["versions"]["numpy"] = "1.0"
    content["code"] = {"package": {"commit": "abcdef", "diff": "diff-1.patch"}}
    path.write_text(json.dumps(content))
    code, out, err = info(first, second)
    assert (code, err) == (0, "")
    table = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines()]
    rows = {cells[0]: cells[1:] for cells in table if cells}
    assert rows.pop("code")[1] == "al-bench abcdef and diff-1.patch"
    assert rows.pop("versions: numpy")[1] == "1.0"
    assert rows == {
        "training.learning_rate": ["0.001", "0.003"],
        "training.start": ["–", "warm"],
        "engine: device": ["cpu", "cuda"],
        "engine: device_name": ["–", "H100"],
        "seeds": ["0", "1"],
    }
    assert "They differ in 2 settings." in out
    assert "different protocols" in out


def test_the_data_is_said_to_be_the_same_or_not(tmp_path, info):
    def of(name, fingerprint):
        said = {"config": {}, "fingerprint": fingerprint}
        changed = {"run_id": name, "protocol_id": name, "protocol": json.dumps(said)}
        return store(tmp_path, replace(IDENTITY, **changed))

    one, same, other = of("1111", "f" * 64), of("2222", "f" * 64), of("3333", "e" * 64)
    assert "No setting differs that is stored, but their ids do" in info(one, same)[1]
    out = info(one, other)[1]
    assert "They differ in 0 settings. The content of the data differs." in out
    assert "ffffffffffff" in out


def test_own_code_and_parts_that_differ_are_named(tmp_path, info):
    one = store(tmp_path, replace(IDENTITY, run_id="1111", own_code={"mine.Own": "a" * 64}))
    two = replace(IDENTITY, run_id="2222", own_code={"mine.Own": "b" * 64})
    other = store(tmp_path, replace(two, part_versions={"EPIG": 1}))
    code, out, err = info(one, other)
    assert (code, err) == (0, "")
    assert "  own code       mine.Own aaaaaaaaaaaa\n" in out
    assert "No setting differs, but the numerics and the own code. The data is the same." in out
    assert re.search(r"own code: mine.Own +│ aaaaaaaaaaaa +│ bbbbbbbbbbbb", out)
    assert re.search(r"numerics: EPIG +│ – +│ 1", out)


def test_the_same_run_twice_is_the_same(tmp_path, info):
    run_trial(tmp_path / "laptop")
    run_trial(tmp_path / "cluster")
    code, out, _ = info(
        tmp_path / "laptop" / IDENTITY.folder, tmp_path / "cluster" / IDENTITY.folder
    )
    assert code == 0
    assert "They are the same run: the same configuration, data and numerics." in out


@pytest.mark.slow
def test_older_results_are_told(info):
    code, out, err = info(OLD, REFERENCE / "random" / "1709e79c1265")
    assert (code, err) == (0, "")
    assert "random on mnist/repeat, mc_dropout (batchbald_cnn)" in out
    assert "accuracy       92.66 % at 320 labels" in out
    assert "cuda (NVIDIA H100 80GB HBM3)" in out
    assert "They differ in 5 settings. Older results do not tell whether the data does." in out
    assert "│ training.max_epochs" in out
    out = info(OLD, REFERENCE / "badge" / "734f8dc0d297")[1]
    assert "They differ in 2 settings. The data is the same." in out
    assert "They belong to one protocol: al-bench compare pairs them seed by seed." in out


def test_an_id_that_several_folders_have_is_named_once(tmp_path, info):
    folder = store(tmp_path)
    for name in ("copied", "again"):
        shutil.copytree(folder, folder.parent.with_name(name) / folder.name)
    code, _, err = info("zzzz", f"results={tmp_path}")
    assert code == 2
    assert err.endswith(f"There is no run zzzz in {tmp_path}. Valid: 0123456789ab.\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Which run?"),
        (["nowhere/run"], "There is no nowhere/run. Name a run's folder, a file in it, or its id."),
        (["ffff"], "There is no ffff, and no results folder results."),
        (["041f", f"results={REFERENCE.parent.parent}"], "There is no run 041f in"),
        (["9", f"results={REFERENCE.parent.parent}"], "is not one run: there are"),
        ([REFERENCE], "is no run: there are"),
        ([Path(__file__).parent], "is no run. al-bench status lists"),
        ([__file__], "is no file of a run"),
        (["a", "b", "c"], "one word too many"),
        (["041e", "seed=3"], "info has no key 'seed'"),
    ],
)
def test_what_is_no_run_is_named(words, message, info, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = info(*words)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
