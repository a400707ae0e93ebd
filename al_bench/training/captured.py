"""A computation that is done again and again, as a GPU takes it with one launch."""

import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from al_bench.errors import AlBenchError, error_line

_WARM_UP = 3  # times that libraries choose kernels and allocate, before a graph may be recorded


def captured(compute: Callable[[], None], changed: Sequence[Tensor]) -> Callable[[], None] | None:
    """``compute`` as a CUDA graph; ``None`` where its tensors are not on such a GPU.

    A training step of a small network is hundreds of kernels that take less time than their
    launches; a graph launches all of them at once.

    Args:
        compute: Reads and changes tensors that stay where they are, always with the same kernels:
            no shape depends on a value, and the host reads none.
        changed: All that it changes, at least one tensor; recording leaves it as it was.

    Raises:
        AlBenchError: It cannot be recorded, because the host takes part in it.
    """
    device = changed[0].device
    if device.type != "cuda":
        return None
    here, aside = torch.cuda.current_stream(device), _aside(device)
    aside.wait_stream(here)
    with torch.cuda.stream(aside):
        warm_up(compute, changed)
    here.wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.device(device), torch.cuda.graph(graph, stream=aside):
            compute()
    except RuntimeError as error:
        what = f"A training step cannot be recorded as a CUDA graph ({error_line(error)})."
        raise AlBenchError(what, "Networks are trained one by one with pack_width=1.") from error
    return graph.replay


def warm_up(compute: Callable[[], None], changed: Sequence[Tensor]) -> None:
    """Do ``compute`` some times, each as if it were the first; what it changes is as before."""
    before = [one.detach().clone() for one in changed]
    for _ in range(_WARM_UP):
        compute()
        with torch.no_grad():
            for one, value in zip(changed, before, strict=True):
                one.copy_(value)


@functools.cache
def _aside(device: torch.device) -> torch.cuda.Stream:
    """The stream on which graphs of a device are recorded: libraries keep memory for each."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
