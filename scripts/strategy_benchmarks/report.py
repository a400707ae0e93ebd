"""What was measured, in words: lines while it runs, and tables for the docs."""

from collections.abc import Mapping, Sequence
from typing import Any

from strategy_benchmarks.case import Facts

MIB = 2**20


def tables(reports: Sequence[Mapping[str, Any]]) -> str:
    """Markdown tables of one or several result files; of two measurements the later file's."""
    lines = list(dict.fromkeys(said_of(report) for report in reports))
    rows = {(row["row"], row["name"]): row for report in reports for row in report["rows"]}
    compared = [row for row in rows.values() if row["row"] not in ("pointwise", "every")]
    if compared:
        lines += ["", *comparison(compared)]
    pointwise = [row for row in rows.values() if row["row"] == "pointwise"]
    if pointwise:
        lines += ["", *scores(pointwise)]
    every = [row for row in rows.values() if row["row"] == "every"]
    if every:
        lines += ["", *bounds(every)]
    scaling = {entry["name"]: entry for report in reports for entry in report["scaling"]}
    if scaling:
        lines += ["", *growth(list(scaling.values()))]
    return "\n".join(lines)


def said_of(report: Mapping[str, Any]) -> str:
    """Where a file was measured."""
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    return (
        f"{report['processor']['name']}, {report['threads']} thread(s), {report['clock']}; "
        f"{versions}; data: {report['data']}."
    )


def comparison(rows: Sequence[Facts]) -> list[str]:
    """A line a peer."""
    lines = [
        "| strategy | work | CPU seconds | against | faster by | wanted | same answer "
        "| peak memory, ours / theirs | over the floor | wanted |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row.get("failed"):
            lines.append(f"| {row['name']} | {row['work']} | {row['failed']} |" + " |" * 7)
            continue
        for peer in row["peers"] or [None]:
            lines.append(comparison_line(row, peer))
    return lines


def comparison_line(row: Facts, peer: Facts | None) -> str:
    """One peer's line."""
    if peer is None:
        against = ["–"] * 4
    elif peer["ratio"] is None:
        missing = peer["failed"] or "not installed"
        against = [peer["name"], missing, times(peer["at_least"], "≥ "), "–"]
    else:
        against = [
            peer["name"],
            ranged(peer["ratio"], "×"),
            times(peer["at_least"], "≥ "),
            agreed(peer["agreement"]),
        ]
    floor = row["floor"]
    memory = size(row["peak_bytes"]) + (f" / {size(peer['peak_bytes'])}" if peer else "")
    over = [ranged(floor["ratio"], "×"), times(floor["at_most"], "≤ ")] if floor else ["–", "–"]
    share = row["facts"].get("share_evaluated")
    work = row["work"] + (f"; {share:.0%} evaluated" if share is not None else "")
    cells = [row["name"], work, ranged(row["seconds"]), *against, memory, *over]
    return f"| {' | '.join(cells)} |"


def scores(rows: Sequence[Facts]) -> list[str]:
    """A line a score."""
    lines = [
        f"{rows[0]['work']}:",
        "",
        "| score | posterior | CPU seconds | over one pass of exp | wanted | peak memory |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        name, posterior = row["name"].removeprefix("score ").split(", ", 1)
        floor = row.get("floor")
        if row.get("failed"):
            lines.append(f"| {name} | {posterior} | {row['failed']} | | | |")
            continue
        cells = [name, posterior, ranged(row["seconds"]), ranged(floor["ratio"], "×")]
        cells += [times(floor["at_most"], "≤ "), size(row["peak_bytes"])]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def bounds(rows: Sequence[Facts]) -> list[str]:
    """A line a strategy."""
    lines = [
        f"{rows[0]['work']}; at most 10 minutes and 4 GiB beyond the input:",
        "",
        "| strategy | CPU seconds | peak memory | within |",
        "|---|---|---|---|",
    ]
    for row in rows:
        name = row["name"].split()[-1]
        if row.get("failed"):
            lines.append(f"| {name} | {row['failed']} | | **no** |")
            continue
        lines.append(
            f"| {name} | {number(row['seconds']['median'])} | {size(row['peak_bytes'])} "
            f"| {'yes' if within(row) else '**no**'} |"
        )
    return lines


def growth(entries: Sequence[Facts]) -> list[str]:
    """A line a strategy."""
    said = next((entry["of"] for entry in entries if "of" in entry), "")
    lines = [
        f"Exponents of the cost, median [min, max] ({said}):",
        "",
        "| strategy | in N | in B |",
        "|---|---|---|",
    ]
    for entry in entries:
        if "failed" in entry:
            lines.append(f"| {entry['name']} | {entry['failed']} | |")
            continue
        shown = [ranged(entry[axis]["exponent"]) for axis in ("points", "batch")]
        lines.append(f"| {entry['name']} | {shown[0]} | {shown[1]} |")
    return lines


def within(row: Facts) -> bool:
    """Whether time and memory stay below their bounds; memory that is not known does."""
    too_long = row["at_most_seconds"] and row["seconds"]["max"] > row["at_most_seconds"]
    too_large = row["at_most_bytes"] and (row["peak_bytes"] or 0) > row["at_most_bytes"]
    return not (too_long or too_large)


def complaints(row: Facts) -> list[str]:
    """What is wrong with a row: it broke, or its answer is not the peer's or a second formula's."""
    if row.get("failed"):
        return [f"{row['name']}: {row['failed']}"] if row["broken"] else []
    answers = {peer["name"]: peer["agreement"] for peer in row["peers"]}
    answers["a second formula"] = row["agreement"]
    wrong = [name for name, found in answers.items() if found and found.get("equal") is False]
    return [f"{row['name']}: another answer than {name}" for name in wrong]


def line(row: Facts) -> str:
    """One case in a few lines of text."""
    if row.get("failed"):
        return f"{row['name']}: {row['failed']}"
    memory = size(row["peak_bytes"])
    parts = [f"{row['name']} ({row['work']}): {ranged(row['seconds'])} s, {memory}"]
    for peer in row["peers"]:
        if peer["ratio"] is None:
            parts.append(f"  {peer['name']}: {peer['failed'] or 'not installed'}")
            continue
        parts.append(
            f"  {peer['name']}: {ranged(peer['ratio'], '×')} slower"
            f" {times(peer['at_least'], 'wanted ≥ ')}, {size(peer['peak_bytes'])}"
            f"; {peer['agreement']}"
        )
    if row["floor"]:
        floor = row["floor"]
        parts.append(
            f"  {ranged(floor['ratio'], '×')} of the floor ({floor['name']})"
            f" {times(floor['at_most'], 'wanted ≤ ')}"
        )
    if row["facts"]:
        parts.append(f"  {row['facts']}")
    return "\n".join(parts)


def agreed(agreement: Facts | None) -> str:
    """In a cell."""
    if not agreement or "equal" not in agreement:
        return "–"
    said = "yes" if agreement["equal"] else "**no**"
    return f"{said}, first {agreement['compared']}" if "compared" in agreement else said


def ranged(values: Mapping[str, float], unit: str = "") -> str:
    """Median [min, max]."""
    low, high = number(values["min"]), number(values["max"])
    return f"{number(values['median'])}{unit} [{low}, {high}]"


def times(value: float | None, sign: str) -> str:
    """A bound in a cell."""
    return "–" if value is None else f"{sign}{number(value)}×"


def number(value: float) -> str:
    """Three significant digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def size(value: int | None) -> str:
    """Bytes in MiB."""
    return "–" if value is None else f"{value / MIB:,.0f} MiB"
