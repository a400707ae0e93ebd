"""A stored configuration may come from anybody: nothing of it is run, resolved or written to."""

import copy
import json
import os
import shutil
import sys
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
import yaml
from fake_trials import ENGINE, IDENTITY, FakeTrial, trial_paths

from al_bench import cli
from al_bench.configuration import shipped
from al_bench.configuration.stored import StoredTrial, read
from al_bench.configuration.trust import Refused, Trust
from al_bench.errors import ConfigError
from al_bench.results import damage, parquet, plain
from al_bench.results.store import Store

RULE = {"_target_": "al_bench.strategies.rules.TopB"}
BALD = {"_target_": "al_bench.strategies.scores.bald", "_partial_": True}
CONFIG = {
    "dataset": {"_target_": "al_bench.data.digits.Digits"},
    "pool": {},
    "model": {
        "network": {"_target_": "al_bench.models.networks.mlp.mlp", "_partial_": True},
        "_target_": "al_bench.models.mc_dropout.MCDropout",
        "num_samples": 2,
    },
    "budget": {"_target_": "al_bench.budget.Budget", "total": 30},
    "training": {"_target_": "al_bench.training.recipe.Recipe"},
    "strategy": {
        "_target_": "al_bench.strategies.pointwise.Pointwise",
        "score": BALD,
        "rule": RULE,
    },
    "init_strategy": None,
    "target": None,
    "evaluation": {"num_samples": None},
    "seeds": [3],
    "streams": {"split": None},
    "results": "results",
    "device": "cpu",
}
EVIL = {"_target_": "evil_module.run", "path": "marker"}
SHELL = {"_target_": "al_bench.results.provenance._output", "arguments": ["touch", "marker"]}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    identity = replace(IDENTITY, config=yaml.safe_dump(CONFIG))
    with Store(folder).claim(identity, 3, ENGINE) as files:
        FakeTrial(files, warm=False).step()
        files.finish("budget")
    return folder


@pytest.fixture
def trial(stored, tmp_path, monkeypatch):
    """A finished trial, in a folder in which a module is found that leaves a mark."""
    shutil.copytree(stored, tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "evil_module.py").write_text(
        "def run(path=None, **more):\n    open('marker', 'w').close()\n\nrun()\n"
    )
    yield trial_paths(tmp_path / "results")
    assert not (tmp_path / "marker").exists()
    assert "evil_module" not in sys.modules


def plant(trial, text, where="config"):
    """Put another configuration there, with a record that says it is what was stored."""
    data = text if isinstance(text, bytes) else text.encode()
    if where == "footer":
        trial.config.unlink(missing_ok=True)
        table = pq.read_table(trial.curve)
        metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
        metadata["config"] = text
        trial.curve.write_bytes(parquet.encode(table, metadata))
    else:
        trial.config.write_bytes(data)
    content = json.loads(trial.manifest.read_text())
    if where != "edited":
        for path in (trial.config, trial.curve):
            if path.exists():
                entry = content["files"][path.relative_to(trial.folder).as_posix()]
                entry |= damage.account(path.read_bytes())
        trial.manifest.write_text(json.dumps(content))


def said(capsys, *words):
    """The one line with which a command ends."""
    code = cli.main([str(word) for word in words])
    out, err = capsys.readouterr()
    assert code in (1, 2)
    assert out == ""
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("al-bench: ")
    return err.splitlines()[-1]


def changed(key, value):
    """``CONFIG`` with one node replaced or added."""
    config = copy.deepcopy(CONFIG)
    *path, last = key.split(".")
    node = config
    for name in path:
        node = node[int(name)] if isinstance(node, list) else node[name]
    node[last] = value
    return config


PLACES = {
    "dataset": EVIL,
    "dataset.target": EVIL,
    "dataset.parts": [[EVIL]],
    "pool": {"one": EVIL},
    "pool.repeat": {"_target_": "al_bench.data.repeat.Repeat", "copies": EVIL},
    "pool.contaminate": {"_target_": "al_bench.data.contaminate.Contaminate", "dataset": EVIL},
    "model": SHELL,
    "model.network": SHELL,
    "training": EVIL,
    "budget": EVIL,
    "strategy": EVIL,
    "strategy.score": SHELL,
    "strategy.rule": {"inner": [1, EVIL]},
    "init_strategy": EVIL,
    "target": SHELL,
    "evaluation": EVIL,
    "streams.split": EVIL,
}


