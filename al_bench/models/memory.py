"""The working memory of a point: how much more a pass holds at once for every point it is shown."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

FEW, MORE = 2, 4  # points; never one, of which layers and users' code may make a special case


class _Watch(TorchDispatchMode):
    """Notes after every operation how many bytes are alive of all that was computed."""

    def __init__(self, inputs: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self.largest = [self._note(inputs)]  # tensor that each operation gave, bytes
        self.alive = [self.largest[0]]  # together, after each

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else it is imported, which takes as long as importing torch

    def __torch_dispatch__(
        self,
        operation: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = operation(*args, **(kwargs or {}))
        for key in [key for key, (weak, _) in self._alive.items() if weak.expired()]:  # type: ignore[no-untyped-call]
            del self._alive[key]
        given = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        dense = [self._note(leaf) for leaf in given if leaf.layout == torch.strided]
        self.largest.append(max(dense, default=0))
        self.alive.append(sum(size for _, size in self._alive.values()))
        return result

    def _note(self, tensor: Tensor) -> int:
        storage = tensor.untyped_storage()
        weak = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
        size: int = storage.nbytes()
        self._alive[weak.cdata] = weak, size
        return size


def bytes_per_point(
    forward: Callable[[Tensor], object],
    input_shape: tuple[int, ...],
    dtype: torch.dtype,
    device: torch.device,
) -> int:
    """Working memory that ``forward`` takes for every point it is shown, in bytes.

    It is run on two and on four inputs that are zero. At every operation the tensors that are alive
    have grown by so much a point, and the operation where they grow most decides: weights, and what
    is computed of weights alone, do not grow. A pass whose operations depend on the number of
    points is charged all that it holds.

    At least three of the largest tensors are reckoned, which leaves room for what a kernel copies.

    Args:
        forward: From inputs (n, *input_shape) in ``dtype`` to whatever comes of them.
        input_shape: Of one input.
        dtype: Of the pass; inputs are gathered as float32, and kept beside their copy.
        device: Where the pass runs.
    """
    few, more = (_watched(forward, n, input_shape, dtype, device) for n in (FEW, MORE))
    if len(few.alive) == len(more.alive):
        alive = _largest_growth(few.alive, more.alive)
        largest = _largest_growth(few.largest, more.largest)
    else:
        alive, largest = (-(-max(sizes) // MORE) for sizes in (more.alive, more.largest))
    gathered = 0 if dtype == torch.float32 else 4 * torch.Size(input_shape).numel()
    return max(alive + gathered, 3 * largest)


def _watched(
    forward: Callable[[Tensor], object],
    count: int,
    input_shape: tuple[int, ...],
    dtype: torch.dtype,
    device: torch.device,
) -> _Watch:
    inputs = torch.zeros(count, *input_shape, dtype=dtype, device=device)
    watch = _Watch(inputs)
    # Not inference mode, in which composed operations would not show the tensors inside them.
    with torch.no_grad(), watch:
        forward(inputs)
    return watch


def _largest_growth(few: Sequence[int], more: Sequence[int]) -> int:
    """Bytes a point at the step where they grow most."""
    return max(-(-(b - a) // (MORE - FEW)) for a, b in zip(few, more, strict=True))
