"""Which run a configuration is: what decides its results becomes its ids."""

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from al_bench.config import Composed
from al_bench.errors import AlBenchError
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
from al_bench.strategies.base import Strategy
from al_bench.strategies.replay import Replay


def identify(
    composed: Composed,
    dataset: str,
    fingerprint: str,
    strategy: Strategy,
    init_strategy: Strategy | None,
) -> RunIdentity:
    """The names and ids of a run.

    Args:
        composed: Its configuration, resolved.
        dataset: The data set's name.
        fingerprint: Of its content, and of all that pool transforms have read.
        strategy: Built from the configuration, as is ``init_strategy``.
        init_strategy: ``None`` where the initial set is drawn.
    """
    container: Any = OmegaConf.to_container(composed.config, resolve=True)
    meaning = {key: value for key, value in container.items() if key not in ENGINE_KEYS}
    for group in ("strategy", "init_strategy", "target"):
        meaning[group] = with_contents(meaning[group])
    if isinstance(strategy, Replay):  # the folder's name is the run's id, wherever it lies
        meaning["strategy"]["run"] = _run_id(strategy)
    protocol = {**meaning}
    if isinstance(init_strategy, Replay):
        meaning["init_strategy"]["run"] = _run_id(init_strategy)
        size = composed.config.budget.init_size
        lender = _lender_of_initial_set(init_strategy, size)
        protocol["init_strategy"] = {**meaning["init_strategy"], "run": lender}
    names = {**composed.names, "dataset": dataset}
    text = hashed_text(protocol, fingerprint, without=(*PATHS, "strategy"))
    return RunIdentity(
        run_id=config_hash(meaning, fingerprint, without=PATHS),
        protocol_id=text_hash(text),
        task=names["dataset"] if names["pool"] == "full" else f"{names['dataset']}/{names['pool']}",
        **names,
        strategy_label=composed.strategy_label,
        config=OmegaConf.to_yaml(composed.config),
        protocol=text,
    )


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
