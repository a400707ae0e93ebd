"""Random features on a network's own: its last layer becomes a Gaussian process in weight space.

n points, D features of the network, M random features, C classes.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from al_bench.errors import ConfigError
from al_bench.models.base import Network

FEWEST = 2  # features: a single one is constant once its mean is taken off


class RandomFeatures(nn.Module):
    """√(2 D / M) cos(W z + b), z the features with mean 0 and variance 1 over the D of each point.

    The inner product of two points is on average D times the Gaussian kernel
    exp(-‖z - z'‖² / (2 ℓ² D)) (Rahimi and Recht 2007, Random features for large-scale kernel
    machines). ‖z‖ is √D whatever the network, which is the unit of the length scale ℓ: kernels lie
    between exp(-2 / ℓ²) and 1. Random features have about that norm too, so that a linear layer on
    them learns about as fast as on z. W and b are drawn once from torch's global generator and not
    trained.

    Args:
        width: D, at least 2.
        num_features: M.
        length_scale: ℓ, above 0.

    Attributes:
        width: D.
        directions: W (M, D), entries from N(0, 1 / (ℓ² D)).
        phases: b (M,), uniform from 0 to 2 π.
    """

    directions: Tensor
    phases: Tensor

    def __init__(self, width: int, num_features: int, length_scale: float) -> None:
        super().__init__()
        self.width = width
        drawn = torch.randn(num_features, width) / (length_scale * math.sqrt(width))
        self.register_buffer("directions", drawn)
        self.register_buffer("phases", 2 * math.pi * torch.rand(num_features))

    def forward(self, features: Tensor) -> Tensor:
        """(n, D) to (n, M)."""
        centered = F.layer_norm(features, features.shape[1:])
        waves = F.linear(centered, self.directions, self.phases).cos()
        return waves * math.sqrt(2 * self.width / len(self.phases))


class RandomFeatureNetwork(Network):
    """A network whose last layer looks at random features of its features, and has no bias.

    It splits where the inner network does, and drops what that drops.

    Args:
        inner: The network; it loses its own last layer.
        num_features: M.
        length_scale: ℓ of ``RandomFeatures``.

    Raises:
        ConfigError: The inner network has fewer than two features.
    """

    def __init__(self, inner: Network, num_features: int, length_scale: float) -> None:
        super().__init__()
        width, num_classes = inner.output.in_features, inner.output.out_features
        if width < FEWEST:
            raise ConfigError(
                f"Random features need a network with at least {FEWEST} features, got {width}: "
                "normalized over a point's features, a single one is always 0.",
                "Make its last hidden layer wider.",
            )
        del inner.output
        self.inner = inner
        self.random = RandomFeatures(width, num_features, length_scale)
        self.output = nn.Linear(num_features, num_classes, bias=False)
        self.mask_units = inner.mask_units
        self.dropout = inner.dropout

    def prefix(self, inputs: Tensor) -> Tensor:
        """Everything before the inner network's first dropout layer."""
        return self.inner.prefix(inputs)

    def body(self, hidden: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """From the prefix's output to the random features (n, M)."""
        features: Tensor = self.random(self.inner.body(hidden, masks))
        return features
