"""``al-bench check``: whether a strategy, selection or model keeps the contract, line by line."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from al_bench.configuration import own_path, words
from al_bench.configuration.composing import Composed, check_complete, compose
from al_bench.configuration.explain import COMPLAINTS, explain
from al_bench.configuration.overrides import key_of
from al_bench.configuration.schema import CHOOSERS
from al_bench.errors import ConfigError, error_line, within
from al_bench.text.visible import in_a_line

if TYPE_CHECKING:
    from al_bench.configuration.words import Words

HELP = """Usage: al-bench check [--config-dir FOLDER] strategy=NAME [key=value …]
       al-bench check [--config-dir FOLDER] selection=NAME [key=value …]
       al-bench check [--config-dir FOLDER] model=NAME [key=value …]

Runs a strategy, your own or one of al-bench's, on small pools, ordinary and degenerate ones, and
says for each property of the contract whether it is kept; a selection of active sampling likewise
on small sets of candidates, a core-set on small training sets. A model is fitted to the initial set
of the data set (dataset=, training=, budget.init_size= as in al-bench run): its samples must be
functions that differ, and their average as good as the network by itself. Exit code 1 when a
property is not kept.

  strategy=, selection=, model=
                         what to check; its parameters as in al-bench run
  --config-dir FOLDER    a folder of your own configuration"""

PASS, FAIL, SKIP = "pass", "FAIL", "skip"


def check(arguments: list[str]) -> int:
    """Check what these words name; 1 when it does not keep the contract."""
    if "--help" in arguments or "-h" in arguments:
        print(HELP)
        return 0
    request = words.read(arguments)
    if request.multirun or words.sweeps(request.overrides):
        raise ConfigError(
            "al-bench check takes one selection or one strategy at a time.",
            "Type the command once for each.",
        )
    groups = [g for g in ("strategy", "selection", "model") if _names(request.overrides, g)]
    if not groups:
        raise ConfigError(
            "No strategy is named.",
            "Write al-bench check strategy=bald, selection=rho_loss or model=mc_dropout.",
        )
    failed = False
    if "strategy" in groups:
        failed |= _of_strategy(_composed(request, request.overrides))
    if "selection" in groups:
        failed |= _of_selection(_composed(request, request.overrides))
    if "model" in groups:
        others = [word for word in request.overrides if not key_of(word).startswith(CHOOSERS)]
        failed |= _of_model(_composed(request, [*others, "strategy=random"]))
    return 1 if failed else 0


def _names(overrides: Iterable[str], group: str) -> bool:
    return any(word.startswith(f"{group}=") for word in overrides)


def _of_strategy(composed: Composed) -> bool:
    from al_bench.checking.checks import CHECKS
    from al_bench.running.active_learning import build_strategy

    check_complete(composed.config, ["strategy"])
    strategy = build_strategy(composed.config.strategy, "strategy")
    return _of_chooser(strategy, composed.strategy_label, CHECKS)


def _of_selection(composed: Composed) -> bool:
    from al_bench.checking.selections import checks_of
    from al_bench.running.sampling import build_selection

    check_complete(composed.config, ["selection"])
    selection = build_selection(composed.config.selection)
    return _of_chooser(selection, composed.strategy_label, checks_of(selection))


def _of_chooser(chooser: Any, label: str, checks: Iterable[Callable[[Any], None]]) -> bool:
    """Whether a strategy or a selection breaks a property."""
    import torch

    torch.set_num_threads(1)
    kind = type(chooser)
    needs = ", ".join(sorted(chooser.needs)) or "nothing"
    print(in_a_line(f"{label}: {kind.__module__}.{kind.__qualname__}, needs {needs}"))
    return _is_broken(checks, chooser, kind.__name__)


def _of_model(composed: Composed) -> bool:
    from al_bench.checking.models import Case, checks
    from al_bench.rounds.active_learning import ActiveLearningTrial
    from al_bench.running.prepare import prepare

    prepared = prepare(composed)
    trial = prepared.trial(prepared.seeds[0])
    assert isinstance(trial, ActiveLearningTrial)
    kind = type(trial.model)
    with within(f"The model {kind.__module__}.{kind.__qualname__}"):
        case = Case.of(trial)
    provides = ", ".join(sorted(case.posterior.provides)) or "predictions alone"
    text = (
        f"{prepared.run.identity.model_label}: {kind.__module__}.{kind.__qualname__}, "
        f"{case.num_labeled} labels of {composed.names['dataset']}, provides {provides}"
    )
    print(in_a_line(text))
    return _is_broken(checks(), case, kind.__name__)


def _is_broken(checks: Iterable[Callable[[Any], None]], subject: Any, name: str) -> bool:
    verdicts = []
    for property in checks:
        verdict, reason = _verdict(property, subject, name)
        verdicts.append(verdict)
        says = (property.__doc__ or property.__name__).splitlines()[0].rstrip(".")
        print(in_a_line(f"{verdict}  {says}{f': {reason}' if reason else ''}"), flush=True)
    count = {verdict: verdicts.count(verdict) for verdict in (PASS, FAIL, SKIP)}
    print(f"{count[PASS]} kept, {count[FAIL]} not kept, {count[SKIP]} that do not apply")
    return count[FAIL] > 0


def _verdict(property: Callable[[Any], None], subject: Any, name: str) -> tuple[str, str]:
    """Whether a property is kept, and why not."""
    from al_bench.checking.probing import CheckFailure, DoesNotApply

    try:
        with within(name):
            property(subject)
    except DoesNotApply as reason:
        return SKIP, str(reason)
    except CheckFailure as failure:
        return FAIL, str(failure)
    except Exception as error:  # of the strategy or model itself
        return FAIL, error_line(error)
    return PASS, ""


def _composed(request: "Words", overrides: list[str]) -> Composed:
    """The configuration of these words, found as ``al-bench run`` finds it."""
    own_path.look_beside(request.folder)
    try:
        return compose(overrides, request.folder)
    except COMPLAINTS as error:
        raise explain(error, overrides, request.folder) from error
