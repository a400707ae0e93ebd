"""Spans of time as one says them."""


def in_words(seconds: float) -> str:
    """``40 s``, ``12 min``, ``1 h 20 min``, ``2 d 4 h``: at most two units, the last one rounded.

    Args:
        seconds: From 0.
    """
    if seconds < 0.5:
        return "less than a second"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return _two(*divmod(minutes, 60), "h", "min")
    return _two(*divmod(round(seconds / 3600), 24), "d", "h")


def about(seconds: float) -> str:
    """The same as an estimate: ``about 12 min``."""
    words = in_words(seconds)
    return words if seconds < 0.5 else f"about {words}"


def _two(whole: int, rest: int, name: str, rest_name: str) -> str:
    return f"{whole} {name}" + (f" {rest} {rest_name}" if rest else "")
