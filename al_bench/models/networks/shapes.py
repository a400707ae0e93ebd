"""Which of our networks take which inputs."""

from al_bench.errors import ConfigError, require_number

# Smallest height and width whose feature maps never vanish; None: any shape.
SMALLEST_IMAGE: dict[str, int | None] = {
    "batchbald_cnn": 16,
    "ddu_resnet18": 8,
    "ddu_resnet8": 8,
    "digits_cnn": 4,
    "emnist_cnn": 14,
    "gap_cnn": 1,
    "lenet": 16,
    "mlp": None,
    "resnet18": 8,
    "rho_mlp": None,
    "small_cnn": 22,
    "tutorial_cnn": 16,
    "vgg11": 16,
    "vgg16": 16,
    "wide_resnet28_10": 8,
}


def networks_for(input_shape: tuple[int, ...]) -> list[str]:
    """Names of our networks that take inputs of that shape."""
    return [name for name in SMALLEST_IMAGE if _takes(name, input_shape)]


def require(name: str, input_shape: tuple[int, ...], num_classes: int) -> None:
    """Raise ConfigError unless the network ``name`` takes ``input_shape`` and has classes."""
    if num_classes < 2:
        raise ConfigError(f"A classifier needs at least 2 classes, got {num_classes}.")
    if _takes(name, input_shape):
        return
    size = SMALLEST_IMAGE[name]
    needed = "at least one feature" if size is None else f"images of at least {size}x{size} pixels"
    fitting = networks_for(input_shape)
    raise ConfigError(
        f"The network {name} needs {needed}, got inputs of shape {input_shape}.",
        f"These fit: {', '.join(f'model/network={other}' for other in fitting)}."
        if fitting
        else "Every side must be known, from 1: make all inputs of one size.",
    )


def require_dropout(dropout: float) -> None:
    """Raise ConfigError unless ``dropout`` is a probability below 1."""
    hint = "Use 0 for a network without dropout."
    require_number("dropout", dropout, 0, below=1, hint=hint)


def _takes(name: str, input_shape: tuple[int, ...]) -> bool:
    size = SMALLEST_IMAGE[name]
    if not input_shape or any(side is None or side < 1 for side in input_shape):
        return False  # a side is unknown, as that of images of different sizes
    return size is None or (len(input_shape) == 3 and min(input_shape[1:]) >= size)
