"""TensorBoard: an event file a trial."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from al_bench.paths import opened
from al_bench.text.markdown import escaped
from al_bench.tracking.base import TrackedTrial, metrics, require_package, step


@dataclass(frozen=True)
class TensorBoard:
    """Event files that TensorBoard shows: ``tensorboard --logdir FOLDER``.

    Args:
        folder: Where trials have their folders.
    """

    folder: str

    def __post_init__(self) -> None:
        require_package("tensorboard")

    def start(self, trial: TrackedTrial) -> Any:
        """Open the trial's event file; one of an earlier attempt is removed."""
        from torch.utils.tensorboard import SummaryWriter

        folder = opened(self.folder) / trial.folder
        for earlier in folder.glob("events.out.tfevents.*"):
            earlier.unlink()
        writer = SummaryWriter(str(folder))
        writer.add_text("trial", _table(trial.facts))
        writer.add_text("configuration", _table(trial.parameters))
        writer.flush()
        return writer

    def log(self, run: Any, row: Mapping[str, Any]) -> None:
        """Add a point to every curve and have it on the disk."""
        for name, value in metrics(row).items():
            run.add_scalar(name, value, step(row))
        run.flush()

    def finish(self, run: Any, status: str) -> None:
        """Say how it ended and close the file."""
        run.add_text("status", status)
        run.close()


def _table(values: Mapping[str, Any]) -> str:
    """Markdown, which TensorBoard renders."""
    lines = [f"| {escaped(name)} | {escaped(value)} |" for name, value in values.items()]
    return "\n".join(["| key | value |", "| --- | --- |", *lines])
