"""k-means by scikit-learn, with torch's generator and thread count.

n points, D features.
"""

import functools
import warnings
from typing import NamedTuple

import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

from al_bench.models.room import require_room

MINI_BATCH = 5000  # points of a step of mini-batch k-means
MAX_SEED = 2**31 - 1
FAR = 100.0  # times the median norm: such a point moves the mean, which scikit-learn subtracts


class Clusters(NamedTuple):
    """A clustering.

    Args:
        labels: (n,) int64 on the CPU, the cluster of every point; clusters may be empty where
            points coincide.
        centroids: (k, D) float32 on the CPU.
    """

    labels: Tensor
    centroids: Tensor


def k_means(
    values: Tensor, num_clusters: int, generator: torch.Generator, *, mini_batch: bool = False
) -> Clusters:
    """Cluster ``values`` (n, D), which must be finite, by k-means++ and Lloyd's algorithm.

    scikit-learn's ``KMeans`` (one start, at most 300 iterations) or ``MiniBatchKMeans``, in
    float32, or in float64 where a point lies so far out that the others would lose their digits.

    Args:
        values: (n, D) float32.
        num_clusters: k, between 1 and n.
        generator: The only source of randomness.
        mini_batch: Take steps on ``MINI_BATCH`` points: faster, and a worse optimum.

    Raises:
        AlBenchError: Memory does not suffice.
    """
    if not mini_batch:  # scikit-learn subtracts the mean from a copy
        what = f"k-means: copies of {len(values):,} points"
        require_room(values.nbytes, torch.device("cpu"), what)
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    seed = int(torch.randint(MAX_SEED, (1,), generator=generator))
    if mini_batch:
        algorithm = MiniBatchKMeans(
            num_clusters, batch_size=MINI_BATCH, n_init=1, random_state=seed
        )
    else:
        algorithm = KMeans(num_clusters, n_init=1, random_state=seed)
    with warnings.catch_warnings(), _thread_pools().limit(limits=torch.get_num_threads()):
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct points than clusters
        labels = algorithm.fit_predict(_precise(values.cpu()).numpy())
    return Clusters(
        torch.from_numpy(labels).long(), torch.from_numpy(algorithm.cluster_centers_).float()
    )


def _precise(values: Tensor) -> Tensor:
    norms = torch.linalg.vector_norm(values, dim=1)
    return values.double() if float(norms.max()) > FAR * float(norms.median()) else values


@functools.cache
def _thread_pools() -> ThreadpoolController:
    """The thread pools of scikit-learn, which does not know torch's number of threads."""
    return ThreadpoolController()  # finding them takes 10 ms, and they stay
