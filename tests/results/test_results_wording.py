"""Runs and protocols are told apart in the fewest words that are clear."""

from typing import Any

from al_bench.results.wording import (
    Setup,
    candidates,
    differing,
    distinctions,
    shortest,
    value_in_words,
)

NAMES = {"dataset": "digits", "model": "mc_dropout", "training": "default"}
SETTINGS = {
    "model._target_": "al_bench.models.mc_dropout.MCDropout",
    "model.num_samples": 20,
    "training.start": "cold",
    "training.batch_size": 64,
    "budget.batch_size": 10,
    "strategy.rule.beta": 1,
    "target": None,
    "evaluation.num_samples": None,
    "fingerprint": "a" * 64,
    "numerics_version": 3,
}


def run_with(names: dict[str, str] | None = None, **changes: Any) -> Setup:
    more = {key.replace("__", "."): value for key, value in changes.items()}
    return Setup({**NAMES, **(names or {})}, {**SETTINGS, **more})


def test_what_differs_is_said_by_the_shortest_key_that_is_clear():
    found = distinctions(
        [run_with(), run_with(training__start="warm"), run_with(budget__batch_size=5)]
    )
    assert found == [
        ("start=cold", "budget.batch_size=10"),
        ("start=warm", "budget.batch_size=10"),
        ("start=cold", "budget.batch_size=5"),
    ]
    assert distinctions([run_with(), run_with()]) == [(), ()]
    assert shortest(["model.num_samples"], SETTINGS) == {"model.num_samples": "model.num_samples"}
    assert candidates("start", SETTINGS) == ["training.start"]
    assert candidates("batch_size", SETTINGS) == ["budget.batch_size", "training.batch_size"]


def test_what_comes_with_a_choice_is_not_said_beside_it():
    ensemble = {"model___target_": "mine.Ensemble", "model__members": 5, "model__num_samples": None}
    found = distinctions(
        [run_with(), run_with({"model": "ensemble"}, **ensemble), run_with(model__num_samples=50)]
    )
    assert found == [("mc_dropout", "model.num_samples=20"), ("ensemble",), (
        "mc_dropout", "model.num_samples=50")]  # fmt: skip
    other = run_with({"training": "batchbald"}, training__start="warm")
    assert distinctions([run_with(), other]) == [("training=default",), ("training=batchbald",)]
    target = {"target___target_": "al_bench.data.target.GivenTarget", "target__path": "/a/b"}
    assert distinctions([run_with(), run_with(**target)]) == [
        ("target=null",),
        ("target=GivenTarget",),
    ]


def test_other_data_is_a_difference_where_it_is_known():
    assert distinctions([run_with(), run_with(fingerprint="b" * 64)]) == [
        ("fingerprint=aaaaaaaa",),
        ("fingerprint=bbbbbbbb",),
    ]
    older = Setup(NAMES, {key: v for key, v in SETTINGS.items() if key != "fingerprint"})
    assert distinctions([run_with(), older]) == [(), ()]
    versions = {"part_versions.al_bench.models.laplace.Laplace": 2}
    found = distinctions([run_with(), Setup(NAMES, {**SETTINGS, **versions})])
    assert found == [("Laplace=null",), ("Laplace=2",)]


def test_many_differences_are_as_many_words_as_it_takes_and_a_number():
    other = run_with(**{f"training__k{n}": n for n in range(9)}, training__start="warm")
    assert len(differing([run_with(), other])) == 10
    assert distinctions([run_with(), other]) == [
        ("start=cold", "9 more keys differ"),
        ("start=warm", "9 more keys differ"),
    ]


def test_all_are_told_apart_however_many_words_that_takes():
    keys = [f"training__k{n}" for n in range(6)]
    plain = dict.fromkeys(keys, 0)
    beside = {"training__also": 1}  # where k5 is another one too
    several = [run_with(**plain), *(run_with(**plain | {key: 1}) for key in keys[:5])]
    found = distinctions([*several, run_with(**plain | {keys[5]: 1} | beside)])
    assert len(set(found)) == 7
    assert found[1] == ("k0=1", "k1=0", "k2=0", "k3=0", "k4=0", "k5=0", "1 more key differs")


def test_values_are_said_as_they_are_typed_and_cut_when_long():
    values = [None, True, 0.003, "warm", [0, 1], "/data/mine/pool.npz", "x" * 90, {"a": 1}]
    said = [value_in_words(value) for value in values]
    assert said[:6] == ["null", "true", "0.003", "warm", "[0,1]", "pool.npz"]
    assert len(said[6]) == 40
    assert said[7] == '{"a":1}'
