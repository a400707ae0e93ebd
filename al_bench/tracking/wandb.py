"""Weights & Biases: a run a trial, offline unless asked."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from al_bench.errors import AlBenchError, ConfigError, choose
from al_bench.paths import opened
from al_bench.tracking.base import TrackedTrial, metrics, require_package

MODES = ("offline", "online")


@dataclass(frozen=True)
class Wandb:
    """Runs of Weights & Biases.

    Args:
        folder: Its files go to ``wandb/`` below; ``wandb sync`` uploads offline ones.
        project: Where the runs belong.
        mode: ``offline`` writes files alone, ``online`` uploads while the run goes on.
    """

    folder: str
    project: str = "al-bench"
    mode: str = "offline"

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ConfigError(f"tracker.mode={self.mode} is unknown.", choose(self.mode, MODES))
        require_package("wandb")

    def start(self, trial: TrackedTrial) -> Any:
        """Open the trial's run, whose id is the same in every attempt."""
        import wandb

        # Asked here: wandb itself would stop the run with a prompt.
        if self.mode == "online" and not wandb.login(prompt=False, verify=False):
            raise AlBenchError(
                "wandb is not logged in.", "Type wandb login, or use tracker.mode=offline."
            )
        folder = opened(self.folder).absolute()  # wandb's own process may be elsewhere
        folder.mkdir(parents=True, exist_ok=True)
        for earlier in folder.glob(f"wandb/offline-run-*-{trial.key}"):
            shutil.rmtree(earlier)
        run = wandb.init(
            project=self.project,
            mode=self.mode,
            dir=str(folder),
            id=trial.key,
            name=trial.name,
            group=trial.group,
            config={"trial": trial.facts, **trial.parameters},
            reinit="create_new",  # several seeds are open at a time
            # Neither banners nor a hand on standard output, where the progress bars are.
            # Nor the command line with its secrets, nor git, whose programs would be run here.
            settings=wandb.Settings(
                silent=True,
                console="off",
                disable_git=True,
                disable_code=True,
                x_disable_meta=True,
            ),
        )
        # wandb's own step counts calls and refuses to repeat one; labels may stand still.
        run.define_metric("*", step_metric=trial.axis)
        return run

    def log(self, run: Any, row: Mapping[str, Any]) -> None:
        """Add a point to every curve."""
        run.log(metrics(row))

    def finish(self, run: Any, status: str) -> None:
        """Say how it ended and close the run: without, the next one would go on in it."""
        run.summary["status"] = status
        run.finish(exit_code=0 if status == "done" else 1)
