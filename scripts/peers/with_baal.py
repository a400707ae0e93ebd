"""The run by baal: its loop, heuristic, wrapper and dropout, in the setting that was fastest here.

That is: dropout by ``MCDropoutModule`` around layers that ``MCCachingModule`` remembers, so that
what lies before the first mask is computed once a batch; the K passes one after the other, on 128
points; one tensor of images in memory and no worker processes. Steps are drawn from the labeled
points alone and not through ``ActiveLearningDataset``, which looks for them again at every item.

baal holds a table of all points, joint labelings and classes in float64, which is 8 TB for 10,000
labelings of 10,000 points. So it draws 1,000 here, a tenth of what the other sides do.
"""

import structlog
import torch
import torch.nn.functional as F
from baal import ModelWrapper
from baal.active import ActiveLearningDataset, ActiveLearningLoop
from baal.active.heuristics import BatchBALD
from baal.bayesian.caching_utils import MCCachingModule
from baal.bayesian.dropout import MCDropoutModule
from baal.modelwrapper import TrainingArgs
from torch import Tensor, nn
from torch.utils.data import Dataset, Subset, TensorDataset

from peers.work import (
    BATCH,
    LEARNING_RATE,
    STEP_SIZE,
    STEPS,
    first_labels,
    images,
    layers,
    measures,
    parsed,
    tell,
)

LABELINGS = 1_000
PREDICTED_AT_ONCE = 128


def main() -> None:
    asked = parsed()
    torch.set_num_threads(1)
    torch.manual_seed(asked.seed)
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    inputs, labels = images(asked.root, train=True)
    chosen = torch.randperm(len(labels))[: asked.pool]
    points = TensorDataset(inputs[chosen], labels[chosen])
    test = TensorDataset(*images(asked.root, train=False))
    active = ActiveLearningDataset(points)
    active.label(first_labels(labels[chosen]).tolist())
    rows = []
    for number in range(asked.rounds):
        wrapper = fresh()
        train(wrapper, active, points)
        found = wrapper.predict_on_dataset(test, asked.samples, verbose=False)
        rows.append(
            {"num_labeled": len(active), **measures(log_probs(found), test.tensors[1])},
        )
        if number < asked.rounds - 1:
            heuristic = BatchBALD(num_samples=BATCH, num_draw=LABELINGS // asked.samples)
            ActiveLearningLoop(
                active,
                wrapper.predict_on_dataset,
                heuristic,
                query_size=BATCH,
                iterations=asked.samples,
                verbose=False,
            ).step()
    tell(rows)


def fresh() -> ModelWrapper:
    """An untrained network."""
    network = layers(lambda: nn.Dropout(0.5), lambda: nn.Dropout2d(0.5))
    module = MCCachingModule(MCDropoutModule(network))
    optimizer = torch.optim.Adam(module.parameters(), lr=LEARNING_RATE)
    return ModelWrapper(
        module,
        TrainingArgs(
            optimizer=optimizer,
            criterion=nn.CrossEntropyLoss(),
            epoch=1,
            use_cuda=False,
            workers=0,
            replicate_in_memory=False,
        ),
    )


def train(wrapper: ModelWrapper, active: ActiveLearningDataset, points: Dataset) -> None:
    """``STEPS`` steps of ``STEP_SIZE`` labeled points, drawn with replacement."""
    labeled = torch.from_numpy(active.labelled.nonzero()[0])
    drawn = labeled[torch.randint(len(labeled), (STEPS * STEP_SIZE,))]
    wrapper.args.batch_size = STEP_SIZE
    wrapper.train_on_dataset(Subset(points, drawn.tolist()))
    wrapper.args.batch_size = PREDICTED_AT_ONCE


def log_probs(logits: object) -> Tensor:
    """From baal's logits (N, C, K) to log-probabilities (N, K, C)."""
    return F.log_softmax(torch.as_tensor(logits), dim=1).transpose(1, 2)


if __name__ == "__main__":
    main()
