"""A stored run described in words: what it is, how far it has come, and where its files lie."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from al_bench.commands.info.stored_run import FILES, SECONDS, StoredRun
from al_bench.results import settings
from al_bench.results.ledger import DAMAGED, DONE, STATES
from al_bench.results.schema import ENGINE
from al_bench.results.spending import STEPS, spent_by
from al_bench.stats.intervals import mean_interval
from al_bench.text.duration import in_words
from al_bench.text.terminal import spans

Line = tuple[str, str]  # what it is about, and what is said
GROUPS = ("dataset", "pool", "model", "training", "budget")
VERSIONS = ("python", "al-bench", "torch", "numpy")
_PLAIN = (bool, int, float, str)


def lines(run: StoredRun) -> Iterator[Line]:
    """What is known of a run, from what it is to where it lies; what is unknown is left out."""
    ids = [run.name("run_id") or run.folder.name, run.name("protocol_id")]
    yield "run", ids[0] + (f", protocol {ids[1]}" if ids[1] else "")
    yield from _choices(run)
    yield from _seeds(run)
    yield from _results(run)
    yield from _engines(run)
    yield from _provenance(run)
    yield "files", _files(run)
    for sentence in _notes(run):
        yield "note", sentence


def _choices(run: StoredRun) -> Iterator[Line]:
    """The parts of the configuration with their parameters, as far as they are numbers or words."""
    config = run.settings or {}
    names = {**(run.manifests[-1] if run.manifests else {}), **(run.rows[-1] if run.rows else {})}
    chooser = "selection" if any(key.startswith("selection.") for key in config) else "strategy"
    for group in (*GROUPS, chooser, "init_strategy", "target"):
        parameters = {
            key.removeprefix(f"{group}."): value
            for key, value in config.items()
            if key.startswith(f"{group}.") and isinstance(value, _PLAIN)
        }
        column = "strategy_label" if group == chooser else group
        name = names.get(column) or parameters.get("_target_")
        texts = [f"{key}={plain(value)}" for key, value in parameters.items() if "_" not in key[:1]]
        texts = [text for text in texts if not re.search(r"(^|\.)_\w+_=", text)]
        if name:
            yield group, str(name).rpartition(".")[2] + (f": {', '.join(texts)}" if texts else "")
    offsets = [
        f"{key}={value}" for key, value in config.items() if key.startswith("streams.") and value
    ]
    if offsets:
        yield "streams", ", ".join(offsets)


def _seeds(run: StoredRun) -> Iterator[Line]:
    by_state: dict[str, list[int]] = {}
    for entry in run.entries:
        by_state.setdefault(entry.state, []).append(entry.seed or 0)
    parts = [f"{spans(by_state[state])} {state}" for state in STATES if state in by_state]
    with_manifests = {seed for seeds in by_state.values() for seed in seeds}
    if without_manifests := sorted({row["seed"] for row in run.rows} - with_manifests):
        parts.append(f"{spans(without_manifests)} without manifests")
    yield "seeds", "; ".join(parts) or "none is stored"
    for entry in run.entries:
        if entry.message:
            yield "", f"seed {entry.seed}: {entry.message}"


def _results(run: StoredRun) -> Iterator[Line]:
    if not run.rows:
        return
    amounts = [spent_by(row) for row in run.rows]
    counts = sorted({amount.count for amount in amounts})
    rounds = max(row["round"] for row in run.rows) + 1
    text = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0])
    validation = max(row["num_validation"] for row in run.rows)
    text += f" in {rounds} round{'s' * (rounds > 1)}"
    if amounts[0].column == STEPS:
        text += f", on {run.rows[0]['num_labeled']:,} points"
    text += f", beside {validation:,} for validation" if validation else ""
    yield amounts[0].word, text
    if accuracy := final_accuracy(run):
        yield "accuracy", accuracy
    seconds = Counter[str]()
    for row in run.rows:
        seconds.update({name: row[name] for name in SECONDS if row[name] is not None})
    if total := sum(seconds.values()):
        most, share = max(seconds.items(), key=lambda item: item[1])
        number = len({row["seed"] for row in run.rows})
        yield (
            "time",
            f"{in_words(total / number)} a seed, {in_words(total)} in all, "
            f"{100 * share / total:.0f} % of it {most.removeprefix('seconds_')}",
        )


def final_accuracy(run: StoredRun) -> str:
    """Accuracy at the most labels or steps of any seed; empty before the first round."""
    last = {row["seed"]: row for row in run.rows}
    if not last:
        return ""
    most = max((spent_by(row) for row in last.values()), key=lambda amount: amount.count)
    values = [row["test_accuracy"] for row in last.values() if spent_by(row) == most]
    values = [value for value in values if value is not None]
    if not values:
        return ""
    mean, low, high, count = (float(part) for part in mean_interval(values))
    text = f"{100 * mean:.2f} % at {most}"
    if count > 1:
        return f"{text} [{100 * low:.2f}, {100 * high:.2f}], mean of {count:.0f} seeds, 95 %"
    return f"{text}, one seed" if len(last) == 1 else f"{text}, one of {len(last)} seeds"


def _engines(run: StoredRun) -> Iterator[Line]:
    """The engine of the rounds; where there were several, which seeds each has computed."""
    by_engine: dict[tuple[Any, ...], set[int]] = {}
    for row in run.rows:
        by_engine.setdefault(tuple(row[name] for name in ENGINE), set()).add(row["seed"])
    for values, seeds in by_engine.items():
        where = f"seeds {spans(sorted(seeds))}: " if len(by_engine) > 1 else ""
        yield "engine", where + engine(dict(zip(ENGINE, values, strict=True)))


def engine(columns: Mapping[str, Any]) -> str:
    """The engine columns of a row in a phrase."""
    name = columns["device_name"]
    threads, width = columns["threads"], columns["pack_width"]
    return (
        f"{columns['device']}{f' ({name})' if name else ''}, "
        f"{columns['scoring_precision']} scoring, {columns['training_precision']} training, "
        f"{threads} thread{'s' * (threads > 1)}, "
        f"{f'packs of {width}, ' if width else ''}torch {columns['torch_version']}"
        f"{', not deterministic' if columns['deterministic'] is False else ''}"
    )


def _provenance(run: StoredRun) -> Iterator[Line]:
    for content in _distinct(run.manifests, "hardware"):
        memory = content.get("memory_bytes")
        parts = [content.get("system"), content.get("cpu"), f"{content.get('cores')} cores"]
        parts += [f"{memory / 2**30:.0f} GiB"] if memory else []
        yield (
            "hardware",
            ", ".join(str(part) for part in (*parts, *content.get("gpus", [])) if part),
        )
    for content in _distinct(run.manifests, "versions"):
        yield (
            "versions",
            ", ".join(f"{name} {content[name]}" for name in VERSIONS if name in content),
        )
    for content in _distinct(run.manifests, "own_code"):
        if content:
            yield "own code", ", ".join(f"{name} {str(one)[:12]}" for name, one in content.items())
    for content in _distinct(run.manifests, "code"):
        yield "code", code(content)
    for command in dict.fromkeys(content.get("command") for content in run.manifests):
        if command:
            yield "command", str(command)
    started = [
        content["first_started"] for content in run.manifests if content.get("first_started")
    ]
    ended = [content["ended"] for content in run.manifests if content.get("ended")]
    if started:
        until = f" to {_when(max(ended))}" if ended else ""
        hosts = sorted({str(content["host"]) for content in run.manifests if content.get("host")})
        on = f" on {', '.join(hosts)}" if hosts else ""
        yield "when", f"{_when(min(started))}{until}{on}"


def code(content: Mapping[str, Any]) -> str:
    """The commits that a manifest names, with changes that were not committed."""
    parts = []
    for name, state in content.items():
        of = "al-bench" if name == "package" else name.replace("_", " ")
        state = state if isinstance(state, Mapping) else {}
        changed = f" and {state['diff']}" if state.get("diff") else ""
        parts.append(f"{of} {str(state.get('commit') or 'without commit')[:12]}{changed}")
    return ", ".join(parts) or "installed, not a checkout"


def _files(run: StoredRun) -> str:
    counts = {name: len(list(run.folder.glob(f"{name}/seed=*"))) for name in FILES[:3]}
    size = sum(path.stat().st_size for path in run.folder.rglob("*") if path.is_file())
    parts = [f"{count} {name}" for name, count in counts.items()]
    if (run.folder / "config.yaml").exists():
        parts.append("config.yaml")
    return f"{run.folder}: {', '.join(parts)}, {size / 1024:,.0f} KiB"


def _notes(run: StoredRun) -> Iterator[str]:
    """What a reader should know of it."""
    if run.settings is None:
        yield "its configuration cannot be read: neither its curves nor config.yaml tell it."
    if any(row["label_access"] for row in run.rows):
        yield "it sees labels before they are bought: a control."
    buyers = sorted({row["init_strategy"] for row in run.rows if row["init_strategy"]})
    if buyers:
        yield f"its initial set was bought by {', '.join(buyers)}."
    saturated = [row for row in run.rows if "saturated_at" in _note_values(row["notes"])]
    batches = sum(row["seconds_select"] is not None for row in run.rows)
    if saturated:
        yield (
            f"saturation was noted in {len(saturated)} of {batches} batches: late picks follow the "
            "accidents of the posterior samples."
        )
    again = [content for content in run.manifests if int(content.get("attempt") or 1) > 1]
    if again:
        seeds = spans(sorted(int(content["seed"]) for content in again))
        yield f"seeds {seeds} were started more than once and went on after their last round."
    metadata = next(iter(_footers(run)), None)
    if metadata is not None and (sentence := settings.disagreement(run.folder, metadata)):
        yield sentence
    damaged = sorted(path.name for path in run.folder.rglob("*.damaged"))
    if damaged:
        yield f"files that were damaged are kept aside: {', '.join(damaged)}."
    messages = {entry.message for entry in run.entries if entry.state in (DONE, DAMAGED)}
    for message in sorted(filter(None, messages)):
        yield f"{message}."
    unread = len(run.curves) - len({row["seed"] for row in run.rows})
    if unread > 0:
        yield f"{unread} of its curves cannot be read."


def _footers(run: StoredRun) -> Iterator[Mapping[bytes, bytes] | None]:
    import pyarrow as pa

    from al_bench.results import parquet

    for path in run.curves:
        try:
            yield parquet.footer(path).metadata
        except (pa.ArrowException, OSError, ValueError):
            continue


def _note_values(notes: str | None) -> Mapping[str, Any]:
    try:
        values = json.loads(notes or "{}")
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _distinct(contents: Sequence[Mapping[str, Any]], key: str) -> Iterable[Mapping[str, Any]]:
    """Values of ``key`` that differ, each once."""
    by_text = {
        json.dumps(content[key], sort_keys=True): content[key]
        for content in contents
        if key in content
    }
    return [value for value in by_text.values() if isinstance(value, Mapping)]


def _when(text: str) -> str:
    try:
        return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return text


def plain(value: Any) -> str:
    """A value of a setting as one would type it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | dict):
        return json.dumps(value)
    return "null" if value is None else str(value)