@pytest.mark.promise("Repeating results builds only what al-bench ships")
@pytest.mark.parametrize("where", ["config", "footer"])
@pytest.mark.parametrize("key", PLACES)
def test_what_al_bench_does_not_ship_is_not_built(trial, capsys, key, where):
    config = changed(key, PLACES[key])
    plant(trial, yaml.safe_dump(config) if where == "config" else json.dumps(config), where)
    line = said(capsys, "rerun", trial.manifest)
    assert "which al-bench does not ship" in line or "which is private" in line
    assert key in line


@pytest.mark.promise("Repeating results builds only what al-bench ships")
@pytest.mark.parametrize(
    "target",
    [
        *("os.system", "builtins.eval", "posix.system", "subprocess.run", "eval", "", "a..b"),
        *("al_bench.results.provenance._output", "al_bench.data.files.locate", "torch.load"),
        *("al_bench.strategies.random.Random.__init__.__globals__", "al_bench.data.digits.Path"),
        *("al_bench.data.digits.Digits ", "evil_module", "evil-module.run", "hydra.utils.call"),
        *("al_bench.strategies.random.Random", "al_bench.strategies.rules.TopB", 7, None, ["a.b"]),
        *("al_bench.tracking.mlflow.MLflow", "al_bench.strategies.scores.votes", "evil_module\n.x"),
    ],
)
def test_only_data_sets_are_built_in_the_place_of_one(trial, capsys, target):
    plant(trial, yaml.safe_dump(changed("dataset", {"_target_": target})))
    assert "dataset" in said(capsys, "rerun", trial.manifest)


@pytest.mark.promise("Repeating results builds only what al-bench ships")
@pytest.mark.parametrize("target", ["os.system", "builtins.exec", "evil_module._run", "x"])
def test_some_things_are_not_built_whatever_is_typed(trial, capsys, target):
    plant(trial, yaml.safe_dump(changed("strategy", {"_target_": target})))
    for word in ("trust=results", f"config_dir={trial.folder}"):
        assert "It is not built." in said(capsys, "rerun", trial.manifest, word)


def test_keys_with_which_hydra_builds_otherwise_are_refused(trial, capsys):
    for key, value in [("_args_", [1]), ("_convert_", "all"), ("_recursive_", False)]:
        plant(trial, yaml.safe_dump(changed(f"strategy.{key}", value)))
        assert key in said(capsys, "rerun", trial.manifest)
    plant(trial, yaml.safe_dump(changed("model.network._partial_", "evil_module.run")))
    assert "_partial_ must be true or false" in said(capsys, "rerun", trial.manifest)


@pytest.mark.promise("Repeating results builds only what al-bench ships")
@pytest.mark.parametrize("where", ["config", "footer", "edited"])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tracker", EVIL),
        ("tracker", {"folder": "marker"}),
        ("hydra", {"job_logging": EVIL}),
        ("command", "touch marker"),
        ("defaults", ["evil"]),
        ("_target_", "evil_module.run"),
    ],
)
def test_no_tracker_hydra_part_or_command_is_stored(trial, capsys, where, key, value):
    config = CONFIG | {key: value}
    plant(trial, json.dumps(config) if where == "footer" else yaml.safe_dump(config), where)
    assert f"has a key '{key}', which no stored configuration has" in said(
        capsys, "rerun", trial.manifest
    )


def test_an_edited_file_that_names_something_else_is_not_passed_over(trial, capsys):
    plant(trial, yaml.safe_dump(changed("strategy.rule", EVIL)), "edited")
    line = said(capsys, "rerun", trial.manifest)
    assert "strategy.rule=evil_module.run, which its run did not" in line


@pytest.mark.promise("Looking at results runs nothing of theirs")
@pytest.mark.parametrize(
    "config",
    [
        changed("dataset.path", "${oc.env:HOME}"),
        changed("strategy.x", {"list": [["${results}"]]}),
        changed("dataset", {"${oc.env:HOME}": 1}),
        CONFIG | {"results": "${now:%Y}"},
    ],
)
@pytest.mark.parametrize("where", ["config", "footer"])
def test_nothing_is_resolved(trial, capsys, config, where):
    plant(trial, json.dumps(config) if where == "footer" else yaml.safe_dump(config), where)
    line = said(capsys, "rerun", trial.manifest)
    assert os.environ["HOME"] not in line
    if where == "config":
        assert "${, and nothing there is resolved" in line
    assert cli.main(["info", str(trial.folder)]) == 0
    assert os.environ["HOME"] not in capsys.readouterr().out.replace(str(trial.folder), "")


