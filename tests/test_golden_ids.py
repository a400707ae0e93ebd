"""Run ids of the built-in choices change where the changelog says so, and nowhere else.

``golden_ids.json`` has the run id and the protocol id of each choice from before any part had a
numerics version. The changelog's table says which parts have one by now, and the choices whose
ids it changes: a row's words are those of the file's names, and a name that holds all words of one
choice is changed.
"""

import json
import re
from pathlib import Path

import pytest
from strategy_files import configured

from al_bench.configuration.building import build
from al_bench.configuration.composing import check_complete, compose, without_tracker
from al_bench.configuration.targets import locate
from al_bench.data.target import ClassTargets, PoolTargets
from al_bench.rounds.active_learning import ActiveLearningTrial
from al_bench.running.active_learning import build_strategies
from al_bench.running.identity import identify
from al_bench.strategies.epig import EPIG
from al_bench.strategies.scores import entropy
from al_bench.training.recipe import Recipe

HERE = Path(__file__).parent
GOLDEN = json.loads((HERE / "golden_ids.json").read_text())
CHANGELOG = (HERE.parent / "CHANGELOG.md").read_text(encoding="utf-8")
SOME = ("bald", "entropy", "epig", "epig target=classes", "fisher_epig", "random target=classes")
SOME += ("entropy target=classes", "fisher_epig target=classes")
# What some choices have no default for.
MORE = {
    "dataset=arrays": ["dataset.path=own.npz"],
    "target=classes": ["target.proportions=[1,1,0]"],
    "target=held_out": ["target.counts=[1,1,0]"],
    "target=file": ["target.path=own.npy"],
    "pool=contaminate": ["pool.contaminate.source=usps"],
    "pool=remap": ["pool.remap.classes=[0,1,0,1,0,1,0,1,0,1]"],
}
OF_STRATEGIES = [name for name in GOLDEN if re.fullmatch(r"strategy=\w+( target=classes)?", name)]


def changes():
    """Full name of each part with a numerics version, that version, and the choices it changes."""
    rows = re.findall(r"^\| `(al_bench\.\S+)` \| (\d+) \| (.*?) \|", CHANGELOG, re.MULTILINE)
    return {part: (int(version), re.findall(r"`(.*?)`", said)) for part, version, said in rows}


def is_changed(words):
    """Whether a choice with these words is one that the changelog names."""
    had = {re.sub(r"^strategy@[\w.]+=", "strategy=", word) for word in words}
    said = [choice for _, choices in changes().values() for choice in choices]
    return any(set(one.split()) <= (set(words) if "@" in one else had) for one in said)


def ids_of(composed):
    config = composed.config
    built = {"target": PoolTargets(), "tracker": None}
    if config.study is None:
        built |= build_strategies(config)
    else:
        built["study"] = build(config.study, "study")
    for group in ("dataset", "model", "training", "budget", "target"):
        if config[group] is not None:
            built[group] = build(config[group], group)
    built["pool"] = [build(node, f"pool.{name}") for name, node in (config.pool or {}).items()]
    identity = identify(without_tracker(composed), "data", "f00d", built)
    return f"{identity.run_id} {identity.protocol_id}"


@pytest.fixture(scope="module")
def compositions():
    """A run without and with class targets, whose strategy is to be replaced."""
    more = MORE["target=classes"]
    return {"": compose([]), "target=classes": compose(["target=classes", *more])}


def ids_of_strategy(compositions, name):
    """Those of a run whose strategy alone is another; to compose each takes far longer."""
    words = name.split()
    composed = compositions[" ".join(words[1:])]
    composed.config.strategy = configured(words[0].replace("=", "/"))
    return ids_of(composed)


def assert_changed_where_told(name, found):
    """A strategy, and targets that it alone draws, are no part of the protocol."""
    run_id, protocol_id = GOLDEN[name].split()
    now_run, now_protocol = found.split()
    others = [word for word in name.split() if not re.match("strategy[=/]|strategy@strategy", word)]
    assert (now_run != run_id) == is_changed(name.split())
    assert (now_protocol != protocol_id) == is_changed(others)


def test_the_changelog_has_the_versions_of_the_parts():
    moved = {ActiveLearningTrial.state_for.numerics_name: ActiveLearningTrial.state_for}
    for part, (version, _) in changes().items():
        assert (moved.get(part) or locate(part)).numerics_version == version


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "changed", "protocols"),
    [
        (EPIG, {"epig", "epig target=classes"}, set()),
        (ClassTargets, {"epig target=classes", "fisher_epig target=classes"}, set()),
        (PoolTargets, {"epig", "fisher_epig"}, set()),
        (entropy, {"entropy", "entropy target=classes"}, set()),
        (Recipe, set(SOME), set(SOME)),
    ],
)
def test_a_parts_version_is_hashed_where_it_is_used(
    compositions, monkeypatch, part, changed, protocols
):
    names = {name: f"strategy={name}" for name in SOME}
    monkeypatch.setattr(part, "numerics_version", None, raising=False)
    before = {name: ids_of_strategy(compositions, word).split() for name, word in names.items()}
    monkeypatch.setattr(part, "numerics_version", 7, raising=False)
    after = {name: ids_of_strategy(compositions, word).split() for name, word in names.items()}
    assert {name for name in SOME if before[name][0] != after[name][0]} == changed
    assert {name for name in SOME if before[name][1] != after[name][1]} == protocols
    monkeypatch.setattr(part, "numerics_version", None, raising=False)
    for name, word in names.items():
        assert ids_of_strategy(compositions, word).split() == before[name]


@pytest.mark.slow
def test_targets_that_the_initial_set_is_bought_with_are_part_of_the_protocol(
    compositions, monkeypatch
):
    composed = compositions["target=classes"]
    composed.config.strategy = configured("strategy/random")
    composed.config.init_strategy = configured("strategy/epig")
    monkeypatch.setattr(ClassTargets, "numerics_version", None)
    before = ids_of(composed).split()
    monkeypatch.setattr(ClassTargets, "numerics_version", 1)
    after = ids_of(composed).split()
    composed.config.init_strategy = None
    assert all(one != other for one, other in zip(before, after, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_STRATEGIES)
def test_the_ids_of_strategies_change_where_the_changelog_says_so(compositions, name):
    assert_changed_where_told(name, ids_of_strategy(compositions, name))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in GOLDEN if name not in OF_STRATEGIES])
def test_the_ids_of_all_other_choices_do_too(name):
    words = [word for word in name.split() for word in (word, *MORE.get(word, ()))]
    if "init_strategy" in name:
        words += ["budget.init_size=20", "budget.init_per_class=null"]
    composed = compose(words, is_study=name.startswith("study="))
    check_complete(composed.config)
    assert_changed_where_told(name, ids_of(composed))
