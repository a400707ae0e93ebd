"""What ``conf/training/steps.yaml`` says: how one step on the points that were chosen is taken."""

from dataclasses import dataclass

from al_bench.errors import ConfigError, choose, keyed, require_whole
from al_bench.training.optimization import Optimization

MODES = ("train", "eval")


@dataclass(frozen=True)
class StepRecipe(Optimization):
    """How one step on the points that were chosen is taken.

    Its schedule counts passes over the training points as epochs.

    Args (beside those of ``Optimization``):
        batch_size: n_b, points that are chosen for a step.
        selection_mode: How the network is shown the candidates before the choice. ``train``, as
            published: batch normalization by the candidates' own statistics, and units dropped at
            random. ``eval``: running statistics, no unit dropped. Neither changes the running
            statistics; the published code lets them move.
    """

    batch_size: int = 32
    selection_mode: str = "train"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole("batch_size", self.batch_size, 1)
        if self.selection_mode not in MODES:
            raise ConfigError(
                f"{keyed('selection_mode')}={self.selection_mode} is unknown.",
                choose(str(self.selection_mode), MODES),
            )
