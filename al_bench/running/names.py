"""What runs that are executed together are called beside each other."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from al_bench.results import settings, wording
from al_bench.results.identity import RunIdentity
from al_bench.results.trial_key import TrialKey
from al_bench.running.prepare import Prepared


def names(runs: Iterable[Prepared]) -> dict[Path, str]:
    """A name for each run by its folder, its strategy's if that tells it from the others.

    A single run needs none.
    """
    identities = {run.folder: run.run.identity for run in runs}
    if len(identities) < 2:
        return {}
    labels = {folder: identity.strategy_label for folder, identity in identities.items()}
    if len(set(labels.values())) < len(labels):
        distinctions = wording.distinctions(
            [_setup(identity) for identity in identities.values()],
            covers=wording.is_of_protocol,
        )
        for folder, words in zip(labels, distinctions, strict=True):
            labels[folder] = ", ".join([labels[folder], *words])
    times = Counter(labels.values())
    return {
        folder: name if times[name] == 1 else f"{name} ({folder.name})"
        for folder, name in labels.items()
    }


def trial_name(key: TrialKey, names: Mapping[Path, str]) -> str:
    """``seed 3``, or ``bald seed 3`` where there are several runs."""
    name = names.get(key.folder)
    return f"{name} seed {key.seed}" if name else f"seed {key.seed}"


def _setup(identity: RunIdentity) -> wording.Setup:
    choices = {group: getattr(identity, column) for group, column in wording.NAMES.items()}
    return wording.Setup(choices, settings.of_identity(identity))
