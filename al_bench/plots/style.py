"""The look of every figure: sizes, palette, and one color, marker and line a strategy."""

import hashlib
import itertools
import re
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from al_bench.text.natural import natural
from al_bench.text.visible import in_a_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMN_WIDTH = 3.4  # inches, one column of a two-column page
PAGE_WIDTH = 7.0  # inches, both columns

RC: dict[str, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "figure.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "legend.columnspacing": 0.9,
    "legend.handletextpad": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.0,
    "lines.markeredgewidth": 0.0,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,  # text stays text; Type 3 fonts are refused by many publishers
    "svg.fonttype": "none",
    "svg.hashsalt": "al-bench",  # the same figure is the same file
    # Names are text, whatever signs they have, and not mathematics or TeX.
    "text.parse_math": False,
    "text.usetex": False,
    "axes.formatter.use_mathtext": False,
    "axes.formatter.useoffset": False,  # numbers of an axis are whole, not what is to be added
}


@dataclass(frozen=True)
class Style:
    """How a strategy is drawn: arguments of ``Axes.plot`` by their names."""

    color: str
    marker: str
    linestyle: str | tuple[float, tuple[float, ...]]

    def line(self) -> dict[str, Any]:
        """Color, marker and line style as keyword arguments."""
        return {"color": self.color, "marker": self.marker, "linestyle": self.linestyle}


_DASHED = (0.0, (4.0, 1.5))
_DASH_DOTTED = (0.0, (4.0, 1.2, 1.0, 1.2))
_DOTTED = (0.0, (1.2, 1.2))

BASELINES = ("random", "uniform")  # of labels, and of steps
_BASELINE_STYLE = Style("#7F7F7F", "h", _DASHED)

# Okabe and Ito's colors without yellow, which is too pale for a line, and with a wine red that is
# told from the others with deuteranopia and protanopia too. Neighbours in hue differ in their line.
_SLOTS = (
    Style("#0072B2", "o", "solid"),  # blue
    Style("#D55E00", "s", "solid"),  # vermilion
    Style("#009E73", "^", _DASHED),  # bluish green
    Style("#CC79A7", "D", _DASH_DOTTED),  # reddish purple
    Style("#E69F00", "v", _DASHED),  # orange
    Style("#56B4E9", "P", _DASH_DOTTED),  # sky blue
    Style("#000000", "X", _DOTTED),  # black
    Style("#6A1B4D", "<", "solid"),  # wine
)
_MARKERS = tuple(slot.marker for slot in _SLOTS)
_LINES = ("solid", _DASHED, _DASH_DOTTED, _DOTTED)

# With this salt the strategies met most often prefer eight different slots, so that they keep their
# looks whatever they are drawn with: bald batchbald powerbald entropy margin least_confidence badge
# epig. It is a number, not a table: a new strategy has its place without being entered anywhere.
_SALT = 16668


def assign(labels: Iterable[str]) -> dict[str, Style]:
    """A look for each strategy label, no two alike.

    A label's name decides its preferred color, so it looks the same in every figure, whatever else
    is drawn. Where two prefer the same one, the next free color is taken, by labels with parameters
    after labels without, and among these in an order that only depends on their names. Give all
    labels of the results at once, not those of one figure: then all figures of these results agree.
    From the ninth strategy on colors return with another marker and line. ``random`` and
    ``uniform`` are grey, with another initial set, model or whatever tells arms apart too.
    """
    styles: dict[str, Style] = {}
    greys = 0
    taken: set[tuple[int, int]] = set()
    labels = set(labels)
    plain = next((name for name in BASELINES if name in labels), None)
    for label in sorted(labels, key=lambda label: (not label.isidentifier(), _hash(label))):
        if is_baseline(label):
            lap = 0 if label == plain else (greys := greys + 1)
            styles[label] = _grey(lap if plain else lap - 1)
            continue
        preferred = _hash(label) % len(_SLOTS)
        order = (divmod(n, len(_SLOTS)) for n in itertools.count())  # lap, step
        places = (((preferred + step) % len(_SLOTS), lap) for lap, step in order)
        place = next(place for place in places if place not in taken)
        taken.add(place)
        styles[label] = _style(*place)
    return styles


def _style(slot: int, lap: int) -> Style:
    """Slot ``slot``, its marker and line moved on by ``lap``."""
    first = _SLOTS[slot]
    marker = _MARKERS[(slot + 3 * lap) % len(_MARKERS)]
    line = _LINES[(_LINES.index(first.linestyle) + lap) % len(_LINES)]
    return Style(first.color, marker, line)


def is_baseline(label: str) -> bool:
    """Whether a label is of random draws: ``random``, ``random@mc_dropout``, ``random · cold``."""
    return re.match(rf"({'|'.join(BASELINES)})(?!\w)", label) is not None


def _grey(lap: int) -> Style:
    """The baseline's look, its marker and line moved on by ``lap``."""
    if lap == 0:
        return _BASELINE_STYLE
    marker = _MARKERS[(3 * lap - 1) % len(_MARKERS)]
    turns = lap + lap // len(_MARKERS)
    line = _LINES[(_LINES.index(_BASELINE_STYLE.linestyle) + turns) % len(_LINES)]
    return Style(_BASELINE_STYLE.color, marker, line)


def _hash(label: str) -> int:
    digest = hashlib.blake2s(f"{_SALT}{label}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def order(labels: Iterable[str]) -> list[str]:
    """Labels as a legend lists them: the baseline, then by name."""
    return sorted(set(labels), key=lambda label: (not is_baseline(label), natural(label)))


def look() -> AbstractContextManager[None]:
    """Within this context new figures look like all others; matplotlib's settings come back."""
    import matplotlib

    settings: Any = RC
    return matplotlib.rc_context(settings)


def shown(text: str) -> str:
    """A text in a line, of signs that a font may have."""
    return in_a_line(text).encode(errors="backslashreplace").decode()


def write(figure: "Figure", stream: IO[bytes], format: str) -> None:
    """Write a figure as ``png``, ``pdf`` or ``svg``; equal figures give equal bytes."""
    from matplotlib.ticker import LogFormatterMathtext

    from al_bench.plots.log_ticks import NumberFormatter

    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        if isinstance(axis.get_major_formatter(), LogFormatterMathtext):
            axis.set_major_formatter(NumberFormatter())  # 100, since mathematics are not read
        if isinstance(axis.get_minor_formatter(), LogFormatterMathtext):
            axis.set_minor_formatter(NumberFormatter())
    stamp = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(format)
    figure.savefig(stream, format=format, metadata=stamp)
