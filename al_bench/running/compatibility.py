"""Whether the choices of a run go together, told before any work."""

from collections.abc import Mapping
from typing import Any

import torch

from al_bench.budget import Budget
from al_bench.configuration.composing import Composed
from al_bench.configuration.schema import CHOOSERS
from al_bench.errors import ConfigError, choose, words_of
from al_bench.models.base import SAMPLES, Model, NetworkModel
from al_bench.models.capabilities import CAPABILITIES, MC_DROPOUT, OF_ONE_NETWORK
from al_bench.models.mc_dropout import MCDropout
from al_bench.sampling.base import CoreSet, Selection
from al_bench.seeding import isolated
from al_bench.strategies.base import LABELS, Strategy
from al_bench.studies.base import Study
from al_bench.training.recipe import Recipe


def check_choices(
    composed: Composed,
    model: Model,
    recipe: Recipe,
    budget: Budget,
    strategies: Mapping[str, Strategy] | Mapping[str, Study],
) -> None:
    """Raise ConfigError unless what was built goes together, as far as no data are needed.

    Args:
        composed: The run's configuration and the names of its choices.
        model: Built from it, as are the others.
        recipe: How the model is trained.
        budget: How many labels.
        strategies: By group: ``strategy``, and ``init_strategy`` where one buys the initial set;
            or ``study``.
    """
    if recipe.monitor is not None and not budget.validates:
        raise ConfigError(
            f"training.monitor={recipe.monitor} needs a validation set, but "
            f"budget.validation_size={budget.validation_size}.",
            "Add for example budget.validation_size=100, or use training=default.",
        )
    if "init_strategy" in strategies and (budget.init_size or 0) < 1:
        raise ConfigError(
            "init_strategy buys budget.init_size labels, but "
            f"budget.init_size={'null' if budget.init_size is None else budget.init_size}.",
            "Add for example budget.init_size=20 budget.init_per_class=null.",
        )
    if recipe.stop_train_accuracy is not None and not isinstance(model, NetworkModel):
        raise ConfigError(
            f"training.stop_train_accuracy={recipe.stop_train_accuracy} ends the training of a "
            f"network; model={composed.names['model']} has none.",
            "Use training=default.",
        )
    if recipe.start == "warm" and not isinstance(model, NetworkModel):
        raise ConfigError(
            f"training.start=warm keeps a network's weights; model={composed.names['model']} has "
            "none.",
            "Use training.start=cold.",
        )
    if recipe.monitor_samples is not None and not isinstance(model, MCDropout):
        raise ConfigError(
            f"training.monitor_samples={recipe.monitor_samples} looks with units dropped, and "
            f"model={composed.names['model']} drops none when it predicts.",
            "Use training.monitor_samples=null, or model=mc_dropout.",
        )
    check_evaluation(composed, model)
    check_online(composed, model)
    for group, strategy in strategies.items():
        check_samples(composed, model, group, strategy)


def check_dropout(composed: Composed, model: Model, provided: frozenset[str]) -> None:
    """Raise ConfigError where MC dropout has nothing to drop: its samples would all be the same.

    Args:
        composed: The run's configuration and the names of its choices.
        model: Built from it.
        provided: What the model provides for this data set.
    """
    if isinstance(model, MCDropout) and model.num_samples > 1 and SAMPLES not in provided:
        names = composed.names
        network = f"network={names['network']}" if names["network"] else "its network"
        raise ConfigError(
            f"model={names['model']} has nothing to drop in {network}: its {model.num_samples} "
            "posterior samples would all be the same.",
            "Use model.num_samples=1, or a network that drops units.",
        )


def check_smallest_batch(
    model: Model, recipe: Recipe, budget: Budget, input_shape: tuple[int, ...], num_classes: int
) -> None:
    """Raise ConfigError where a batch of one point comes that the network cannot be trained on.

    Args:
        model: What is trained.
        recipe: How.
        budget: How many labels.
        input_shape: Of one input.
        num_classes: C.
    """
    if not isinstance(model, NetworkModel):
        return
    if recipe.batch_size == 1:
        hint = "Use training.batch_size=64."
    elif recipe.epoch_size == 1:
        hint = "Use training.epoch_size=1024."
    elif recipe.epoch_size is None and _fewest_labels(budget, num_classes) == 1:
        hint = "Start with two labels or more: budget.init_size=2 budget.init_per_class=null."
    else:
        return
    check_one_point(model, input_shape, num_classes, hint)


def check_one_point(
    model: NetworkModel, input_shape: tuple[int, ...], num_classes: int, hint: str
) -> None:
    """Raise ConfigError where the network cannot be trained on a batch of one point.

    Args:
        model: Builds the network.
        input_shape: Of one input.
        num_classes: C.
        hint: What to type.
    """
    with isolated(torch.Generator().manual_seed(0)):
        network = model.build(input_shape, num_classes).train()
        try:
            network(torch.zeros(1, *input_shape))
        except Exception as error:  # whatever a network says of what it cannot do
            problem = words_of(error).rstrip(".")
            raise ConfigError(
                f"The network cannot be trained on a batch of one point: {problem}.", hint
            ) from error


