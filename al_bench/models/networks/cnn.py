"""Small convolutional networks."""

from al_bench.models.networks.blocks import BlockNetwork, Conv, Dense
from al_bench.models.networks.shapes import require, require_dropout

LENET = (Conv(6, 5, pool=2), Conv(16, 5, pool=2), Dense(120), Dense(84))


def batchbald_cnn(
    *, input_shape: tuple[int, ...], num_classes: int, dropout: float = 0.5
) -> BlockNetwork:
    """The MNIST network of BatchBALD (Kirsch et al. 2019, arXiv:1906.08158).

    Two 5×5 convolutions of 32 and 64 channels, each with channel dropout and a 2×2 max-pool, then
    128 units with dropout. 28×28 images leave 1,024 features after the convolutions.

    Args:
        input_shape: (channels, height, width), at least 16×16.
        num_classes: C.
        dropout: Probability with which a channel or unit is dropped.

    Raises:
        ConfigError: The inputs are not images of that size.
    """
    require("batchbald_cnn", input_shape, num_classes)
    require_dropout(dropout)
    blocks = (Conv(32, 5, pool=2), Conv(64, 5, pool=2), Dense(128))
    return BlockNetwork(input_shape, num_classes, blocks, dropout)


def emnist_cnn(
    *, input_shape: tuple[int, ...], num_classes: int, dropout: float = 0.5
) -> BlockNetwork:
    """The EMNIST network of BatchBALD (Kirsch et al. 2019, arXiv:1906.08158).

    Three 3×3 convolutions of 32, 64 and 128 channels with channel dropout, max-pools after the
    first and the third, then 512 units with dropout. 28×28 images leave 2,048 features after the
    convolutions.

    Args:
        input_shape: (channels, height, width), at least 14×14.
        num_classes: C.
        dropout: Probability with which a channel or unit is dropped.

    Raises:
        ConfigError: The inputs are not images of that size.
    """
    require("emnist_cnn", input_shape, num_classes)
    require_dropout(dropout)
    blocks = (Conv(32, 3, pool=2), Conv(64, 3), Conv(128, 3, pool=2), Dense(512))
    return BlockNetwork(input_shape, num_classes, blocks, dropout)


def digits_cnn(
    *, input_shape: tuple[int, ...], num_classes: int, dropout: float = 0.5
) -> BlockNetwork:
    """A network for 8×8 digits that trains in a second.

    Two 3×3 convolutions of 16 and 32 channels, a 2×2 max-pool and channel dropout after the second,
    then 64 units with dropout. Both convolutions lie before the first dropout layer, so scoring
    runs them once a point.

    Args:
        input_shape: (channels, height, width), at least 4×4.
        num_classes: C.
        dropout: Probability with which a channel or unit is dropped.

    Raises:
        ConfigError: The inputs are not images of that size.
    """
    require("digits_cnn", input_shape, num_classes)
    require_dropout(dropout)
    blocks = (
        Conv(16, 3, padding=1, masked=False),
        Conv(32, 3, padding=1, pool=2),
        Dense(64),
    )
    return BlockNetwork(input_shape, num_classes, blocks, dropout)


def small_cnn(
    *, input_shape: tuple[int, ...], num_classes: int, dropout: float = 0.0
) -> BlockNetwork:
    """The small network of RHO-LOSS (Mindermann et al. 2022, arXiv:2206.07137).

    Three 3×3 convolutions of 64, 128 and 256 channels without padding, each with a 2×2 max-pool,
    then 128 and 256 units. 32×32 images leave 1,024 features after the convolutions. The paper uses
    it for irreducible losses of CIFAR-10, and without dropout.

    Args:
        input_shape: (channels, height, width), at least 22×22.
        num_classes: C.
        dropout: Probability with which a channel or unit is dropped; MC dropout needs some.

    Raises:
        ConfigError: The inputs are not images of that size.
    """
    require("small_cnn", input_shape, num_classes)
    require_dropout(dropout)
    convolutions = (Conv(64, 3, pool=2), Conv(128, 3, pool=2), Conv(256, 3, pool=2))
    blocks = (*convolutions, Dense(128), Dense(256))
    return BlockNetwork(input_shape, num_classes, blocks, dropout)


def tutorial_cnn(
    *, input_shape: tuple[int, ...], num_classes: int, dropout: float = 0.0
) -> BlockNetwork:
    """The CNN of PyTorch's CIFAR-10 tutorial, as dynamicAL uses it (arXiv:2110.08611).

    Two 5×5 convolutions of 6 and 16 channels without padding, each with a 2×2 max-pool, then 120
    and 84 units. 32×32 images leave 400 features after the convolutions.

    Args:
        input_shape: (channels, height, width), at least 16×16.
        num_classes: C.
        dropout: Probability with which a channel or unit is dropped; MC dropout needs some.

    Raises:
        ConfigError: The inputs are not images of that size.
    """
    require("tutorial_cnn", input_shape, num_classes)
    require_dropout(dropout)
    return BlockNetwork(input_shape, num_classes, LENET, dropout)


def lenet(*, input_shape: tuple[int, ...], num_classes: int, dropout: float = 0.0) -> BlockNetwork:
    """LeNet-5 (LeCun et al. 1998) with ReLU and max-pools, as in DDU (arXiv:2102.11582).

    Two 5×5 convolutions of 6 and 16 channels without padding, each with a 2×2 max-pool, then 120
    and 84 units. 28×28 images leave 256 features after the convolutions.

    Args:
        input_shape: (channels, height, width), at least 16×16.
        num_classes: C.
        dropout: Probability with which a channel or unit is dropped; MC dropout needs some.

    Raises:
        ConfigError: The inputs are not images of that size.
    """
    require("lenet", input_shape, num_classes)
    require_dropout(dropout)
    return BlockNetwork(input_shape, num_classes, LENET, dropout)
