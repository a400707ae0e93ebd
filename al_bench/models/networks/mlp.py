"""Multilayer perceptron."""

from collections.abc import Sequence

from al_bench.errors import ConfigError, keyed, require_whole
from al_bench.models.networks.blocks import BlockNetwork, Dense
from al_bench.models.networks.shapes import require, require_dropout


def mlp(
    *,
    input_shape: tuple[int, ...],
    num_classes: int,
    hidden: Sequence[int] = (256, 256),
    dropout: float = 0.5,
    dropout_last: bool | None = None,
) -> BlockNetwork:
    """Fully connected layers with ReLU and dropout; inputs of any shape are flattened.

    Args:
        input_shape: Shape of one input.
        num_classes: C.
        hidden: Widths of the hidden layers; empty for a linear classifier, which has no dropout.
        dropout: Probability with which a hidden unit is dropped.
        dropout_last: Whether units of the last hidden layer are dropped too; ``None`` is yes.

    Raises:
        ConfigError: A width is below 1.
    """
    require("mlp", input_shape, num_classes)
    require_dropout(dropout)
    if isinstance(hidden, int | float | str):
        raise ConfigError(
            f"{keyed('hidden')} must be a list of widths, got {hidden!r}.",
            f"Write for example {keyed('hidden')}=[256,256].",
        )
    for width in hidden:
        require_whole(f"A width in {keyed('hidden')}", width, 1)
    if not (dropout_last is None or isinstance(dropout_last, bool)):
        raise ConfigError(
            f"{keyed('dropout_last')} must be true, false or null, got {dropout_last!r}."
        )
    last = len(hidden) - 1
    blocks = [Dense(width, i < last or dropout_last is not False) for i, width in enumerate(hidden)]
    return BlockNetwork(input_shape, num_classes, blocks, dropout)


def rho_mlp(
    *, input_shape: tuple[int, ...], num_classes: int, dropout: float = 0.0
) -> BlockNetwork:
    """The MNIST network of RHO-LOSS (Mindermann et al. 2022, arXiv:2206.07137).

    Three layers of 512 units with ReLU; inputs of any shape are flattened. The paper uses it
    without dropout but for selections that need posterior samples.

    Args:
        input_shape: Shape of one input.
        num_classes: C.
        dropout: Probability with which a hidden unit is dropped; MC dropout needs some.
    """
    require("rho_mlp", input_shape, num_classes)
    require_dropout(dropout)
    return BlockNetwork(input_shape, num_classes, [Dense(512)] * 3, dropout)


def epig_mlp(
    *, input_shape: tuple[int, ...], num_classes: int, dropout: float = 0.1
) -> BlockNetwork:
    """The network of EPIG on tables (Bickford Smith et al. 2023, arXiv:2304.08151).

    Three layers of 128 units with ReLU; inputs of any shape are flattened. Units of the first two
    are dropped, those of the third are not.

    Args:
        input_shape: Shape of one input.
        num_classes: C.
        dropout: Probability with which a hidden unit of the first two layers is dropped.
    """
    return mlp(
        input_shape=input_shape,
        num_classes=num_classes,
        hidden=(128, 128, 128),
        dropout=dropout,
        dropout_last=False,
    )
