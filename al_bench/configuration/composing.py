"""How a run's configuration is composed, checked and named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from al_bench.configuration import own_hydra
from al_bench.configuration.choices import choice_file
from al_bench.configuration.config_dir import config_dir
from al_bench.configuration.of_others import drop_of_others
from al_bench.configuration.overrides import key_of
from al_bench.configuration.schema import BUILT, CHOOSERS, OBJECTS, REQUIRED, RunConfig
from al_bench.configuration.second_dataset import add_ood_datasets, add_second_datasets
from al_bench.configuration.second_network import add_second_network
from al_bench.configuration.strategy_label import is_changed, strategy_label
from al_bench.errors import ConfigError, choose, near


@dataclass(frozen=True)
class Composed:
    """A configuration with the names of the choices that made it.

    Args:
        config: The composed configuration without Hydra's own part.
        names: Group to choice as typed: dataset, pool, model, network, training, budget, strategy
            (of active sampling the selection), init_strategy (empty where the initial set is
            drawn).
        strategy_label: That choice with the parameters that differ from its default.
        is_sweep: Whether it is one job of several, or the preset of a sweep.
    """

    config: DictConfig
    names: Mapping[str, str]
    strategy_label: str
    is_sweep: bool

    def value(self, key: str) -> Any:
        """What is at a dotted key; ``None`` where nothing is."""
        return OmegaConf.select(self.config, key)

    def resolved(self) -> dict[str, Any]:
        """The configuration as plain mappings and lists, its interpolations resolved."""
        content: Any = OmegaConf.to_container(self.config, resolve=True)
        return content

    def stored_text(self, instead: dict[str, Any] | None = None) -> str:
        """The YAML in which the configuration is stored.

        Args:
            instead: Its content with what must not be stored left out.
        """
        return OmegaConf.to_yaml(self.config if instead is None else OmegaConf.create(instead))


def check_complete(config: Any, groups: Sequence[str] = BUILT) -> None:
    """Resolve ``config`` in place; ConfigError where these groups lack a value."""
    try:
        OmegaConf.resolve(config)
        for group in groups:
            if config[group] and (missing := sorted(OmegaConf.missing_keys(config[group]))):
                raise ConfigError(f"{missing[0]} has no default.", f"Add {missing[0]}=…")
    except OmegaConfBaseException as error:
        where = f"{error.full_key}: " if error.full_key else ""
        raise ConfigError(f"{where}{str(error).splitlines()[0]}.") from error


def without_tracker(composed: Composed) -> Composed:
    """The same without its tracker: who looks on is no part of a result, so it isn't stored."""
    keys = [str(key) for key in composed.config if key != "tracker"]
    return replace(composed, config=OmegaConf.masked_copy(composed.config, keys))


def compose(
    overrides: Sequence[str] = (),
    config_folder: str | Path | None = None,
    is_study: bool = False,
) -> Composed:
    """Compose a run's configuration as ``al-bench run`` does.

    Args:
        overrides: What one would type after ``al-bench run``, such as ``strategy=batchbald``.
        config_folder: A further folder of configuration (``--config-dir``).
        is_study: That of a study, as ``al-bench study`` does.
    """
    with own_hydra.started(RunConfig, config_folder) as hydra:
        return from_hydra(own_hydra.compose(hydra, overrides), is_study)


def compose_whole(
    overrides: Sequence[str] = (), config_folder: str | Path | None = None
) -> DictConfig:
    """The same with Hydra's own part and without any check."""
    with own_hydra.started(RunConfig, config_folder) as hydra:
        return own_hydra.compose(hydra, overrides)


def composed_job(config: DictConfig) -> Composed:
    """The same of the Hydra job that is running."""
    whole = OmegaConf.create({"hydra": HydraConfig.get()}, flags={"allow_objects": True})
    return from_hydra(OmegaConf.merge(whole, config))  # type: ignore[arg-type]


def from_hydra(config: DictConfig, is_study: bool = False) -> Composed:
    """What was composed with Hydra's own part, checked and named; call it while Hydra is ours.

    Args:
        config: It.
        is_study: Whether it shall be that of a study, and not of a run.
    """
    check(config, is_study)
    choices = dict(config.hydra.runtime.choices)
    ours = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    if choices.get("experiment") or is_study:
        drop_of_others(ours)
    pool = ours.pool if ours.pool else {}
    # Data sets bring a network; a model without one sets it back to null.
    has_network = OmegaConf.is_dict(ours.model) and ours.model.get("network") is not None
    chooser = next(key for key in CHOOSERS if ours[key] is not None)
    names = {
        "dataset": choices["dataset"],
        "pool": "+".join(sorted(str(name) for name in pool)) or "full",
        "model": choices["model"],
        "network": (choices.get("model/network") or "") if has_network else "",
        "training": choices["training"],
        "budget": choices["budget"],
        "strategy": choices[chooser],
        "init_strategy": _init_strategy(ours, choices),
    }
    folders = [str(word) for word in config.hydra.overrides.hydra if "searchpath" in word]
    add_second_datasets(ours, folders, _load)
    add_ood_datasets(ours, folders, _load)
    label = choices[chooser]
    words = [str(word) for word in config.hydra.overrides.task]
    if folders or choices.get("experiment") or is_changed(chooser, choices, words):
        label = strategy_label(chooser, choices, ours[chooser], folders, _load)
    # What presets sweep and nobody has typed.
    swept = set(config.hydra.sweeper.get("params") or ()) - set(map(key_of, words))
    add_second_network(ours, folders, _load)  # after what was typed has got its label
    return Composed(ours, names, label, bool(swept) or config.hydra.mode == RunMode.MULTIRUN)