BOMB = "a0: &a0 [x]\n" + "".join(f"a{i + 1}: &a{i + 1} [{f'*a{i}, ' * 9}]\n" for i in range(9))
UNREADABLE = {
    "alias bomb": BOMB,
    "recursion": "a: &a [*a]",
    "deep": "a: " + "[" * 100_000,
    "deep but whole": "a: " + "[" * 80 + "]" * 80,
    "tag": "a: !!python/object/apply:os.system [touch marker]",
    "own tag": "a: !x b",
    "merge": "a: {<<: {b: 1}}",
    "twice": "a: 1\na: 2",
    "digits": "a: " + "9" * 6_000,
    "hexadecimal": "a: 0x" + "f" * 6_000,
    "NUL": 'a: "\0"',
    "bytes": b"a: \xff\xfe",
    "null key": "null: 1",
    "list key": "? [a]\n: 1",
    "two documents": "a: 1\n---\na: 2",
    "large": "a: " + "x" * (plain.MOST_BYTES + 1),
    "list": "[a]",
    "text": "a",
    "nothing": "",
    "indented": "a: 1\n b: 2",
}


@pytest.mark.promise("One odd file is named and left out")
@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_no_configuration_is_refused_in_a_line(trial, capsys, name):
    plant(trial, UNREADABLE[name])
    line = said(capsys, "rerun", trial.manifest)
    assert "config.yaml cannot be read: " in line
    assert len(line) < 400
    assert cli.main(["info", str(trial.folder)]) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 5_000 + "1" + "}" * 5_000,
        '{"a":' + "9" * 6_000 + "}",
        "[1]",
        "{",
    ],
    ids=["brackets", "deep", "digits", "list", "cut"],
)
def test_a_footer_that_is_no_configuration_is_none(trial, capsys, text):
    plant(trial, text, "footer")
    assert "no curve of seed=3 says what the run was" in said(capsys, "rerun", trial.manifest)
    assert cli.main(["info", str(trial.folder)]) == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [("strategy", "x"), ("model", None), ("dataset", [1]), ("streams", 3), ("init_strategy", 1)],
)
def test_groups_are_mappings(trial, capsys, key, value):
    plant(trial, yaml.safe_dump(CONFIG | {key: value}))
    assert f"{key} is no mapping" in said(capsys, "rerun", trial.manifest)


def test_a_value_of_another_kind_is_told(trial, capsys):
    plant(trial, yaml.safe_dump(CONFIG | {"streams": {"split": "???"}}))
    assert "has no value of streams.split" in said(capsys, "rerun", trial.manifest)
    plant(trial, yaml.safe_dump(CONFIG | {"threads": "many"}))
    assert "config.yaml cannot be read: Value 'many'" in said(capsys, "rerun", trial.manifest)


@pytest.mark.promise("Repeating results builds only what al-bench ships")
def test_nothing_is_downloaded_and_what_is_typed_is_not_taken_from_there(trial):
    mixed = {"_target_": "al_bench.data.contaminate.Contaminate", "dataset": {"download": True}}
    config = CONFIG | {
        "dataset": {"_target_": "al_bench.data.vision.MNIST", "download": True},
        "pool": {"contaminate": mixed},
        "results": "/elsewhere",
        "workers": 900,
        "resume": "any",
        "verbose": True,
        "tracker": None,
    }
    trial.config.write_text(yaml.safe_dump(config))
    found = read(trial.config)
    assert found.dataset.download is False
    assert found.pool.contaminate.dataset.download is False
    assert (found.results, found.workers, found.resume) == ("results", 1, "same")
    assert found.verbose is False
    assert found.tracker is None


@pytest.mark.slow
@pytest.mark.promise("Nothing outside the folder is read or written")
def test_a_path_that_leads_to_no_regular_file_is_not_waited_for(trial, capsys, tmp_path):
    os.mkfifo(tmp_path / "there")
    nodes = {
        "dataset": {"_target_": "al_bench.data.arrays.Arrays", "path": "there"},
        "target": {"_target_": "al_bench.data.target.FileTargets", "path": "there"},
        "pool.noise": {
            "_target_": "al_bench.data.label_noise.LabelNoise",
            "kind": "file",
            "path": "there",
        },
    }
    for key, node in nodes.items():
        plant(trial, yaml.safe_dump(changed(key, node)))
        assert "there" in said(capsys, "rerun", trial.manifest)
    (tmp_path / "raw").mkdir()
    os.mkfifo(tmp_path / "raw" / "x_train.npy")
    for name in ("y_train", "x_test", "y_test"):
        (tmp_path / "raw" / f"{name}.npy").write_bytes(b"")
    plant(trial, yaml.safe_dump(changed("dataset", nodes["dataset"] | {"path": "raw"})))
    assert "x_train.npy cannot be read" in said(capsys, "rerun", trial.manifest)


