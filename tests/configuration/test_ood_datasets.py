"""The data sets of ``evaluation.ood``: how they are written, named, found again and refused."""

import re

import numpy as np
import pytest
from omegaconf import OmegaConf

from al_bench.configuration.composing import compose
from al_bench.configuration.shipped import parts_of
from al_bench.errors import ConfigError, DataError
from al_bench.paths import keys_in
from al_bench.running.prepare import prepare

OOD = "evaluation.ood"


@pytest.fixture
def arrays(tmp_path):
    """Writes arrays of digits' shape; their content follows from the number given."""

    def write(name, number=1.0):
        x, y = np.full((4, 1, 8, 8), number, dtype=np.float32), np.array([0, 1, 0, 1])
        np.savez(tmp_path / name, x_train=x, y_train=y, x_test=x, y_test=y)
        return tmp_path / name

    return write


def names(ood, *words):
    return list(compose([f"{OOD}={ood}", *words]).config.evaluation.ood)


@pytest.mark.slow
def test_data_sets_are_named_by_their_choice_and_parameters():
    assert names("[fashion_mnist,{emnist: {split: letters}}]") == [
        "fashion_mnist",
        "emnist_letters",
    ]
    assert names("[{emnist: {root: else/where}}]") == ["emnist"]
    assert names("[{arrays: {path: some/my noise.npz}}]") == ["my_noise"]
    assert names("[{arrays: {path: noise.npz, name: grey}}]") == ["grey"]
    assert compose([f"{OOD}=[]"]).config.evaluation.ood is None


def test_they_lie_beside_the_runs_own_unless_told():
    config = compose(
        [f"{OOD}=[fashion_mnist,{{usps: {{root: there}}}}]", "dataset=mnist", "dataset.root=here"]
    ).config
    assert [node.root for node in config.evaluation.ood.values()] == ["here", "there"]
    container = OmegaConf.to_container(config)
    assert {f"{OOD}.fashion_mnist.root", f"{OOD}.usps.root"} < set(keys_in(container))
    assert all(part.is_shipped for part in parts_of({"evaluation": container["evaluation"]}))


@pytest.mark.slow
def test_a_file_that_was_moved_is_the_same_run_and_another_content_is_not(arrays):
    def run_id(path):
        ood = f"[{{arrays: {{path: {path}, name: noise}}}}]"
        return prepare(compose([f"{OOD}={ood}", "seeds=1"])).run.identity.run_id

    first = run_id(arrays("one.npz"))
    assert run_id(arrays("two.npz")) == first
    assert run_id(arrays("three.npz", 2.0)) != first


@pytest.mark.parametrize(
    ("ood", "said"),
    [
        ("fashion_mnist", "must be a list of data sets, got 'fashion_mnist'. Write"),
        ("[3]", "must be a list of data sets, got 3 in it"),
        ("[{emnist: letters}]", "must be a list of data sets, got {'emnist': 'letters'} in it"),
        ("[{emnist: {splt: letters}}]", "emnist has no parameter 'splt'. Did you mean 'split'?"),
        ("[{arrays: {}}]", "arrays needs path. Write"),
        ("[usps,usps]", "has two data sets that results would call usps. Leave one out"),
    ],
)
def test_what_is_no_list_of_data_sets_is_refused(ood, said):
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        compose([f"{OOD}={ood}"])
    assert OOD in str(caught.value)


@pytest.mark.slow
def test_what_cannot_be_compared_is_refused(arrays, tmp_path):
    for ood, said in (
        ("[digits]", "digits is the run's own data set. Name another one"),
        (f"[{{arrays: {{path: {arrays('digits.npz')}}}}}]", "digits has the name of the run's own"),
    ):
        with pytest.raises(ConfigError, match=re.escape(said)):
            prepare(compose([f"{OOD}={ood}"]))
    x, y = np.zeros((2, 64)), np.array([0, 1])
    np.savez(tmp_path / "flat.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    said = "flat has inputs of shape (64,); the data set's are (1, 8, 8)."
    with pytest.raises(ConfigError, match=re.escape(said)):
        prepare(compose([f"{OOD}=[{{arrays: {{path: {tmp_path}/flat.npz}}}}]"]))
    with pytest.raises(DataError, match="There is no folder") as caught:
        prepare(compose([f"{OOD}=[{{fashion_mnist: {{root: {tmp_path}}}}}]"]))
    assert caught.value.message.startswith("evaluation.ood: ")
    assert "evaluation.ood=[{emnist: {split: letters, root: FOLDER}}]" in caught.value.hint
