"""What every strategy under conf/strategy must do; a new file is picked up by itself."""

import collections
import dataclasses
import functools
import itertools
import json
from inspect import signature
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import get_object, instantiate
from pool_views import FakeView, log_probs, seeded
from scipy.stats import chi2_contingency, chisquare

from al_bench.errors import ConfigError
from al_bench.models.base import FEATURES, GRADIENTS, SAMPLES
from al_bench.strategies.rules import Power
from al_bench.strategies.scores import needs_of

CONF = Path(__file__).parents[2] / "conf" / "strategy"
NAMES = sorted(path.stem for path in CONF.glob("*.yaml"))
FILES = sorted(CONF.rglob("*.yaml"))
SCORES = sorted(path.stem for path in (CONF / "score").glob("*.yaml"))
RULES = sorted(path.stem for path in (CONF / "rule").glob("*.yaml"))


@functools.cache
def configured(name, *overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(name, overrides=list(overrides))


@pytest.fixture(scope="module", params=NAMES)
def strategy(request):
    return instantiate(configured(request.param))


def one_hot(num_points, num_samples, num_classes):
    """Certain posterior samples, some points agreed on, some not."""
    classes = torch.randint(num_classes, (num_points, num_samples), generator=seeded(3))
    classes[::3] = 1
    return torch.nn.functional.one_hot(classes, num_classes).float().log()


POOLS = {
    "ordinary": log_probs(12, 6, 4),
    "two_classes": log_probs(9, 5, 2),
    "one_sample": log_probs(8, 1, 3),
    "one_point": log_probs(1, 4, 3),
    "uniform": torch.full((8, 4, 5), 0.2).log(),
    "one_hot": one_hot(10, 5, 3),
    "certain": torch.eye(3)[[0, 1, 2, 0, 1, 2]][:, None].expand(6, 4, 3).log(),
    "identical_points": log_probs(1, 6, 4).expand(7, 6, 4),
    "identical_samples": log_probs(8, 1, 4).expand(8, 5, 4),
}


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("size", ["one", "some", "all"])
def test_batch_is_distinct_in_range_and_repeatable(strategy, pool, size):
    given = POOLS[pool].clone()
    view = FakeView(given)
    before = given.clone(), view.embedding.clone()
    batch_size = {"one": 1, "some": min(3, len(given)), "all": len(given)}[size]

    selection = strategy.select(view, batch_size, seeded(7))
    again = strategy.select(view, batch_size, seeded(7))

    positions = selection.positions
    assert positions.shape == selection.scores.shape == (batch_size,)
    assert positions.dtype == torch.int64
    assert selection.scores.dtype == torch.float64
    assert positions.device.type == "cpu"
    assert len(set(positions.tolist())) == batch_size
    assert positions.min() >= 0
    assert positions.max() < len(given)
    assert torch.equal(positions, again.positions)
    assert torch.equal(selection.scores.nan_to_num(-1), again.scores.nan_to_num(-1))
    json.dumps(dict(selection.notes), allow_nan=False)
    json.dumps(selection.state, allow_nan=False)
    assert torch.equal(given, before[0])
    assert torch.equal(view.embedding, before[1])


@pytest.mark.parametrize("batch_size", [0, -1, 13])
def test_impossible_batch_size_is_refused(strategy, batch_size):
    with pytest.raises(ValueError, match=str(batch_size)):
        strategy.select(FakeView(POOLS["ordinary"]), batch_size, seeded(0))


def test_nan_predictions_never_pass_for_scores(strategy):
    given = POOLS["ordinary"].clone()
    view = FakeView(torch.full_like(given, torch.nan))
    if strategy.select(FakeView(given), 3, seeded(0)).scores.isnan().all():
        pytest.skip("has no scores")
    with pytest.raises(ValueError, match="NaN"):
        strategy.select(view, 3, seeded(0))


def draws(strategy, view, batch_size, count):
    """How often each batch, as a tuple of positions in order, comes of ``count`` generators."""
    return collections.Counter(
        tuple(strategy.select(view, batch_size, seeded(seed)).positions.tolist())
        for seed in range(count)
    )


def test_permuting_the_pool_permutes_the_batch_in_law(strategy):
    view = FakeView(log_probs(5, 4, 3, seed=2))
    order = torch.tensor([3, 0, 4, 2, 1])
    plain = draws(strategy, view, 2, 120)
    permuted = draws(strategy, view.permuted(order), 2, 120)
    permuted = {tuple(order[list(batch)].tolist()): n for batch, n in permuted.items()}
    if len(plain) == 1:  # nothing random in it
        assert permuted == plain
        return
    firsts = [[0] * len(view) for _ in range(2)]
    for counts, first in zip((plain, permuted), firsts, strict=True):
        for batch, n in counts.items():
            first[batch[0]] += n
    table = [column for column in zip(*firsts, strict=True) if sum(column)]
    assert chi2_contingency(table).pvalue > 1e-4


def test_identical_points_are_equally_likely_in_every_order(strategy):
    """Pitfall 19: ties are broken by the generator, never by the place in the data set."""
    given = log_probs(1, 4, 3).expand(4, 4, 3).contiguous()
    view = FakeView(given, torch.ones(4, 5))
    counts = draws(strategy, view, 2, 180)
    pairs = list(itertools.permutations(range(4), 2))
    assert set(counts) <= set(pairs)
    assert chisquare([counts[pair] for pair in pairs]).pvalue > 1e-4


def test_two_copies_of_a_point_are_picked_equally_often(strategy):
    given = log_probs(6, 5, 3, seed=4)
    given[5] = given[1]
    view = FakeView(given)
    view.embedding[5] = view.embedding[1]
    firsts = collections.Counter()
    for batch, n in draws(strategy, view, 3, 150).items():
        firsts[next((p for p in batch if p in (1, 5)), None)] += n
    assert chisquare([firsts[1] + 1, firsts[5] + 1]).pvalue > 1e-4


@pytest.mark.parametrize("pool", ["one_sample", "identical_samples"])
def test_samples_that_cannot_differ_give_a_random_batch_that_says_so(strategy, pool):
    if SAMPLES not in strategy.needs:
        pytest.skip("needs no posterior samples")
    view = FakeView(POOLS[pool][:4])
    assert strategy.select(view, 2, seeded(0)).notes["fell_back"] == "random"
    counts = draws(strategy, view, 2, 180)
    pairs = list(itertools.permutations(range(4), 2))
    assert chisquare([counts[pair] for pair in pairs]).pvalue > 1e-4


def test_disagreeing_points_come_before_agreeing_ones(strategy):
    """Pitfalls 3, 4 and 6: certain members that disagree are wanted, those that agree are not."""
    if SAMPLES not in strategy.needs:
        pytest.skip("does not look at disagreement")
    classes = torch.zeros(30, 6, dtype=torch.int64)
    disagreeing = torch.arange(10, 20)
    classes[disagreeing] = torch.randint(3, (10, 6), generator=seeded(5))
    classes[disagreeing, 0], classes[disagreeing, 1] = 1, 2
    given = torch.nn.functional.one_hot(classes, 3).float().log()
    for seed in range(20):
        picks = strategy.select(FakeView(given), 3, seeded(seed)).positions
        assert set(picks[:2].tolist()) <= set(disagreeing.tolist())


def test_fewer_samples_are_the_first_ones_and_more_are_refused(strategy):
    if not hasattr(strategy, "num_samples"):
        pytest.skip("scores no posterior samples")
    view = FakeView(POOLS["ordinary"])
    fewer = dataclasses.replace(strategy, num_samples=3)
    truncated = FakeView(view.given[:, :3])
    expected = strategy.select(truncated, 4, seeded(1)).positions
    assert torch.equal(fewer.select(view, 4, seeded(1)).positions, expected)
    with pytest.raises(ConfigError):
        dataclasses.replace(strategy, num_samples=7).select(view, 4, seeded(1))
    for wrong in (0, -1, 2.5, True):
        with pytest.raises(ConfigError, match=r"strategy\.num_samples"):
            dataclasses.replace(strategy, num_samples=wrong)


def test_strategy_is_a_frozen_dataclass_that_knows_its_needs(strategy):
    assert dataclasses.is_dataclass(strategy)
    assert type(strategy).__dataclass_params__.frozen
    assert strategy.needs <= {SAMPLES, FEATURES, GRADIENTS}


@functools.cache
def batch_rule(name):
    return instantiate(configured("bald", f"rule={name}")).rule


@pytest.mark.parametrize("score", SCORES)
def test_every_score_goes_with_every_rule(score):
    strategy = instantiate(configured("bald", f"score={score}"))
    assert strategy.needs == needs_of(strategy.score)
    for rule in RULES:
        strategy = dataclasses.replace(strategy, rule=batch_rule(rule))
        batch = strategy.select(FakeView(POOLS["ordinary"]), 5, seeded(0)).positions
        assert len(batch.unique()) == 5


def test_rule_and_its_parameter_are_one_override_away():
    strategy = instantiate(configured("entropy", "rule=power", "rule.beta=4"))
    assert strategy.rule == Power(beta=4)
    assert strategy.needs == frozenset()
    power, bald = instantiate(configured("powerbald")), instantiate(configured("bald"))
    assert power.rule == Power()
    assert power.score.func is bald.score.func


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_file_begins_with_what_it_is(path):
    first, second = path.read_text(encoding="utf-8").splitlines()[:2]
    assert first.startswith("# ")
    assert 15 < len(first) <= 110
    assert not second.startswith("#")


@pytest.mark.parametrize("name", NAMES)
def test_first_line_says_what_the_model_must_provide(name):
    needs = instantiate(configured(name)).needs
    first = (CONF / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
    for capability in (SAMPLES, FEATURES, GRADIENTS):
        assert (f"needs {capability}" in first) == (capability in needs)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_values_in_the_file_are_the_defaults_of_the_class(path):
    with initialize_config_dir(str(path.parent), version_base="1.3"):
        config = compose(path.stem)
    parameters = signature(get_object(config["_target_"])).parameters
    for name, value in config.items():
        if name.startswith("_") or name in ("score", "rule"):
            continue
        assert value == parameters[name].default
        assert type(value) is type(parameters[name].default)
