"""Paths are text as it was typed, whatever signs it has."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from al_bench.configuration.quoting import quoted
from al_bench.errors import ConfigError
from al_bench.paths import check_moved, is_path, keys_in, opened

TYPED = [
    *("~/x", "2024", "1e3", "007", "1.50", "true", "NaN", "0x1F", "a b", " a", "a=b", "[x].npz"),
    *("x[1]", "a(1)", "{x}.npz", "it's", 'say "x"', "'q", "a\\b", "a\\", "a\\'b", "ü/é/日本"),
    *("#h", "$x", "x;y", "a&b", "%20", "@x", "a:b", "!x", "*", "?", "a|b", "~", "-x", "x'y'z\\"),
]


@pytest.mark.parametrize("typed", TYPED)
def test_a_path_is_read_as_it_is_typed(typed: str) -> None:
    (word,) = quoted([f"results={typed}"])
    (override,) = OverridesParser.create().parse_overrides([word])
    assert override.key_or_group == "results"
    assert isinstance(override.value(), str)
    assert override.value() == typed
    assert quoted([word]) == [word]


@pytest.mark.parametrize(
    "word",
    [
        *("dataset.root=data", "dataset.root=null", "dataset.root=${oc.env:HOME}/x"),
        *("dataset.path='a b'", 'dataset.path="~/x"', "dataset.path=[a,b]", "dataset.root=a,b"),
        *(
            "dataset.path=choice(a,b)",
            "seeds=1e3",
            "budget.total=~",
            "hydra.run.root=~",
            "strategy",
        ),
        *("results=", "dataset.name=1e3", "strategy.rule.beta=1,2"),
    ],
)
def test_what_is_no_text_of_a_path_stays_as_it_is(word: str) -> None:
    assert quoted([word]) == [word]


def test_the_values_of_a_sweep_are_protected_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert quoted(["+dataset.root=~/a,2024,b"]) == ["+dataset.root='~/a','2024',b"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a,b.npz").touch()
    assert quoted(["dataset.path=a,b.npz"]) == ["dataset.path='a,b.npz'"]  # there is such a file


@pytest.mark.parametrize(
    ("key", "known"),
    [
        *(("results", True), ("dataset.root", True), ("pool.label_noise.path", True)),
        *(("strategy.run", True), ("init_strategy.run", True), ("strategy.of.run", True)),
        *(("strategy.space.path", True), ("model.weights_path", True), ("tracker.folder", True)),
        *(("mine.run", False), ("hydra.run.root", False), ("path", False), ("dataset.name", False)),
        *(("model.profile", False), ("budget.total", False)),
    ],
)
def test_which_keys_are_paths(key: str, known: bool) -> None:
    assert is_path(key) == known


def test_paths_of_a_configuration_are_found_and_only_they_can_move() -> None:
    config = {
        "results": "results",
        "dataset": {"path": "d.npz", "name": None},
        "pool": {"label_noise": {"path": "n.npy"}, "contaminate": {"dataset": {"root": "data"}}},
        "target": {"path": None},
    }
    known = ["dataset.path", "pool.label_noise.path", "pool.contaminate.dataset.root"]
    assert keys_in(config) == known
    check_moved({"dataset.path": "x"}, known)
    with pytest.raises(ConfigError, match=r"has no dataset\.root\. Did you mean 'dataset\.path'"):
        check_moved({"dataset.root": "x"}, known)


def test_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert opened("~/x") == Path("/somewhere/x")
    assert opened("x/~") == Path("x/~")
    assert opened("~nobody-is-called-so/x") == Path("~nobody-is-called-so/x")
