"""What a network, a posterior and a model are.

A model is a posterior family: over a network that a recipe trains, or one that fits itself (a
forest). n points, K posterior samples, C classes, D features.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from al_bench.data.labeled import Batches

# Names of ``al_bench.models.capabilities.CAPABILITIES``, which says what each is.
SAMPLES = "samples"  # log-probabilities that differ between posterior samples
FEATURES = "features"  # the inputs of the last linear layer
GRADIENTS = "gradients"  # one last linear layer, so gradient factors exist
NETWORK = "network"  # one network, for gradients of all parameters
LOGITS = "logits"  # of one network, which log-probabilities have lost
DENSITY = "density"  # of features, high near the labeled set


class Network(nn.Module):
    """A classifier that splits at its first stochastic layer.

    ``forward(x, masks)`` is ``output(body(prefix(x), masks))``. The prefix is deterministic, so
    scoring many posterior samples computes it once.

    Attributes:
        output: The last linear layer, from D features to C logits.
        mask_units: Units (channels or features) of each dropout layer in the order in which they
            act; empty for a network without dropout.
        dropout: Probability with which a unit is dropped.
    """

    output: nn.Linear
    mask_units: tuple[int, ...] = ()
    dropout: float = 0.0

    def prefix(self, inputs: Tensor) -> Tensor:
        """Everything before the first dropout layer: (n, *input_shape) to (n, …)."""
        raise NotImplementedError

    def body(self, hidden: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """From the prefix's output to the last layer's features (n, D).

        Args:
            hidden: What ``prefix`` returned.
            masks: One a dropout layer, (n, units) or (1, units), 0 where a unit is dropped and
                1 / (1 - dropout) where it is kept; ``None`` keeps every unit unscaled.
        """
        raise NotImplementedError

    def forward(self, inputs: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """Logits (n, C)."""
        logits: Tensor = self.output(self.body(self.prefix(inputs), masks))
        return logits


class NetworkFactory(Protocol):
    """What a file under ``conf/model/network`` builds."""

    def __call__(self, *, input_shape: tuple[int, ...], num_classes: int) -> Network:
        """A network with fresh weights; raises ConfigError when it cannot take that shape."""


class GradientFactors(NamedTuple):
    """The two factors of each point's last-layer gradients.

    The gradient of -log p(y | x) with respect to the last layer's weights is the outer product of
    exp(log_probs) - onehot(y) and the features; with respect to its bias it is the first factor.

    Args:
        log_probs: Of the mean network (no unit dropped), (n, C) float32.
        features: The inputs of its last layer, (n, D) float32.
    """

    log_probs: Tensor
    features: Tensor


class Posterior(Protocol):
    """A fitted model: K functions ω_1 … ω_K from inputs to class probabilities.

    Sample k is one function whatever inputs it is shown and in whatever chunks, so quantities of
    several points together are meaningful. No method changes the model.
    """

    @property
    def num_samples(self) -> int:
        """K."""

    @property
    def provides(self) -> frozenset[str]:
        """Names of what it offers beside predictions, each a line of ``CAPABILITIES``.

        It has the method that the table names: ``features(inputs) -> (n, D)`` float32 of the mean
        network (no unit dropped) with FEATURES, ``gradient_factors(inputs) -> GradientFactors`` of
        that network with GRADIENTS, ``logits(inputs) -> (n, C)`` float32 of it (where its logits
        are Gaussian, the mean-field ones) with LOGITS, ``log_density(inputs) -> (n,)`` float64,
        nats, with DENSITY, and with NETWORK ``network() -> Network``, a float32 copy in evaluation
        mode, the caller's own.

        A posterior may have an attribute ``notes`` besides, a mapping of short names to numbers or
        words, which is stored with each round.
        """

    def log_probs(self, inputs: Tensor, num_samples: int | None = None) -> Tensor:
        """Log-probabilities (n, K, C), float32, of the first ``num_samples`` samples (all if None).

        Entries may be -inf (a tree that has never seen a class).
        """

    def chunk_size(self, input_shape: tuple[int, ...], chunk_bytes: int) -> int:
        """Points that may be shown at once within ``chunk_bytes`` of working memory, at least 1."""


class Model(Protocol):
    """What a file under ``conf/model`` builds: a posterior family, one of the two kinds below."""

    @property
    def num_samples(self) -> int:
        """K."""

    def check(self, input_shape: tuple[int, ...], num_classes: int) -> frozenset[str]:
        """Names of what its posteriors provide for such a data set.

        Raises:
            ConfigError: The model cannot take that data set.
        """


@runtime_checkable
class NetworkModel(Model, Protocol):
    """A posterior over one or several networks, which a recipe trains."""

    @property
    def num_networks(self) -> int:
        """Networks trained for one posterior: 1, or the members of an ensemble."""

    def build(self, input_shape: tuple[int, ...], num_classes: int) -> Network:
        """One untrained network, weights drawn from torch's global generator."""

    def posterior(
        self,
        networks: Sequence[Network],
        labeled: Batches,
        generator: torch.Generator,
        precision: torch.dtype,
    ) -> Posterior:
        """The posterior of trained networks.

        Args:
            networks: ``num_networks`` trained networks.
            labeled: The labeled set they were trained on.
            generator: Draws the posterior samples; sample k does not depend on K.
            precision: float32 or bfloat16, of the forward passes; log-probabilities are float32.
        """


@runtime_checkable
class DirectModel(Model, Protocol):
    """A posterior that is fitted to the labeled set without a network or a recipe."""

    def fit(self, labeled: Batches, num_classes: int, generator: torch.Generator) -> Posterior:
        """The posterior given ``labeled``, which may be empty.

        Args:
            labeled: The labeled set.
            num_classes: C; the labeled set may lack some.
            generator: The only source of randomness.
        """
