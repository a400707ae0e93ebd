"""What may be said of an arm, in a word."""

LEVEL = 0.05  # of the tests for a difference
EQUIVALENCE_LEVEL = 0.02  # of either one-sided test: skewed differences err twice as often
BETTER, WORSE, EQUIVALENT, UNCLEAR = "better", "worse", "equivalent", "not distinguishable"


def verdict(mean: float, p: float, p_equivalence: float) -> str:
    """What may be said of an arm.

    Args:
        mean: Its difference to the baseline, more is better.
        p: Of the test for a difference, adjusted for all arms.
        p_equivalence: The larger one of the tests that it lies within the margin, adjusted for all
            arms.
    """
    if p < LEVEL:
        return BETTER if mean > 0 else WORSE
    if p_equivalence < EQUIVALENCE_LEVEL:
        return EQUIVALENT
    return UNCLEAR
