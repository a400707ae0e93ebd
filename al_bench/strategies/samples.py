"""How many posterior samples a strategy works with: fewer than the model has, never more."""

from al_bench.errors import ConfigError
from al_bench.strategies.base import PoolView


def check_num_samples(num_samples: int | None) -> None:
    """Refuse a ``strategy.num_samples`` that is neither null nor a whole number from 1."""
    if num_samples is None:
        return
    if isinstance(num_samples, bool) or not isinstance(num_samples, int) or num_samples < 1:
        raise ConfigError(
            f"strategy.num_samples must be a whole number from 1, got {num_samples!r}.",
            "Use null for all samples of the model.",
        )


def requested_samples(num_samples: int | None, view: PoolView) -> int | None:
    """``num_samples``, refused where the model has fewer."""
    if num_samples is not None and num_samples > view.num_samples:
        raise ConfigError(
            f"strategy.num_samples is {num_samples}, but the model has {view.num_samples} samples.",
            f"Use at most {view.num_samples}, or raise model.num_samples.",
        )
    return num_samples