def _fewest_labels(budget: Budget, num_classes: int) -> int | None:
    """Labels of the first round that has any; ``None`` where all are there at once."""
    if budget.is_full:
        return None
    return budget.initial_labels(num_classes) or budget.batch_size


def check_needs(
    composed: Composed,
    provided: frozenset[str],
    group: str,
    strategy: Strategy | Selection | CoreSet | Study,
    hints: Mapping[str, str] | None = None,
) -> None:
    """Raise ConfigError unless what the strategy needs is there.

    Args:
        composed: The run's configuration and the names of its choices.
        provided: What the model provides for this data set, and the run beside it.
        group: ``strategy``, ``init_strategy``, ``selection`` or ``study``.
        strategy: Built from that group.
        hints: What to type instead, by what is missing, where that differs from what the table of
            capabilities says.
    """
    missing = sorted(strategy.needs - provided - {LABELS})
    for name in missing:
        if name not in CAPABILITIES:
            raise ConfigError(
                f"{_choice(group, composed)} needs {name!r}, which is nothing that a model "
                "provides.",
                choose(name, {*CAPABILITIES, LABELS, *provided}),
            )
    if missing:
        names = composed.names
        hint = CAPABILITIES[missing[0]].hint
        if SAMPLES in strategy.needs and strategy.needs & OF_ONE_NETWORK:
            hint = f"Use {MC_DROPOUT}."
        hint = (hints or {}).get(missing[0], hint)
        if missing[0] == SAMPLES:
            other = "" if group == "study" else f", or {group}=entropy"
            for name, usual in (("num_samples", 20), ("num_members", 5)):
                if composed.config.model.get(name) == 1:
                    hint = f"Use model.{name}={usual}."
            hint = f"{hint[:-1]}{other}."
        what = " and ".join(CAPABILITIES[name].words for name in missing)
        network = f" with network={names['network']}" if names["network"] else ""
        raise ConfigError(
            f"{_choice(group, composed)} needs {what}, which model={names['model']}{network} "
            "does not provide.",
            hint,
        )


def check_evaluation(composed: Composed, model: Model) -> None:
    """Metrics may use fewer posterior samples than the model has, never more."""
    evaluated = composed.config.evaluation.get("num_samples")
    if evaluated is not None and evaluated > model.num_samples:
        raise ConfigError(
            f"evaluation.num_samples={evaluated} is more than the {model.num_samples} samples of "
            f"model={composed.names['model']}.",
            f"Add model.num_samples={evaluated} or lower evaluation.num_samples.",
        )


def check_online(composed: Composed, model: Model) -> None:
    """Raise ConfigError where labels are to reweight the samples of a model that has but one."""
    evaluation = composed.config.evaluation
    count = evaluation.get("num_samples") or model.num_samples
    if not evaluation.get("online") or count > 1:
        return
    if model.num_samples > 1:
        raise ConfigError(
            "evaluation.online=true reweights posterior samples, but evaluation.num_samples=1.",
            "Use 2 or more, or null for all of the model's.",
        )
    raise ConfigError(
        "evaluation.online=true reweights posterior samples; "
        f"model={composed.names['model']} has one.",
        "Use model=mc_dropout, another model of two samples or more, or evaluation.online=null.",
    )


def check_joint_size(joint_size: int | None, num_points: int) -> None:
    """Raise ConfigError where a batch of the test set is to have more points than that has."""
    if joint_size is not None and joint_size > num_points:
        raise ConfigError(
            f"evaluation.joint_size={joint_size} is more than the {num_points} test points.",
            f"Use evaluation.joint_size={num_points} or less.",
        )


def check_samples(composed: Composed, model: Model, group: str, strategy: Any) -> None:
    """A strategy may ask for fewer posterior samples than the model has, never for more."""
    num_samples = getattr(strategy, "num_samples", None)
    if num_samples == 1 and SAMPLES in strategy.needs:
        raise ConfigError(
            f"{_choice(group, composed)} compares posterior samples, but {group}.num_samples=1.",
            "Use 2 or more, or null for all of the model's.",
        )
    if num_samples is not None and num_samples > model.num_samples:
        raise ConfigError(
            f"{group}.num_samples={num_samples} is more than the {model.num_samples} samples of "
            f"model={composed.names['model']}.",
            f"Add model.num_samples={num_samples} or lower {group}.num_samples.",
        )


def _choice(group: str, composed: Composed) -> str:
    """A strategy as it was typed."""
    return f"{group}={composed.names['strategy']}" if group in CHOOSERS else group
