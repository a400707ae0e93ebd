"""What every side of the end-to-end benchmark is given to do, and what the peers share of it.

The work: ``--rounds`` rounds of MNIST. A round trains the network of BatchBALD anew (160 steps of
64 points, Adam), predicts the test set with K dropout samples, and, but for the last one, scores
the whole pool with K samples and buys ten labels by BatchBALD.
"""

import argparse
import json
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.datasets import MNIST

INIT_SIZE, BATCH = 20, 10
STEPS, STEP_SIZE, LEARNING_RATE = 160, 64, 0.001
MEAN, STD = 0.1307, 0.3081  # of MNIST's training images, grey values 0 … 1
OUTCOMES = 10_000  # joint labelings of a batch that are kept


def parsed() -> argparse.Namespace:
    """What the benchmark passes to a side."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--samples", type=int, required=True)
    parser.add_argument("--pool", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    return parser.parse_args()


def images(root: Path, *, train: bool) -> tuple[Tensor, Tensor]:
    """Normalised images (n, 1, 28, 28) and their labels, in memory as tensors."""
    part = MNIST(str(root), train=train)
    return (part.data[:, None].float() / 255 - MEAN) / STD, part.targets


def first_labels(labels: Tensor) -> Tensor:
    """Positions of ``INIT_SIZE`` points, equally many of each class."""
    order = torch.randperm(len(labels))
    each = INIT_SIZE // 10
    return torch.cat([order[labels[order] == label][:each] for label in range(10)])


def layers(dropout: Callable[[], nn.Module], dropout2d: Callable[[], nn.Module]) -> nn.Sequential:
    """BatchBALD's network for MNIST, with logits at its end; masks lie where al-bench has them."""
    parts: dict[str, nn.Module] = {
        "first": nn.Conv2d(1, 32, 5),
        "first_pool": nn.MaxPool2d(2),
        "first_relu": nn.ReLU(),
        "first_mask": dropout2d(),
        "second": nn.Conv2d(32, 64, 5),
        "second_pool": nn.MaxPool2d(2),
        "second_relu": nn.ReLU(),
        "second_mask": dropout2d(),
        "flat": nn.Flatten(),
        "dense": nn.Linear(1024, 128),
        "dense_relu": nn.ReLU(),
        "dense_mask": dropout(),
        "output": nn.Linear(128, 10),
    }
    return nn.Sequential(OrderedDict(parts))


def measures(log_probs: Tensor, labels: Tensor) -> dict[str, float]:
    """Accuracy and negative log-likelihood of the mean prediction; log-probabilities (N, K, C)."""
    mean = log_probs.exp().mean(1)
    return {
        "accuracy": float((mean.argmax(1) == labels).float().mean()),
        "nll": float(F.nll_loss(mean.clamp_min(1e-12).log(), labels)),
    }


def tell(rows: list[dict[str, float]]) -> None:
    """Print what the benchmark reads: a row a round."""
    print(json.dumps(rows))
