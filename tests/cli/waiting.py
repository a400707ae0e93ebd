"""A strategy that waits for a file, so that a run is still under way when a test looks at it."""

WAITS = """
import time
from dataclasses import dataclass
from pathlib import Path
from al_bench.strategies.random import Random

@dataclass(frozen=True)
class Waits(Random):
    def select(self, view, batch_size, generator):
        while view.round >= LAST and not Path("go").exists():
            time.sleep(0.01)
        return super().select(view, batch_size, generator)
"""


def waiting(tmp_path, last):
    """A strategy that buys nothing in this round, nor tells of it, until there is a file ``go``."""
    (tmp_path / "waits.py").write_text(WAITS.replace("LAST", str(last)))
    return "strategy=waits.Waits"
