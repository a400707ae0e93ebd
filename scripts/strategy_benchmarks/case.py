"""A case: one piece of work, al-bench's way to it, others' ways, and the least it can cost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Facts = dict[str, Any]  # what JSON can hold


@dataclass(frozen=True)
class Options:
    """What was asked for.

    Args:
        quick: Sizes that take a second: to try the benchmark, not to quote.
        data: Folder that holds MNIST; None: scikit-learn's digits, enlarged.
        repeats: Repetitions of every case; None: each case's own number.
        names: To keep of the strategies and scores that are found by themselves; empty: all.
        minutes: Limit of one selection in the rows of every strategy.
    """

    quick: bool = False
    data: Path | None = None
    repeats: int | None = None
    names: frozenset[str] = frozenset()
    minutes: float = 10.0

    @property
    def source(self) -> str:
        """Where images are from."""
        return "digits, enlarged" if self.data is None else "MNIST"


@dataclass(frozen=True)
class Peer:
    """Another way to the same.

    Args:
        name: Whose.
        run: Does it; None where the package is not installed.
        at_least: How many times faster al-bench should be; None: no number was set.
    """

    name: str
    run: Callable[[], Any] | None
    at_least: float | None = None


@dataclass(frozen=True)
class Work:
    """Arithmetic or traffic that no way can do without.

    Args:
        kind: ``gemm`` (floating-point operations), ``log`` or ``exp`` (numbers), ``read`` (bytes).
        amount: How many.
        size: Bytes of the tensor that is read again and again, of ``read``.
    """

    kind: str
    amount: float
    size: int = 0


@dataclass(frozen=True)
class Floor:
    """The least time for the work at the rates that this process reaches at that moment.

    Args:
        name: In words.
        work: Its parts, one after the other; or
        run: the thing itself, timed beside al-bench's way.
        at_most: How many times the floor al-bench may take; None: no number was set.
    """

    name: str
    work: tuple[Work, ...] = ()
    run: Callable[[], Any] | None = None
    at_most: float | None = None


@dataclass(frozen=True)
class Case:
    """One line of the table.

    Args:
        row: The name that ``--only`` takes.
        name: What is timed.
        work: Its sizes, in words.
        ours: al-bench's way.
        peers: Others' ways.
        floor: What no way can beat.
        agreement: al-bench's result and the peers' by name, to facts by peer's name; ``equal`` in
            them, where it must be true.
        facts: What else is worth storing, of al-bench's result.
        repeats: Repetitions, where ``--repeats`` does not say.
        at_most_seconds: Of one run of al-bench's way.
        at_most_bytes: Of memory that it may take beyond its input.
    """

    row: str
    name: str
    work: str
    ours: Callable[[], Any]
    peers: tuple[Peer, ...] = ()
    floor: Floor | None = None
    agreement: Callable[[Any, Mapping[str, Any]], dict[str, Facts]] | None = None
    facts: Callable[[Any], Facts] = field(default=lambda result: {})
    repeats: int = 7
    at_most_seconds: float | None = None
    at_most_bytes: int | None = None
