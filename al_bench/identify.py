"""Which run a configuration is: what decides its results becomes its ids."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from al_bench.config import Composed
from al_bench.errors import AlBenchError
from al_bench.parts import made_of, num_targets, numerics_versions
from al_bench.results.identity import (
    ENGINE_KEYS,
    PATHS,
    RunIdentity,
    config_hash,
    hashed_text,
    text_hash,
    with_contents,
)
from al_bench.stored import StoredTrial
from al_bench.strategies.replay import Replay
from al_bench.targets import described, locate


def identify(
    composed: Composed, dataset: str, fingerprint: str, built: Mapping[str, Any]
) -> RunIdentity:
    """The names and ids of a run.

    Args:
        composed: Its configuration, resolved.
        dataset: The data set's name.
        fingerprint: Of its content, and of all that pool transforms have read.
        built: What was built from the configuration, by group. There is no ``init_strategy`` where
            the initial set is drawn; where no target is chosen, ``target`` is the default one.
    """
    container: Any = OmegaConf.to_container(composed.config, resolve=True)
    meaning = {key: value for key, value in container.items() if key not in ENGINE_KEYS}
    for group in ("strategy", "init_strategy", "target"):
        meaning[group] = with_contents(meaning[group])
    strategy, init_strategy = built["strategy"], built.get("init_strategy")
    if isinstance(strategy, Replay):  # the folder's name is the run's id, wherever it lies
        meaning["strategy"]["run"] = _run_id(strategy)
    protocol = {**meaning}
    if isinstance(init_strategy, Replay):
        meaning["init_strategy"]["run"] = _run_id(init_strategy)
        size = composed.config.budget.init_size
        lender = _lender_of_initial_set(init_strategy, size)
        protocol["init_strategy"] = {**meaning["init_strategy"], "run": lender}
    names = {**composed.names, "dataset": dataset}
    made = {group: _made(composed.config[group], one, group) for group, one in built.items()}
    of_run = _versions(made, built)
    of_protocol = _versions({key: one for key, one in made.items() if key != "strategy"}, built)
    text = hashed_text(
        protocol,
        fingerprint,
        without=(*PATHS, "strategy"),
        beside={"part_versions": of_protocol},
    )
    return RunIdentity(
        run_id=config_hash(meaning, fingerprint, without=PATHS, beside={"part_versions": of_run}),
        protocol_id=text_hash(text),
        task=names["dataset"] if names["pool"] == "full" else f"{names['dataset']}/{names['pool']}",
        **names,
        strategy_label=composed.strategy_label,
        config=OmegaConf.to_yaml(composed.config),
        protocol=text,
        part_versions=of_run,
    )


def _made(node: Any, built: Any, group: str) -> list[Any]:
    """The classes and functions that a configuration names and those it was built from."""
    named = [locate(str(inner["_target_"])) for _, inner in described(node, group)]
    return named + made_of(built)


def _versions(made: Mapping[str, Sequence[Any]], built: Mapping[str, Any]) -> dict[str, int]:
    """Numerics versions of the parts of these groups; the target's where a strategy draws any.

    One's own strategy may draw target inputs without saying so.
    """
    strategies = [group for group in ("strategy", "init_strategy") if group in made]
    draws = any(
        num_targets(built[group]) is not None or not all(map(_is_ours, made[group]))
        for group in strategies
    )
    used = [one for group, ones in made.items() if draws or group != "target" for one in ones]
    return numerics_versions(used)


def _is_ours(made: Any) -> bool:
    return str(made.__module__).startswith("al_bench.")


def _run_id(replay: Replay) -> str:
    return Path(replay.run).resolve().name


def _lender_of_initial_set(replay: Replay, size: int) -> str:
    """What decides the first ``size`` points of a stored order.

    That is the protocol where they are the stored run's own initial set, the same for all of its
    strategies: their replays remain comparable. It is the run where they are anything else.
    """
    for manifest in sorted(Path(replay.run).glob("manifests/seed=*.json")):
        try:
            stored = StoredTrial.at(manifest)
        except AlBenchError:  # the order may be from elsewhere
            break
        if stored.config.budget.get("init_size") == size:
            return str(stored.content["protocol_id"])
        break
    return _run_id(replay)
