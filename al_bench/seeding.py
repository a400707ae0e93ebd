"""One seed becomes named, independent streams of random numbers.

A stream is a function of (seed, name, round, member) and of nothing else: not of the strategy, not
of the other seeds, not of what was drawn before. Strategies therefore share splits, initial sets
and initial weights, and a trial can be continued from any round.
"""

import contextlib
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from al_bench.errors import ConfigError, choose, require_whole

STREAMS = (
    "split",  # which points the pool keeps, and which of them validate
    "initial",  # which points are labeled at round 0
    "init",  # the network's initial weights
    "order",  # the order of training points
    "augment",  # random augmentation of training inputs
    "mask",  # dropout masks while training
    "posterior",  # posterior samples: sample k is member k
    "target",  # which target inputs EPIG and its relatives look at
    "select",  # ties and draws of the strategy
    "noise",  # noise added by pool transforms
)


@dataclass(frozen=True)
class Streams:
    """The random streams of one trial.

    Args:
        seed: The trial's seed, at least 0.
        offsets: Stream name to offset; varies one source of randomness alone.
    """

    seed: int
    offsets: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, offset in self.offsets.items():
            if name not in STREAMS:
                raise ConfigError(f"There is no stream {name!r}.", choose(name, STREAMS))
            require_whole(f"streams.{name}", offset, 0)

    def key(self, name: str, round: int = 0, member: int = 0) -> int:
        """A 64-bit key for (seed, name, round, member), between 0 and 2**64 - 1."""
        if name not in STREAMS:
            raise ValueError(f"unknown stream {name!r}")
        entropy = (self.seed, zlib.crc32(name.encode()), round, member, self.offsets.get(name, 0))
        return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0])

    def generator(self, name: str, round: int = 0, member: int = 0) -> torch.Generator:
        """A fresh CPU generator for (seed, name, round, member)."""
        # torch's CPU generator uses the low 32 bits of its seed only.
        return torch.Generator().manual_seed(self.key(name, round, member) & 0xFFFFFFFF)


@contextlib.contextmanager
def isolated(generator: torch.Generator) -> Iterator[None]:
    """Let code that draws from torch's global CPU generator draw from ``generator`` instead.

    The global generator is put back afterwards; ``generator`` moves on by one draw.
    """
    seed = int(torch.randint(2**31, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
