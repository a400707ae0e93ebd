"""``al-bench transfer``: what other models make of the labels that strategies bought.

Acquired sets need not suit a successor model (Lowell et al. 2019, arXiv:1807.04801). The stored
orders are replayed, random's among them as the control, and stored as runs like any other.
"""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from al_bench.configuration.arguments import Command, Option, new_folder, switch
from al_bench.errors import ConfigError, ResultsError
from al_bench.paths import check_moved
from al_bench.text.terminal import warnings_as_lines
from al_bench.text.visible import in_a_line

if TYPE_CHECKING:
    from al_bench.configuration.composing import Composed
    from al_bench.configuration.stored import StoredTrial
    from al_bench.configuration.trust import Trust
    from al_bench.results.ledger import Entry

GROUPS = ("model", "training", "evaluation")  # what another run may have of its own
BUDGET = ("budget.total", "budget.batch_size")  # an order keeps its initial and validation sets

COMMAND = Command(
    name="transfer",
    summary="Trains another model on the labels that stored runs bought, in their order; model=, "
    "training= and evaluation=, their keys, budget.total= and budget.batch_size= are written as "
    "after al-bench run; model=a,b does both.",
    options=(
        Option("device", "device to run on (default: as stored)"),
        Option(
            "out",
            "results folder of the new runs (default: the first one named)",
            read=new_folder,
        ),
        Option("dry_run", "say what would be done, and stop", False, switch),
    ),
    words="results",
    words_help="folders of results whose orders are replayed (default: results)",
    reads_data=True,
    keys_of_run=(*GROUPS, "model/network", *BUDGET),
)

_CHOICE = re.compile(r"(model|training|evaluation|budget)(/\w+)?(\.\w+)*=.*", re.DOTALL)


def transfer(arguments: Sequence[str]) -> int:
    """Replay every finished run under the folders with another model; 0, or 1 if a seed failed.

    Raises:
        ConfigError: No model or training was named, a choice does not exist or does not fit, or
            the new runs would lie among the files of stored ones.
        ResultsError: There is nothing to replay.
    """
    choices = [word for word in arguments if _CHOICE.fullmatch(word)]
    parsed = COMMAND.parse([word for word in arguments if word not in choices])
    if parsed is None:
        return 0
    from al_bench import engine
    from al_bench.commands.status import summarize
    from al_bench.configuration.planning import combinations
    from al_bench.configuration.quoting import quoted
    from al_bench.configuration.trust import Refused, Trust
    from al_bench.running import dry_run
    from al_bench.running.execution import assignments, first_seeds_first, run_trials
    from al_bench.running.loading import Data
    from al_bench.running.names import names
    from al_bench.running.prepare import prepare
    from al_bench.running.progress import LogReport, set_up_logging

    choices = quoted(choices)
    _check_choices(choices, parsed["config_dir"])
    folders = [Path(word) for word in parsed.words or ["results"]]
    out = Path(parsed["out"] or folders[0])
    changes = {"results": str(out)}
    if parsed["device"] is not None:
        changes["device"] = parsed["device"]
    set_up_logging()
    orders, left_out = _orders(folders)
    check_moved(parsed.moved, [key for order in orders for key in order.trial.places])
    for order in orders:
        _check_place(out, order)
    if left_out:
        print(
            f"warning: left out, since they are not done: {_trials_in_words(left_out)}.",
            file=sys.stderr,
        )
    variants = combinations(choices)  # model=a,b is both
    trust = Trust.from_arguments(parsed)
    runs = []
    for order in list(orders):
        places = {key: parsed.moved[key] for key in order.trial.places if key in parsed.moved}
        try:
            runs += [_composed(order, words, {**changes, **places}, trust) for words in variants]
        except Refused as error:
            orders.remove(order)
            if not orders:
                raise
            print(f"warning: left out: {in_a_line(error)}", file=sys.stderr)
    data = Data()
    ready = []
    for composed in runs:  # what does not fit is told before the first one is trained
        with engine.restored():
            ready.append(prepare(composed, data))
    run_names = names(ready)
    for prepared in ready:
        if parsed["dry_run"]:
            print(dry_run.describe(prepared), end="\n\n")
            continue
        identity = prepared.run.identity
        print(in_a_line(f"{identity.strategy_label}, {identity.model}"))
        for note in prepared.notes:
            print(f"note: {in_a_line(note)}", file=sys.stderr)
    if parsed["dry_run"]:
        seeds = sum(len(order.seeds) for order in orders) * len(variants)
        print(f"{len(runs)} runs, {seeds} trials to be trained")
        return 0
    _make_folders([prepared.folder for prepared in ready])
    assigned = first_seeds_first([assignments(prepared) for prepared in ready])
    run_trials(assigned, LogReport(names=run_names))
    trials = {
        (prepared.results / prepared.run.identity.folder, seed)
        for prepared in ready
        for seed in prepared.seeds
    }
    return summarize(out, trials, f"{len(runs)} runs")


