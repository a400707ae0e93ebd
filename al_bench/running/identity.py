"""Which run a configuration is: what decides its results becomes its ids."""

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from al_bench.configuration.composing import Composed
from al_bench.configuration.schema import CHOOSERS
from al_bench.configuration.stored import StoredTrial
from al_bench.configuration.targets import described, locate, module_of
from al_bench.errors import AlBenchError, ConfigError
from al_bench.masking import masked, masked_text
from al_bench.paths import opened
from al_bench.results import plain
from al_bench.results.identity import (
    ENGINE_KEYS,
    PATHS,
    RunIdentity,
    StudyIdentity,
    config_hash,
    hashed_text,
    text_hash,
    with_contents,
)
from al_bench.results.own_code import own_code
from al_bench.rounds.active_learning import ActiveLearningTrial
from al_bench.running.parts import made_of, num_targets, numerics_versions, parts
from al_bench.strategies.cluster_margin import ClusterMargin
from al_bench.strategies.replay import Replay
from al_bench.strategies.stored_order import StoredOrder


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
            A ``tracker`` is no part of the ids.

    Raises:
        ConfigError: The source of one's own code is not to be had as it was imported, or the
            configuration is what a stored one must not be (``plain``).
    """
    container = composed.resolved()
    meaning = {key: value for key, value in container.items() if key not in ENGINE_KEYS}
    for group in ("strategy", "selection", "init_strategy", "target"):
        meaning[group] = with_contents(meaning[group])
    chooser = next(group for group in CHOOSERS if group in built)
    strategy, init_strategy = built[chooser], built.get("init_strategy")
    if isinstance(strategy, StoredOrder):  # the folder's name is the run's id, wherever it lies
        meaning[chooser]["run"] = strategy.run_id
    protocol = {**meaning}
    if isinstance(init_strategy, Replay):
        meaning["init_strategy"]["run"] = init_strategy.run_id
        size = composed.config.budget.init_size
        lender = _lender_of_initial_set(init_strategy, size)
        protocol["init_strategy"] = {**meaning["init_strategy"], "run": lender}
    names = {**composed.names, "dataset": dataset}
    sources = {
        group: _sources_of(composed.config.get(group), group, one) for group, one in built.items()
    }
    strategies = {key: built[key] for key in (chooser, "init_strategy") if key in built}
    code = own_code(itertools.chain(*sources.values()))
    del sources["tracker"]
    if _both_cluster(list(strategies.values())):
        sources["state"] = [ActiveLearningTrial.state_for]
    beside = _beside(sources, strategies)
    for group in (chooser, "state"):
        sources.pop(group, None)
    del strategies[chooser]
    text = hashed_text(
        protocol, fingerprint, without=(*PATHS, *CHOOSERS), beside=_beside(sources, strategies)
    )
    versions = {"part_versions": beside["part_versions"]}
    kind = StudyIdentity if chooser == "study" else RunIdentity
    return kind(
        run_id=config_hash(meaning, fingerprint, without=PATHS, beside=beside),
        protocol_id=text_hash(text),
        task=names["dataset"] if names["pool"] == "full" else f"{names['dataset']}/{names['pool']}",
        **names,
        strategy_label=masked_text(composed.strategy_label),
        config=_stored_config(composed, container),
        protocol=_masked_json(text),
        part_versions=beside["part_versions"],
        own_code=code.hashes,
        packages=code.packages,
        configuration_id=config_hash(meaning, fingerprint, without=PATHS, beside=versions),
    )


def _stored_config(composed: Composed, container: dict[str, Any]) -> str:
    hidden = masked(container)
    text = composed.stored_text(None if hidden == container else hidden)
    try:
        plain.from_yaml(text.encode())
    except plain.Unfit as error:
        raise ConfigError(f"A configuration cannot be stored as this one is: {error}.") from error
    return text


def _masked_json(text: str) -> str:
    """What is hashed without its secrets; its hash is taken before."""
    return json.dumps(masked(json.loads(text)), sort_keys=True, separators=(",", ":"))


def _sources_of(node: Any, group: str, built: Any) -> list[Any]:
    """The classes and functions that a group names, their modules, and what it was built from."""
    targets = [str(inner["_target_"]) for _, inner in described(node, group)]
    return [*map(locate, targets), *map(module_of, targets), *made_of(built)]


def _beside(
    sources: Mapping[str, Sequence[Any]], strategies: Mapping[str, Any]
) -> dict[str, Mapping[str, Any]]:
    """What decides a result beside the configuration and the data.

    That are numerics versions of parts, the target's where a strategy draws target inputs, and
    one's own code. One's own strategy may draw target inputs without saying so.

    Args:
        sources: From ``_sources_of``, by group.
        strategies: The strategies among these groups.
    """
    draws = any(num_targets(one) is not None for one in strategies.values())
    of_strategies = itertools.chain(*(sources[group] for group in strategies))
    draws = draws or own_code(of_strategies).hashes != {}
    used = [one for group, ones in sources.items() if draws or group != "target" for one in ones]
    return {
        "part_versions": numerics_versions(used),
        "own_code": own_code(itertools.chain(*sources.values())).hashes,
    }


def _both_cluster(strategies: Sequence[Any]) -> bool:
    """Whether a strategy once had the clusters of another one that bought its initial set."""
    first, *others = strategies
    clusters = [any(isinstance(p, ClusterMargin) for p in parts(one)) for one in strategies]
    return all(clusters) and any(other is not first for other in others)


def _lender_of_initial_set(replay: Replay, size: int) -> str:
    """What decides the first ``size`` points of a stored order.

    That is the protocol where they are the stored run's own initial set, the same for all of its
    strategies: their replays remain comparable. It is the run where they are anything else.
    """
    for manifest in sorted(opened(replay.run).glob("manifests/seed=*.json")):
        try:
            stored = StoredTrial.at(manifest)
        except AlBenchError:  # the order may be from elsewhere
            break
        if stored.config.budget.get("init_size") == size:
            return str(stored.content["protocol_id"])
        break
    return replay.run_id
