"""The jobs that a command line means: each combination of what is swept, by word or by a preset.

Every job is composed here, before any of them begins, so that a key is checked against the choices
of the job that it goes to.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from al_bench.configuration import own_hydra, until_decided
from al_bench.configuration.building import check_keys
from al_bench.configuration.composing import check
from al_bench.configuration.explain import COMPLAINTS, explain
from al_bench.configuration.overrides import key_of
from al_bench.configuration.own_hydra import Hydra
from al_bench.configuration.schema import RunConfig
from al_bench.configuration.targets import described, locate
from al_bench.configuration.until_decided import Design
from al_bench.configuration.words import check_overrides
from al_bench.errors import ConfigError, require_whole

# Keys that all jobs of a sweep share.
SHARED = ("results", "dry_run", "together", "hydra.launcher", *until_decided.KEYS)


@dataclass(frozen=True)
class Plan:
    """What will be run.

    Args:
        of_hydra: The words that set Hydra's own keys; they go to every job.
        jobs: The other words of each job. Equal jobs are one.
        is_sweep: Whether these are the jobs of a sweep, even if there is only one.
        dry_run: Whether only to say what would be done.
        design: When a sweep that adds seeds looks at its arms; ``None`` where seeds are fixed.
    """

    of_hydra: tuple[str, ...]
    jobs: tuple[tuple[str, ...], ...]
    is_sweep: bool
    dry_run: bool
    design: Design | None


def plan(
    hydra: Hydra, words: Sequence[str], multirun: bool = False, folder: Path | None = None
) -> Plan:
    """What ``words`` mean.

    Args:
        hydra: Where choices are found.
        words: Keys with their values, as they were typed.
        multirun: Whether ``-m`` was typed.
        folder: Of ``--config-dir``.

    Raises:
        ConfigError: A job has no such key or choice, or the jobs cannot be one sweep.
    """
    overrides = _parsed(hydra, words)
    of_hydra = tuple(_word(o) for o in overrides if o.is_hydra_override())
    swept = [_word(o) for o in overrides if o.is_sweep_override()]
    for override in overrides:
        if override.is_hydra_override() and override.is_sweep_override():
            raise ConfigError(f"{_word(override)}: Hydra's own keys cannot be swept.")
    if multirun and "hydra.mode=RUN" in of_hydra:
        raise ConfigError("-m makes a sweep, hydra.mode=RUN a single run.", "Leave out one.")
    overrides = [o for o in overrides if not o.is_hydra_override()]
    reader = _Reader(hydra, of_hydra, folder)
    combined = _combinations(overrides)
    # What a preset sweeps is read first: the other words may be meant for what it sweeps over.
    presets = [tuple(w for w in words if key_of(w) == "experiment") or words for words in combined]
    composed = reader.all(presets, swept)
    is_sweep = multirun or all(job.is_sweep for job in composed)
    if swept and not is_sweep:
        raise ConfigError(
            f"Several values, {swept[0]}, are a sweep.",
            "Add -m; from Python, call al_bench.run for each.",
        )
    all_words: list[tuple[str, ...]] = []
    for job, words_of_job in zip(composed, combined, strict=True):
        inner = _sweep_of_presets(hydra, job, overrides, folder)
        if inner and not is_sweep:
            raise ConfigError(
                f"The configuration is a sweep of its own, {_word(inner[0])}.", "Add -m."
            )
        swept += [_word(o) for o in inner]
        all_words += _combinations([*inner, *_parsed(hydra, words_of_job)])
    jobs = reader.all(all_words, swept)
    _check_shared(jobs)
    if is_sweep and not any(key_of(word) == "hydra.mode" for word in of_hydra):
        of_hydra = (*of_hydra, "hydra.mode=MULTIRUN")
    if is_sweep:  # what presets sweep is in the words now; Hydra 1.4 wants one sweeper for all jobs
        of_hydra = (*of_hydra, "hydra.sweeper.params=null")
    different = tuple(dict.fromkeys(job.words for job in jobs))
    designs = {job.design for job in jobs} if is_sweep else {None}
    if len(designs) > 1:
        raise ConfigError(
            f"seeds={until_decided.UNTIL_DECIDED} is for a sweep as a whole.",
            "Type the command once for each.",
        )
    return Plan(of_hydra, different, is_sweep, jobs[0].shared["dry_run"], *designs)


@dataclass(frozen=True)
class _Job:
    """What matters of a composed job; whole configurations of a large sweep would fill the memory.

    Args:
        words: Its words, without Hydra's own.
        is_sweep: Whether its configuration asks for a sweep by itself.
        params: The sweep that its presets bring along.
        shared: What a sweep has one of, by key.
        design: When it asks for looks at its sweep.
    """

    words: tuple[str, ...]
    is_sweep: bool
    params: Mapping[str, Any]
    shared: Mapping[str, Any]
    design: Design | None


def combinations(words: Sequence[str]) -> list[tuple[str, ...]]:
    """The words of each job of a sweep over ``words``, which nothing has been composed of yet."""
    with own_hydra.started(RunConfig) as hydra:
        return _combinations(_parsed(hydra, words))


class _Reader:
    """Composes jobs, and says which of them cannot be."""

    def __init__(self, hydra: Hydra, of_hydra: Sequence[str], folder: Path | None) -> None:
        self._hydra = hydra
        self._of_hydra = of_hydra
        self._folder = folder
        self._composed: dict[tuple[str, ...], _Job] = {}

    def all(self, jobs: Sequence[tuple[str, ...]], swept: Sequence[str]) -> "list[_Job]":
        """These jobs, whose words come from the sweeps ``swept``.

        Raises:
            ConfigError: The first complaint, with the choices of every job that has it.
        """
        composed: list[_Job] = []
        refused: list[tuple[Sequence[str], ConfigError, Exception]] = []
        for job in jobs:
            try:
                if job not in self._composed:
                    self._composed[job] = self._one(job)
                composed.append(self._composed[job])
            except COMPLAINTS as error:
                refused.append((job, explain(error, [*self._of_hydra, *job], self._folder), error))
            except ConfigError as error:
                refused.append((job, error, error))
        if not refused:
            return composed
        _, first, cause = refused[0]
        alike = [job for job, error, _ in refused if error.message == first.message]
        if len(jobs) == 1 or len(alike) == len(jobs):
            raise first from cause
        keys = {key_of(word) for word in swept}
        if match := re.search(r"There is no (?:key ')?(\w+)", first.message):
            keys = {key for key in keys if re.split(r"[./@]", key)[0] == match[1]} or keys
        choices = dict.fromkeys(" ".join(w for w in job if key_of(w) in keys) for job in alike)
        if any(words in first.message for words in choices):
            raise first from cause
        raise ConfigError(f"{', '.join(choices)}: {first.message}", first.hint) from cause

    def _one(self, words: tuple[str, ...]) -> _Job:
        config = own_hydra.compose(self._hydra, [*self._of_hydra, *words])
        check(config)
        _check_callbacks(config.hydra)
        for word in words:
            self._check_added(config, word)
        _check_plugins(config.hydra)
        params: Any = _plain(config.hydra.sweeper.get("params")) or {}
        shared = {key: _plain(OmegaConf.select(config, key)) for key in SHARED}
        design = until_decided.design_of(config)
        return _Job(words, config.hydra.mode == RunMode.MULTIRUN, params, shared, design)

    def _check_added(self, config: DictConfig, word: str) -> None:
        """Raise ConfigError where ``+key=`` adds a parameter that the class has not."""
        path = key_of(word).partition("@")[0].rpartition(".")[0]
        node = OmegaConf.select(config, path) if word.startswith("+") and path else None
        if isinstance(node, DictConfig) and "_target_" in node:
            check_keys(path, node)


def _check_callbacks(node: DictConfig) -> None:
    """Raise ConfigError unless all that wants to be told of jobs are objects of known classes."""
    for name, callback in (node.get("callbacks") or {}).items():
        if not isinstance(callback, DictConfig) or "_target_" not in callback:
            raise ConfigError(
                f"hydra.callbacks.{name} has no _target_, got {callback!r}.",
                f"Write +hydra.callbacks.{name}._target_=module.Class",
            )
    for path, inner in described(node.get("callbacks"), "hydra.callbacks"):
        locate(str(inner["_target_"]), f"{path}._target_")
        check_keys(path, inner)


def _check_plugins(node: DictConfig) -> None:
    """Raise ConfigError unless Hydra's own part names a launcher and the basic sweeper."""
    for name in ("launcher", "sweeper"):
        plugin = node.get(name)
        if not isinstance(plugin, DictConfig) or "_target_" not in plugin:
            raise ConfigError(
                f"hydra.{name}={_literal(_plain(plugin))} is no {name}.",
                f"Leave it out, or choose one by its group: hydra/{name}=basic.",
            )
    target = str(node.sweeper.get("_target_"))
    if not target.endswith(".BasicSweeper"):
        raise ConfigError(
            f"hydra.sweeper._target_={target}: al-bench's jobs return no number to optimize.",
            "Sweep over values: -m key=a,b.",
        )
    if (at_once := node.sweeper.get("max_batch_size")) is not None:
        require_whole("hydra.sweeper.max_batch_size", at_once, 1)


