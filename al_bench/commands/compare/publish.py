"""Comparison tables for papers and pages: LaTeX (booktabs) and Markdown."""

import math
import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from al_bench.stats.measures import measure, p_value
from al_bench.stats.rows import (
    area_in_words,
    axis_of_row,
    is_one_count,
    saved_in_row,
    speed_up_in_row,
)
from al_bench.stats.spent import STEPS
from al_bench.stats.summary import marked
from al_bench.stats.undefined import reasons
from al_bench.text.markdown import escaped
from al_bench.text.visible import in_a_line

# What LaTeX takes for an order, or for two signs in one.
_TEX = str.maketrans(
    {sign: rf"\{sign}" for sign in "_%&#${}"}
    | {sign: f"${sign}$" for sign in "<>|"}
    | {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
    | {"`": r"\textasciigrave{}", '"': r"\char34{}", "·": r"$\cdot$"}
)

TESTS = ("difference", "w/t/l", "p (Holm)", "verdict")


def markdown(rows: pd.DataFrame) -> str:
    """A table a protocol under its title."""
    parts = []
    for title, table in rows.groupby("protocol", sort=False):
        lines = [f"**{escaped(title)}**", ""]
        if remark := _remark(table):
            lines += [escaped(remark), ""]
        head = _head(table)
        lines += [_line(head), _line(["---"] * len(head))]
        lines += [_line([escaped(name), *numbers]) for name, *numbers in _cells(table)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def latex(rows: pd.DataFrame) -> str:
    """A booktabs table a protocol, its title in the caption."""
    parts = []
    for title, table in rows.groupby("protocol", sort=False):
        remark = _remark(table)
        head = _head(table)
        caption = f"{title}. {remark}" if remark else str(title)
        body = [" & ".join(map(_tex, cells)) + r" \\" for cells in _cells(table)]
        parts.append(
            "\n".join(
                [
                    r"\begin{table}",
                    rf"\caption{{{_tex(caption)}}}",
                    rf"\begin{{tabular}}{{l{'r' * 5}l{'r' * (len(head) - 7)}}}",
                    r"\toprule",
                    " & ".join(map(_tex, head)) + r" \\",
                    r"\midrule",
                    *body,
                    r"\bottomrule",
                    r"\end{tabular}",
                    r"\end{table}",
                ]
            )
        )
    return "\n\n".join(parts)


def _remark(table: pd.DataFrame) -> str:
    """Which baseline it is where that is not plain, and why cells are empty."""
    rows = table.to_dict("records")
    compared = rows[0].get("compared")
    return " ".join(filter(None, [compared if isinstance(compared, str) else "", reasons(rows)]))


def _head(table: pd.DataFrame) -> list[str]:
    row = table.iloc[0].to_dict()
    return ["arm", "seeds", area_in_words(row), *TESTS, *_gains(row)]


def _cells(table: pd.DataFrame) -> list[list[str]]:
    return [_row(row) for row in table.to_dict("records")]


def _row(row: dict[Any, Any]) -> list[str]:
    metric = measure(str(row["metric"]))
    digits, scale = metric.digits, metric.scale
    name = marked(str(row["arm"])) if row["sees_labels"] else str(row["arm"])
    cells = [name, str(row["seeds"]), _number(row["area"], scale, digits)]
    if row.get("difference") is None or math.isnan(row.get("difference", math.nan)):
        return [*cells, *("" for _ in (*TESTS, *_gains(row)))]
    difference = f"{row['difference'] * scale:+z.{digits}f}"
    if not math.isnan(row["difference_low"]):
        low, high = row["difference_low"] * scale, row["difference_high"] * scale
        difference += f" [{low:+z.{digits}f}, {high:+z.{digits}f}]"
    counts = "/".join(f"{row[name]:.0f}" for name in ("wins", "ties", "losses"))
    tests = [difference, counts, p_value(row["p_holm"]), str(row["verdict"] or "")]
    return [*cells, *tests, *_gains(row).values()]


def _gains(row: dict[Any, Any]) -> dict[str, str]:
    """What an arm saves, by the heading of its column."""
    axis = axis_of_row(row)
    gains = {} if is_one_count(row) else {f"{axis.many} saved": saved_in_row(row)}
    return gains | ({"speed-up": speed_up_in_row(row)} if axis is STEPS else {})


def _number(value: float, scale: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value * scale:.{digits}f}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _tex(text: str) -> str:
    """Text as LaTeX sets it; a row must not begin with a bracket or a star, which ends the last."""
    tex = re.sub("-(?=-)", "-{}", in_a_line(text).translate(_TEX))
    return f"{{}}{tex}" if tex.startswith(("[", "*")) else tex
