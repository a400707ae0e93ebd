"""What the steps of active sampling were taken on: shares of the points that were chosen."""

import pandas as pd

from al_bench.stats.summary import metrics, summarize, tidy

KINDS = ("wrong", "known", "outside", "seen")  # columns selected_…, in the order of a figure


def shares(frame: pd.DataFrame, level: float = 0.95) -> dict[tuple[str, str], pd.DataFrame]:
    """Shares among the points chosen between one evaluation and the next, over steps.

    ``wrong``: the label is not the true one; ``known``: the step's own forward pass predicts the
    label; ``outside``: of a class that the test set lacks, or from another data set; ``seen``:
    trained on before.

    Args:
        frame: Rows of curves.
        level: Of the intervals.

    Returns:
        Protocol id and kind to curves, with the columns of ``summarize``; kinds that occur nowhere
        in a protocol are left out, and so is everything where labels were bought.
    """
    by_kind = {}
    for kind in KINDS:
        column = f"selected_{kind}"
        if column not in metrics(frame):
            continue
        for key, curves in summarize(tidy(frame, column), level).groupby("protocol_id"):
            if curves["mean"].any():
                by_kind[str(key), kind] = curves
    return by_kind
