"""SNGP: a Gaussian process of random features in the place of a network's last layer.

m labeled points, n points to predict, K posterior samples, C classes, M random features. With φ the
random features of a point, the logit of class c is φᵀ β_c, and β_c is Gaussian.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.data.labeled import Batches
from al_bench.errors import TrainingError, require_number, require_whole
from al_bench.information.cholesky import cholesky
from al_bench.models.base import FEATURES, LOGITS, NETWORK, SAMPLES, Network
from al_bench.models.frozen import (
    AroundOneNetwork,
    bytes_per_point,
    checked_count,
    frozen_copy,
    mean_features,
    normalized,
)
from al_bench.models.networks.random_features import RandomFeatureNetwork
from al_bench.models.over_network import OverNetwork


class SNGPPosterior(AroundOneNetwork):
    """K last layers with β_c drawn from N(β̂_c, P_c⁻¹), P_c = δ I + Σ p_c (1 - p_c) φ φᵀ.

    The sum is over the labeled points, p_c is the trained network's probability of class c, and
    β̂_c its weights. Sample k is one function of the inputs, all its logits from one draw.

    Args:
        network: The trained network; copied.
        labeled: The labeled set.
        num_samples: K.
        prior_precision: δ, of each weight.
        provides: What the posterior offers.
        generator: Draws the samples.
        precision: Of the forward passes up to the random features; those over the labeled set are
            float32.
    """

    def __init__(
        self,
        network: Network,
        labeled: Batches,
        num_samples: int,
        prior_precision: float,
        provides: frozenset[str],
        generator: torch.Generator,
        precision: torch.dtype,
    ) -> None:
        self.provides = provides
        self.num_samples = num_samples
        self._network = frozen_copy(network, precision)
        self._unrounded = frozen_copy(network, torch.float32)
        self._mean = self._unrounded.output.weight.double()  # β̂ (C, M)
        of_classes = precisions(self._unrounded, labeled, prior_precision)
        self._factors = cholesky(of_classes, "Raise model.ridge.")
        drawn = [
            torch.randn(self._mean.shape, generator=generator, dtype=torch.float64)
            for _ in range(num_samples)  # one draw a sample: it does not depend on K
        ]
        noise = torch.stack(drawn, dim=2).to(self._mean.device)  # (C, M, K)
        spread = torch.linalg.solve_triangular(self._factors.mT, noise, upper=True)
        weights = self._mean[:, :, None] + spread
        self._weights = weights.permute(2, 0, 1).float().contiguous()  # (K, C, M)

    def log_probs(self, inputs: Tensor, num_samples: int | None = None) -> Tensor:
        """Log-probabilities (n, K, C), float32, of the first ``num_samples`` last layers."""
        count = checked_count(num_samples, self.num_samples)
        with torch.no_grad():
            features = mean_features([self._network], inputs)
            logits = features @ self._weights[:count].flatten(0, 1).T  # (n, K C)
            return normalized(logits.view(len(inputs), count, len(self._mean)))

    def logits(self, inputs: Tensor) -> Tensor:
        """Mean-field logits φᵀ β̂_c / √(1 + π σ_c² / 8), (n, C) float32.

        σ_c² = φᵀ P_c⁻¹ φ is the variance of the point's logit, so that its probabilities are about
        the average of those of Gaussian logits (Liu et al. 2020; Lu et al. 2020, arXiv:2006.07584).
        O(n C M²).
        """
        features = mean_features([self._network], inputs).double()
        variance = self._variance(features)
        scaled = features @ self._mean.T / (1 + math.pi / 8 * variance).sqrt()
        return scaled.float()

    def _variance(self, features: Tensor) -> Tensor:
        """Of the logits of random features (n, M), (n, C)."""
        parts = [
            torch.linalg.solve_triangular(factor, features.T, upper=False).square().sum(dim=0)
            for factor in self._factors
        ]
        return torch.stack(parts, dim=1)

    def chunk_size(self, input_shape: tuple[int, ...], chunk_bytes: int) -> int:
        """Points that may be shown at once within ``chunk_bytes`` of working memory, at least 1."""
        num_classes, num_features = self._mean.shape
        # Logits of all samples and their normalization; features in float32, float64 and whitened.
        results = 8 * self.num_samples * num_classes + 28 * num_features
        return max(1, chunk_bytes // (bytes_per_point(self._network, input_shape) + results))


def precisions(network: Network, labeled: Batches, prior_precision: float) -> Tensor:
    """P_c = δ I + Σ p_c (1 - p_c) φ φᵀ of each class, (C, M, M) float64.

    The negative Hessian of the log posterior in β_c with the other classes' weights held fixed. One
    pass over the labeled set, O(m C M²).

    Args:
        network: Frozen, float32.
        labeled: The labeled set.
        prior_precision: δ, of each weight.

    Raises:
        TrainingError: The network's predictions are not numbers.
    """
    mean = network.output.weight.detach().double()
    eye = torch.eye(mean.shape[1], dtype=torch.float64, device=mean.device)
    found = (prior_precision * eye).repeat(len(mean), 1, 1)
    for inputs, _ in labeled:
        features = mean_features([network], inputs).double()
        probs = (features @ mean.T).softmax(dim=1)
        if not bool(probs.isfinite().all()):
            raise TrainingError(
                "The network's predictions for its labeled set are not finite numbers."
            )
        for c, weights in enumerate((probs * (1 - probs)).T):
            found[c].addmm_((features * weights[:, None]).T, features)
    return found


@dataclass(frozen=True)
class SNGP(OverNetwork):
    """Spectral-normalized neural Gaussian process (Liu et al. 2020, arXiv:2006.10108).

    The last layer of any network becomes a Gaussian process, in random features of the network's
    features (``al_bench.models.networks.random_features.RandomFeatures``); the recipe trains it
    like any other network. After training, one pass over the labeled set gives the Laplace
    approximation of each class's weights, from which posterior samples are drawn. Far from all
    labels a logit keeps its variance before any label, 1 / ``ridge``. Features keep the distances
    of inputs in a residual network with spectral normalization, such as
    ``model/network=ddu_resnet18``; with another one the variance says less.

    ``logits`` are the mean-field ones; metrics and scores are of posterior samples, of which
    quantities of several points can be had. There are no last-layer gradients: what uses them takes
    the last layer to have a bias.

    Args:
        network: Builds the network.
        num_samples: Posterior samples K; they are cheap (one matrix product).
        num_features: Random features M. Precisions and factors take 8 C M² bytes each.
        length_scale: ℓ of the kernel, above 0, in units of the norm that all features have.
        ridge: One over the variance that a logit has before any label, above 0; each weight has D
            times that as its prior's precision. Training has a prior of its own,
            ``training.weight_decay``.
    """

    num_samples: int = 100
    num_features: int = 1024
    length_scale: float = 1.0
    ridge: float = 1.0
    num_networks: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole("num_samples", self.num_samples, 1)
        require_whole("num_features", self.num_features, 1)
        require_number("length_scale", self.length_scale, above=0)
        require_number("ridge", self.ridge, above=0)

    def build(self, input_shape: tuple[int, ...], num_classes: int) -> Network:
        """One untrained network; weights and random features from torch's global generator."""
        inner = super().build(input_shape, num_classes)
        return RandomFeatureNetwork(inner, self.num_features, self.length_scale)

    def provides(self, network: Network) -> frozenset[str]:
        """Random features, mean-field logits, the trained network; samples from two on."""
        one = frozenset({FEATURES, LOGITS, NETWORK})
        return one | ({SAMPLES} if self.num_samples > 1 else frozenset())

    def posterior(
        self,
        networks: Sequence[Network],
        labeled: Batches,
        generator: torch.Generator,
        precision: torch.dtype,
    ) -> SNGPPosterior:
        """The Gaussian around the network's last layer, and ``num_samples`` draws from it."""
        (network,) = networks
        assert isinstance(network, RandomFeatureNetwork)  # as ``build`` makes it
        return SNGPPosterior(
            network,
            labeled,
            self.num_samples,
            self.ridge * network.random.width,
            self.provides(network),
            generator,
            precision,
        )
