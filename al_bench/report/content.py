"""Everything a report shows, collected from results folders."""

import base64
import io
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from al_bench.masking import masked_command, masked_text
from al_bench.plots.figures import Options, available, drawn
from al_bench.report.publishing import (
    hosts_of,
    in_lines,
    published,
    published_frame,
    without_places,
)
from al_bench.report.words import verdicts
from al_bench.results import ledger, manifest, plain, sweeps
from al_bench.results.frame import read_curves
from al_bench.results.history import TrialPaths
from al_bench.results.ledger_words import distinctions
from al_bench.results.wording import Setup, differing, value_in_words
from al_bench.stats.across import across
from al_bench.stats.comparison import Comparison, compare
from al_bench.stats.measures import Measure, p_value
from al_bench.stats.rows import (
    across_rows,
    area_in_words,
    axis_of_row,
    is_one_count,
    protocol_rows,
    saved_in_row,
    speed_up_in_row,
)
from al_bench.stats.runs import by_protocol
from al_bench.stats.spent import LABELS, STEPS, Axis, axis_of, by_axis, spent
from al_bench.stats.summary import mark_controls, marked
from al_bench.stats.undefined import reasons
from al_bench.text.visible import in_a_line, visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NARROW = 5.0  # inches: a figure of one column is not blown up to the whole page

# In the order of the page; what a figure module is called and what its picture says, {Spent} being
# labels or steps.
FIGURES = {
    "curves": "Learning curves: mean over seeds with 95 % intervals",
    "difference": "Difference to the baseline, paired by seed, with simultaneous 95 % bands",
    "labels_to_target": "{Spent} it takes to reach given values",
    "ranks": "Mean rank over all protocols, 1 is best, with 95 % intervals",
    "penalties": "Pairwise penalties: rounds in which the row is better by a paired t-test at 5 %",
    "profile": "Performance profile: share of trials above a gain over the baseline",
    "time": "Quality against time, and where the time goes",
    "selected": "What the steps were taken on, as shares of the points chosen",
    "calibration": "Calibration",
    "audit": "What was bought",
}

_TITLES = {
    LABELS: "active learning: strategies compared",
    STEPS: "active sampling: selections compared",
}
_PAIRED = {
    LABELS: "seeds share splits, initial sets and initial weights",
    STEPS: "seeds share splits, the candidates of each step and initial weights",
}


