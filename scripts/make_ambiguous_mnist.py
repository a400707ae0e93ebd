"""Digits between two digits, a stand-in for Ambiguous-MNIST: `dataset=ambiguous_mnist_made`.

    python scripts/make_ambiguous_mnist.py --root data --sheet sheet.png

After Mukhoti et al. (2023), arXiv:2102.11582. A variational autoencoder learns MNIST; midpoints of
the codes of two training digits are decoded, and those are kept of which an ensemble of networks
says with one voice that they are ambiguous: the entropy of its average prediction is high, and the
mutual information between prediction and member is low. Ten labels of each are drawn from the
average prediction. It takes some minutes on one core, and the same seed gives the same images on
one machine.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from al_bench.data.ambiguous import LABELS, SAMPLES, MadeAmbiguousMNIST
from al_bench.data.vision import MNIST
from al_bench.information.entropies import entropy as entropy_of
from al_bench.information.entropies import mutual_information, predictive_log_probs

CODE = 12  # numbers that stand for a digit
MEMBERS = 5
CANDIDATES = 4096  # decoded at once
ANSWERS = 10  # labels of an image


class Autoencoder(nn.Module):
    """Images (n, 784), grey values 0 … 1, to the means and deviations of codes and back."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 2 * CODE))
        self.decoder = nn.Sequential(nn.Linear(CODE, 512), nn.ReLU(), nn.Linear(512, 784))

    def loss(self, images: Tensor) -> Tensor:
        """The negative evidence lower bound, nats an image."""
        mean, log_std = self.encoder(images).chunk(2, dim=1)
        code = mean + torch.randn_like(mean) * log_std.exp()
        error = F.binary_cross_entropy_with_logits(self.decoder(code), images, reduction="sum")
        prior = (mean.square() + (2 * log_std).exp() - 1 - 2 * log_std).sum() / 2
        return (error + prior) / len(images)


def convolutional() -> nn.Module:
    """A small network from images (n, 1, 28, 28) to ten logits."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 5, stride=2), nn.ReLU(), nn.Conv2d(16, 32, 5, stride=2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(512, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 10)),
    )


def trained(network: nn.Module, images: Tensor, labels: Tensor | None, epochs: int) -> nn.Module:
    """``network`` after so many passes; without labels it is an autoencoder."""
    size = 256
    steps = epochs * (len(images) // size)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps)
    network.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(size)[: len(images) // size]:
            shown = images[batch]
            if labels is None:
                loss = network.loss(shown)
            else:
                loss = F.cross_entropy(
                    network(shown[:, None].unflatten(2, (28, 28))), labels[batch]
                )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def between(autoencoder: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Images (n, 784) half-way between two training digits of different classes, in 256 greys."""
    first, second = torch.randint(len(images), (2, CANDIDATES))
    differ = labels[first] != labels[second]
    first, second = first[differ], second[differ]
    share = torch.rand(len(first), 1) * 0.4 + 0.3
    codes = autoencoder.encoder(torch.cat([images[first], images[second]]))[:, :CODE]
    one, other = codes.chunk(2)
    decoded = autoencoder.decoder(one + share * (other - one)).sigmoid()
    return (255 * decoded).round() / 255


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the two files, and print what they hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path("data"), help="folder with MNIST/raw")
    parser.add_argument("--images", type=int, default=12_000, help="the first half is for training")
    parser.add_argument("--entropy", type=float, default=0.5, help="nats, at least")
    parser.add_argument("--information", type=float, default=0.1, help="nats, at most")
    parser.add_argument("--passes", type=int, nargs=2, default=[20, 3], help="VAE, each network")
    parser.add_argument("--most", type=int, default=2_000_000, help="candidates, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", type=Path, help="picture of 120 of them")
    asked = parser.parse_args(arguments)
    started = time.perf_counter()
    torch.manual_seed(asked.seed)
    mnist = MNIST(str(asked.root)).load()
    images = mnist.train.inputs.values.flatten(1).float() / 255
    labels = mnist.train.labels

    autoencoder = trained(Autoencoder(), images, None, asked.passes[0])
    print(f"autoencoder: {time.perf_counter() - started:.0f} s", flush=True)
    ensemble = [trained(convolutional(), images, labels, asked.passes[1]) for _ in range(MEMBERS)]
    with torch.no_grad():
        test = mnist.test.inputs.values.float() / 255
        right = [
            float((one(test).argmax(dim=1) == mnist.test.labels).float().mean()) for one in ensemble
        ]
    print(f"ensemble: {time.perf_counter() - started:.0f} s, test accuracy {right}", flush=True)

    parts: dict[str, list[Tensor]] = {"image": [], "entropy": [], "information": [], "probs": []}
    decoded = kept = 0
    with torch.no_grad():
        while kept < asked.images:
            if decoded >= asked.most:
                raise SystemExit(f"Only {kept} of {decoded} candidates are ambiguous.")
            candidates = between(autoencoder, images, labels)
            shown = candidates.view(-1, 1, 28, 28)
            log_probs = torch.stack([one(shown).log_softmax(dim=1) for one in ensemble], dim=1)
            average = predictive_log_probs(log_probs)
            values = {
                "image": shown,
                "entropy": entropy_of(average),
                "information": mutual_information(log_probs),
                "probs": average.exp(),
            }
            keep = (values["entropy"] >= asked.entropy) & (
                values["information"] <= asked.information
            )
            for name, value in values.items():
                parts[name].append(value[keep])
            decoded += len(candidates)
            kept += int(keep.sum())
    made = {name: torch.cat(part)[: asked.images] for name, part in parts.items()}
    answers = torch.multinomial(made["probs"], ANSWERS, replacement=True)

    folder = asked.root / MadeAmbiguousMNIST.FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(made["image"].clone(), folder / SAMPLES)
    torch.save(answers, folder / LABELS)
    told = {
        "images": len(answers),
        "candidates": decoded,
        "mean_entropy": round(float(made["entropy"].mean()), 4),
        "mean_information": round(float(made["information"].mean()), 4),
        "labels_of_each_class": answers.flatten().bincount(minlength=10).tolist(),
        "ensemble_test_accuracy": [round(one, 4) for one in right],
        "seconds": round(time.perf_counter() - started),
        "asked": {key: value for key, value in vars(asked).items() if key not in ("root", "sheet")},
    }
    (folder / "made.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(told, indent=1))
    if asked.sheet is not None:
        draw(made["image"][:120, 0], answers[:120], asked.sheet)
    return 0


def draw(images: Tensor, answers: Tensor, path: Path) -> None:
    """A sheet of images (n, 28, 28), the two most frequent of each one's labels above it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 9), layout="constrained")
    for axes, image, labels in zip(figure.subplots(10, 12).flat, images, answers, strict=True):
        counts = labels.bincount(minlength=10)
        first, second = counts.topk(2).indices.tolist()
        axes.imshow(image, cmap="gray_r")
        axes.set_title(f"{first}×{counts[first]} {second}×{counts[second]}", fontsize=7)
        axes.axis("off")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    raise SystemExit(main())
