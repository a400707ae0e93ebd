"""A random forest is a posterior whose samples are its trees."""

import pytest
import torch
from labeled_points import labeled_points
from sklearn.datasets import load_digits

from al_bench.errors import ConfigError
from al_bench.models.base import SAMPLES, DirectModel, NetworkModel
from al_bench.models.forest import RandomForest
from al_bench.rounds.metrics import evaluate


def digits(count=300, start=0):
    x, y = load_digits(return_X_y=True)
    inputs = torch.tensor(x, dtype=torch.float32).view(-1, 1, 8, 8) / 16
    return inputs[start : start + count], torch.tensor(y)[start : start + count]


def fitted(model, inputs, labels, num_classes=10, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return model.fit(labeled_points(inputs, labels), num_classes, generator)


def test_three_hundred_labels_teach_a_forest_the_digits():
    posterior = fitted(RandomForest(50), *digits(300))
    inputs, labels = digits(1000, 700)
    log_probs = posterior.log_probs(inputs)
    assert log_probs.shape == (1000, 50, 10)
    assert log_probs.dtype == torch.float32
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(1000, 50))
    measured = evaluate(log_probs, labels)
    assert measured["accuracy"] > 0.85
    assert measured["nll"] < 1.0


def test_a_tree_is_a_sample_and_depends_on_its_place_alone():
    inputs, labels = digits(80)
    few, many = (fitted(RandomForest(count), inputs, labels) for count in (5, 12))
    seen = digits(40, 200)[0]
    assert torch.equal(few.log_probs(seen), many.log_probs(seen)[:, :5])
    assert torch.equal(many.log_probs(seen, 3), many.log_probs(seen)[:, :3])
    whole = many.log_probs(seen)
    assert torch.equal(torch.cat([many.log_probs(part) for part in seen.split(7)]), whole)
    assert not torch.equal(whole[:, 0], whole[:, 1])


def test_the_generator_is_the_only_randomness():
    inputs, labels = digits(80)
    seen = digits(40, 200)[0]
    torch.manual_seed(1)
    first = fitted(RandomForest(6), inputs, labels).log_probs(seen)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert torch.equal(fitted(RandomForest(6), inputs, labels).log_probs(seen), first)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(fitted(RandomForest(6), inputs, labels, seed=3).log_probs(seen), first)


def test_a_class_without_labels_gets_no_probability():
    inputs, labels = digits(200)
    kept = (labels == 2) | (labels == 7)
    log_probs = fitted(RandomForest(8), inputs[kept], labels[kept]).log_probs(inputs)
    probs = log_probs.exp()
    torch.testing.assert_close(probs[:, :, [2, 7]].sum(-1), torch.ones(200, 8))
    assert (log_probs[:, :, [0, 1, 3, 4, 5, 6, 8, 9]] == -torch.inf).all()
    assert evaluate(log_probs, labels)["nll"] <= 36.05


def test_labels_of_one_class_are_predicted_with_certainty():
    inputs, labels = digits(30)
    log_probs = fitted(RandomForest(3), inputs[labels == 4][:1], labels[labels == 4][:1]).log_probs(
        inputs
    )
    assert (log_probs.argmax(-1) == 4).all()
    assert (log_probs[:, :, 4] == 0).all()


def test_without_labels_every_class_is_as_likely():
    inputs, labels = digits(30)
    posterior = fitted(RandomForest(4), inputs[:0], labels[:0], num_classes=3)
    torch.testing.assert_close(posterior.log_probs(inputs).exp(), torch.full((30, 4, 3), 1 / 3))
    assert posterior.log_probs(inputs[:0]).shape == (0, 4, 3)


def test_leaves_of_a_limited_tree_hold_proportions():
    inputs, labels = digits(300)
    shallow = fitted(RandomForest(4, max_depth=2), inputs, labels).log_probs(inputs)
    large = fitted(RandomForest(4, min_leaf_size=40), inputs, labels).log_probs(inputs)
    deep = fitted(RandomForest(4), inputs, labels).log_probs(inputs)
    for unsure in (shallow, large):
        assert float(unsure.exp().amax(-1).mean()) < 0.7
    assert float(deep.exp().amax(-1).mean()) > 0.99


def test_a_forest_is_a_direct_model_with_samples_alone():
    model = RandomForest()
    assert isinstance(model, DirectModel)
    assert not isinstance(model, NetworkModel)
    assert model.num_samples == 100
    assert model.check((1, 8, 8), 10) == {SAMPLES}
    assert RandomForest(1).check((1, 8, 8), 10) == frozenset()
    posterior = fitted(RandomForest(2), *digits(20))
    assert posterior.provides == {SAMPLES}
    with pytest.raises(ValueError, match="between 1 and 2"):
        posterior.log_probs(digits(1)[0], 3)
    assert posterior.chunk_size((1, 8, 8), 1) == 1
    assert posterior.chunk_size((1, 8, 8), 2**20) > posterior.chunk_size((1, 8, 8), 2**19)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_trees": 0}, "num_trees"),
        ({"max_depth": 0}, "max_depth"),
        ({"min_leaf_size": 0.5}, "min_leaf_size"),
        ({"network": "mlp"}, "network"),
    ],
)
def test_impossible_forests_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        RandomForest(**wrong)