@dataclass(frozen=True)
class Table:
    """A table of text: column heads, rows, and which columns hold numbers."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Picture:
    """A figure as a data address, with what it shows."""

    title: str
    source: str
    narrow: bool


@dataclass(frozen=True)
class Section:
    """One protocol."""

    title: str
    verdicts: tuple[str, ...]
    tables: tuple[Table, ...]
    protocol: Table
    commands: tuple[str, ...]
    config: str


@dataclass(frozen=True)
class Content:
    """A whole report."""

    title: str
    summary: tuple[str, ...]
    sections: tuple[Section, ...]
    together: tuple[Table, ...]
    paired: tuple[str, ...]
    curves: tuple[Picture, ...]
    pictures: tuple[Picture, ...]
    caveats: tuple[str, ...]
    hardware: Table
    versions: Table


def collect(
    folders: Sequence[Path],
    metric: str,
    baseline: str | None,
    reach: Sequence[float],
    title: str | None,
    publish: str | None = None,
) -> Content:
    """Read, compare and draw everything under ``folders``.

    Absolute paths and names of machines are left out, but for ``publish="all"``; secrets always.

    Raises:
        ConfigError: There is no such folder, metric or baseline.
        ResultsError: There is nothing to read.
    """
    frame = read_curves(folders)
    unused = {Path(curve) for curve in frame.attrs["unused"]}
    manifests = list(_manifests(folders, unused))
    hosts = hosts_of([m.content for m in manifests])

    def change(text: str) -> str:
        return visible(masked_text(text) if publish else without_places(text, hosts))

    frame = in_lines(published_frame(frame, masked_text if publish else without_places))
    baseline = baseline and in_a_line(baseline if publish else without_places(baseline))
    spans = manifest.spans(m.content for m in manifests)
    kinds = [axis for axis, _ in by_axis(frame)]
    comparison = compare(
        frame,
        metric,
        baseline,
        reach=reach,
        spans=spans,
        staged=sweeps.read_decisions(folders),
    )
    together = [
        _together(across_rows(shared, baseline or axis.baseline), kind)
        for axis, kind in comparison.by_axis().items()
        if (shared := across(kind)) is not None
    ]
    protocols = by_protocol(frame)
    keys = differing([protocols[result.key] for result in comparison.protocols])
    sections = []
    for result in comparison.protocols:
        its_manifests = [m for m in manifests if m.content.get("protocol_id") == result.key]
        sections.append(
            Section(
                title=result.title,
                verdicts=tuple(verdicts(result, comparison.measure)),
                tables=tuple(_tables(protocol_rows(comparison, result), comparison, reach)),
                protocol=_protocol(
                    frame[frame["protocol_id"] == result.key], protocols[result.key], keys
                ),
                commands=tuple(dict.fromkeys(_command(m.content) for m in its_manifests)),
                config=its_manifests[0].config if its_manifests else "",
            )
        )
    frame = mark_controls(frame)
    if baseline is not None and baseline not in set(frame["strategy_label"]):
        baseline = marked(baseline)
    options = Options(metric, reach=reach or None, folders=tuple(folders))
    pictures = list(_pictures(frame, options, baseline))
    content = Content(
        title="",
        summary=_summary(comparison),
        sections=tuple(sections),
        together=tuple(together),
        paired=tuple(_PAIRED[axis] for axis in kinds),
        curves=tuple(picture for picture in pictures if picture.title == FIGURES["curves"]),
        pictures=tuple(picture for picture in pictures if picture.title != FIGURES["curves"]),
        caveats=(*comparison.caveats, *_failures(folders, unused)),
        hardware=_count_table("Hardware", [_machine(m.content) for m in manifests]),
        versions=_versions([m.content for m in manifests]),
    )
    return replace(published(content, change), title=in_a_line(title or _title(kinds)))


def _title(kinds: Sequence[Axis]) -> str:
    text = ", and ".join(_TITLES[axis] for axis in kinds)
    return text[0].upper() + text[1:]


def _command(content: Mapping[str, Any]) -> str:
    return masked_command(str(content.get("command", "")))


@dataclass(frozen=True)
class _Manifest:
    content: Mapping[str, Any]
    config: str


def _manifests(folders: Sequence[Path], unused: Set[Path]) -> Iterator[_Manifest]:
    """Every readable manifest under the folders with its run's configuration.

    But for those of copies whose curves are not used.
    """
    configs: dict[Path, str] = {}
    for path, content in manifest.under(folders):
        if path.resolve().parent.parent / "curves" / f"{path.stem}.parquet" in unused:
            continue
        config = path.parent.parent / "config.yaml"
        if config not in configs:
            configs[config] = _config(config)
        yield _Manifest(content, configs[config])


def _config(path: Path) -> str:
    """What a run's ``config.yaml`` says; nothing where it cannot be read."""
    try:
        return plain.content(path).decode(errors="replace")
    except FileNotFoundError:
        return ""
    except (OSError, plain.Unfit) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        warnings.warn(f"{path} is left out: {reason}.", stacklevel=2)
        return ""


def _failures(folders: Sequence[Path], unused: Set[Path]) -> list[str]:
    sentences = []
    for folder in folders:
        if not folder.is_dir():
            continue
        entries = ledger.status(folder)
        words = distinctions(entries)
        for entry in entries:
            if entry.folder is not None and entry.seed is not None:
                paths = TrialPaths(entry.folder.resolve(), entry.seed)
                if paths.curve in unused:
                    continue
            if entry.state in (ledger.FAILED, ledger.STALE, ledger.DAMAGED):
                where = entry.strategy_label or " ".join(entry.overrides)
                if entry.folder is not None:
                    where = ", ".join([where, *words.get(entry.folder, ())])
                seed = "" if entry.seed is None else f", seed {entry.seed}"
                why = f": {entry.message}" if entry.message else ""
                sentences.append(in_a_line(f"{where}{seed} {entry.state}{why}"))
    return sentences