def _sweep_of_presets(
    hydra: Hydra, job: _Job, overrides: Sequence[Override], folder: Path | None
) -> list[Override]:
    """The sweep that the job's presets bring along, but for keys that were typed."""
    keys = {key_of(_word(override)) for override in overrides}
    if presets := job.params.get("experiment"):
        raise ConfigError(
            f"A preset sweeps over presets, experiment={presets}.",
            f"Type -m experiment={presets} instead.",
        )
    words = [
        f"{key}={_literal(value)}" for key, value in job.params.items() if key_of(key) not in keys
    ]
    check_overrides(words, folder)
    return _parsed(hydra, words)


def _literal(value: Any) -> str:
    """A value of a preset's sweep as one would type it."""
    if isinstance(value, list):
        return f"[{','.join(map(_literal, value))}]"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(node: Any) -> Any:
    return OmegaConf.to_container(node) if OmegaConf.is_config(node) else node


def _word(override: Override) -> str:
    return str(override.input_line)


def _parsed(hydra: Hydra, words: Sequence[str]) -> list[Override]:
    parser = OverridesParser.create(config_loader=hydra.config_loader)
    return parser.parse_overrides(list(words))


def _combinations(overrides: Sequence[Override]) -> list[tuple[str, ...]]:
    """The words of each job: a value of every sweep, and all that is not swept."""
    values = []
    for override in overrides:
        if not override.is_sweep_override():
            values.append([_word(override)])
        elif override.is_discrete_sweep():
            key = override.get_key_element()
            values.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        else:
            raise ConfigError(
                f"{_word(override)} names no values to sweep over.", "Write them: a,b,c."
            )
    return list(itertools.product(*values))


def _check_shared(jobs: Sequence[_Job]) -> None:
    """Raise ConfigError where jobs differ in what a sweep has one of."""
    for key in SHARED:
        for job in jobs:
            if job.shared[key] != jobs[0].shared[key]:
                raise ConfigError(
                    f"{' '.join(jobs[0].words)} and {' '.join(job.words)} differ in {key}, of "
                    "which a sweep has one.",
                    "Type the command once for each.",
                )
