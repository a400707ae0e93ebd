"""The top level of a run's configuration: its keys, and which groups it is made of."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING, OmegaConf

from al_bench.configuration.until_decided import UNTIL_DECIDED
from al_bench.errors import ConfigError, require_whole

# Groups whose choices describe objects, those from which every run has a choice, and those from
# one of which it has one: labels are bought by a strategy, or known and sampled by a selection, or
# none are bought and a study measures what was trained.
OBJECTS = (
    "dataset",
    "pool",
    "model",
    "budget",
    "training",
    "strategy",
    "selection",
    "study",
    "target",
    "tracker",
)
REQUIRED = ("dataset", "pool", "model", "budget", "training", "evaluation")
CHOOSERS = ("strategy", "selection", "study")
BUILT = (
    "dataset",
    "pool",
    "model",
    "training",
    "budget",
    "strategy",
    "selection",
    "study",
    "init_strategy",
    "target",
    "tracker",
)


@dataclass
class RunConfig:
    """The keys of ``conf/config.yaml`` with their types; group nodes are checked when built."""

    dataset: Any = MISSING
    pool: Any = MISSING
    model: Any = MISSING
    budget: Any = MISSING
    training: Any = MISSING
    strategy: Any = None
    selection: Any = None
    study: Any = None
    init_strategy: Any = None
    target: Any = None
    evaluation: Any = MISSING
    seeds: Any = 5
    baseline: str | None = None
    max_seeds: int | None = None
    look_every: int | None = None
    streams: Any = MISSING
    results: str = "results"
    tracker: Any = None
    device: str = "auto"
    scoring_precision: str = "float32"
    training_precision: str = "float32"
    threads: int = 1
    workers: int = 1
    together: bool = True
    chunk_bytes: int | None = None
    pack_width: int | None = None
    deterministic: bool = True
    resume: str = "same"
    on_error: str = "continue"
    dry_run: bool = False
    verbose: bool = False


def parse_seeds(value: Any) -> Sequence[int]:
    """Seeds from ``seeds=5`` (0 to 4) or ``seeds=[3,7]`` (those)."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 1:
            raise ConfigError(f"seeds={value}: at least one seed is needed.", "Try seeds=5.")
        require_whole("seeds", value, 1)
        return range(value)
    if OmegaConf.is_list(value) or isinstance(value, (list, tuple)):
        seeds = list(value)
        if not seeds:
            raise ConfigError("seeds=[] is empty.", "Try seeds=5 or seeds=[3,7].")
        for seed in seeds:
            require_whole("A seed", seed, 0)
        repeated = sorted(seed for seed, times in Counter(seeds).items() if times > 1)
        if repeated:
            raise ConfigError(f"seeds={seeds} repeats {repeated[0]}.", "Give every seed once.")
        return seeds
    if value == UNTIL_DECIDED:
        raise ConfigError(
            f"seeds={UNTIL_DECIDED} is for a sweep, whose arms it compares with a baseline.",
            f"Try -m strategy=random,bald seeds={UNTIL_DECIDED} baseline=random.",
        )
    raise ConfigError(
        f"seeds={value!r} is neither a whole number nor a list.",
        f"Try seeds=5, or seeds={UNTIL_DECIDED} for a sweep.",
    )
