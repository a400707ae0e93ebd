"""Draw which rooms of the package import which, as an SVG that CONTRIBUTING.md shows.

    python scripts/draw_imports.py                              # writes docs/figures/imports.svg
    python scripts/draw_imports.py --root ELSEWHERE --out A.svg  # of another checkout

A room is a folder of the package, or a module at its top. Whatever imports another lies above it,
and an arrow that follows from others is left out. Modules at the top that import only each other
are one box, the ground: everything may import them, and arrows to it are left out. What is found by
its name while al-bench runs, as commands are, is no import.
"""

import argparse
import ast
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from statistics import fmean

ROOT = Path(__file__).parents[1]
OUT = ROOT / "docs/figures/imports.svg"
ENTRIES = {"__init__", "__main__"}
WIDTH, HEIGHT, GAP, ROW, MARGIN = 108, 30, 22, 84, 24  # pixels: of a box, between, of a line

Graph = dict[str, set[str]]
Places = dict[str, tuple[float, float]]  # centers of boxes

STYLE = (
    "text{font:14px sans-serif;text-anchor:middle;fill:#222}"
    "rect{fill:#eef3f8;stroke:#5b7a99}"
    ".arrow{fill:none;stroke:#888;stroke-width:1.3;marker-end:url(#head)}"
)
HEAD = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#888"/></marker></defs>'
)


def imports(package: Path) -> Graph:
    """By room the rooms that it imports anywhere, itself left out."""
    graph: Graph = {}
    for path in sorted(package.rglob("*.py")):
        room = path.relative_to(package).with_suffix("").parts[0]
        reached = graph.setdefault(room, set())
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for first, *rest in (name.split(".") for name in modules(node)):
                if first == package.name and rest and is_room(package, rest[0]):
                    reached.add(rest[0])
        reached.discard(room)
    return graph


def modules(node: ast.AST) -> Iterable[str]:
    """Dotted names that a statement may import."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def is_room(package: Path, name: str) -> bool:
    return (package / name).is_dir() or (package / f"{name}.py").is_file()


def ground(graph: Graph, package: Path) -> set[str]:
    """Modules at the top, and what makes text visible, that import only each other."""
    low = {name for name in graph if (package / f"{name}.py").is_file()} | {"text"} & graph.keys()
    low -= {*ENTRIES, "cli"}
    while above := {name for name in low if graph[name] - low}:
        low -= above
    return low


def below(graph: Mapping[str, set[str]], room: str) -> set[str]:
    """All that a room leads to."""
    return graph[room].union(*(below(graph, other) for other in graph[room]))


def arrows(graph: Graph) -> list[tuple[str, str]]:
    """Those that follow from no others."""
    return [
        (room, other)
        for room in sorted(graph)
        for other in sorted(graph[room])
        if not any(other in below(graph, between) for between in graph[room])
    ]


def lines(graph: Graph) -> list[list[str]]:
    """Rooms from above to below, each in the highest line below all that import it."""
    placed: list[list[str]] = []
    left = {*graph}
    while left:
        line = sorted(left - {other for room in left for other in graph[room]})
        if not line:
            raise SystemExit(f"{', '.join(sorted(left))} import each other in a circle.")
        placed.append(line)
        left -= {*line}
    return placed


def places(graph: Graph) -> tuple[Places, float, float]:
    """Centers of the boxes, each near below what imports it, and the size of all."""
    rows = lines(graph)
    width = max(len(row) for row in rows) * (WIDTH + GAP) - GAP + 2 * MARGIN
    centers: Places = {}
    direct = arrows(graph)
    for number, row in enumerate(rows):
        near = {
            room: fmean([centers[above][0] for above, other in direct if other == room] or [0.0])
            for room in row
        }
        left = (width - len(row) * (WIDTH + GAP) + GAP + WIDTH) / 2
        for place, room in enumerate(sorted(row, key=lambda room: (near[room], room))):
            centers[room] = (left + place * (WIDTH + GAP), MARGIN + HEIGHT / 2 + number * ROW)
    return centers, width, MARGIN + len(rows) * ROW


def arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x0, y0), (x1, y1) = (start[0], start[1] + HEIGHT / 2), (end[0], end[1] - HEIGHT / 2 - 5)
    middle = (y0 + y1) / 2
    curve = f"M{x0:.0f},{y0:.0f} C{x0:.0f},{middle:.0f} {x1:.0f},{middle:.0f} {x1:.0f},{y1:.0f}"
    return f'<path class="arrow" d="{curve}"/>'


def box(label: str, center: tuple[float, float], width: float = WIDTH) -> str:
    x, y = center
    corner = f'x="{x - width / 2:.0f}" y="{y - HEIGHT / 2:.0f}"'
    return (
        f'<rect {corner} width="{width:.0f}" height="{HEIGHT}" rx="5"/>'
        f'<text x="{x:.0f}" y="{y + 5:.0f}">{escape(label)}</text>'
    )


def draw(package: Path) -> str:
    """The picture of a package."""
    everything = imports(package)
    low = ground(everything, package)
    graph = {r: to - low - ENTRIES for r, to in everything.items() if r not in low | ENTRIES}
    centers, width, height = places(graph)
    label = f"ground: {' '.join(sorted(low))}"
    inner, width = width, max(width, 8.0 * len(label) + 2 * MARGIN)
    total = height + HEIGHT + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {total:.0f}">',
        f"<style>{STYLE}</style>{HEAD}",
        f'<rect width="{width:.0f}" height="{total:.0f}" style="fill:#fff;stroke:none"/>',
        f'<g transform="translate({(width - inner) / 2:.0f} 0)">',
        *(arrow(centers[room], centers[other]) for room, other in arrows(graph)),
        *(box(room, center) for room, center in sorted(centers.items())),
        "</g>",
        box(label, (width / 2, height + HEIGHT / 2), width - 2 * MARGIN),
        "</svg>\n",
    ]
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=ROOT, help="where al_bench lies")
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    asked.out.write_text(draw(asked.root / "al_bench"), encoding="utf-8")


if __name__ == "__main__":
    main()