def _summary(comparison: Comparison) -> tuple[str, ...]:
    """One line a protocol: which arms are better, worse, equivalent, or none of these."""
    lines = []
    for result in comparison.protocols:
        groups: dict[str, list[str]] = {}
        for arm in result.arms:
            if arm.verdict is not None:
                name = marked(arm.arm) if arm.sees_labels else arm.arm
                groups.setdefault(arm.verdict, []).append(name)
        parts = [
            f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {verdict}"
            for verdict, names in groups.items()
        ]
        lines.append(f"{result.title}: {'; '.join(parts) or 'nothing to compare'}.")
    return tuple(lines)


def _tables(
    records: Sequence[dict[str, Any]], comparison: Comparison, reach: Sequence[float]
) -> Iterator[Table]:
    measure = comparison.measure
    axis = axis_of_row(records[0])
    low, high = records[0][f"{axis.many}_from"], records[0][f"{axis.many}_to"]
    heading = area_in_words(records[0])
    counts = f" from {low:g} to {high:g} {axis.many}" if low < high else ""
    caption = f"{measure.label}, {heading}{counts}, differences paired by seed"
    why = reasons(records)
    won = "higher" if measure.higher_is_better is None else "won"
    yield Table(
        f"{caption}. {why}" if why else caption,
        ("arm", "seeds", heading, "difference", "95 % interval", won, "p (Holm)", "verdict"),
        tuple(
            (
                marked(r["arm"]) if r["sees_labels"] else r["arm"],
                str(r["seeds"]),
                _text(r["area"], measure),
                _text(r.get("difference"), measure, "+"),
                _span(r.get("difference_low"), r.get("difference_high"), measure),
                _count(r.get("wins"), r.get("pairs")),
                _p(r.get("p_holm")),
                "" if pd.isna(r["verdict"]) else str(r["verdict"]),
            )
            for r in records
        ),
    )
    if measure.higher_is_better is None or is_one_count(records[0]):
        return  # nothing is saved
    unit = " %" if measure.unit == "%" else ""
    yield Table(
        f"{axis.many.capitalize()}: saved at the baseline's final value (at most: the arm never "
        "has it)" + (", and taken to given values (median)" if reach else ""),
        (
            "arm",
            f"{axis.many} saved",
            *(f"to {target * measure.scale:g}{unit}" for target in reach),
        ),
        tuple(
            (
                marked(r["arm"]) if r["sees_labels"] else r["arm"],
                saved_in_row(r),
                *(_count_to(r.get(f"{axis.many}_to_{target:g}")) for target in reach),
            )
            for r in records
        ),
    )
    if any("speed_up" in r for r in records):
        yield Table(
            "Speed-up: when the baseline first has its best value over when the arm first has it "
            "(median with 95 % interval); in time with the training of "
            "irreducible-loss models; as published by the last pass, counted from zero",
            ("arm", "in steps", "seeds that never have it", "in time", "as published"),
            tuple(
                (
                    r["arm"],
                    speed_up_in_row(r),
                    "" if "speed_up_never" not in r else str(r["speed_up_never"]),
                    speed_up_in_row(r, "speed_up_time"),
                    speed_up_in_row(r, "speed_up_published"),
                )
                for r in records
            ),
        )


def _together(rows: pd.DataFrame, comparison: Comparison) -> Table:
    measure = comparison.measure
    controls = {
        arm.arm for result in comparison.protocols for arm in result.arms if arm.sees_labels
    }
    return Table(
        "All protocols together, with 95 % intervals of the stratified bootstrap",
        ("arm", "mean rank", "interval", "gain", "interval", "P(better than baseline)", "penalty"),
        tuple(
            (
                marked(r["arm"]) if r["arm"] in controls else r["arm"],
                f"{r['rank']:.2f}",
                f"{r['rank_low']:.2f} to {r['rank_high']:.2f}",
                _text(r["gain"], measure, "+"),
                _span(r["gain_low"], r["gain_high"], measure),
                "" if pd.isna(r["improvement"]) else f"{r['improvement']:.2f}",
                f"{r['penalty']:.2f}",
            )
            for r in rows.to_dict("records")
        ),
    )


