"""DDU: one network, and how densely its features lie in the labeled set."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.data.labeled import Batches
from al_bench.errors import ConfigError, choose, keyed
from al_bench.models.base import DENSITY, Network
from al_bench.models.density import COVARIANCES, fit_density
from al_bench.models.ensemble import EnsemblePosterior
from al_bench.models.frozen import bytes_per_point, mean_features
from al_bench.models.over_network import ONE_NETWORK, OverNetwork


class DDUPosterior(EnsemblePosterior):
    """One network with Gaussians on its features.

    Args:
        network: The trained network; copied.
        labeled: The labeled set.
        covariance: ``class`` or ``shared``.
        provides: What the posterior offers.
        precision: Of the forward passes but those to the density, which are float32: with few
            labels, it looks at directions in which features hardly differ.

    Attributes:
        notes: How the Gaussians came to be (``al_bench.models.density.FeatureDensity``).
    """

    def __init__(
        self,
        network: Network,
        labeled: Batches,
        covariance: str,
        provides: frozenset[str],
        precision: torch.dtype,
    ) -> None:
        super().__init__([network], provides, precision)
        output = network.output
        features = [output.weight.new_empty(0, output.in_features, dtype=torch.float32)]
        labels = [output.weight.new_empty(0, dtype=torch.int64)]
        for inputs, answers in labeled:
            features.append(mean_features(self._unrounded, inputs))
            labels.append(answers)
        self._density = fit_density(
            torch.cat(features), torch.cat(labels), output.out_features, covariance
        )
        self.notes = self._density.notes

    def log_density(self, inputs: Tensor) -> Tensor:
        """Log density of the features, nats, (n,) float64; 0 where there are no labels."""
        return self._density.log_density(mean_features(self._unrounded, inputs))

    def chunk_size(self, input_shape: tuple[int, ...], chunk_bytes: int) -> int:
        """Points that may be shown at once within ``chunk_bytes`` of working memory, at least 1."""
        (network,) = self._unrounded
        output = network.output
        density = 8 * (4 * output.in_features + output.out_features)  # features, whitened, squared
        return max(1, chunk_bytes // (bytes_per_point(network, input_shape) + density))


@dataclass(frozen=True)
class DDU(OverNetwork):
    """Deep deterministic uncertainty (Mukhoti et al. 2023, arXiv:2102.11582).

    One network and, after training, one Gaussian a class on the features of the labeled set. Their
    density is low where the network has seen nothing (epistemic uncertainty), the entropy of its
    prediction is high where labels are mixed (aleatoric uncertainty). Features keep the distances
    of inputs in a residual network with spectral normalization, such as
    ``model/network=ddu_resnet18``; with another one the density says less.

    Args:
        network: Builds the network.
        covariance: ``class`` for a covariance of each class, as in the paper, or ``shared`` for one
            within all classes, which needs fewer labels.
    """

    covariance: str = "class"
    num_samples: ClassVar[int] = 1
    num_networks: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.covariance not in COVARIANCES:
            raise ConfigError(
                f"{keyed('covariance')}={self.covariance} is unknown.",
                choose(str(self.covariance), COVARIANCES),
            )

    def provides(self, network: Network) -> frozenset[str]:
        """The density, and what one network offers."""
        return ONE_NETWORK | {DENSITY}

    def posterior(
        self,
        networks: Sequence[Network],
        labeled: Batches,
        generator: torch.Generator,
        precision: torch.dtype,
    ) -> DDUPosterior:
        """The network as the one sample, and Gaussians on its features; draws nothing."""
        (network,) = networks
        return DDUPosterior(network, labeled, self.covariance, self.provides(network), precision)
