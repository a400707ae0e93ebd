"""A computation that is done again and again, as a GPU takes it with one launch."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_WARM_UP = 3  # times that libraries choose kernels and allocate, before a graph may be recorded


def captured(compute: Callable[[], None], changed: Sequence[Tensor]) -> Callable[[], None]:
    """``compute`` as a CUDA graph where its tensors are on such a GPU; elsewhere itself.

    A training step of a small network is hundreds of kernels that take less time than their
    launches; a graph launches all of them at once.

    Args:
        compute: Reads and changes tensors that stay where they are, always with the same kernels:
            no shape depends on a value, and the host reads none.
        changed: All that it changes, at least one tensor; recording leaves it as it was.
    """
    device = changed[0].device
    if device.type != "cuda":
        return compute
    before = [one.detach().clone() for one in changed]
    here = torch.cuda.current_stream(device)
    aside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    aside.wait_stream(here)
    with torch.cuda.stream(aside):
        for _ in range(_WARM_UP):
            compute()
    here.wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.device(device), torch.cuda.graph(graph):
        compute()
    with torch.no_grad():
        for one, value in zip(changed, before, strict=True):
            one.copy_(value)
    return graph.replay
