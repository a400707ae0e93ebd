"""The run by a plain PyTorch loop with batchbald_redux's dropout, its data and its BatchBALD.

Points are predicted by 16 at once, which was fastest here, all K samples of each in one batch, as
its Bayesian module does. BatchBALD keeps 10,000 joint labelings, in float32.
"""

import batchbald_redux.batchbald as its_batchbald
import batchbald_redux.joint_entropy as its_entropies
import torch
import torch.nn.functional as F
from batchbald_redux.active_learning import ActiveLearningData
from batchbald_redux.consistent_mc_dropout import (
    BayesianModule,
    ConsistentMCDropout,
    ConsistentMCDropout2d,
)
from torch import Tensor
from torch.utils.data import TensorDataset

from peers.work import (
    BATCH,
    LEARNING_RATE,
    OUTCOMES,
    STEP_SIZE,
    STEPS,
    first_labels,
    images,
    layers,
    measures,
    parsed,
    tell,
)

PREDICTED_AT_ONCE = 16


class Network(BayesianModule):
    """BatchBALD's network, whose masks are equal for all points of a pass over a data set."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = layers(ConsistentMCDropout, ConsistentMCDropout2d)

    def mc_forward_impl(self, mc_input_BK: Tensor) -> Tensor:
        """Log-probabilities of every point and sample."""
        return F.log_softmax(self.layers(mc_input_BK), dim=1)


def main() -> None:
    asked = parsed()
    torch.set_num_threads(1)
    torch.manual_seed(asked.seed)
    for module in (its_batchbald, its_entropies):
        module.tqdm = quiet(module.tqdm)
    inputs, labels = images(asked.root, train=True)
    chosen = torch.randperm(len(labels))[: asked.pool]
    inputs, labels = inputs[chosen], labels[chosen]
    test_inputs, test_labels = images(asked.root, train=False)
    data = ActiveLearningData(TensorDataset(inputs, labels))
    data.acquire(first_labels(labels))
    rows = []
    for number in range(asked.rounds):
        network = Network()
        labeled = torch.as_tensor(data.training_dataset.indices)
        train(network, inputs[labeled], labels[labeled])
        network.eval()  # draws masks, which stay until the next call of it
        found = predict(network, test_inputs, asked.samples)
        rows.append({"num_labeled": len(labeled), **measures(found, test_labels)})
        if number < asked.rounds - 1:
            network.eval()
            pool = inputs[torch.as_tensor(data.pool_dataset.indices)]
            batch = its_batchbald.get_batchbald_batch(
                predict(network, pool, asked.samples), BATCH, OUTCOMES
            )
            data.acquire(batch.indices)
    tell(rows)


def quiet(progress: object) -> object:
    """A progress bar that shows nothing."""
    return lambda *given, **named: progress(*given, **{**named, "disable": True})


def train(network: Network, inputs: Tensor, labels: Tensor) -> None:
    """``STEPS`` steps of ``STEP_SIZE`` labeled points, drawn with replacement."""
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    network.train()
    for rows in torch.randint(len(labels), (STEPS, STEP_SIZE)):
        optimizer.zero_grad()
        F.nll_loss(network(inputs[rows], 1).squeeze(1), labels[rows]).backward()
        optimizer.step()


def predict(network: Network, inputs: Tensor, num_samples: int) -> Tensor:
    """Log-probabilities (N, K, C) under one set of masks."""
    with torch.inference_mode():
        parts = torch.split(inputs, PREDICTED_AT_ONCE)
        return torch.cat([network(part, num_samples) for part in parts])


if __name__ == "__main__":
    main()
