"""``al-bench transfer``: what other models make of the labels that strategies bought.

Acquired sets need not suit a successor model (Lowell et al. 2019, arXiv:1807.04801). The stored
orders are replayed, random's among them as the control, and stored as runs like any other.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from al_bench.arguments import Command, Option
from al_bench.errors import ConfigError

if TYPE_CHECKING:
    from al_bench.config import Composed
    from al_bench.stored import StoredTrial

COMMAND = Command(
    name="transfer",
    summary="Trains another model on the labels that stored runs bought, in their order; model= "
    "and training= are written as after al-bench run.",
    options=(
        Option("dataset.root", "folder of the data set, where it is not where it was"),
        Option("device", "device to run on (default: as stored)"),
        Option("out", "results folder of the new runs (default: the first one named)"),
    ),
    words="results",
    words_help="folders of results whose orders are replayed (default: results)",
)

_CHOICE = re.compile(r"(model|training)(/\w+)?(\.\w+)*=.*", re.DOTALL)


def transfer(arguments: Sequence[str]) -> int:
    """Replay every finished run under the folders with another model; 0, or 1 if a seed failed.

    Raises:
        ConfigError: No model was named, or a choice does not exist or does not fit.
        ResultsError: There is nothing to replay.
    """
    choices = [word for word in arguments if _CHOICE.fullmatch(word)]
    parsed = COMMAND.parse([word for word in arguments if word not in choices])
    if parsed is None:
        return 0
    if not any(word.startswith("model") for word in choices):
        raise ConfigError("No model to transfer to.", "Add model=deep_ensemble, for example.")
    from al_bench.execution import DONE, run_seeds
    from al_bench.prepare import prepare
    from al_bench.progress import LogReport, set_up_logging

    folders = [Path(word) for word in parsed.words or ["results"]]
    changes = {key: parsed[key] for key in ("dataset.root", "device") if parsed[key] is not None}
    changes["results"] = parsed["out"] or str(folders[0])
    set_up_logging()
    failed = 0
    for order in _orders(folders):
        composed = _composed(order, choices, changes)
        print(f"{composed.strategy_label}, {composed.names['model']}")
        prepared = prepare(composed)
        for outcome in run_seeds(prepared, prepared.seeds, LogReport()):
            failed += outcome.status != DONE
        print(f"results: {prepared.results / prepared.run.identity.folder}")
    return 1 if failed else 0


@dataclass(frozen=True)
class Order:
    """The stored order of one run.

    Args:
        trial: One of its trials, for names and configuration.
        seeds: Its finished seeds.
    """

    trial: "StoredTrial"
    seeds: tuple[int, ...]


def _orders(folders: Sequence[Path]) -> Iterator[Order]:
    """Every run below the folders with finished seeds; replays are not replayed again."""
    from al_bench.errors import ResultsError
    from al_bench.results.history import TrialPaths
    from al_bench.results.ledger import DONE, status
    from al_bench.stored import StoredTrial

    seeds: dict[Path, list[int]] = {}
    for folder in folders:
        for entry in status(folder):
            if entry.state == DONE and entry.folder is not None and entry.seed is not None:
                seeds.setdefault(entry.folder, []).append(entry.seed)
    found = False
    for folder, done in sorted(seeds.items()):
        trial = StoredTrial.at(TrialPaths(folder, done[0]).manifest)
        if "strategies.replay." not in str(trial.config.strategy.get("_target_")):
            found = True
            yield Order(trial, tuple(sorted(done)))
    if not found:
        names = ", ".join(map(str, folders))
        raise ResultsError(
            f"No finished run under {names}.", "al-bench status lists what there is."
        )


def _composed(order: Order, choices: Sequence[str], changes: Mapping[str, Any]) -> "Composed":
    """The run's configuration with another model and its own order as the strategy."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from al_bench.config import compose
    from al_bench.explain import explain
    from al_bench.words import check_once, check_overrides

    trial = order.trial
    dataset = str(trial.content["dataset"])
    known = [f"dataset={dataset}"] if _is_choice(dataset) else ["dataset=arrays"]
    check_overrides(choices)
    check_once(choices)
    try:
        chosen = compose([*known, *choices])
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error, choices) from error
    folder = trial.paths.folder.resolve()
    replay = {"_target_": "al_bench.strategies.replay.Replay", "run": str(folder)}
    replaced: dict[str, Any] = {
        **changes,
        "model": chosen.config.model,
        "seeds": list(order.seeds),
        "strategy": replay,
        "dry_run": False,
    }
    names = {name: chosen.names[name] for name in ("model", "network")}
    if trial.config.init_strategy is not None:  # another model would buy another initial set
        replaced["init_strategy"] = replay
        owner = trial.content.get("init_strategy") or "replay"
        names["init_strategy"] = f"{owner}@{trial.content['model']}"
    if any(word.startswith("training") for word in choices):
        replaced["training"] = chosen.config.training
        names["training"] = chosen.names["training"]
    label = f"{trial.content['strategy_label']}@{trial.content['model']}"
    return trial.composed(replaced, **names, strategy="replay", strategy_label=label)


def _is_choice(dataset: str) -> bool:
    from al_bench.config_dir import config_dir

    return (config_dir() / "dataset" / f"{dataset}.yaml").is_file()
