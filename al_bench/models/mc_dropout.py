"""MC dropout: a posterior sample is a network with some of its units dropped.

n points, K posterior samples, C classes, D features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.data.labeled import Batches
from al_bench.errors import require_whole
from al_bench.models.base import SAMPLES, Network
from al_bench.models.frozen import (
    AroundOneNetwork,
    bytes_per_point,
    checked_count,
    frozen_copy,
    normalized,
)
from al_bench.models.masks import draw_masks
from al_bench.models.networks.blocks import BlockNetwork
from al_bench.models.over_network import ONE_NETWORK, OverNetwork
from al_bench.models.stacked import StackedForm, fits_in_memory, tiling_for


class MCDropoutPosterior(AroundOneNetwork):
    """K consistent dropout masks over one network.

    Mask k belongs to sample k and is shared by every point (Kirsch et al. 2019, arXiv:1906.08158);
    without that, joint quantities of several points mean nothing.

    Args:
        network: The trained network; copied.
        num_samples: K.
        provides: What the posterior offers.
        generator: Draws the masks.
        precision: Of the forward passes.
    """

    def __init__(
        self,
        network: Network,
        num_samples: int,
        provides: frozenset[str],
        generator: torch.Generator,
        precision: torch.dtype,
    ) -> None:
        self.provides = provides
        self.num_samples = num_samples
        self._network = frozen_copy(network, precision)
        weight = self._network.output.weight
        self._masks = draw_masks(network, num_samples, generator, weight.device)
        # Slices are cut from the unrounded weights.
        self._unrounded = frozen_copy(network, torch.float32)
        self._forms: dict[int, StackedForm | None] = {}  # by number of samples

    def log_probs(self, inputs: Tensor, num_samples: int | None = None) -> Tensor:
        """Log-probabilities (n, K, C), float32, of the first ``num_samples`` samples."""
        count = checked_count(num_samples, self.num_samples)
        form = self._form(count)
        if form is None:
            return self.masked_log_probs(inputs, count)
        output = self._network.output
        log_probs = inputs.new_empty(len(inputs), count, output.out_features, dtype=torch.float32)
        with torch.inference_mode():
            for start in range(0, len(inputs), form.points):
                tile = inputs[start : start + form.points].to(output.weight.dtype)
                if len(tile) < form.points:
                    missing = tile.new_zeros(form.points - len(tile), *tile.shape[1:])
                    tile = torch.cat([tile, missing])
                results = log_probs[start : start + form.points]
                results.copy_(form.log_probs(self._network.prefix(tile))[: len(results)])
        return log_probs

    def _form(self, count: int) -> StackedForm | None:
        """The stacked form of the first ``count`` samples, built once; None where there is none."""
        if count not in self._forms:
            network = self._unrounded
            form = None
            if isinstance(network, BlockNetwork) and self._masks and fits_in_memory(network, count):
                masks = [mask[:count] for mask in self._masks]
                form = StackedForm(network, masks, self._network.output.weight.dtype)
            self._forms[count] = form
        return self._forms[count]

    def masked_log_probs(self, inputs: Tensor, num_samples: int | None = None) -> Tensor:
        """The same as ``log_probs`` by full-size passes that multiply by the masks."""
        count = checked_count(num_samples, self.num_samples)
        output = self._network.output
        log_probs = inputs.new_empty(len(inputs), count, output.out_features, dtype=torch.float32)
        with torch.inference_mode():
            hidden = self._network.prefix(inputs.to(output.weight.dtype))
            masks = [mask.to(hidden.dtype) for mask in self._masks]
            for k in range(count):
                features = self._network.body(hidden, [mask[k : k + 1] for mask in masks])
                log_probs[:, k] = normalized(output(features))
        return log_probs

    def chunk_size(self, input_shape: tuple[int, ...], chunk_bytes: int) -> int:
        """Points that may be shown at once within ``chunk_bytes`` of working memory, at least 1."""
        output = self._network.output
        masks = [mask[:1].to(output.weight.dtype) for mask in self._masks]
        results = 4 * self.num_samples * output.out_features
        size = chunk_bytes // (bytes_per_point(self._network, input_shape, masks) + results)
        points = tiling_for(output.weight.device).points
        return max(1, size if size < points else size // points * points)  # whole tiles


@dataclass(frozen=True)
class MCDropout(OverNetwork):
    """Dropout kept on at prediction time (Gal & Ghahramani 2016, arXiv:1506.02142).

    Args:
        network: Builds the network.
        num_samples: Posterior samples K.
    """

    num_samples: int = 20
    num_networks: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole("num_samples", self.num_samples, 1)

    def provides(self, network: Network) -> frozenset[str]:
        """Features and gradients; samples if there are two or more and something is dropped."""
        differ = self.num_samples > 1 and len(network.mask_units) > 0
        return ONE_NETWORK | ({SAMPLES} if differ else frozenset())

    def posterior(
        self,
        networks: Sequence[Network],
        labeled: Batches,
        generator: torch.Generator,
        precision: torch.dtype,
    ) -> MCDropoutPosterior:
        """The network under ``num_samples`` masks drawn from ``generator``."""
        (network,) = networks
        return MCDropoutPosterior(
            network, self.num_samples, self.provides(network), generator, precision
        )
