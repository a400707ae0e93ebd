"""Time of MC-dropout scoring with the BatchBALD CNN: three ways to the same numbers, interleaved.

    python scripts/benchmark_scoring.py --out scoring.json
    python scripts/benchmark_scoring.py --data ~/data --bfloat16

Ways: ``stacked`` (what al-bench runs), ``masked`` (full-size passes that share the prefix,
channels-last) and ``usual`` (inputs repeated K times, every layer on every copy, dropout before
pooling as published, torch's default memory layout). With one thread the clock is the process's own
CPU time, so that neighbors on the machine count less. The network is trained on 40 labels: of
scikit-learn's digits enlarged to 28x28, or of MNIST with ``--data ROOT``.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from al_bench.data.base import TensorInputs
from al_bench.data.labeled import LabeledSet
from al_bench.information.entropies import mutual_information
from al_bench.models.masks import draw_masks
from al_bench.models.mc_dropout import MCDropout, MCDropoutPosterior
from al_bench.models.networks.blocks import BlockNetwork
from al_bench.models.networks.cnn import batchbald_cnn
from al_bench.strategies.batchbald import BatchBALD

MASKED_POINTS = 128  # a chunk of the masked passes: as fast as any from 64 to 512 on one core
USUAL_COPIES = (
    200  # points x samples of a chunk of the usual form: the fastest of 100 to 1,600 on one core
)


class View:
    """As much of a pool as BatchBALD looks at."""

    def __init__(self, log_probs: Tensor) -> None:
        self._log_probs = log_probs
        self.num_samples = log_probs.shape[1]

    def __len__(self) -> int:
        return len(self._log_probs)

    def log_probs(self, num_samples: int | None = None) -> Tensor:
        """(N, K, C)."""
        return self._log_probs[:, :num_samples]


def images(root: Path | None, count: int) -> tuple[Tensor, Tensor]:
    """At least ``count`` standardised images (n, 1, 28, 28) and their labels."""
    if root is None:
        from sklearn.datasets import load_digits

        digits = load_digits()
        values = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
        values = F.interpolate(values, size=28, mode="bilinear")
        labels = torch.tensor(digits.target)
        repeats = -(-count // len(values))
        values = values.repeat(repeats, 1, 1, 1)
        noise = torch.randn(values.shape, generator=torch.Generator().manual_seed(0))
        values, labels = values + 0.1 * noise, labels.repeat(repeats)
    else:
        from torchvision.datasets import MNIST

        mnist = MNIST(root, train=True)
        values, labels = mnist.data[:count].unsqueeze(1) / 255, mnist.targets[:count]
    return (values - values.mean()) / values.std(), labels


def trained(inputs: Tensor, labels: Tensor, steps: int) -> BlockNetwork:
    torch.manual_seed(0)
    network = batchbald_cnn(input_shape=(1, 28, 28), num_classes=10)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        batch = torch.randint(len(inputs), (64,), generator=generator)
        masks = draw_masks(network, 64, generator, torch.device("cpu"))
        loss = F.cross_entropy(network(inputs[batch], masks), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


@torch.inference_mode()
def usual(network: BlockNetwork, masks: list[Tensor], inputs: Tensor) -> Tensor:
    """Log-probabilities (n, K, C) as most tools get them."""
    num_samples = len(masks[0])
    conv1, conv2, dense = (network.linear(i) for i in range(3))
    results = []
    for chunk in torch.split(inputs, max(1, USUAL_COPIES // num_samples)):
        hidden = chunk.repeat_interleave(num_samples, dim=0)
        mask1, mask2, mask3 = (mask.repeat(len(chunk), 1) for mask in masks)
        hidden = F.relu(F.max_pool2d(conv1(hidden) * mask1[:, :, None, None], 2))
        hidden = F.relu(F.max_pool2d(conv2(hidden) * mask2[:, :, None, None], 2))
        hidden = F.relu(dense(hidden.flatten(1)) * mask3)
        logits = network.output(hidden).view(len(chunk), num_samples, -1)
        results.append(F.log_softmax(logits, dim=-1, dtype=torch.float32))
    return torch.cat(results)


def chunked(function: Callable[[Tensor], Tensor], inputs: Tensor, size: int) -> Tensor:
    return torch.cat([function(chunk) for chunk in torch.split(inputs, size)])


def gemm_rate(precision: torch.dtype, clock: Callable[[], float], size: int = 1024) -> float:
    """Billions of floating-point operations a second of a square matrix product."""
    a, b = torch.randn(2, size, size).to(precision)
    rates = []
    for _ in range(5):
        start = clock()
        a @ b
        rates.append(2 * size**3 / (clock() - start) / 1e9)
    return max(rates)


def measure(
    posterior: MCDropoutPosterior,
    exact: MCDropoutPosterior,
    network: BlockNetwork,
    masks: list[Tensor],
    inputs: Tensor,
    args: argparse.Namespace,
    clock: Callable[[], float],
) -> dict[str, object]:
    """Interleaved times of all ways, and how far they agree.

    ``exact`` is the same posterior in float32; in bfloat16 its masked passes are the reference.
    """
    few = inputs[: args.usual_points]
    chunk = posterior.chunk_size((1, 28, 28), 64 * 2**20)
    ways = {
        "stacked": (lambda: chunked(posterior.log_probs, inputs, chunk), len(inputs)),
        "masked": (lambda: chunked(posterior.masked_log_probs, inputs, MASKED_POINTS), len(inputs)),
        "usual": (lambda: usual(network, masks, few.to(masks[0].dtype)), len(few)),
    }
    if posterior is not exact:
        ways["masked_float32"] = (
            lambda: chunked(exact.masked_log_probs, inputs, MASKED_POINTS),
            len(inputs),
        )
    reference = "masked" if posterior is exact else "masked_float32"
    times: dict[str, list[float]] = {name: [] for name in ways}
    results: dict[str, Tensor] = {}
    for name, (run, _) in ways.items():  # warm up; the stacked form cuts its weights here
        results[name] = run()
    names = list(ways)
    for i in range(args.rounds):
        for name in names[i % len(names) :] + names[: i % len(names)]:
            run, points = ways[name]
            start = clock()
            run()
            times[name].append((clock() - start) / points / args.samples * 1e6)
    return {
        "microseconds": {name: spread(values) for name, values in times.items()},
        "over_stacked": {name: ratio(times[name], times["stacked"]) for name in names[1:]},
        "chunk_points": chunk,
        "largest_difference": float((results["stacked"] - results["masked"]).abs().max()),
        "largest_difference_usual": float(
            (results["stacked"][: len(few)] - results["usual"]).abs().max()
        ),
        "reference": reference,
        **agreement(results["stacked"], results[reference], args.picks),
    }


def agreement(log_probs: Tensor, reference: Tensor, picks: int) -> dict[str, object]:
    """How far BALD and BatchBALD make the same choices from both."""
    scores, expected = mutual_information(log_probs), mutual_information(reference)
    ranks = torch.stack([scores, expected]).argsort(dim=1).argsort(dim=1).double()
    chosen = [
        BatchBALD().select(View(values), picks, torch.Generator().manual_seed(0)).positions.tolist()
        for values in (log_probs, reference)
    ]
    return {
        "bald_rank_correlation": float(torch.corrcoef(ranks)[0, 1]),
        "bald_largest_difference": float((scores - expected).abs().max()),
        "bald_top": overlap(scores.topk(picks).indices, expected.topk(picks).indices),
        "batchbald_equal": chosen[0] == chosen[1],
        "batchbald_overlap": len(set(chosen[0]) & set(chosen[1])),
        "batchbald_picks": chosen[0],
    }


def overlap(first: Tensor, second: Tensor) -> int:
    return len(set(first.tolist()) & set(second.tolist()))


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratio(slow: list[float], fast: list[float]) -> dict[str, float]:
    return spread([a / b for a, b in zip(slow, fast, strict=True)])


def processor() -> dict[str, object]:
    """Name of the processor and whether it multiplies bfloat16 by itself (Linux)."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    fields = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    flags = fields.get("flags", "").split()
    names = ("avx512f", "avx512_bf16", "amx_bf16")
    return {"name": fields.get("model name", "unknown"), **{f: f in flags for f in names}}


