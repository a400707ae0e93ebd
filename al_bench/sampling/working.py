"""What a trial of active sampling trains, and what of it is stored between rounds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from al_bench.data.labeled import Batches
from al_bench.errors import TrainingError
from al_bench.models.base import Network
from al_bench.sampling.view import Viewer
from al_bench.training.optimization import Optimization


@dataclass
class Working:
    """The target network of a trial and what belongs to it.

    Args:
        network: As it is after the steps that were taken.
        optimizer: Of its parameters.
        read: The training points.
        seen: (P,) bool, which of the pool's points were trained on.
        viewer: The network as it looks at candidates.
        kept: (M,) int64 pool indices that a core-set keeps; ``None`` without one.
    """

    network: Network
    optimizer: torch.optim.Optimizer
    read: Batches
    seen: Tensor
    viewer: Viewer
    kept: Tensor | None = None

    def state(self) -> dict[str, Any]:
        """What ``load`` takes: tensors and plain values."""
        state: dict[str, Any] = {
            "weights": [self.network.state_dict()],
            "optimizer": self.optimizer.state_dict(),
            "seen": self.seen,
        }
        if self.kept is not None:
            state["kept"] = self.kept
        if self.viewer.irreducible is not None:
            state["irreducible"] = self.viewer.irreducible.state()
        return state

    def load(self, state: Mapping[str, Any], how: Optimization) -> None:
        """Become what was stored.

        Args:
            state: From ``state``.
            how: How steps are taken.

        Raises:
            TrainingError: It is of another network.
        """
        try:
            self.network.load_state_dict(state["weights"][0])
            self.optimizer.load_state_dict(state["optimizer"])
            self.seen = state["seen"]
            self.kept = state.get("kept")
            if self.viewer.irreducible is not None:
                self.viewer.irreducible.restore(state["irreducible"], how)
        except (IndexError, KeyError, RuntimeError, ValueError) as error:
            raise TrainingError(
                "The weights of the round before are not those of such a network.",
                "Move the run's folder checkpoints away to start the trial again.",
            ) from error
