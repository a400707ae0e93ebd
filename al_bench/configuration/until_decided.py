"""``seeds=until_decided``: what such a sweep is asked to do."""

from dataclasses import dataclass
from typing import Any

from al_bench.errors import ConfigError, require_whole

UNTIL_DECIDED = "until_decided"  # the value of seeds= that asks for stages
MAX_SEEDS, LOOK_EVERY = 20, 5
KEYS = ("baseline", "max_seeds", "look_every")


@dataclass(frozen=True)
class Design:
    """When there is a look, and at what.

    Args:
        baseline: The strategy that the others are compared with.
        max_seeds: Seeds of an arm at most.
        look_every: Seeds between looks.
    """

    baseline: str
    max_seeds: int = MAX_SEEDS
    look_every: int = LOOK_EVERY

    def __post_init__(self) -> None:
        require_whole("look_every", self.look_every, 1)
        require_whole("max_seeds", self.max_seeds, 1)
        if self.look_every > self.max_seeds:
            from al_bench.stats.sequential import first_deciding

            if first_deciding(1, self.max_seeds) is None:  # what matters more
                raise decides_nothing(self.max_seeds)
            raise ConfigError(
                f"look_every={self.look_every} is more than max_seeds={self.max_seeds}: there "
                "would be no look.",
                f"Try look_every={min(LOOK_EVERY, self.max_seeds)}.",
            )

    @property
    def looks(self) -> list[int]:
        """Seeds at each look; the last is at ``max_seeds``."""
        return [*range(self.look_every, self.max_seeds, self.look_every), self.max_seeds]


def decides_nothing(max_seeds: int) -> ConfigError:
    """So few seeds have no difference that could be significant."""
    return ConfigError(
        f"max_seeds={max_seeds} can decide nothing: so few seeds have too few sign flips.",
        f"Try max_seeds={MAX_SEEDS}.",
    )


def design_of(config: Any) -> Design | None:
    """What a sweep's configuration asks for; ``None`` where its seeds are fixed.

    Raises:
        ConfigError: There is no baseline, a number is out of range, or one of ``KEYS`` is given
            where seeds are fixed.
    """
    if isinstance(config.seeds, str) and config.seeds != UNTIL_DECIDED:
        raise ConfigError(
            f"seeds={config.seeds} is neither a whole number nor a list.",
            f"Try seeds=5, or seeds={UNTIL_DECIDED} for a sweep.",
        )
    if config.seeds != UNTIL_DECIDED:
        for key in KEYS:
            if config[key] is not None:
                raise ConfigError(
                    f"{key}={config[key]} has a meaning for seeds={UNTIL_DECIDED} alone.",
                    f"Leave it out, or add -m and seeds={UNTIL_DECIDED}.",
                )
        return None
    if config.baseline is None:
        raise ConfigError(
            f"seeds={UNTIL_DECIDED} needs a baseline that the others are compared with.",
            f"Add for example baseline={'uniform' if config.selection is not None else 'random'}.",
        )
    numbers = {key: config[key] for key in KEYS[1:] if config[key] is not None}
    return Design(config.baseline, **numbers)
