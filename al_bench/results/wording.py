"""Runs, arms and protocols named by what differs among those shown: "start=warm".

A key is called by its shortest end that no other key has, so that it can be typed. What comes with
a choice is not said beside it: where one model is an ensemble and another is not, their names tell
them apart; where both are ensembles, their sizes do.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from al_bench.results.settings import FINGERPRINT, VERSION, Settings

NAMES = {  # group to the column that names its choice; a network belongs to its model
    "dataset": "dataset",
    "pool": "pool",
    "model": "model",
    "model.network": "network",
    "training": "training",
    "budget": "budget",
    "init_strategy": "init_strategy",
}
GROUPS = tuple(NAMES)
CHOICES = ("strategy", "selection")  # groups that are compared within a protocol
_ORDER = (*GROUPS, "target", "evaluation", "streams", *CHOICES)
_RANK = {group: place for place, group in enumerate(_ORDER) if "." not in group}
_PLAIN = ("dataset", "pool", "model", "model.network")  # their names say what they are
MAX_WORDS = 4  # keys in a name; of more only those that tell apart, however many these are
_MAX_VALUE = 40  # characters of a value


def is_of_protocol(key: str) -> bool:
    """Whether a dotted key is no part of what is compared within a protocol."""
    return key.partition(".")[0] not in CHOICES


@dataclass(frozen=True)
class Setup:
    """What decides a run, or what several that share a protocol have in common.

    Args:
        names: Group to the name of its choice, such as ``model`` to ``mc_dropout``; groups without
            a known choice are left out, and empty is a choice that there is none.
        settings: Dotted key to value; empty where nothing is stored but names.
        varying: Keys that runs of one protocol do not share, on purpose: nothing is said of them.
    """

    names: Mapping[str, str]
    settings: Settings
    varying: frozenset[str] = frozenset()


def differing(setups: Sequence[Setup]) -> list[str]:
    """Keys of which these have several values, as they are ordered in a configuration.

    A key that is missing is null, but where older curves or none say nothing of it.
    """
    return sorted((key for key in _keys(setups) if _differs(key, setups)), key=_place)


def distinctions(
    setups: Sequence[Setup],
    aside: Sequence[str] = (),
    *,
    covers: Callable[[str], bool] = lambda key: True,
    others: Iterable[str] = (),
) -> list[tuple[str, ...]]:
    """Words for each of these that say how they differ; none where nothing does.

    Args:
        setups: Of runs or protocols.
        aside: Groups whose names are shown beside these words.
        covers: Whether a key or a group is to be spoken of.
        others: Further keys that exist, with which a short name must not be confused.
    """
    words: list[list[str]] = [[] for _ in setups]
    for group in GROUPS:
        if group in aside or not covers(group):
            continue
        for cell in _cells([[one.names.get(other) for other in aside] for one in setups]):
            choices = {place: setups[place].names[group] for place in cell
                       if group in setups[place].names}  # fmt: skip
            if len(set(choices.values())) > 1:
                for place, name in choices.items():
                    words[place].append(choice(group, name))
    names = [list(line) for line in words]
    keys = [key for key in differing(setups) if covers(key)]
    short = shortest(keys, {*others, *_keys(setups)}) if keys else {}
    telling = []
    for key in keys:
        apart = [
            cell
            for cell in _cells([_home(one, key) for one in setups])
            if _differs(key, [setups[place] for place in cell])
        ]
        if apart:
            telling.append((key, {place for cell in apart for place in cell}))
    fewest = _fewest(setups, names, telling) if len(telling) > MAX_WORDS else telling
    for key, places in fewest:
        for place in sorted(places):
            if _is_known(key, setups[place]):
                words[place].append(
                    setting_in_words(key, setups[place].settings.get(key), short[key])
                )
    more = len(telling) - len(fewest)
    rest = "1 more key differs" if more == 1 else f"{more} more keys differ"
    return [(*line, rest) if more else tuple(line) for line in words]


def setting_in_words(key: str, value: Any, name: str) -> str:
    """``start=warm``; of a ``_target_`` the class: ``target=GivenTarget``."""
    if key.rpartition(".")[2] == "_target_":
        return f"{name}={'null' if value is None else str(value).rpartition('.')[2]}"
    return f"{name}={value_in_words(value)}"


def choice(group: str, name: str | None) -> str:
    """A choice as it is said among others: by its name, where the name alone is clear."""
    if name and group in _PLAIN:
        return name
    return f"{group.rpartition('.')[2]}={name or 'null'}"


def shortest(keys: Iterable[str], every: Iterable[str]) -> dict[str, str]:
    """Each key's shortest end that is the end of no other of ``every``; a class by its node's."""
    rivals = {_node(key) for key in every} | set(_ORDER)
    return {key: _end(_node(key), rivals) for key in keys}


def candidates(name: str, keys: Iterable[str]) -> list[str]:
    """The known keys that may be meant: the key itself, or else all that end so."""
    every = sorted(set(keys))
    return [name] if name in every else [key for key in every if key.endswith(f".{name}")]


def value_in_words(value: Any) -> str:
    """A value as one would type it; long ones are cut."""
    if value is None or isinstance(value, bool | list | Mapping):
        text = json.dumps(value, separators=(",", ":"))
    else:
        text = str(value)
    if len(text) == 64 and not set(text) - set("0123456789abcdef"):
        return text[:8]  # a digest
    if "/" in text and not text.startswith(("[", "{")):
        text = text.rstrip("/").rpartition("/")[2]
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 1]}…"


def _node(key: str) -> str:
    return key.removesuffix("._target_")


def _end(key: str, every: Iterable[str]) -> str:
    words = key.split(".")
    for count in range(1, len(words)):
        end = ".".join(words[-count:])
        if not any(other != key and f".{other}".endswith(f".{end}") for other in every):
            return end
    return key


def _keys(setups: Sequence[Setup]) -> set[str]:
    return set().union(*(one.settings for one in setups))


def _place(key: str) -> tuple[int, str]:
    """Where a key stands among others: groups in their order."""
    return _RANK.get(key.partition(".")[0], len(_RANK)), key


def _differs(key: str, setups: Sequence[Setup]) -> bool:
    if key.partition(".")[0] in _RANK:  # of the configuration: null where it is not
        values = (
            one.settings.get(key) for one in setups if one.settings and key not in one.varying
        )
    else:
        values = (one.settings.get(key) for one in setups if _is_known(key, one))
    first = next(values, None)
    return any(value != first for value in values)


def _is_known(key: str, one: Setup) -> bool:
    """Whether it is known what a key is, were it null."""
    if key.partition(".")[0] in _RANK:
        return bool(one.settings) and key not in one.varying
    return key in one.settings or (key != FINGERPRINT and VERSION in one.settings)


def _home(one: Setup, key: str) -> list[Any]:
    """The choices that bring a key along."""
    words = key.split(".")
    nodes = [".".join(words[:count]) for count in range(1, len(words))]
    if key == FINGERPRINT:
        nodes = ["dataset", "pool"]
    elif words[0] not in _RANK:  # versions and the like: of all classes that are used
        classes = sorted(name for name in one.settings if name.endswith("_target_"))
        return [one.settings[name] for name in classes]
    classes = [f"{node}._target_" for node in nodes]
    return [
        *(one.names.get(node) for node in nodes),
        *(one.settings.get(name) for name in classes if name != key),
    ]


def _cells(values: Sequence[Any]) -> list[list[int]]:
    """Places of equal values."""
    cells: dict[str, list[int]] = {}
    for place, value in enumerate(values):
        cells.setdefault(json.dumps(value, default=str), []).append(place)
    return list(cells.values())


def _fewest(
    setups: Sequence[Setup],
    names: Sequence[Sequence[str]],
    telling: Sequence[tuple[str, set[int]]],
) -> list[tuple[str, set[int]]]:
    """Of many keys those that tell most apart, until the others tell no more."""
    fewest: list[tuple[str, set[int]]] = []
    apart = [json.dumps(list(line)) for line in names]

    def gain(item: tuple[str, set[int]]) -> tuple[int, int]:
        """How many it tells apart; where that is equal, how many have a value to name."""
        values = [one.settings.get(item[0]) for one in setups]
        return len(set(_with(setups, apart, item))), sum(value is not None for value in values)

    while gain(best := max(telling, key=gain))[0] > len(set(apart)):
        fewest.append(best)
        apart = _with(setups, apart, best)
    return [item for item in telling if item in fewest]


def _with(setups: Sequence[Setup], apart: Sequence[str], item: tuple[str, set[int]]) -> list[str]:
    key, places = item
    return [
        f"{text} {value_in_words(setups[place].settings.get(key))}" if place in places else text
        for place, text in enumerate(apart)
    ]
