"""What strategies that hand the work to another one have in common."""

from typing import Any

from al_bench.errors import ConfigError, keyed
from al_bench.strategies.base import Strategy


def check_wrapped(of: Any, name: str = "of") -> None:
    """Refuse what is no strategy.

    Args:
        of: Anything.
        name: The parameter that holds it.

    Raises:
        ConfigError: ``of`` has no ``needs`` or no ``select``.
    """
    if not isinstance(getattr(of, "needs", None), frozenset) or not hasattr(of, "select"):
        raise ConfigError(
            f"{keyed(name)} must be a strategy, got {of!r}.",
            f"Choose one: strategy@{keyed(name)}=entropy.",
        )


def samples_asked(of: Strategy) -> int | None:
    """Posterior samples that ``of`` scores with, where it says so; ``None`` is all of them."""
    asked: int | None = getattr(of, "num_samples", None)
    return asked
