"""The two kinds of layers of the stacked form: mixed from shares, and sliced for each sample.

n points, K samples, C classes. *Rows* are units of a sample, each with the positions of all points
of a tile.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from al_bench.models.networks.blocks import Block
from al_bench.models.slices import LinearSlices, Workspace, patches


@dataclass(frozen=True)
class Tiling:
    """Sizes that decide speed only.

    Args:
        points: Points of a tile.
        block_bytes: What one matrix product may write and read.
        group: Most samples multiplied together.
    """

    points: int
    block_bytes: int
    group: int


# Measured with the BatchBALD CNN on one core of a Xeon with 2 MiB of second-level cache: within a
# fifth of the best from 16 to 64 points and from 4 to 16 MiB.
CPU_TILING = Tiling(points=32, block_bytes=8 * 2**20, group=16)
# A GPU has no use for small products; the launches have to be worth it.
DEVICE_TILING = Tiling(points=256, block_bytes=512 * 2**20, group=128)


class MixedLayer:
    """The layer after the first masks: shares once a point, mixed for each sample."""

    def __init__(self, linear: LinearSlices, precision: torch.dtype, tiling: Tiling) -> None:
        self._block = linear.block
        num_samples, outputs = linear.kept_out.shape
        counts = linear.kept_out.sum(dim=0)
        order = counts.argsort(stable=True)  # outputs of similar counts share a product
        samples = int(counts.max()) + linear.input_shape[0]
        item = torch.empty((), dtype=precision).itemsize
        size = tiling.block_bytes // (samples * linear.columns * tiling.points * item)
        self.rows = torch.zeros(num_samples, outputs, dtype=torch.int64, device=counts.device)
        self.num_rows = 0
        self._parts: list[tuple[Tensor, Tensor, Tensor, slice]] = []
        for chosen in torch.split(order, max(1, min(size, outputs))):
            slots = max(1, int(counts[chosen].max()))
            mix = linear.kept_in.new_zeros(
                len(chosen), slots, linear.input_shape[0], dtype=precision
            )
            for i, output in enumerate(chosen.tolist()):
                keepers = linear.kept_out[:, output].nonzero().flatten()
                mix[i, : len(keepers)] = linear.kept_in[keepers].to(precision)
                start = self.num_rows + i * slots
                self.rows[keepers, output] = torch.arange(
                    start, start + len(keepers), device=counts.device
                )
            weight = linear.weight[chosen].transpose(0, 1).contiguous()  # (inputs, part, taps)
            rows = slice(self.num_rows, self.num_rows + len(chosen) * slots)
            bias = linear.bias[chosen].repeat_interleave(slots).unsqueeze(1)
            self._parts.append((weight.to(precision), mix, bias.to(precision), rows))
            self.num_rows = rows.stop

    def __call__(self, maps: Tensor, workspace: Workspace) -> Tensor:
        """Maps (inputs, h, w, n) to rows (num_rows, positions · n)."""
        columns, pool = patches(maps, self._block, workspace)  # (inputs, taps, pool² · m)
        width = columns.shape[2]
        results = workspace.take("rows", self.num_rows, width // pool)
        for weight, mix, bias, rows in self._parts:
            part, slots, inputs = mix.shape
            shares = workspace.take("shares", inputs, part, width)
            torch.bmm(weight, columns, out=shares)
            mixed = workspace.take("mixed", part, slots, width)
            torch.bmm(mix, shares.transpose(0, 1), out=mixed)
            # Bias and ReLU after the maximum: they commute with it and there are fewer values.
            torch.amax(mixed.view(part * slots, pool, -1), dim=1, out=results[rows])
            results[rows].add_(bias).relu_()
        return results


class SlicedLayers:
    """Samples of similar size, all layers after the mixture, padded to common numbers of units."""

    def __init__(
        self,
        linears: Sequence[LinearSlices],
        samples: Tensor,
        rows: Tensor,
        precision: torch.dtype,
    ) -> None:
        self._layers: list[tuple[Tensor, Tensor, Block | None, tuple[int, ...]]] = []
        inputs = _padded(linears[0].kept_in[samples])  # (g, L)
        self._rows = rows[samples].gather(1, inputs.clamp_min(0)).flatten()
        self._size = len(samples)
        for linear in linears:
            outputs = _padded(linear.kept_out[samples])  # (g, M)
            weight = linear.weight[
                outputs.clamp_min(0).unsqueeze(2), inputs.clamp_min(0).unsqueeze(1)
            ]  # (g, M, L, taps)
            real = (outputs >= 0).unsqueeze(2) & (inputs >= 0).unsqueeze(1)
            weight = (weight * real.unsqueeze(3)).flatten(2)
            bias = (linear.bias[outputs.clamp_min(0)] * (outputs >= 0)).unsqueeze(2)
            self._layers.append(
                (weight.to(precision), bias.to(precision), linear.block, linear.input_shape[1:])
            )
            inputs = outputs

    def __call__(self, rows: Tensor, points: int, workspace: Workspace) -> Tensor:
        """Rows (·, positions · n) to logits (g, C, n), good until the next call."""
        hidden = workspace.take("gathered", len(self._rows), rows.shape[1])
        torch.index_select(rows, 0, self._rows, out=hidden)
        for i, (weight, bias, block, size) in enumerate(self._layers):
            maps = hidden.view(-1, *size, points)  # (g · L, h, w, n)
            columns, pool = patches(maps, block, workspace)
            columns = columns.view(self._size, weight.shape[2], -1)
            hidden = workspace.take(f"layer {i}", self._size, weight.shape[1], columns.shape[2])
            torch.baddbmm(bias, weight, columns, out=hidden)
            if pool > 1:
                values = hidden.view(-1, pool, hidden.shape[2] // pool)
                hidden = workspace.take(f"pooled {i}", len(values), values.shape[2])
                torch.amax(values, dim=1, out=hidden)
            if block is not None:
                hidden.relu_()
        return hidden


def _padded(kept: Tensor) -> Tensor:
    """Positions of the kept units (g, U) in order: (g, largest number kept), -1 beyond."""
    count = max(1, int(kept.sum(dim=1).max()))
    order = kept.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :count]
    return torch.where(kept.gather(1, order), order, -1)