def _check_hydra(node: DictConfig) -> None:
    """Raise ConfigError where Hydra would make folders of its own: only al-bench makes any."""
    ours = _shipped_hydra()
    theirs: Any = {key: OmegaConf.to_container(node[key]) for key in ("job", "run", "sweep")}
    theirs["output_subdir"] = node.output_subdir
    for path in (("job", "chdir"), ("run", "dir"), ("sweep", "dir"), ("sweep", "subdir")):
        value = theirs[path[0]][path[1]]
        if value != ours[path[0]][path[1]]:
            raise _refused_folder(".".join(path), value)
    if theirs["output_subdir"] is not None:
        raise _refused_folder("output_subdir", theirs["output_subdir"])


@cache
def _shipped_hydra() -> Any:
    """What al-bench's own configuration says of Hydra; read once, for sweeps check every job."""
    shipped: Any = OmegaConf.load(config_dir() / f"{own_hydra.CONFIG_NAME}.yaml")
    return OmegaConf.to_container(shipped.hydra)


def _refused_folder(key: str, value: Any) -> ConfigError:
    text = str(value).lower() if isinstance(value, bool) else value
    return ConfigError(
        f"hydra.{key}={text}: al-bench makes its own folders.",
        "Leave it out; results=FOLDER says where results lie.",
    )


def _init_strategy(config: DictConfig, choices: Mapping[str, Any]) -> str:
    """The name of the strategy that buys the initial set; a preset may spell it out in place."""
    if config.init_strategy is None:
        return ""
    target = str(config.init_strategy.get("_target_"))
    return str(choices.get("strategy@init_strategy") or target.rpartition(".")[2])


def check(config: DictConfig, is_study: bool = False) -> None:
    """Raise ConfigError unless ``config`` has every key of RunConfig, no other and no folders."""
    _check_hydra(config.hydra)
    keys = RunConfig.__dataclass_fields__
    for key in config:
        if key not in keys and key != "hydra":
            raise ConfigError(f"There is no key {key!r}.", choose(str(key), keys))
    for key in keys:
        if key not in config:
            raise ConfigError(f"The key {key} cannot be taken away.")
    if not OmegaConf.is_dict(config.streams):
        raise ConfigError(
            f"streams={config.streams} is no offset of a stream.", "Try streams.init=1."
        )
    for key in REQUIRED:
        if OmegaConf.is_missing(config, key):
            raise ConfigError(f"Every run has a {key}; none is chosen.", f"Add {key}=…")
    _check_chooser(config, is_study)
    _check_targets(config)


_WHAT_FOR = {
    "strategy": "active learning",
    "selection": "active sampling",
    "study": "a measurement",
}


def _check_chooser(config: DictConfig, is_study: bool) -> None:
    """Raise ConfigError unless one decides what is done: a strategy, a selection, or a study."""
    choices = config.hydra.runtime.choices
    chosen = {key: f"{key}={choices.get(key)}" for key in CHOOSERS if config[key] is not None}
    if is_study and "study" not in chosen:
        raise ConfigError("No study is chosen.", "See al-bench list studies.")
    if not chosen:
        raise ConfigError("Every run has a strategy; none is chosen.", "Add strategy=…")
    if len(chosen) > 1:
        uses = [f"{word} for {_WHAT_FOR[key]}" for key, word in chosen.items()]
        raise ConfigError(
            f"{' and '.join(chosen.values())}: a strategy buys labels, a selection has them all, a "
            "study measures and buys none.",
            f"Use {', or '.join(uses)}.",
        )
    if "study" in chosen and not is_study:
        raise ConfigError(
            f"{chosen['study']}: a study is no run.",
            f"Type al-bench study {choices.get('study')}, and its keys.",
        )


def _check_targets(config: DictConfig) -> None:
    """Raise ConfigError where the file of a choice names no class."""
    for key, choice in config.hydra.runtime.choices.items():
        group, _, package = str(key).partition("@")
        if choice is None or group.split("/")[0] not in OBJECTS:
            continue
        node = OmegaConf.select(config, package or group.replace("/", "."))
        nodes = [*node.values()] if group == "pool" and OmegaConf.is_dict(node) else [node]
        for inner in nodes:
            if OmegaConf.is_dict(inner) and "_target_" not in inner:
                sources = config.hydra.runtime.config_sources
                folders = [Path(source.path) for source in sources if source.schema == "file"]
                file = choice_file(group, choice, reversed(folders))
                raise ConfigError(
                    f"{key}={choice}{f' ({near(file)})' if file else ''} has no _target_.",
                    "Add a line _target_: module.Class",
                )


def _load(overrides: list[str]) -> DictConfig:
    loader = GlobalHydra.instance().config_loader()
    return loader.load_configuration(own_hydra.CONFIG_NAME, overrides, run_mode=RunMode.RUN)