def _protocol(frame: pd.DataFrame, protocol: Setup, keys: Sequence[str]) -> Table:
    """What a protocol is: its choices, and the value of each key that differs between protocols."""
    first = frame.iloc[0]
    names = ("dataset", "pool", "model", "network", "training", "budget")
    rows = [(name, str(first[name])) for name in names]
    axis, counts = axis_of(frame), spent(frame)
    if axis is LABELS:
        rows.append(("initial set", protocol.names.get("init_strategy") or "drawn"))
    rows += [(key, in_a_line(value_in_words(protocol.settings.get(key)))) for key in keys]
    rows.append((axis.many, f"{counts.min()} to {counts.max()}"))
    if axis is STEPS:
        rows.append(("training points", str(first["num_labeled"])))
        holdout = first["num_holdout"]
        rows.append(("holdout points", "" if pd.isna(holdout) else str(holdout)))
    rows += [
        ("validation points", str(first["num_validation"])),
        ("protocol id", str(first["protocol_id"])),
    ]
    return Table("What all arms share", ("what", "choice"), tuple(rows))


def _pictures(frame: pd.DataFrame, options: Options, baseline: str | None) -> Iterator[Picture]:
    drawers = available()
    for name, title in FIGURES.items():
        if name not in drawers:
            continue
        for axis, rows in by_axis(frame):
            caption = title.format(Spent=axis.many.capitalize())
            for figure in drawn(name, drawers[name], rows, options, baseline).values():
                narrow = figure.get_size_inches()[0] < NARROW
                yield Picture(caption, _address(figure), bool(narrow))


def _address(figure: "Figure") -> str:
    """The figure as SVG in a data address; letters are paths, so that it looks alike anywhere."""
    import matplotlib

    from al_bench.plots import style

    buffer = io.BytesIO()
    with style.look():
        matplotlib.rcParams["svg.fonttype"] = "path"  # put back by the context
        style.write(figure, buffer, "svg")
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


def _machine(content: Mapping[str, Any]) -> str:
    hardware, engine = content.get("hardware") or {}, content.get("engine") or {}
    memory = (hardware.get("memory_bytes") or 0) / 2**30
    gpus = ", ".join(hardware.get("gpus") or []) or "no GPU"
    return (
        f"{hardware.get('cpu', 'unknown processor')}, {hardware.get('cores', '?')} cores, "
        f"{memory:.0f} GiB, {gpus}; device {engine.get('device', '?')}, scoring "
        f"{engine.get('scoring_precision', '?')}, training {engine.get('training_precision', '?')}"
    )


def _count_table(caption: str, values: Sequence[str]) -> Table:
    counts = pd.Series(values, dtype="object").value_counts()
    rows = tuple((str(value), str(count)) for value, count in sorted(counts.items()))
    return Table(caption, (caption.lower(), "trials"), rows)


def _versions(contents: Sequence[Mapping[str, Any]]) -> Table:
    by_name: dict[str, set[str]] = {}
    for content in contents:
        for name, version in (content.get("versions") or {}).items():
            by_name.setdefault(str(name), set()).add(str(version))
        commit = ((content.get("code") or {}).get("package") or {}).get("commit")
        if commit:
            changed = " with local changes" if content["code"]["package"].get("diff") else ""
            by_name.setdefault("commit", set()).add(f"{commit[:12]}{changed}")
    rows = tuple((name, ", ".join(sorted(versions))) for name, versions in by_name.items())
    return Table("Versions", ("package", "version"), rows)


def _text(value: Any, measure: Measure, sign: str = "") -> str:
    if value is None or pd.isna(value):
        return ""
    return f"{value * measure.scale:{sign}.{measure.digits}f}"


def _span(low: Any, high: Any, measure: Measure) -> str:
    if low is None or pd.isna(low):
        return ""
    return f"{_text(low, measure, '+')} to {_text(high, measure, '+')}"


def _count_to(value: Any) -> str:
    if value is None or pd.isna(value):
        return ""
    return "never" if value == math.inf else f"{value:g}"


def _count(wins: Any, pairs: Any) -> str:
    return "" if wins is None or pd.isna(wins) else f"{wins:.0f} of {pairs:.0f}"


def _p(value: Any) -> str:
    if value is None or pd.isna(value):
        return ""
    return p_value(value)
