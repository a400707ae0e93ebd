"""Strategies within strategies, as a user types them."""

import pytest

from al_bench.configuration.composing import check_complete, compose
from al_bench.running import notebook
from al_bench.running.active_learning import build_strategy
from al_bench.strategies.batchbald import BatchBALD
from al_bench.strategies.class_balance import ClassBalance
from al_bench.strategies.pointwise import Pointwise
from al_bench.strategies.rules import Power
from al_bench.strategies.subsample import Subsample


def strategy(*overrides):
    config = compose(overrides).config
    check_complete(config)
    return build_strategy(config.strategy, "strategy")


@pytest.mark.slow
def test_any_strategy_goes_into_a_wrapper_with_its_own_parameters():
    inner = strategy(
        "strategy=subsample",
        "strategy.size=100",
        "strategy@strategy.of=bald",
        "strategy/rule@strategy.of.rule=power",
        "strategy.of.rule.beta=4",
        "strategy.of.num_samples=3",
    )
    assert isinstance(inner, Subsample)
    assert inner.size == 100
    assert isinstance(inner.of, Pointwise)
    assert inner.of.rule == Power(beta=4)
    assert inner.num_samples == 3
    nested = strategy(
        "strategy=subsample",
        "strategy@strategy.of=class_balance",
        "strategy@strategy.of.of=batchbald",
    )
    assert nested == Subsample(ClassBalance(BatchBALD()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "label"),
    [
        (["strategy=subsample"], "subsample(of=entropy)"),
        (["strategy=subsample", "strategy.size=9"], "subsample(of=entropy, size=9)"),
        (
            [
                "strategy=subsample",
                "strategy@strategy.of=bald",
                "strategy/rule@strategy.of.rule=power",
                "strategy.of.rule.beta=4",
                "strategy.size=1000",
            ],
            "subsample(of=bald(rule=power, beta=4), size=1000)",
        ),
        (
            [
                "strategy=subsample",
                "strategy@strategy.of=class_balance",
                "strategy@strategy.of.of=margin",
                "strategy.of.count_labeled=false",
            ],
            "subsample(of=class_balance(of=margin, count_labeled=false))",
        ),
        (
            ["strategy=powerbald", "strategy@init_strategy=subsample"],
            "powerbald",
        ),
        (
            [
                "strategy=entropy",
                "strategy/score=weighted",
                "strategy/score@strategy.score.scores.first=bald",
                "+strategy/score@strategy.score.scores.third=least_confidence",
                "strategy.score.weights={first:2}",
            ],
            "entropy(score=weighted, scores.first=bald, third=least_confidence, weights.first=2)",
        ),
    ],
)
def test_the_label_says_what_is_within(overrides, label):
    assert compose(overrides).strategy_label == label


@pytest.mark.slow
def test_a_weighted_score_takes_any_number_of_scores():
    weighted = strategy(
        "strategy=powerbald",
        "strategy/score=weighted",
        "strategy/score@strategy.score.scores.second=bald",
        "+strategy/score@strategy.score.scores.third=least_confidence",
        "strategy.score.weights={third:-1}",
        "strategy.score.normalize=rank",
    ).score
    assert list(weighted.scores) == ["first", "second", "third"]
    assert weighted.needs == {"samples"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["strategy@strategy.of=bald", "model=deterministic"], "needs posterior samples"),
        (["strategy@strategy.of=bald", "strategy.of.num_samples=500"], "num_samples=500"),
        (["strategy@strategy.of=bold"], "Did you mean 'bald'"),
        (["strategy.of.num_sample=5"], "num_sample"),
        (["strategy.size=0"], "strategy.size must be a whole number from 1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_refused_before_any_work(al_bench, overrides, said):
    code, _, err = al_bench("run", "strategy=subsample", *overrides)
    assert code == 2
    assert err.count("\n") == 1
    assert said in err


@pytest.mark.slow
def test_a_bandit_of_one_expert_is_refused_and_one_of_three_is_named_by_them(al_bench):
    code, _, err = al_bench("run", "strategy=albl", "~strategy@strategy.experts.second")
    assert code == 2
    assert err == (
        "al-bench: strategy.experts must be two strategies or more, got ['first']. "
        "Add for example +strategy@strategy.experts.second=margin.\n"
    )
    three = compose(["strategy=albl", "+strategy@strategy.experts.third=badge"])
    named = "albl(first=coreset, second=least_confidence, third=badge)"
    assert three.strategy_label == named


@pytest.mark.slow
def test_a_wrapped_run_stores_its_label_and_what_the_control_saw(tmp_path):
    quick = ["training.max_epochs=1", "training.epoch_size=64", "model.num_samples=3", "seeds=1"]
    curves = notebook.run(
        *quick,
        "budget.total=35",
        f"results={tmp_path}",
        "strategy=subsample",
        "strategy@strategy.of=balanced_random",
        "strategy.size=50",
    )
    assert set(curves["strategy"]) == {"subsample"}
    assert set(curves["strategy_label"]) == {"subsample(of=balanced_random, size=50)"}
    assert curves["label_access"].all()
