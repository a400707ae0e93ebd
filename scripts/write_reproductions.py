"""Write docs/reproductions.md from docs/published.yaml and the curves in results/reference.

python scripts/write_reproductions.py
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from reproductions import ours
from reproductions.published import SOURCES, Experiment, Number, Ordering, Value, read
from reproductions.verdict import AGREES, DIFFERS, SHAPE, UNDECIDED, Measured, measured, verdict

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "docs" / "published.yaml"
REFERENCE = ROOT / "results" / "reference"
PAGE = ROOT / "docs" / "reproductions.md"
PRESETS = ROOT / "conf" / "experiment"

NOT_RUN = "not run"
MEANING = {
    AGREES: "the protocol is the published one as far as it was published (what differs is told "
    "with the numbers), the published value lies in our 95 % interval "
    "(where the paper gives mean, deviation and number of runs: Welch's interval of the "
    "difference holds zero), and that interval is no wider than four points, or a tenth of the "
    "published value where it is no fraction",
    UNDECIDED: "the protocol is the published one and the value lies inside, but the interval is "
    "wider than that, or there are too few seeds for one",
    DIFFERS: "the protocol is the published one and the value lies outside",
    SHAPE: "sizes or settings are others, so that numbers need not agree; what is held to the "
    "paper are its orderings, by `al-bench compare` after Holm's adjustment",
    NOT_RUN: "there is no stored run, for the reason given",
}

HEAD = """# Published numbers, and ours beside them

Written by `scripts/write_reproductions.py` from [published.yaml](published.yaml) and the curves
under [results/reference](../results/reference). Each value is the mean, or the median, over seeds
with its 95 % interval (Student's t for means; order statistics for medians, which need six seeds).
What a verdict means:

"""


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {len(read(PUBLISHED))} experiments")


def page(published: Path = PUBLISHED, reference: Path = REFERENCE) -> str:
    """The whole page."""
    experiments = read(published)
    sections = [section(experiment, reference) for experiment in experiments]
    meaning = "".join(f"- *{name}*: {words}.\n" for name, words in MEANING.items())
    sources = "; ".join(f"{letter}: {words}" for letter, words in SOURCES.items())
    head = f"{HEAD}{meaning}\nWhere a published value is from: {sources}.\n"
    rows = [
        f"| [{one.title}](#{_anchor(one.title)}) | {one.work} | {summary} |"
        for one, (_, summary) in zip(experiments, sections, strict=True)
    ]
    table = "\n".join(["| experiment | published by | verdicts |", "| --- | --- | --- |", *rows])
    return "\n".join([head, table, "", *(text for text, _ in sections)]).rstrip() + "\n"


def section(experiment: Experiment, reference: Path) -> tuple[str, str]:
    """Text on one experiment, and its verdicts in a few words."""
    lines = [f"## {experiment.title}\n", f"{experiment.work}. {_command(experiment)}\n"]
    if experiment.results is None:
        lines += [f"Not run: {experiment.not_run}\n", *_published_alone(experiment)]
        return "\n".join(lines), NOT_RUN
    frame = ours.rows_of(reference, experiment)
    verdicts: Counter[str] = Counter()
    if experiment.numbers:
        lines += ["| | arm | published | ours | verdict |", "| --- | --- | --- | --- | --- |"]
        for number in experiment.numbers:
            for value, mine in _pairs(frame, number):
                word = NOT_RUN
                if mine is not None:
                    word = verdict(
                        value, mine, number.statistic, number.in_points, experiment.same_protocol
                    )
                verdicts[word] += 1
                theirs, shown = (
                    _published(value, number),
                    "" if mine is None else _ours(mine, number),
                )
                lines.append(f"| {number.what} | {value.arm} | {theirs} | {shown} | {word} |")
        lines.append("")
    lines += [*_orderings(frame, experiment, verdicts)]
    if experiment.differs:
        lines.append(f"What differs: {experiment.differs}\n")
    return "\n".join(lines), ", ".join(f"{count} {word}" for word, count in verdicts.items())


def _pairs(frame: pd.DataFrame, number: Number) -> Iterator[tuple[Value, Measured | None]]:
    sped = ours.speed_ups(frame, number) if number.speed_up is not None else {}
    for value in number.values:
        if number.speed_up is not None:
            values = sped.get(value.arm, np.array([]))
        else:
            rows = ours.arm_of(frame, value.arm)
            values = ours.values_of(rows, number) if len(rows) else np.array([])
        yield value, measured(values, number.statistic) if len(values) else None


def _orderings(
    frame: pd.DataFrame, experiment: Experiment, verdicts: Counter[str]
) -> Iterator[str]:
    for ordering in experiment.orderings:
        said = ours.said_of(frame, ordering)
        claim = _claim(ordering)
        if said is None:
            word = "an arm of it was not run"
        else:
            word = {"better": "confirmed", "worse": "the opposite is the case"}.get(said, said)
            confirmed = "confirmed" if said == "better" else "not confirmed"
            verdicts[f"ordering {confirmed}"] += 1
        yield f"- {claim}: **{word}**."
    if experiment.orderings:
        yield ""


def _published_alone(experiment: Experiment) -> Iterator[str]:
    for number in experiment.numbers:
        values = ", ".join(f"{value.arm} {_published(value, number)}" for value in number.values)
        yield f"- Published, {number.what}: {values}."
    for ordering in experiment.orderings:
        yield f"- {_claim(ordering)}."
    yield ""


def _claim(ordering: Ordering) -> str:
    checked = " (claimed, not checked in the paper)" if ordering.source == "M" else ""
    metric = "" if ordering.metric == "test_accuracy" else f" by {ordering.metric}"
    return f"{ordering.better} above {ordering.than}{metric}{checked}"


def _command(experiment: Experiment) -> str:
    if experiment.preset is None:
        return "There is no preset."
    text = (PRESETS / f"{experiment.preset}.yaml").read_text(encoding="utf-8")
    (command,) = re.findall(r"^# (al-bench (?:run|study \w+) experiment=\S+)", text, re.MULTILINE)
    return f"`{command}`"


def _published(value: Value, number: Number) -> str:
    text = _plain(value.value, number)
    if value.deviation is not None:
        text += f" ± {_plain(value.deviation, number)}"
    if value.seeds is not None:
        text += f" (n = {value.seeds})"
    return f"{text} [{number.source}]"


def _ours(mine: Measured, number: Number) -> str:
    bounds = ""
    if not math.isnan(mine.low):
        bounds = f" [{_plain(mine.low, number)}, {_plain(mine.high, number)}]"
    return f"{_plain(mine.center, number)}{bounds} (n = {len(mine.values)})"


def _plain(value: float, number: Number) -> str:
    if math.isinf(value):
        return "never"
    if number.reach is not None:
        return f"{value:.0f}"
    return f"{value:.2f}" if number.in_points or abs(value) >= 1 else f"{value:.4f}"


def _anchor(title: str) -> str:
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -")
    return kept.replace(" ", "-")


if __name__ == "__main__":
    main()
