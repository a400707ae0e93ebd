"""How two stored runs differ: in settings, numerics, code, engine and versions, key by key."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from al_bench.commands.info.description import code, final_accuracy, plain
from al_bench.commands.info.stored_run import StoredRun
from al_bench.results.schema import ENGINE
from al_bench.results.settings import FINGERPRINT
from al_bench.text.terminal import spans

ABSENT = "–"
_ALL = ("settings", "numerics", "own code")  # kinds in which one may lack what the other has
_PARTS = "part_versions."
_DATA_DIFFERS = "The content of the data differs."


@dataclass(frozen=True)
class Difference:
    """One of them.

    Args:
        kind: ``settings``, ``data``, ``numerics``, ``own code``, ``engine``, ``versions``,
            ``code`` or ``seeds``.
        name: What differs: a key as it is typed, a column, a package.
        first: What the first run has.
        second: What the second has.
    """

    kind: str
    name: str
    first: str
    second: str


def differences(first: StoredRun, second: StoredRun) -> list[Difference]:
    """Every key of the configuration, and of how it was computed, in which two runs differ."""
    return [
        *_settings(first, second),
        *_compared("numerics", _parts(first), _parts(second)),
        *_compared("own code", _own_code(first), _own_code(second)),
        *_compared("engine", _engine(first), _engine(second)),
        *_compared("versions", _versions(first), _versions(second)),
        *_compared("code", _code(first), _code(second)),
        *_compared("seeds", _seeds(first), _seeds(second)),
    ]


def sentences(
    first: StoredRun, second: StoredRun, differing: Sequence[Difference]
) -> Iterator[str]:
    """Sentences about two runs: what they share, and whether they can be compared."""
    number = sum(one.kind == "settings" for one in differing)
    data = _data_sentence(first, second)
    same = {name: first.name(name) == second.name(name) != "" for name in ("run_id", "protocol_id")}
    if first.settings is None or second.settings is None:
        which = first if first.settings is None else second
        yield f"The configuration of {which.folder} cannot be read: what it shares is not known."
    elif same["run_id"]:
        yield "They are the same run: the same configuration, data and numerics."
    elif not number and (
        others := [kind for kind in _ALL[1:] if any(o.kind == kind for o in differing)]
    ):
        yield f"No setting differs, but the {' and the '.join(others)}. {data}"
    elif not number and data != _DATA_DIFFERS:
        yield (
            "No setting differs that is stored, but their ids do: the data, a file's content or "
            "the numerics of a part is another."
        )
    else:
        yield f"They differ in {number} setting{'s' * (number != 1)}. {data}"
    if same["protocol_id"] and not same["run_id"]:
        yield "They belong to one protocol: al-bench compare pairs them seed by seed."
    elif not same["run_id"] and first.name("protocol_id") and second.name("protocol_id"):
        yield "They belong to different protocols: al-bench compare does not pair them by itself."
    for run in (first, second):
        if accuracy := final_accuracy(run):
            yield f"{run.label}: accuracy {accuracy}."


def _data_sentence(first: StoredRun, second: StoredRun) -> str:
    prints = [(run.settings or {}).get(FINGERPRINT) for run in (first, second)]
    if first.name("protocol_id") == second.name("protocol_id") or (
        prints[0] is not None and prints[0] == prints[1]
    ):
        return "The data is the same."
    return (
        _DATA_DIFFERS if None not in prints else "Older results do not tell whether the data does."
    )


def _settings(first: StoredRun, second: StoredRun) -> Iterator[Difference]:
    one, two = first.settings or {}, second.settings or {}
    if not one or not two:
        return
    labels = (first.name("strategy_label"), second.name("strategy_label"))
    if labels[0] != labels[1]:
        yield Difference("settings", "strategy", *labels)
    for difference in _compared("settings", one, two):
        if difference.name == FINGERPRINT:
            # Results from before it was stored say nothing of it.
            if ABSENT not in (difference.first, difference.second):
                short = (difference.first[:12], difference.second[:12])
                yield Difference("data", "content", *short)
        elif difference.name == "strategy._target_" or difference.name.startswith(_PARTS):
            continue  # its name says it; parts are told apart by themselves
        else:
            yield difference


def _compared(kind: str, one: Mapping[str, Any], two: Mapping[str, Any]) -> Iterator[Difference]:
    for key in sorted(one.keys() | two.keys()):
        first, second = one.get(key), two.get(key)
        if first == second or (kind not in _ALL and None in (first, second)):
            continue
        texts = [plain(side[key]) if key in side else ABSENT for side in (one, two)]
        yield Difference(kind, key, texts[0], texts[1])


def _parts(run: StoredRun) -> dict[str, str]:
    """Numerics version of each part that has one; of old results nothing is known, so nothing."""
    stored = {k: v for k, v in (run.settings or {}).items() if k.startswith(_PARTS)}
    versions = {name.removeprefix(_PARTS): str(version) for name, version in stored.items()}
    for content in run.manifests:
        versions |= {name: str(one) for name, one in (content.get("part_versions") or {}).items()}
    return versions


def _own_code(run: StoredRun) -> dict[str, str]:
    """What the source of each class of one's own is told by."""
    hashes: dict[str, str] = {}
    for content in run.manifests:
        hashes |= {name: str(one)[:12] for name, one in (content.get("own_code") or {}).items()}
    return hashes


def _engine(run: StoredRun) -> dict[str, str]:
    return {name: _each(row[name] for row in run.rows) for name in ENGINE}


def _versions(run: StoredRun) -> dict[str, str]:
    all_versions = [content.get("versions", {}) for content in run.manifests]
    names = sorted({name for versions in all_versions for name in versions})
    return {name: _each(versions.get(name) for versions in all_versions) for name in names}


def _code(run: StoredRun) -> dict[str, str]:
    return {"code": _each(code(content.get("code", {})) for content in run.manifests)}


def _seeds(run: StoredRun) -> dict[str, str]:
    return {"seeds": spans(sorted({row["seed"] for row in run.rows})) or "none"}


def _each(values: Iterable[Any]) -> str:
    """Several values, each once."""
    return ", ".join(dict.fromkeys(plain(value) for value in values if value is not None)) or ABSENT
