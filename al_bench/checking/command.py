"""``al-bench check``: whether a strategy keeps the contract, a line a property."""

from typing import TYPE_CHECKING

from al_bench import words
from al_bench.config import Composed, compose
from al_bench.config_dir import make_importable
from al_bench.errors import ConfigError, told, within
from al_bench.explain import COMPLAINTS, explain

if TYPE_CHECKING:
    from al_bench.checking.checks import Check
    from al_bench.strategies.base import Strategy

HELP = """Usage: al-bench check [--config-dir FOLDER] strategy=NAME [key=value …]

Runs a strategy, your own or one of al-bench's, on small pools, ordinary and degenerate ones, and
says for each property of the contract whether it is kept. Exit code 1 when one is not.

  strategy=              what to check; its parameters as in al-bench run
  --config-dir FOLDER    a folder of your own configuration"""

PASS, FAIL, SKIP = "pass", "FAIL", "skip"


def check(arguments: list[str]) -> int:
    """Check the strategy that these words name; 1 when it does not keep the contract."""
    if "--help" in arguments or "-h" in arguments:
        print(HELP)
        return 0
    composed = _composed(arguments)
    import torch

    from al_bench.checking.checks import CHECKS
    from al_bench.prepare import build_strategy, check_complete

    check_complete(composed.config, ["strategy"])
    strategy = build_strategy(composed.config.strategy, "strategy")
    torch.set_num_threads(1)
    kind = type(strategy)
    needs = ", ".join(sorted(strategy.needs)) or "nothing"
    print(f"{composed.strategy_label}: {kind.__module__}.{kind.__qualname__}, needs {needs}")
    verdicts = []
    for property in CHECKS:
        verdict, reason = _verdict(property, strategy)
        verdicts.append(verdict)
        says = (property.__doc__ or property.__name__).splitlines()[0].rstrip(".")
        print(f"{verdict}  {says}{f': {reason}' if reason else ''}", flush=True)
    count = {verdict: verdicts.count(verdict) for verdict in (PASS, FAIL, SKIP)}
    print(f"{count[PASS]} kept, {count[FAIL]} not kept, {count[SKIP]} that do not apply")
    return 1 if count[FAIL] else 0


def _verdict(property: "Check", strategy: "Strategy") -> tuple[str, str]:
    """Whether a property is kept, and why not."""
    from al_bench.checking.probing import CheckFailure, DoesNotApply

    try:
        with within(type(strategy).__name__):
            property(strategy)
    except DoesNotApply as reason:
        return SKIP, str(reason)
    except CheckFailure as failure:
        return FAIL, str(failure)
    except Exception as error:  # of the strategy itself
        return FAIL, told(error)
    return PASS, ""


def _composed(arguments: list[str]) -> Composed:
    """The configuration of these words, found as ``al-bench run`` finds it."""
    typed = words.read(arguments)
    if {"-m", "--multirun"} & set(typed.arguments):
        raise ConfigError("al-bench check takes one strategy at a time.")
    if not any(word.startswith("strategy=") for word in typed.overrides):
        raise ConfigError("No strategy is named.", "Write al-bench check strategy=bald.")
    if typed.folder is not None:
        make_importable(typed.folder.parent)
    try:
        return compose(typed.overrides, typed.folder)
    except COMPLAINTS as error:
        raise explain(error, typed.overrides, typed.folder) from error
