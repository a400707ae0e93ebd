"""Which classes have an example, so that nothing works with one that neither part has.

C classes.
"""

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from al_bench.data.base import Dataset, Examples
from al_bench.errors import DataError

REMAP = "remap"
FEW = 30  # classes that a line for the command line may list
RENUMBER = (
    "classes = np.union1d(y_train, y_test); y_train, y_test = np.searchsorted(classes, y_train), "
    "np.searchsorted(classes, y_test)"
)


def present(labels: Tensor) -> set[int]:
    """The classes that ``labels`` (n,) name."""
    return set(torch.unique(labels).tolist())


def check_labels(dataset: Dataset) -> None:
    """Raise DataError unless every input of a data set has a label 0 … C-1."""
    num_classes = dataset.num_classes
    for part, examples in (("training", dataset.train), ("test", dataset.test)):
        labels = examples.labels
        if labels.dtype != torch.int64 or labels.shape != (len(examples.inputs),):
            raise DataError(
                f"The {part} labels have shape {tuple(labels.shape)} and type {labels.dtype}; "
                f"there must be one int64 number for each of {len(examples.inputs)} inputs."
            )
        if len(labels) == 0:
            raise DataError(f"The data set has no {part} points.")
        outside = labels[(labels < 0) | (labels >= num_classes)]
        if len(outside):
            raise DataError(
                f"The {part} labels have {int(outside[0])}; there are {num_classes} class names, "
                f"so labels must be 0 to {num_classes - 1}."
            )


def check_known(num_classes: int, known: Collection[int], others: Sequence[str]) -> None:
    """Raise DataError where a class has no example, neither for training nor for testing.

    Args:
        num_classes: C.
        known: The classes that have one.
        others: Names of the pool transforms in use.
    """
    gaps = [label for label in range(num_classes) if label not in known]
    if not gaps:
        return
    one = len(gaps) == 1
    hint = _dropping(num_classes, gaps, others)
    if REMAP not in others:
        hint += (
            f"; or add dataset.num_classes={num_classes} (a data set class of your own: "
            f"Dataset(…, classes_given=True)) if {'it is' if one else 'they are'} meant"
        )
    raise DataError(
        f"The labels are {_listed(sorted(known))}: {_classes(gaps)} of {num_classes} "
        f"{'has' if one else 'have'} no example, neither for training nor for testing.",
        f"{hint}.",
    )


def check_kept(
    num_classes: int, emptied: Collection[int], test: Examples, others: Sequence[str]
) -> None:
    """Raise DataError where a pool transform takes all points of a class that no test point has.

    Args:
        num_classes: C.
        emptied: The classes that keep no training point.
        test: The test set in the pool's classes.
        others: Names of the pool transforms in use.
    """
    lost = sorted(set(emptied) - present(test.labels))
    if lost:
        raise DataError(
            f"The pool keeps no point of {_classes(lost)}, and the test set has none either.",
            f"{_dropping(num_classes, lost, others)}; or keep some points.",
        )


def gaps_in_words(
    num_classes: int, train: Collection[int], test: Collection[int]
) -> tuple[str, ...]:
    """Sentences on classes without a training example, or without any.

    Args:
        num_classes: C.
        train: Classes of the training points.
        test: Classes of the test points.
    """
    only_test = sorted(set(test) - set(train))
    without = [label for label in range(num_classes) if label not in {*train, *test}]
    return tuple(
        f"{_classes(labels).capitalize()} {'has' if len(labels) == 1 else 'have'} {what}."
        for labels, what in (
            (only_test, "test points and no training points"),
            (without, "no example at all"),
        )
        if labels
    )


def _dropping(num_classes: int, gaps: Sequence[int], others: Sequence[str]) -> str:
    """What to type so that the classes ``gaps`` are no longer there."""
    if REMAP in others:
        return f"Number the new classes in pool.remap.classes without {_listed(gaps)}"
    if num_classes > FEW:
        return f"Number them anew: {RENUMBER}"
    kept = [label for label in range(num_classes) if label not in gaps]
    new = ",".join(
        "null" if label in gaps else str(kept.index(label)) for label in range(num_classes)
    )
    choice = f"'pool=[{','.join([REMAP, *others])}]'" if others else f"pool={REMAP}"
    return f"Number them anew: {RENUMBER}; or use {choice} 'pool.remap.classes=[{new}]'"


def _classes(labels: Sequence[int]) -> str:
    return f"class {labels[0]}" if len(labels) == 1 else f"classes {_listed(labels)}"


def _listed(labels: Sequence[int]) -> str:
    shown = [str(label) for label in labels[:10]]
    if len(labels) > len(shown):
        return f"{', '.join(shown)}, … ({len(labels)} in all)"
    return " and ".join(", ".join(shown).rsplit(", ", 1))