def _make_folders(folders: Sequence[Path]) -> None:
    """Make the runs' folders; ResultsError where none can be. Else those that cannot fail alone."""
    from al_bench.results import atomic

    refused = []
    for folder in folders:
        try:
            atomic.make_folder(folder)
        except ResultsError as error:
            refused.append(error)
    if len(refused) == len(folders):
        raise refused[0]


def _check_choices(choices: Sequence[str], folder: Path | None) -> None:
    """Raise ConfigError unless these words change the model or its training and keep the order."""
    from al_bench.configuration.words import check_once, check_overrides

    check_overrides(choices, folder)
    check_once(choices)
    keys = [word.partition("=")[0] for word in choices]
    for word, key in zip(choices, keys, strict=True):
        if key.startswith("budget") and key not in BUDGET:
            raise ConfigError(
                f"{word}: a stored order keeps its initial and validation sets.",
                f"Of the budget only {' and '.join(BUDGET)} can be changed.",
            )
    if not any(re.match(r"(model|training)\b", key) for key in keys):
        raise ConfigError(
            "No model or training to transfer to.", "Add model=deep_ensemble, for example."
        )


@dataclass(frozen=True)
class Order:
    """The stored order of one run.

    Args:
        trial: One of its trials, for names and configuration.
        seeds: Its finished seeds.
    """

    trial: "StoredTrial"
    seeds: tuple[int, ...]


def _orders(folders: Sequence[Path]) -> "tuple[list[Order], list[Entry]]":
    """Every run below the folders with finished seeds, and the trials that are not done.

    Replays are in neither: they are not replayed again.
    """
    from al_bench.configuration.stored import StoredTrial
    from al_bench.results.history import TrialPaths
    from al_bench.results.ledger import DONE, status

    with warnings_as_lines():
        entries = [
            (place, entry)
            for place, folder in enumerate(folders)
            for entry in status(folder, thorough=True)
            if entry.folder is not None and entry.seed is not None
        ]
    others = [
        entry
        for _, entry in entries
        if entry.state != DONE and entry.folder and entry.folder.parent.name != "replay"
    ]
    seeds = _seeds([(place, entry) for place, entry in entries if entry.state == DONE])
    orders, sampled = [], []
    refused: list[ResultsError] = []
    for folder, done in sorted(seeds.items()):
        try:
            trial = StoredTrial.at(TrialPaths(folder, done[0]).manifest)
        except ResultsError as error:
            refused.append(error)
            continue
        if trial.config.selection is not None:
            sampled.append(folder)
        elif "strategies.replay." not in str(trial.config.strategy.get("_target_")):
            orders.append(Order(trial, tuple(sorted(done))))
    if refused and not orders:
        raise refused[0]
    if sampled:
        reason = "all labels are known in active sampling, so there is no order to transfer"
        if not orders:
            raise ConfigError(f"{sampled[0]}: {reason}.", "Name runs that a strategy has made.")
        print(f"warning: left out, {reason}: {', '.join(map(str, sampled))}.", file=sys.stderr)
    for one in refused:
        print(f"warning: left out: {in_a_line(one)}", file=sys.stderr)
    if not orders:
        names = ", ".join(map(str, folders))
        raise ResultsError(
            f"No finished run under {names}.", "al-bench status lists what there is."
        )
    return orders, others


def _seeds(entries: "Sequence[tuple[int, Entry]]") -> "dict[Path, list[int]]":
    """Seeds of each run's folder; of a trial that lies in several, those of the copy chosen."""
    from al_bench.results import copies

    trials: dict[tuple[str, int], dict[Path, copies.Copy]] = {}
    folders: dict[Path, Path] = {}  # as they were named
    for place, entry in entries:
        assert entry.folder is not None
        assert entry.seed is not None
        folder = entry.folder.resolve()
        folders.setdefault(folder, entry.folder)
        curve = folder / "curves" / f"seed={entry.seed}.parquet"
        copy = copies.Copy(curve, place, entry.run_id, entry.seed)
        trials.setdefault((entry.run_id, entry.seed), {}).setdefault(folder, copy)
    choices = [copies.choose(list(by_folder.values())) for by_folder in trials.values()]
    with warnings_as_lines():
        copies.warn(choices)
    seeds: dict[Path, list[int]] = {}
    for choice in choices:
        folder = folders[choice.copy.curve.parent.parent]
        seeds.setdefault(folder, []).append(choice.copy.seed)
    return seeds


