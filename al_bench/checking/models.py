"""What every fitted model must do, one function a property.

A check takes a case and returns when the property is kept; its docstring says which one. n points
that the model has not seen labels of, K posterior samples, C classes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from al_bench.checking.probing import DoesNotApply, require
from al_bench.information.entropies import predictive_log_probs
from al_bench.models.base import NETWORK, Posterior
from al_bench.models.capabilities import CAPABILITIES, ROUNDING, offered
from al_bench.rounds.active_learning import ActiveLearningTrial
from al_bench.training.trainer import fit_one

MOST_POINTS = 1_000
FEW_POINTS = 100  # shown at once
WORSE_ACCURACY = 0.05  # and no accident of the points that were drawn
WORSE_NLL = 0.5  # nats
LEAST = math.log(1e-12)  # log-probabilities count as no lower


@dataclass(frozen=True)
class Case:
    """A model fitted to the initial set of a trial, and points to predict.

    Args:
        posterior: The model.
        inputs: (n, *input_shape).
        labels: (n,) int64.
        num_labeled: Labels it was fitted to.
    """

    posterior: Posterior
    inputs: Tensor
    labels: Tensor
    num_labeled: int

    @classmethod
    def of(cls, trial: ActiveLearningTrial) -> "Case":
        """The trial's model after its first fit, and points of its pool."""
        posterior = fit_one(trial).posterior
        available = trial.available()
        order = torch.randperm(len(available), generator=trial.streams.generator("select", 0))
        chosen = available[order[:MOST_POINTS]]
        chosen = chosen[~trial.pool.refused[chosen]]
        inputs = trial.pool.inputs.gather(chosen, trial.engine.device)
        labels = trial.pool.labels[chosen].to(trial.engine.device)
        return cls(posterior, inputs, labels, len(trial.labeled))

    def log_probs(self, num_samples: int | None = None) -> Tensor:
        """(n, K, C) of all points, in small chunks."""
        parts = torch.split(self.inputs, 100)
        return torch.cat([self.posterior.log_probs(part, num_samples) for part in parts])


Check = Callable[[Case], None]


def predictions_are_distributions(case: Case) -> None:
    """Log-probabilities are (n, K, C), float32, no NaN, and sum to 1."""
    log_probs = case.log_probs()
    shape = tuple(log_probs.shape)
    expected = (len(case.inputs), case.posterior.num_samples)
    require(len(shape) == 3 and shape[:2] == expected, f"shape {shape}, not (n, K, C)")
    require(log_probs.dtype == torch.float32, f"they are {log_probs.dtype}, not float32")
    require(not bool(log_probs.isnan().any()), "some are NaN")
    off = float(log_probs.double().logsumexp(dim=2).abs().max())
    require(off < ROUNDING, f"the logarithms of their sums are up to {off:.2g}, not 0")


def samples_are_functions(case: Case) -> None:
    """A posterior sample is one function, whatever points it is shown and with what others."""
    once, again = case.log_probs(), case.posterior.log_probs(case.inputs.flip(0)[:50])
    difference = (once.flip(0)[:50].exp() - again.exp()).abs().max()
    require(float(difference) < ROUNDING, "the same points are predicted otherwise beside others")
    if case.posterior.num_samples > 1:
        fewer = case.log_probs(1)
        first = (once[:, :1].exp() - fewer.exp()).abs().max()
        require(float(first) < ROUNDING, "num_samples=1 is not the first of all samples")


def capabilities_are_known(case: Case) -> None:
    """What it says that it provides is known."""
    unknown = sorted(case.posterior.provides - CAPABILITIES.keys())
    valid = ", ".join(sorted(CAPABILITIES))
    require(not unknown, f"provides {', '.join(map(str, unknown))}, known are {valid}")


def keeps_its_promise(name: str) -> Check:
    """The check of a capability, told in the words of its line in the table."""

    def keeps(case: Case) -> None:
        if name not in case.posterior.provides:
            raise DoesNotApply(f"has no {CAPABILITIES[name].words}")
        problem = CAPABILITIES[name].fault(case.posterior, case.inputs[:FEW_POINTS])
        require(problem is None, str(problem))

    keeps.__doc__ = f"{CAPABILITIES[name].promise}."
    return keeps


def average_is_as_good_as_the_weights(case: Case) -> None:
    """The average over samples predicts about as well as the network by itself."""
    posterior = case.posterior
    if NETWORK not in posterior.provides or posterior.num_samples == 1:
        raise DoesNotApply("has no samples around one network")
    network = offered(posterior, NETWORK)()
    with torch.no_grad():
        parts = [network(part).log_softmax(dim=1) for part in torch.split(case.inputs, 100)]
    single, average = torch.cat(parts).double(), predictive_log_probs(case.log_probs())
    right = [(one.argmax(dim=1) == case.labels).double() for one in (single, average)]
    losses = [
        float(-one.gather(1, case.labels[:, None]).clamp_min(LEAST).mean())
        for one in (single, average)
    ]
    lost = right[0] - right[1]
    error = float(lost.std() / math.sqrt(len(lost)))
    worse = float(lost.mean()) > max(WORSE_ACCURACY, 3 * error)
    message = (
        f"the network by itself has accuracy {float(right[0].mean()):.1%} and NLL {losses[0]:.2f}, "
        f"the average {float(right[1].mean()):.1%} and {losses[1]:.2f}"
    )
    require(not worse and losses[1] - losses[0] < WORSE_NLL, message)


def checks() -> tuple[Check, ...]:
    """All of them, one of each capability that there is among them."""
    return (
        predictions_are_distributions,
        samples_are_functions,
        capabilities_are_known,
        *(keeps_its_promise(name) for name in CAPABILITIES),
        average_is_as_good_as_the_weights,
    )
