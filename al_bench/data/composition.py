"""What a pool is made of, in words."""

import torch

from al_bench.data.base import Pool

MANY_CLASSES = 20  # more are not listed one by one


def composition(pool: Pool) -> dict[str, str]:
    """Classes, origins and labels of a transformed pool, by what they are about.

    Classes are counted by the label that the annotator gives; refused points have none.
    """
    said = {"classes": _classes(pool)}
    if len(pool.origins) > 1:
        counts = torch.bincount(pool.origin, minlength=len(pool.origins)).tolist()
        said["origins"] = ", ".join(
            f"{name} {count:,}" for name, count in zip(pool.origins, counts, strict=True)
        )
    if bool(pool.refused.any()):
        said["refused"] = f"{int(pool.refused.sum()):,} points"
    own = pool.origin == 0
    wrong = pool.labels[own] != pool.true_labels[own]
    if bool(wrong.any()):
        name = f" of {pool.origins[0]}" if len(pool.origins) > 1 else ""
        share = float(wrong.double().mean())
        said["noise"] = f"{int(wrong.sum()):,} labels{name} are wrong ({share:.1%})"
    return said


def _classes(pool: Pool) -> str:
    counts = torch.bincount(pool.labels[~pool.refused], minlength=pool.num_classes).tolist()
    if len(counts) <= MANY_CLASSES:
        return ", ".join(f"{label}: {count:,}" for label, count in enumerate(counts))
    least, most = min(counts), max(counts)
    return (
        f"{len(counts)}, from {least:,} (class {counts.index(least)}) to {most:,} points "
        f"(class {counts.index(most)})"
    )
