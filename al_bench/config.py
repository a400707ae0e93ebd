"""The top level of a run's configuration, and how it is composed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import MISSING, DictConfig, OmegaConf

from al_bench.config_dir import config_dir
from al_bench.errors import ConfigError, choose
from al_bench.second_dataset import add_second_datasets
from al_bench.strategy_label import is_changed, strategy_label

CONFIG_NAME = "config"

# Groups from which every run has a choice.
REQUIRED = ("dataset", "pool", "model", "budget", "training", "strategy", "evaluation")


@dataclass
class RunConfig:
    """The keys of ``conf/config.yaml`` with their types; group nodes are checked when built."""

    dataset: Any = MISSING
    pool: Any = MISSING
    model: Any = MISSING
    budget: Any = MISSING
    training: Any = MISSING
    strategy: Any = MISSING
    init_strategy: Any = None
    target: Any = None
    evaluation: Any = MISSING
    seeds: Any = 5
    streams: Any = MISSING
    results: str = "results"
    tracker: Any = None
    device: str = "auto"
    scoring_precision: str = "float32"
    training_precision: str = "float32"
    threads: int = 1
    workers: int = 1
    chunk_bytes: int | None = None
    resume: str = "same"
    on_error: str = "continue"
    dry_run: bool = False
    verbose: bool = False


def register_schema() -> None:
    """Let Hydra check the top level against RunConfig."""
    ConfigStore.instance().store(name="schema", node=RunConfig)


def parse_seeds(value: Any) -> list[int]:
    """Seeds from ``seeds=5`` (0 to 4) or ``seeds=[3,7]`` (those)."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 1:
            raise ConfigError(f"seeds={value}: at least one seed is needed.", "Try seeds=5.")
        return list(range(value))
    if OmegaConf.is_list(value) or isinstance(value, (list, tuple)):
        seeds = list(value)
        if not seeds:
            raise ConfigError("seeds=[] is empty.", "Try seeds=5 or seeds=[3,7].")
        for seed in seeds:
            if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
                raise ConfigError(f"A seed must be a whole number from 0, got {seed!r}.")
        repeated = sorted({seed for seed in seeds if seeds.count(seed) > 1})
        if repeated:
            raise ConfigError(f"seeds={seeds} repeats {repeated[0]}.", "Give every seed once.")
        return seeds
    raise ConfigError(f"seeds={value!r} is neither a number nor a list.", "Try seeds=5.")


@dataclass(frozen=True)
class Composed:
    """A configuration with the names of the choices that made it.

    Args:
        config: The composed configuration without Hydra's own part.
        names: Group to choice as typed: dataset, pool, model, network, training, budget, strategy,
            init_strategy (empty where the initial set is drawn).
        strategy_label: The strategy's choice with the parameters that differ from its default.
        is_sweep: Whether it is one job of several.
    """

    config: DictConfig
    names: Mapping[str, str]
    strategy_label: str
    is_sweep: bool


def without_tracker(composed: Composed) -> Composed:
    """The same without its tracker: who looks on is no part of a result, so it isn't stored."""
    kept = [str(key) for key in composed.config if key != "tracker"]
    return replace(composed, config=OmegaConf.masked_copy(composed.config, kept))


def compose(overrides: Sequence[str] = (), config_folder: str | Path | None = None) -> Composed:
    """Compose a run's configuration as ``al-bench run`` does.

    Args:
        overrides: What one would type after ``al-bench run``, such as ``strategy=batchbald``.
        config_folder: A further folder of configuration (``--config-dir``).
    """
    with _initialized():
        return _composed(_whole(overrides, config_folder))


def compose_whole(
    overrides: Sequence[str] = (), config_folder: str | Path | None = None
) -> DictConfig:
    """The same with Hydra's own part and without any check."""
    with _initialized():
        return _whole(overrides, config_folder)


def _initialized() -> Any:
    import hydra

    register_schema()
    return hydra.initialize_config_dir(str(config_dir()), version_base="1.3")


def _whole(overrides: Sequence[str], config_folder: str | Path | None) -> DictConfig:
    import hydra

    own = [f"hydra.searchpath=[file://{Path(config_folder).resolve()}]"] if config_folder else []
    return hydra.compose(CONFIG_NAME, [*own, *overrides], return_hydra_config=True)


def composed_job(config: DictConfig) -> Composed:
    """The same of the Hydra job that is running."""
    whole = OmegaConf.create({"hydra": HydraConfig.get()}, flags={"allow_objects": True})
    return _composed(OmegaConf.merge(whole, config))  # type: ignore[arg-type]


def _composed(config: DictConfig) -> Composed:
    choices = dict(config.hydra.runtime.choices)
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    _check_top_level(own)
    pool = own.pool if own.pool else {}
    # Data sets bring a network; a model without one sets it back to null.
    has_network = OmegaConf.is_dict(own.model) and own.model.get("network") is not None
    names = {
        "dataset": choices["dataset"],
        "pool": "+".join(sorted(str(name) for name in pool)) or "full",
        "model": choices["model"],
        "network": (choices.get("model/network") or "") if has_network else "",
        "training": choices["training"],
        "budget": choices["budget"],
        "strategy": choices["strategy"],
        "init_strategy": _init_strategy(own, choices),
    }
    folders = [str(word) for word in config.hydra.overrides.hydra if "searchpath" in word]
    add_second_datasets(own, folders, _load)
    label = choices["strategy"]
    typed = [str(word) for word in config.hydra.overrides.task]
    if folders or choices.get("experiment") or is_changed(choices, typed):
        label = strategy_label(choices, own.strategy, folders, _load)
    return Composed(own, names, label, config.hydra.mode == RunMode.MULTIRUN)


def _init_strategy(config: DictConfig, choices: Mapping[str, Any]) -> str:
    """The name of the strategy that buys the initial set; a preset may spell it out in place."""
    if config.init_strategy is None:
        return ""
    target = str(config.init_strategy.get("_target_"))
    return str(choices.get("strategy@init_strategy") or target.rpartition(".")[2])


def _check_top_level(config: DictConfig) -> None:
    """Raise ConfigError unless there is every key of RunConfig and no other."""
    known = RunConfig.__dataclass_fields__
    for key in config:
        if key not in known:
            raise ConfigError(f"There is no key {key!r}.", choose(str(key), known))
    for key in known:
        if key not in config:
            raise ConfigError(f"The key {key} cannot be taken away.")
    for key in REQUIRED:
        if OmegaConf.is_missing(config, key):
            raise ConfigError(f"Every run has a {key}; none is chosen.", f"Add {key}=…")


def _load(overrides: list[str]) -> DictConfig:
    loader = GlobalHydra.instance().config_loader()
    return loader.load_configuration(CONFIG_NAME, overrides, run_mode=RunMode.RUN)
