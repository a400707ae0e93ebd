"""Draw BALD, EPIG and JEPIG as I-diagrams, the pictures of docs/information.md.

    python scripts/draw_information_diagrams.py    # writes docs/figures/information_*.png

The area of a circle stands for the entropy of a random variable, or of several together, that of an
overlap for the information that they share; Yeung (1991), Kirsch and Gal (2021), arXiv:2106.12062.
Labels share nothing but what they tell of the parameters, so overlaps of theirs lie within Ω, and
no region stands for less than nothing. Tests hold each diagram to that: its regions are those that
exist, and what is written in one is what the definitions give. Areas are not to scale.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from al_bench.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = Path(__file__).parents[1] / "docs/figures"
LIGHT, DARK = "#9CCBE8", "#3C93CB"  # of what is maximized, and of a part of it
EDGE, INK = "#4A4A4A", "#222222"
MARGIN = 0.12  # about the circles, in their units

Point = tuple[float, float]


@dataclass(frozen=True)
class Circle:
    """The entropy of some variables.

    Args:
        variables: Of ``Y``, ``Y1``, ``Y2`` and ``Ω``; a target's label is Y1, all together Y1, Y2.
        center: Where it is drawn.
        radius: How large.
        name: What is written beside it.
        name_at: Where.
    """

    variables: frozenset[str]
    center: Point
    radius: float
    name: str
    name_at: Point

    def holds(self, point: Point) -> bool:
        """Whether a point lies within it."""
        x, y = (at - middle for at, middle in zip(point, self.center, strict=True))
        return x * x + y * y < self.radius**2


@dataclass(frozen=True)
class Region:
    """What lies within some circles and outside the others, and what it is called.

    Args:
        inside: Names of circles.
        formula: What is written.
        at: A point of it.
        written_at: Where the formula stands, with a line to ``at``; ``None`` is at that point.
    """

    inside: frozenset[str]
    formula: str
    at: Point
    written_at: Point | None = None


@dataclass(frozen=True)
class Diagram:
    """Circles, the regions that they make, and which overlaps are shaded.

    Args:
        circles: By name.
        regions: All of them.
        shaded: Color of the overlap of two circles, later ones above earlier ones.
    """

    circles: Mapping[str, Circle]
    regions: Sequence[Region]
    shaded: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def inside(self, point: Point) -> frozenset[str]:
        """Names of the circles that a point lies within."""
        return frozenset(name for name, circle in self.circles.items() if circle.holds(point))


def _of(*names: str) -> frozenset[str]:
    return frozenset(names)


BALD = Diagram(
    circles={
        "Y": Circle(_of("Y"), (-0.62, 0.0), 1.0, "H[Y | x]", (-1.0, 1.08)),
        "Ω": Circle(_of("Ω"), (0.75, 0.0), 1.2, "H[Ω]", (0.95, 1.3)),
    },
    regions=[
        Region(_of("Y"), "H[Y | x, Ω]", (-1.05, 0.0)),
        Region(_of("Y", "Ω"), "I[Y; Ω | x]\nBALD", (-0.04, 0.0)),
        Region(_of("Ω"), "H[Ω | x, Y]", (1.15, 0.0)),
    ],
    shaded={("Y", "Ω"): LIGHT},
)

_Y = Circle(_of("Y"), (-0.75, 0.4), 1.0, "H[Y | x]", (-1.62, 1.35))
_OMEGA = Circle(_of("Ω"), (0.0, -0.3), 1.4, "H[Ω]", (0.0, -1.82))
_ALONE = Region(_of("Y"), "H[Y | x, Ω]", (-1.45, 0.75), (-2.15, 0.85))
_LEFT = Region(_of("Ω"), "H[Ω | rest]", (0.0, -1.15))

EPIG = Diagram(
    circles={
        "Y": _Y,
        "Y*": Circle(_of("Y1"), (0.75, 0.4), 1.0, "H[Y* | x*]", (1.68, 1.35)),
        "Ω": _OMEGA,
    },
    regions=[
        _ALONE,
        Region(_of("Y", "Ω"), "I[Y; Ω | x, x*, Y*]", (-0.72, 0.1), (-2.15, -0.75)),
        Region(_of("Y", "Y*", "Ω"), "I[Y; Y* | x, x*]\nEPIG", (0.0, 0.4), (0.0, 1.65)),
        Region(_of("Y*", "Ω"), "I[Y*; Ω | x, x*, Y]", (0.72, 0.1), (2.15, -0.75)),
        Region(_of("Y*"), "H[Y* | x*, Ω]", (1.45, 0.75), (2.15, 0.85)),
        _LEFT,
    ],
    shaded={("Y", "Y*"): LIGHT},
)

JEPIG = Diagram(
    circles={
        "Y": _Y,
        "Y*": Circle(_of("Y1", "Y2"), (0.75, 0.4), 1.0, "H[Y*_1, …, Y*_T]", (1.85, 1.45)),
        "Y*_1": Circle(_of("Y1"), (0.62, 0.66), 0.58, "H[Y*_1]", (0.58, 0.75)),
        "Ω": _OMEGA,
    },
    regions=[
        _ALONE,
        Region(_of("Y", "Ω"), "I[Y; Ω | Y*_1, …, Y*_T]", (-0.72, 0.1), (-2.15, -0.75)),
        Region(
            _of("Y", "Y*", "Ω"),
            "I[Y; Y*_2, …, Y*_T | Y*_1]\nthe rest of JEPIG",
            (0.0, 0.12),
            (-2.15, -1.35),
        ),
        Region(_of("Y", "Y*", "Y*_1", "Ω"), "I[Y; Y*_1]\npart of EPIG", (0.13, 0.66), (0.0, 1.65)),
        Region(_of("Y*", "Y*_1", "Ω"), "I[Y*_1; Ω | Y]", (0.6, 0.38), (2.3, 0.1)),
        Region(_of("Y*", "Ω"), "I[Y*_2, …, Y*_T; Ω | Y, Y*_1]", (0.72, -0.2), (2.15, -0.75)),
        Region(_of("Y*", "Y*_1"), "H[Y*_1 | Ω]", (0.94, 0.98), (2.25, 1.08)),
        Region(_of("Y*"), "H[Y*_2, …, Y*_T | Ω]", (1.5, 0.5), (2.35, 0.62)),
        _LEFT,
    ],
    shaded={("Y", "Y*"): LIGHT, ("Y", "Y*_1"): DARK},
)

DIAGRAMS = {"bald": BALD, "epig": EPIG, "jepig": JEPIG}


def draw(diagram: Diagram) -> "Figure":
    """The picture of a diagram."""
    from matplotlib import patches
    from matplotlib.figure import Figure

    with style.look():
        xs, ys = _extent(diagram)
        width = style.COLUMN_WIDTH if len(diagram.circles) == 2 else 5.2
        figure = Figure(figsize=(width, width * (ys[1] - ys[0]) / (xs[1] - xs[0])))
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), aspect="equal")
        axes.set_axis_off()
        axes.set_xlim(xs)
        axes.set_ylim(ys)
        for (first, second), color in diagram.shaded.items():
            one, other = (diagram.circles[name] for name in (first, second))
            overlap = patches.Circle(one.center, one.radius, facecolor=color, edgecolor="none")
            axes.add_patch(overlap)
            clip = patches.Circle(other.center, other.radius, transform=axes.transData)
            overlap.set_clip_path(clip)
        for circle in diagram.circles.values():
            outline = {"fill": False, "edgecolor": EDGE, "linewidth": 1.0}
            axes.add_patch(patches.Circle(circle.center, circle.radius, **outline))
            named = {"ha": "center", "va": "center", "fontsize": 9, "parse_math": True}
            axes.text(*circle.name_at, _shown(circle.name), **named)
        for region in diagram.regions:
            place = {"ha": "center", "va": "center", "color": INK, "fontsize": 7}
            place["parse_math"] = True
            if region.written_at is None:
                axes.text(*region.at, _shown(region.formula), **place)
                continue
            line = {"arrowstyle": "-", "color": EDGE, "linewidth": 0.5, "shrinkA": 1, "shrinkB": 0}
            axes.annotate(
                _shown(region.formula), region.at, region.written_at, arrowprops=line, **place
            )
            axes.plot(*region.at, marker="o", markersize=1.8, color=EDGE)
    return figure


def _shown(formula: str) -> str:
    """A formula with the numbers of targets below the line."""
    return re.sub(r"Y\*_(\w)", r"Y*$_\\mathregular{\1}$", formula)


def _extent(diagram: Diagram) -> tuple[Point, Point]:
    """From where to where the picture goes, across and up: all circles and what is written."""
    circles = diagram.circles.values()
    xs = [c.center[0] + sign * c.radius for c in circles for sign in (-1, 1)]
    ys = [c.center[1] + sign * c.radius for c in circles for sign in (-1, 1)]
    for x, y in (region.written_at for region in diagram.regions if region.written_at):
        xs += [x - 0.75, x + 0.75] if abs(x) > 1 else []
        ys += [y - 0.1, y + 0.1]
    ys += [c.name_at[1] for c in circles]
    return (min(xs) - MARGIN, max(xs) + MARGIN), (min(ys) - MARGIN, max(ys) + MARGIN)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder")
    out = parser.parse_args().out
    for name, diagram in DIAGRAMS.items():
        with (out / f"information_{name}.png").open("wb") as stream, style.look():
            style.write(draw(diagram), stream, "png")


if __name__ == "__main__":
    main()
