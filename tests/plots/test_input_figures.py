"""Figures that make the pool again from a run's configuration."""

import shutil

import numpy as np
import pytest
import torch

import al_bench
from al_bench.data.digits import Digits
from al_bench.plots import figures
from al_bench.plots.figures import Options

TINY = (
    *("model=deterministic", "model/network=mlp", "model.network.hidden=[16]"),
    *("seeds=1", "budget.total=40", "training.max_epochs=1", "training.epoch_size=64"),
)
POOL = ("pool=subset", "pool.subset.size=600")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two strategies on a part of digits; the folder."""
    root = tmp_path_factory.mktemp("results")
    for strategy in ("random", "entropy"):
        al_bench.run(f"strategy={strategy}", f"results={root}", *TINY, *POOL)
    return root


def draw(name, root):
    reasons = []
    options = Options(folders=[root], explain=reasons.append)
    return figures.find(name)(al_bench.read_curves(root), options), reasons


@pytest.mark.slow
def test_a_contact_sheet_shows_what_was_bought_first(results):
    found, reasons = draw("contact_sheet", results)
    assert reasons == []
    random, entropy = found["contact_sheet"].axes
    assert (random.get_title(), entropy.get_title()) == ("random", "entropy")
    sheet = np.asarray(random.get_images()[0].get_array())
    assert sheet.shape == (2 * 9 - 1, 10 * 9 - 1)  # 8 × 8 pixels, one between
    curves, bought = al_bench.read_curves(results), al_bench.read_acquisitions(results)
    run = curves.loc[curves["strategy_label"] == "random", "run_id"].iloc[0]
    rows = bought[(bought["run_id"] == run) & bought["round"].notna()]
    source = rows.sort_values(["round", "rank"])["source_index"].to_numpy()
    wanted = torch.from_numpy(source[[0, 1, 10]])
    images = Digits().load().train.inputs.gather(wanted, torch.device("cpu"))[:, 0].numpy()
    for (top, left), image in zip([(0, 0), (0, 9), (9, 0)], images, strict=True):
        shown = sheet[top : top + 8, left : left + 8]
        assert np.corrcoef(shown.ravel(), image.ravel())[0, 1] == pytest.approx(1)


@pytest.mark.slow
def test_a_map_shows_the_pool_and_what_was_bought(results):
    found, reasons = draw("pool_map", results)
    assert reasons == []
    first, second = found["pool_map"].axes
    for axes in (first, second):
        assert [len(line.get_xdata()) for line in axes.get_lines()] == [600, 20, 20]
    assert "of the variance" in first.get_xlabel()
    x = [np.asarray(axes.get_lines()[1].get_xdata()).tolist() for axes in (first, second)]
    assert x[0] == x[1]  # the initial set is shared


@pytest.mark.slow
def test_an_initial_set_that_was_bought_is_nobodys_purchase(tmp_path):
    for strategy in ("random", "entropy"):
        words = (f"strategy={strategy}", "strategy@init_strategy=typiclust")
        al_bench.run(*words, f"results={tmp_path}", *TINY, *POOL)
    curves, bought = al_bench.read_curves(tmp_path), al_bench.read_acquisitions(tmp_path)
    by_round = {number: set(rows["index"]) for number, rows in bought.groupby("round")}
    assert len(by_round[0]) == 20  # of both arms
    found, _ = draw("pool_map", tmp_path)
    for axes in found["pool_map"].axes:
        assert [len(line.get_xdata()) for line in axes.get_lines()] == [600, 20, 20]
    found, _ = draw("audit", tmp_path)
    (line, *_) = found["audit_overlap"].axes[0].get_lines()
    own = bought[bought["round"] > 0].merge(curves[["run_id", "strategy"]].drop_duplicates())
    sets = [set(rows["index"]) for _, rows in own.groupby("strategy")]
    share = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
    assert line.get_ydata()[-1] == pytest.approx(100 * share)
    (axes,) = draw("curves", tmp_path)[0]["curves_test_accuracy"].axes
    assert axes.get_title().replace("\n", " · ").endswith("initial set by typiclust")


@pytest.mark.slow
def test_another_pool_is_not_taken_for_that_of_the_runs(results, tmp_path):
    other = tmp_path / "results"
    shutil.copytree(results, other)
    for path in other.rglob("config.yaml"):
        path.write_text(path.read_text().replace("split: null", "split: 1"))
    for name in ("contact_sheet", "pool_map"):
        found, [reason] = draw(name, other)
        assert found == {}
        assert "not the one that these runs used" in reason
        assert reason.endswith("these runs used.")


def test_a_data_set_that_is_not_there_is_told_in_one_line(results, tmp_path):
    other = tmp_path / "results"
    shutil.copytree(results, other)
    for path in other.rglob("config.yaml"):
        config = path.read_text().replace(
            "_target_: al_bench.data.digits.Digits",
            f"_target_: al_bench.data.vision.MNIST\n  root: {tmp_path}\n  download: true",
        )
        path.write_text(config)
    found, [reason] = draw("contact_sheet", other)
    assert found == {}
    assert reason.startswith("it needs the data set digits.")
    assert "\n" not in reason
