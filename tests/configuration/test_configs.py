"""Every file under conf composes and builds; every choice behaves as its name says."""

import dataclasses

import pytest

from al_bench.configuration.choices import choices
from al_bench.configuration.composing import compose
from al_bench.configuration.config_dir import config_dir
from al_bench.errors import DataError
from al_bench.running.prepare import build, prepare
from al_bench.seeding import STREAMS

PACKAGES = {
    "dataset": "dataset",
    "model": "model",
    "model/network": "model.network",
    "training": "training",
    "training/schedule": "training.schedule",
    "training/augment": "training.augment",
    "budget": "budget",
}  # strategies, scores and rules: tests/contract


def files(group):
    return [name for name, _ in choices(group, [config_dir()])]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("group", "name"), [(group, name) for group in PACKAGES for name in files(group)]
)
def test_every_choice_composes_and_builds_with_its_classes_own_defaults(group, name):
    more = ["dataset.path=own.npz"] if name == "arrays" else []
    composed = compose([f"{group}={name}", *more])
    node = composed.config
    for part in PACKAGES[group].split("."):
        node = node[part]
    built = build(node, group)
    assert built is not None


@pytest.mark.parametrize("name", files("study"))
def test_every_study_composes_with_its_classes_own_defaults_and_is_ready_without_data(name):
    reads = ["study.run=."] if name == "discrepancy" else []  # another run: tests/cli has one
    composed = compose([f"study={name}", *reads], is_study=True)
    study = build(composed.config.study, "study") if reads else prepare(composed).run.study
    defaults = {field.name: field.default for field in dataclasses.fields(study)}
    if reads:
        defaults["run"] = "."
    assert {key: value for key, value in composed.resolved()["study"].items()} == {
        "_target_": composed.config.study._target_,
        **{key: list(one) if isinstance(one, tuple) else one for key, one in defaults.items()},
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", files("pool"))
def test_every_pool_composes_and_builds(name):
    more = {
        "contaminate": ["pool.contaminate.source=usps"],
        "remap": ["pool.remap.classes=[0,1,0,1,0,1,0,1,0,1]"],
    }
    config = compose([f"pool={name}", *more.get(name, [])]).config
    for key, node in config.pool.items():
        assert build(node, f"pool.{key}") is not None


def is_of_a_study(name):
    return "override /study:" in (config_dir() / "experiment" / f"{name}.yaml").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", files("experiment"))
def test_every_preset_composes_and_is_ready_but_for_its_data(name):
    composed = compose([f"experiment={name}"], is_study=is_of_a_study(name))
    if "root" in composed.config.dataset:
        composed.config.dataset.root = "nowhere"
        with pytest.raises(DataError, match=r"dataset\.root="):
            prepare(composed)
    else:
        assert prepare(composed).seeds


def test_the_batchbald_preset_is_the_papers_protocol():
    config = compose(["experiment=batchbald/mnist"]).config
    assert config.budget == {
        "_target_": "al_bench.budget.Budget",
        "init_size": None,
        "init_per_class": 2,
        "batch_size": 10,
        "total": 320,
        "validation_size": 1024,
        "validation_per_class": None,
        "target_accuracy": None,
    }
    training = config.training
    assert (training.epoch_size, training.max_epochs, training.patience) == (5056, 30, 3)
    assert (training.optimizer, training.learning_rate, training.batch_size) == ("adam", 0.001, 64)
    assert (training.monitor, training.start) == ("accuracy", "cold")
    assert config.model.num_samples == 100
    assert config.seeds == 6


@pytest.mark.slow
def test_a_data_set_brings_the_network_that_fits_unless_one_is_named():
    assert compose(["dataset=mnist"]).names["network"] == "batchbald_cnn"
    assert compose(["dataset=mnist", "model=deep_ensemble"]).names["network"] == "batchbald_cnn"
    assert compose(["dataset=mnist", "model/network=mlp"]).names["network"] == "mlp"
    assert compose([]).names["network"] == "digits_cnn"


def test_the_configuration_knows_every_stream():
    assert set(compose([]).config.streams) == set(STREAMS)


@pytest.mark.parametrize(
    ("overrides", "label"),
    [
        (["strategy=bald"], "bald"),
        (["strategy=powerbald"], "powerbald"),
        (["strategy=powerbald", "strategy.rule.beta=4"], "powerbald(beta=4)"),
        (["strategy=bald", "strategy/rule=power"], "bald(rule=power)"),
        (
            ["strategy=bald", "strategy/rule=power", "strategy.rule.beta=8"],
            "bald(rule=power, beta=8)",
        ),
        (["strategy=entropy", "strategy.num_samples=1"], "entropy(num_samples=1)"),
    ],
)
def test_a_strategys_label_says_what_differs_from_its_default(overrides, label):
    assert compose(overrides).strategy_label == label


@pytest.mark.slow
def test_run_ids_depend_on_meaning_only():
    def ids(*overrides):
        identity = prepare(compose(overrides)).run.identity
        return identity.run_id, identity.protocol_id

    plain = ids("strategy=bald")
    same = ("seeds=9", "results=elsewhere", "threads=2", "scoring_precision=bfloat16")
    assert ids("strategy=bald", *same) == plain
    assert ids("strategy=bald", "streams.init=null") == plain
    other_strategy = ids("strategy=random")
    assert other_strategy[0] != plain[0]
    assert other_strategy[1] == plain[1]
    for change in ("budget.total=110", "streams.init=1", "training.learning_rate=0.01"):
        run_id, protocol_id = ids("strategy=bald", change)
        assert run_id != plain[0]
        assert protocol_id != plain[1]