def _trials_in_words(entries: "Sequence[Entry]") -> str:
    """Trials in a line: ``bald (7b7836a9b372) seeds 0–1 failed``."""
    from al_bench.commands.status import seeds_of
    from al_bench.results.ledger import DAMAGED
    from al_bench.text.terminal import spans

    groups: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in entries:
        name = entry.strategy_label or "a run"
        groups.setdefault((name, entry.run_id, entry.state), []).append(entry)
    return "; ".join(
        f"{name} ({run}) seed{'s' * (len(group) > 1)} {spans(seeds_of(group))} {state}"
        + (f" ({group[0].message})" if state == DAMAGED else "")
        for (name, run, state), group in groups.items()
    )


def _check_place(out: Path, order: Order) -> None:
    """Raise ConfigError where ``out`` lies in the folder of a data set, model, strategy or run."""
    from al_bench.results.identity import safe_name

    folder, place = order.trial.paths.folder.resolve(), out.resolve()
    content = order.trial.content
    names = tuple(safe_name(content[name]) for name in ("dataset", "model", "strategy", "run_id"))
    is_whole = folder.parts[-4:] == names  # else a part of a results folder was copied here
    if folder in (place, *place.parents) or (is_whole and place in folder.parents[:3]):
        root = os.path.relpath(folder.parents[3]) if is_whole else "results"
        raise ConfigError(f"New runs would lie in {out}, among stored ones.", f"Add out={root}.")


def _composed(
    order: Order, choices: Sequence[str], changes: Mapping[str, Any], trust: "Trust"
) -> "Composed":
    """The run's configuration with another model and its own order as the strategy.

    A group that is chosen (``model=``) is taken whole; a key of one that is not
    (``training.max_epochs=``) is changed in the stored one.
    """
    from al_bench.configuration.composing import compose
    from al_bench.configuration.explain import COMPLAINTS, explain

    trial = order.trial
    keys = [word.partition("=")[0] for word in choices]
    dataset = str(trial.content["dataset"])
    words = [f"dataset={dataset}"] if _is_choice("dataset", dataset) else ["dataset=arrays"]
    for group in ("model", "training"):
        stored = str(trial.content[group])
        if group not in keys and _is_choice(group, stored):
            words.append(f"{group}={stored}")
    network = str(trial.content["network"])
    if not {"model", "model/network"} & set(keys) and _is_choice("model/network", network):
        words.append(f"model/network={network}")
    try:
        chosen = compose([*words, *choices], trust.folder)
    except COMPLAINTS as error:
        raise explain(error, choices, trust.folder) from error
    folder = trial.paths.folder.resolve()
    replay = {"_target_": "al_bench.strategies.replay.Replay", "run": str(folder)}
    replaced: dict[str, Any] = {
        **changes,
        "seeds": list(order.seeds),
        "strategy": replay,
    }
    names: dict[str, str] = {}
    if trial.config.init_strategy is not None:  # another model would buy another initial set
        replaced["init_strategy"] = replay
        owner = trial.content.get("init_strategy") or "replay"
        names["init_strategy"] = f"{owner}@{trial.content['model']}"
    whole = [group for group in GROUPS if group in keys]
    names |= {group: chosen.names[group] for group in whole if group in chosen.names}
    if "model" in keys or "model/network" in keys:
        names["network"] = chosen.names["network"]
    for key in (*whole, *(key for key in keys if key not in whole)):
        path = key.replace("/", ".")
        replaced[path] = chosen.value(path)
    _check_total(order, replaced.get("budget.total"))
    label = f"{trial.content['strategy_label']}@{trial.content['model']}"
    return trial.composed(replaced, trust, **names, strategy="replay", strategy_label=label)


def _check_total(order: Order, total: Any) -> None:
    """Raise ConfigError where more labels are asked for than the order has."""
    stored = order.trial.config.budget.get("total")
    if isinstance(total, int) and isinstance(stored, int) and total > stored:
        label = order.trial.content["strategy_label"]
        raise ConfigError(
            f"budget.total={total} is more than the {stored} labels that {label} has bought.",
            f"Use budget.total={stored} or less.",
        )


def _is_choice(group: str, name: str) -> bool:
    from al_bench.configuration.config_dir import config_dir

    return bool(re.fullmatch(r"\w+", name)) and (config_dir() / group / f"{name}.yaml").is_file()
