"""Labels of a logarithmic axis, all of one form."""

from typing import Any

from matplotlib.ticker import LogFormatter

LEAST, MOST = 1e-4, 1e6  # of numbers that are written out


class NumberFormatter(LogFormatter):
    """0.1, 1, 10; powers of ten, 1e-06 to 1e+02, where an axis goes beyond what is read that way.

    Which ticks have labels is matplotlib's choice.
    """

    def __call__(self, x: float, pos: Any = None) -> str:
        """The label of the tick at ``x``; empty for one that has none."""
        if not super().__call__(x, pos):
            return ""
        assert self.axis is not None
        low, high = sorted(self.axis.get_view_interval())
        written_out = low >= LEAST and high <= MOST
        return self.fix_minus(f"{x:.12g}" if written_out else f"{x:.0e}")