@pytest.mark.promise("Looking at results runs nothing of theirs")
@pytest.mark.slow
def test_other_commands_read_a_hostile_folder_as_data(trial, capsys):
    plant(trial, yaml.safe_dump(changed("dataset", EVIL) | {"tracker": EVIL}))
    for words in (
        ["status"],
        ["info"],
        ["compare"],
        ["report", "out=page.html"],
        ["export", "out=all.csv"],
        ["plot", "figure=contact_sheet,pool_map", "format=svg"],
    ):
        place = trial.folder if words[0] == "info" else "results"
        cli.main([words[0], str(place), *words[1:]])
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.promise("Repeating results builds only what al-bench ships")
@pytest.mark.slow
def test_transfer_leaves_a_hostile_run_out(trial, capsys):
    plant(trial, yaml.safe_dump(changed("dataset", EVIL)))
    words = ("transfer", "results", "model=deterministic", "dry_run=true")
    assert "dataset=evil_module.run" in said(capsys, *words)


@pytest.mark.promise("Repeating results builds only what al-bench ships")
def test_trust_shows_what_would_run_before_it_does(trial, capsys):
    plant(trial, yaml.safe_dump(changed("strategy.rule", {"_target_": "absent_module.Rule"})))
    line = said(capsys, "rerun", trial.manifest)
    assert "strategy.rule=absent_module.Rule (there is no such module here)" in line
    stored = StoredTrial.at(trial.manifest)
    composed = stored.composed({"seeds": [3]}, Trust(everything=True))
    assert composed.config.strategy.rule._target_ == "absent_module.Rule"
    assert "runs strategy.rule=absent_module.Rule" in capsys.readouterr().err
    with pytest.raises(Refused, match="does not ship"):
        stored.composed({"seeds": [3]}, Trust())
    stored.composed({"strategy": RULE}, Trust())  # what is replaced is not built


def test_parts_may_hold_what_the_files_of_their_group_name():
    def are_shipped(config):
        return [one.is_shipped for one in shipped.parts_of(config)]

    scores = {"first": BALD, "second": {"_target_": "al_bench.strategies.epig.EPIG"}}
    weighted = {"_target_": "al_bench.strategies.weighted.Weighted", "scores": scores}
    inner = CONFIG["strategy"] | {"score": weighted}
    wrapped = {"_target_": "al_bench.strategies.subsample.Subsample", "of": inner}
    assert are_shipped({"strategy": wrapped, "init_strategy": wrapped}) == [True] * 12
    mixed = {
        "_target_": "al_bench.data.contaminate.Contaminate",
        "dataset": {"_target_": "al_bench.data.vision.MNIST"},
    }
    assert are_shipped({"pool": {"contaminate": mixed}}) == [True, True]
    swapped = {"_target_": "al_bench.strategies.pointwise.Pointwise", "score": RULE, "rule": BALD}
    assert are_shipped({"strategy": swapped}) == [True, False, False]
    assert are_shipped({"strategy": {"_target_": "mine.Own", "part": RULE}}) == [False, True]
    assert are_shipped({"evaluation": RULE, "dataset": [RULE]}) == [False, False]


def test_every_choice_and_every_committed_result_names_what_is_shipped(pytestconfig):
    for path in (pytestconfig.rootpath / "results").rglob("config.yaml"):
        assert all(one.is_shipped for one in shipped.parts_of(plain.read(path))), path
    for group in shipped.groups():
        assert shipped.choices(group), group


def test_what_could_not_be_read_again_is_not_stored():
    from omegaconf import OmegaConf

    from al_bench.configuration.composing import Composed
    from al_bench.running.identity import _stored_config

    container = {"strategy": {"pattern": "a${b}"}}
    composed = Composed(OmegaConf.create(container), {}, "", is_sweep=False)
    with pytest.raises(ConfigError, match=r"cannot be stored .* 'strategy.pattern' holds \$\{"):
        _stored_config(composed, container)


def test_yaml_is_read_as_it_is_written():
    from omegaconf import OmegaConf

    values = {
        "numbers": [1, -1, 0.1, 1e-5, 1e300, float("inf"), 10**40],
        "texts": ["1e-3", "2020-01-01", "on", "~", "null", "", " x ", "=", "<<", "1_0", "0o7", "é"],
        "flags": [True, False, None],
        "long": "x y " * 100,
        "lines": "a\nb\n",
        "empty": {},
        "none": [],
        "<<": 1,
        "keys": {3: 1, 0.5: 2, True: 3},
    }
    assert plain.from_yaml(OmegaConf.to_yaml(OmegaConf.create(values)).encode()) == values
