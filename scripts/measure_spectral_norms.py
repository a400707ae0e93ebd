"""How far one step of a power iteration a pass leaves convolutions above their bound in training.

    python scripts/measure_spectral_norms.py --data ~/data --seeds 3 --out spectral_norms.json

``ddu_resnet8`` is trained on MNIST digits; after some numbers of steps the operator norm σ of each
normalized convolution is measured by a power iteration of its own, of 300 steps in float64, and
divided by the bound c.
"""

import argparse
import copy
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from benchmark_scoring import images
from torch import Tensor, nn

from al_bench.checking.views import seeded
from al_bench.models.networks.ddu_resnet import ddu_resnet8
from al_bench.models.networks.spectral import SpectralConv2d
from al_bench.seeding import isolated

BOUND = 3.0
BATCH = 64
ITERATIONS = 300


def norm_over_bound(layer: SpectralConv2d) -> float:
    """σ / c of the weight that the layer applies."""
    layer = copy.deepcopy(layer).eval()
    with torch.no_grad():
        weight = layer.bounded_weight().double()
        start = torch.randn(layer.right.shape, generator=seeded(0), dtype=torch.float64)

        def image(right: Tensor) -> Tensor:
            padding = layer.kernel_size[0] // 2
            return F.conv2d(right, weight, stride=layer.stride, padding=padding)

        right = start / start.norm()
        for _ in range(ITERATIONS):
            transposed = torch.func.vjp(image, right)[1](image(right))[0]
            right = transposed / transposed.norm()
        return float(image(right).norm()) / layer.bound


def main() -> None:
    """Train, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with MNIST")
    parser.add_argument("--points", type=int, default=10_000, help="that are trained on")
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 2, 5, 10, 50, 200])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    inputs, labels = images(asked.data, asked.points)
    rows = []
    for seed in range(asked.seeds):
        generator = seeded(seed)
        with isolated(generator):
            network = ddu_resnet8(
                input_shape=tuple(inputs.shape[1:]), num_classes=10, spectral=BOUND
            ).train()
        optimizer = torch.optim.Adam(network.parameters(), lr=0.001, weight_decay=5e-4)
        for step in range(1, max(asked.steps) + 1):
            places = torch.randint(len(inputs), (BATCH,), generator=generator)
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(inputs[places]), labels[places]).backward()
            optimizer.step()
            if step in asked.steps:
                found = [
                    norm_over_bound(layer)
                    for layer in network.modules()
                    if isinstance(layer, SpectralConv2d)
                ]
                rows.append({"seed": seed, "steps": step, "norm_over_bound": found})
                shown = " ".join(f"{value:.4f}" for value in found)
                print(f"seed {seed}, {step:4d} steps: sigma / c of each layer {shown}", flush=True)
    if asked.out is not None:
        report = {"torch": torch.__version__, "bound": BOUND, "points": asked.points, "rows": rows}
        asked.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