def show(precision: str, result: dict, gemm: float) -> None:
    print(f"\n{precision}: matrix products at {gemm:.0f} GFLOP/s")
    for name, value in result["microseconds"].items():
        print(
            f"  {name:14} {value['median']:7.2f} µs per (point, sample)"
            f"   [{value['min']:.2f}, {value['max']:.2f}]"
        )
    for name, value in result["over_stacked"].items():
        print(f"  {name} over stacked: {value['median']:.2f}x", end=" ")
        print(f"[{value['min']:.2f}, {value['max']:.2f}]")
    print(
        f"  largest difference in a log-probability: {result['largest_difference']:.1e} (masked), "
        f"{result['largest_difference_usual']:.1e} (usual)\n"
        f"  against {result['reference']}:\n"
        f"  BALD: rank correlation {result['bald_rank_correlation']:.6f}, "
        f"{result['bald_top']} of the top {len(result['batchbald_picks'])} equal\n"
        f"  BatchBALD: {result['batchbald_overlap']} of {len(result['batchbald_picks'])} picks "
        f"equal, {'in the same' if result['batchbald_equal'] else 'not in the same'} order"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--points", type=int, default=2000, help="N")
    parser.add_argument("--samples", type=int, default=100, help="K")
    parser.add_argument("--picks", type=int, default=10, help="batch size of BatchBALD")
    parser.add_argument("--rounds", type=int, default=5, help="repetitions of each way")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--usual-points", type=int, default=100, help="points for the usual form")
    parser.add_argument("--train-steps", type=int, default=300)
    parser.add_argument("--data", type=Path, help="folder with MNIST as torchvision stores it")
    parser.add_argument("--bfloat16", action="store_true", help="also in bfloat16")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    clock = time.process_time if args.threads == 1 else time.perf_counter
    inputs, labels = images(args.data, args.points + 40)
    network = trained(inputs[:40], labels[:40], args.train_steps).eval()
    points = LabeledSet(TensorInputs(inputs), torch.arange(40), labels)
    labeled = points.on(torch.device("cpu"), 2**26)
    inputs = inputs[40 : 40 + args.points]
    report: dict[str, object] = {
        "processor": processor(),
        "torch": torch.__version__,
        "threads": args.threads,
        "clock": clock.__name__,
        "points": args.points,
        "samples": args.samples,
        "data": "digits, enlarged" if args.data is None else "mnist",
    }
    print(json.dumps(report, indent=2))
    for precision in (torch.float32, torch.bfloat16) if args.bfloat16 else (torch.float32,):
        generator = torch.Generator().manual_seed(1)
        model = MCDropout(batchbald_cnn, args.samples)
        posterior = model.posterior([network], labeled, generator, precision)
        if precision == torch.float32:
            exact = posterior
        masks = draw_masks(
            network, args.samples, torch.Generator().manual_seed(1), torch.device("cpu")
        )
        rounded = batchbald_cnn(input_shape=(1, 28, 28), num_classes=10)
        rounded.load_state_dict(network.state_dict())
        rounded = rounded.to(precision, memory_format=torch.contiguous_format).eval()
        gemm = gemm_rate(precision, clock)
        result = measure(
            posterior,
            exact,
            rounded,
            [mask.to(precision) for mask in masks],
            inputs,
            args,
            clock,
        )
        name = str(precision).removeprefix("torch.")
        report[name] = {"gemm_gflops": gemm, **result}
        show(name, result, gemm)
    if args.out is not None:
        args.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
