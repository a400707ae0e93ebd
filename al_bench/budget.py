"""What a file under ``conf/budget`` says: how many labels, and when to stop."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from al_bench.errors import ConfigError, keyed, require_counts, require_number, require_whole, typed


@dataclass(frozen=True)
class Budget:
    """How many labels are bought, and in what batches.

    With ``init_size``, ``init_per_class`` and ``total`` all ``None`` everything is labeled at once:
    one round on the whole pool, which shows what labels are worth at most.

    Args:
        init_size: Labels at round 0, drawn uniformly; 0 starts empty. ``None`` with
            ``init_per_class``.
        init_per_class: Labels a class at round 0 instead: a number, or one for each class.
        batch_size: Labels bought a round; the last batch is shorter where needed.
        total: Labels at the end, initial ones included; ``None`` for all there are.
        validation_size: Points taken out of the pool for validation: a number, or a multiple of
            the initial labels written ``5x``.
        validation_per_class: Points a class for validation instead: a number, or one for each
            class.
        target_accuracy: Stop at this validation accuracy, in (0, 1]; ``None`` buys all labels.
    """

    init_size: int | None = 20
    init_per_class: int | Sequence[int] | None = None
    batch_size: int = 10
    total: int | None = 120
    validation_size: int | str = 0
    validation_per_class: int | Sequence[int] | None = None
    target_accuracy: float | None = None

    def __post_init__(self) -> None:
        given = [n for n in ("init_size", "init_per_class") if getattr(self, n) is not None]
        if self.total is None and given:
            raise ConfigError(
                f"{keyed('total')}=null labels the whole pool at once, without an initial set.",
                f"Write how many there are at the end, {keyed('total')}=100 for example, or use "
                f"budget=full and leave {keyed(given[0])} out.",
            )
        if self.total is not None and not given:
            raise ConfigError(
                f"{keyed('init_size')} and {keyed('init_per_class')} are both null, and one of "
                "them says how many labels there are at the beginning.",
                f"Write {keyed('init_size')}=20 for example.",
            )
        if len(given) == 2:
            raise ConfigError(
                f"Give one of {keyed('init_size')} and {keyed('init_per_class')}, got "
                f"{self.init_size} and {self.init_per_class}.",
                "Set the other to null.",
            )
        if self.init_size is not None:
            require_whole("init_size", self.init_size, 0)
        for name in ("init_per_class", "validation_per_class"):
            value = getattr(self, name)
            if isinstance(value, Sequence) and not isinstance(value, str):
                require_counts(name, value)
            elif value is not None:
                require_whole(name, value, 1)
        if self.validation_per_class is not None and self.validation_size != 0:
            raise ConfigError(
                f"Give one of {keyed('validation_size')} and {keyed('validation_per_class')}, got "
                f"{typed(self.validation_size)} and {self.validation_per_class}.",
                f"Set {keyed('validation_size')}=0.",
            )
        require_whole("batch_size", self.batch_size, 1)
        if self.total is not None:
            require_whole("total", self.total, 1)
        multiple = isinstance(self.validation_size, str)
        if multiple and not re.fullmatch(r"\d+x", str(self.validation_size)):
            raise ConfigError(
                f"{keyed('validation_size')}={self.validation_size} is neither a number "
                "nor a multiple of the initial labels.",
                "Write for example 100 or 5x.",
            )
        if multiple and self.total is None:
            raise ConfigError(
                f"{keyed('validation_size')}={self.validation_size} is a multiple of an "
                "initial set, which budget=full lacks.",
                "Write a number.",
            )
        if not multiple:
            require_whole("validation_size", self.validation_size, 0)
        if self.target_accuracy is not None:
            hint = "Use null to buy all labels."
            require_number("target_accuracy", self.target_accuracy, above=0, most=1, hint=hint)

    @property
    def is_full(self) -> bool:
        """Whether the whole pool is labeled at round 0."""
        return self.total is None

    def left(self, num_queried: int) -> int:
        """Labels still to be bought; 0 where all are bought at once."""
        return 0 if self.total is None else self.total - num_queried

    def initial_labels(self, num_classes: int) -> int:
        """Labels at round 0; a full budget has no such number."""
        if self.init_per_class is not None:
            return sum(self.initial_counts(num_classes))
        assert self.init_size is not None
        return self.init_size

    def initial_counts(self, num_classes: int) -> list[int]:
        """Labels of each class at round 0, where ``init_per_class`` says so."""
        return self._counts("init_per_class", num_classes)

    def validation_counts(self, num_classes: int) -> list[int]:
        """Validation points of each class, where ``validation_per_class`` says so."""
        return self._counts("validation_per_class", num_classes)

    def _counts(self, name: str, num_classes: int) -> list[int]:
        value = getattr(self, name)
        if isinstance(value, int):
            return [value] * num_classes
        if len(value) != num_classes:
            raise ConfigError(
                f"{keyed(name, self)} has {len(value)} numbers for {num_classes} classes.",
                "Give one a class.",
            )
        return list(value)

    @property
    def validates(self) -> bool:
        """Whether points are set aside for validation."""
        return self.validation_per_class is not None or self.validation_size not in (0, "0x")

    def validation_labels(self, num_classes: int) -> int:
        """Points set aside for validation."""
        if self.validation_per_class is not None:
            return sum(self.validation_counts(num_classes))
        if isinstance(self.validation_size, str):
            return int(self.validation_size[:-1]) * self.initial_labels(num_classes)
        return self.validation_size

    def check(self, pool_size: int, num_classes: int) -> None:
        """Raise ConfigError unless the budget fits a pool of ``pool_size`` points."""
        validation = self.validation_labels(num_classes)
        if self.total is None:
            if validation >= pool_size:
                raise ConfigError(
                    f"{self._validation} leaves nothing of the pool's {pool_size} points.",
                    self._less_validation(pool_size - 1, num_classes),
                )
            self._check_target(validation)
            return
        initial = self.initial_labels(num_classes)
        if initial > self.total:
            key = "init_size" if self.init_per_class is None else "init_per_class"
            raise ConfigError(
                f"The initial set has {initial} labels, more than {keyed('total')}={self.total}.",
                f"Lower {keyed(key)} or raise {keyed('total')}.",
            )
        least = max(initial, 1)
        if validation > pool_size - least >= 0:  # no lower total would help
            beside = self.total if self.total < pool_size else least
            raise ConfigError(
                f"{self._validation} leaves too little of the pool's {pool_size} points for "
                f"{keyed('total')}={self.total}.",
                self._less_validation(pool_size - beside, num_classes),
            )
        if self.total + validation > pool_size:
            spare = f" beside {validation} validation points" if validation else ""
            raise ConfigError(
                f"{keyed('total')}={self.total}{spare} is more than the pool's {pool_size} points.",
                f"Use {keyed('total')}={max(pool_size - validation, 1)} or less.",
            )
        self._check_target(validation)

    @property
    def _validation(self) -> str:
        """What was typed of the validation set."""
        if self.validation_per_class is not None:
            return f"{keyed('validation_per_class')}={self.validation_per_class}"
        return f"{keyed('validation_size')}={self.validation_size}"

    def _less_validation(self, most: int, num_classes: int) -> str:
        """What to type so that there are at most so many validation points."""
        if self.validation_per_class is None:
            return f"Use {keyed('validation_size')}={most} or less."
        if (each := most // num_classes) == 0:
            return f"Leave {keyed('validation_per_class')} out."
        return f"Use {keyed('validation_per_class')}={each} or less."

    def _check_target(self, validation: int) -> None:
        if self.target_accuracy is not None and validation == 0:
            raise ConfigError(
                f"{keyed('target_accuracy')}={self.target_accuracy} needs a validation set.",
                f"Add for example {keyed('validation_size')}=100.",
            )

    def num_rounds(self, num_classes: int) -> int:
        """Rounds until ``total`` labels are reached, the first one included."""
        if self.total is None:
            return 1
        return 1 + -(-(self.total - self.initial_labels(num_classes)) // self.batch_size)
