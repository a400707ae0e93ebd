"""Random forests: every tree is a posterior sample.

M labeled points, n points to predict, K trees, C classes.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from al_bench.data.labeled import Batches
from al_bench.errors import ConfigError, keyed, require_whole
from al_bench.models.base import SAMPLES
from al_bench.models.frozen import checked_count


class ForestPosterior:
    """Equally likely trees: sample k is the class proportions in the leaves of tree k.

    Args:
        trees: K fitted decision trees; none stands for K uniform predictions.
        classes: (c,) int64, the classes the trees know, c at most C.
        num_samples: K.
        num_classes: C.
        provides: What the posterior offers.
    """

    def __init__(
        self,
        trees: list[Any],
        classes: Tensor,
        num_samples: int,
        num_classes: int,
        provides: frozenset[str],
    ) -> None:
        self.provides = provides
        self.num_samples = num_samples
        self._trees = trees
        self._classes = classes
        self._num_classes = num_classes

    def log_probs(self, inputs: Tensor, num_samples: int | None = None) -> Tensor:
        """Log-probabilities (n, K, C), float32, of the first ``num_samples`` trees.

        Leaves are often pure, so many entries are -inf; those of classes that were never labeled
        always are.
        """
        count = checked_count(num_samples, self.num_samples)
        shape = (len(inputs), count, self._num_classes)
        if not self._trees or len(inputs) == 0:
            return torch.full(shape, 1 / self._num_classes, device=inputs.device).log()
        table = inputs.flatten(1).to("cpu", torch.float32).contiguous().numpy()
        probs = torch.zeros(shape)
        for k, tree in enumerate(self._trees[:count]):
            known = tree.predict_proba(table, check_input=False)  # (n, c)
            probs[:, k, self._classes] = torch.from_numpy(known).to(torch.float32)
        return probs.log_().to(inputs.device)

    def chunk_size(self, input_shape: tuple[int, ...], chunk_bytes: int) -> int:
        """Points that may be shown at once within ``chunk_bytes`` of working memory, at least 1."""
        numbers = torch.Size(input_shape).numel() + 2 * self.num_samples * self._num_classes
        return max(1, chunk_bytes // (4 * numbers))


@dataclass(frozen=True)
class RandomForest:
    """A random forest (Breiman 2001) whose trees are the posterior samples.

    Trees as samples of the posterior as in Bickford Smith et al. (2023), arXiv:2304.08151. Each
    tree is grown on its own bootstrap sample and looks at √(input size) inputs a split. Its
    prediction is the class proportions in the leaf, 0 for most classes, so log-probabilities may be
    -inf; the test NLL is charged for ``al_bench.rounds.metrics.EPSILON`` at least. Without labels
    every tree predicts all classes alike.

    Args:
        num_trees: Trees K, each a posterior sample.
        max_depth: Greatest depth of a tree; ``None`` grows until leaves are pure.
        min_leaf_size: Labeled points (of the bootstrap sample) in a leaf, at least.
        network: Always ``None``; data sets bring a network for the models that have one.
    """

    num_trees: int = 100
    max_depth: int | None = None
    min_leaf_size: int = 1
    network: None = None

    def __post_init__(self) -> None:
        require_whole("num_trees", self.num_trees, 1)
        if self.max_depth is not None:
            require_whole("max_depth", self.max_depth, 1)
        require_whole("min_leaf_size", self.min_leaf_size, 1)
        if self.network is not None:
            raise ConfigError(
                f"model=random_forest has no network; {keyed('network')} must be null."
            )

    @property
    def num_samples(self) -> int:
        """K, one sample a tree."""
        return self.num_trees

    def check(self, input_shape: tuple[int, ...], num_classes: int) -> frozenset[str]:
        """Samples, from two trees on; neither features nor gradients."""
        if num_classes < 2:
            raise ConfigError(f"model=random_forest needs 2 classes or more, got {num_classes}.")
        return frozenset({SAMPLES}) if self.num_trees > 1 else frozenset()

    def fit(
        self, labeled: Batches, num_classes: int, generator: torch.Generator
    ) -> ForestPosterior:
        """Grow the trees; tree k does not depend on how many there are."""
        provides = self.check(labeled.input_shape, num_classes)
        trees: list[Any] = []
        classes = torch.empty(0, dtype=torch.int64)
        if len(labeled):
            parts = [(x.flatten(1).cpu(), y.cpu()) for x, y in labeled]
            inputs, labels = (torch.cat(part) for part in zip(*parts, strict=True))
            trees, classes = self._grown(inputs, labels, generator)
        return ForestPosterior(trees, classes, self.num_trees, num_classes, provides)

    def _grown(
        self, inputs: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[list[Any], Tensor]:
        from sklearn.ensemble import RandomForestClassifier

        forest = RandomForestClassifier(
            self.num_trees,
            max_depth=self.max_depth,
            min_samples_leaf=self.min_leaf_size,
            n_jobs=1,
            random_state=int(torch.randint(2**31, (), generator=generator)),
        )
        forest.fit(inputs.numpy(), labels.numpy())
        return list(forest.estimators_), torch.from_numpy(forest.classes_).to(torch.int64)
