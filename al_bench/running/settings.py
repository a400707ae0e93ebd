"""The settings there are, and which of them a run is of."""

from typing import Any

from al_bench.rounds.trial import Run
from al_bench.running.active_learning import ActiveLearning
from al_bench.running.sampling import Sampling
from al_bench.running.setting import Setting
from al_bench.running.studying import Studying

SETTINGS: tuple[type[Setting], ...] = (ActiveLearning, Sampling, Studying)


def chosen(config: Any) -> Setting:
    """What a configuration has chosen, built; there is a choice of one setting, checked before."""
    return next(one for one in SETTINGS if config[one.group] is not None)(config)


def setting_of(run: Run) -> type[Setting]:
    """The setting that a run is of."""
    return next(one for one in SETTINGS if isinstance(run, one.runs))
