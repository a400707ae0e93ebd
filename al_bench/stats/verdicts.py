"""What may be said of an arm, in a word."""

LEVEL = 0.05  # of the tests for a difference
EQUIVALENCE_LEVEL = 0.02  # of either one-sided test: skewed differences err twice as often
BETTER, WORSE, EQUIVALENT, UNCLEAR = "better", "worse", "equivalent", "not distinguishable"
HIGHER, LOWER = "higher", "lower"  # of metrics of which neither is better
DIFFERENT = (BETTER, WORSE, HIGHER, LOWER)


def verdict(mean: float, p: float, p_equivalence: float, has_direction: bool = True) -> str:
    """What may be said of an arm.

    Args:
        mean: Its difference to the baseline, more is better, or at least higher.
        p: Of the test for a difference, adjusted for all arms.
        p_equivalence: The larger one of the tests that it lies within the margin, adjusted for all
            arms.
        has_direction: More is better.
    """
    if p < LEVEL:
        more, less = (BETTER, WORSE) if has_direction else (HIGHER, LOWER)
        return more if mean > 0 else less
    if p_equivalence < EQUIVALENCE_LEVEL:
        return EQUIVALENT
    return UNCLEAR
