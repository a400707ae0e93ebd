"""Names in the order in which one reads them."""

import re

_NUMBER = re.compile(r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)")


def natural(name: str) -> tuple[str | float, ...]:
    """What to sort names by, so that ``batch_size=64`` comes before ``batch_size=128``.

    Numbers within names, decimal or with an exponent, count by their value, everything else as
    text; names that then are equal, such as ``1`` and ``1.0``, are ordered as text.
    """
    parts = _NUMBER.split(name)
    return (*(float(part) if place % 2 else part for place, part in enumerate(parts)), name)
