"""Last-layer Laplace: a Gaussian over the weights of the last layer, around the trained ones.

M labeled points, n points to predict, K posterior samples, C classes, D features, H = D + 1, and
P = C H weights of the last layer with its bias.

Own closed form rather than a library: the Fisher information of a softmax layer is three lines,
samples must be functions of (generator, k) alone and shared by pool, targets and test set, and the
eigenvalues serve evidence and samples at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from al_bench.data.labeled import Batches
from al_bench.errors import ConfigError, TrainingError, choose, keyed, require_number, require_whole
from al_bench.information.evidence import evidence_precision
from al_bench.information.last_layer import FULL_LIMIT, Points
from al_bench.models.base import SAMPLES, Network
from al_bench.models.frozen import (
    AroundOneNetwork,
    bytes_per_point,
    checked_count,
    frozen_copy,
    gradient_factors,
    mean_features,
    normalized,
)
from al_bench.models.over_network import ONE_NETWORK, OverNetwork
from al_bench.models.prior import precision_that_keeps_to_labels
from al_bench.models.spectrum import FullSpectrum, KroneckerSpectrum, Spectrum

PRIORS = ("labels", "evidence")


class LaplacePosterior(AroundOneNetwork):
    """K last layers drawn from N(ŵ, Σ), Σ = (δ I + Fisher information of the labeled set)⁻¹.

    Args:
        network: The trained network, ŵ in its last layer; copied.
        labeled: The labeled set.
        num_samples: K.
        prior_precision: δ; ``None`` chooses it by ``prior``.
        prior: ``labels`` or ``evidence``, as in ``LastLayerLaplace``.
        provides: What the posterior offers.
        generator: Draws the samples.
        precision: Of the forward passes up to the features.

    Attributes:
        prior_precision: δ.
        structure: ``full`` or ``kronecker``.
    """

    def __init__(
        self,
        network: Network,
        labeled: Batches,
        num_samples: int,
        prior_precision: float | None,
        prior: str,
        provides: frozenset[str],
        generator: torch.Generator,
        precision: torch.dtype,
    ) -> None:
        self.provides = provides
        self.num_samples = num_samples
        self._network = frozen_copy(network, precision)
        self._unrounded = frozen_copy(network, torch.float32)
        points = labeled_points(self._unrounded, labeled)
        output = self._unrounded.output
        mean = torch.cat([output.weight, output.bias[:, None]], dim=1).double()  # (C, H)
        full = mean.numel() <= FULL_LIMIT
        spectrum: Spectrum = FullSpectrum(points) if full else KroneckerSpectrum(points)
        self.structure = "full" if full else "kronecker"
        if prior_precision is None:
            norm = float(mean.square().sum())
            prior_precision = evidence_precision(spectrum.eigenvalues, norm)
            if prior == "labels":
                told = [output.weight.new_empty(0, dtype=torch.int64)]
                told += [labels for _, labels in labeled]
                prior_precision = precision_that_keeps_to_labels(
                    mean, spectrum, points, torch.cat(told), prior_precision
                )
        self.prior_precision = prior_precision
        drawn = [
            torch.randn(mean.shape, generator=generator, dtype=torch.float64)
            for _ in range(num_samples)  # one draw a sample: it does not depend on K
        ]
        noise = torch.stack(drawn, dim=2).to(mean.device)  # (C, H, K)
        weights = mean[:, :, None] + spectrum.spread(noise, prior_precision)
        self._weights = weights.permute(2, 0, 1).float().contiguous()  # (K, C, H)

    def log_probs(self, inputs: Tensor, num_samples: int | None = None) -> Tensor:
        """Log-probabilities (n, K, C), float32, of the first ``num_samples`` last layers.

        The network is linear in its last layer, so these are exact for the sampled weights.
        """
        count = checked_count(num_samples, self.num_samples)
        weights = self._weights[:count].flatten(0, 1)  # (K C, H)
        with torch.no_grad():
            features = mean_features([self._network], inputs)
            logits = torch.addmm(weights[:, -1], features, weights[:, :-1].T)
            return normalized(logits.view(len(inputs), count, self._network.output.out_features))

    def chunk_size(self, input_shape: tuple[int, ...], chunk_bytes: int) -> int:
        """Points that may be shown at once within ``chunk_bytes`` of working memory, at least 1."""
        output = self._network.output
        results = 8 * self.num_samples * output.out_features + 4 * output.in_features
        return max(1, chunk_bytes // (bytes_per_point(self._network, input_shape) + results))


def labeled_points(network: Network, labeled: Batches) -> Points:
    """The labeled set as the last layer of ``network`` sees it.

    Raises:
        TrainingError: The network's predictions are not numbers.
    """
    output = network.output
    log_probs = [output.weight.new_empty(0, output.out_features)]
    features = [output.weight.new_empty(0, output.in_features)]
    for inputs, _ in labeled:
        factors = gradient_factors(network, inputs)
        log_probs.append(factors.log_probs)
        features.append(factors.features)
    points = Points.of(torch.cat(log_probs), torch.cat(features))
    if not (bool(points.probs.isfinite().all()) and bool(points.inputs.isfinite().all())):
        raise TrainingError("The network's predictions for its labeled set are not finite numbers.")
    return points


@dataclass(frozen=True)
class LastLayerLaplace(OverNetwork):
    """Laplace approximation of the last layer's weights and bias (Daxberger et al. 2021).

    arXiv:2106.14806, with the Gauss-Newton matrix (Fisher information) of the labeled set. Its
    covariance is full up to ``FULL_LIMIT`` = 6,000 weights C (D + 1), else Kronecker-factored. The
    network itself, its features and its gradients are those of ``model=deterministic``.

    The prior is the whole question with few labels. The evidence (the marginal likelihood, as usual
    for Laplace approximations) takes the loss for a parabola; a network that fits its labels
    perfectly leaves no Fisher information, so that the Gaussian is as wide as the prior, and the
    average of its samples may be far worse than the network by itself (35% instead of 63% with 20
    digits, 2% instead of 32% with one label for each of 150 classes). By default, δ is therefore
    raised from there until the samples predict the labeled set about as well as the Gaussian itself
    says they would (``al_bench.models.prior.precision_that_keeps_to_labels``): their average is
    then about as accurate as the network, and its likelihood often better. Where the labels speak,
    δ is that of the evidence.

    Mean-field and probit predictions, which libraries offer for the same reason, have no functions
    ω_k: scores of several points need samples, and metrics are of the average of the same samples.

    Args:
        network: Builds the network.
        num_samples: Posterior samples K; they are cheap (one matrix product).
        prior_precision: δ of the weights' prior N(0, I / δ), the larger the narrower; ``None``
            chooses it by ``prior``.
        prior: ``labels``, or ``evidence`` for δ that maximises the evidence of the labeled set,
            between 0.0001 and 10,000, whatever the samples predict.
    """

    num_samples: int = 100
    prior_precision: float | None = None
    prior: str = "labels"
    num_networks: ClassVar[int] = 1
    numerics_version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole("num_samples", self.num_samples, 1)
        if self.prior_precision is not None:
            hint = "Use null to have it chosen."
            require_number("prior_precision", self.prior_precision, above=0, hint=hint)
        if self.prior not in PRIORS:
            raise ConfigError(
                f"{keyed('prior')}={self.prior} is unknown.", choose(str(self.prior), PRIORS)
            )

    def provides(self, network: Network) -> frozenset[str]:
        """Features and gradients; samples if there are two or more."""
        return ONE_NETWORK | ({SAMPLES} if self.num_samples > 1 else frozenset())

    def posterior(
        self,
        networks: Sequence[Network],
        labeled: Batches,
        generator: torch.Generator,
        precision: torch.dtype,
    ) -> LaplacePosterior:
        """The Gaussian around the network's last layer, and ``num_samples`` draws from it."""
        (network,) = networks
        return LaplacePosterior(
            network,
            labeled,
            self.num_samples,
            self.prior_precision,
            self.prior,
            self.provides(network),
            generator,
            precision,
        )
