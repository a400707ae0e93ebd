"""Data of one's own, as it is typed."""

import json
import shlex

import numpy as np
import pytest


def write(folder, train, test):
    rng = np.random.default_rng(0)
    np.savez(
        folder / "own.npz",
        x_train=rng.normal(size=(100, 4)),
        y_train=np.resize(train, 100),
        x_test=rng.normal(size=(40, 4)),
        y_test=np.resize(test, 40),
    )


@pytest.mark.slow
def test_a_gap_is_refused_and_a_class_to_be_tested_only_is_told(al_bench, tmp_path):
    own = ("run", "dataset=arrays", "dataset.path=own.npz", "budget.total=40", "dry_run=true")
    write(tmp_path, [1, 2, 3], [1, 2, 3])
    code, _, err = al_bench(*own)
    assert (code, err.count("\n")) == (2, 1)
    assert "use pool=remap 'pool.remap.classes=[null,0,1,2]'; or add dataset.num_classes=4" in err
    write(tmp_path, [0, 1], [0, 1, 2])
    code, out, _ = al_bench(*own)
    assert code == 0
    assert "note       Class 2 has test points and no training points.\n" in out


FEW = ("pool=subset", "pool.subset.size=45", "budget.total=30", "seeds=1")


@pytest.mark.slow
def test_gaps_beside_a_pool_transform(al_bench, tmp_path):
    own = ("run", "dataset=arrays", "dataset.path=own.npz", "budget.total=40", "dry_run=true")
    write(tmp_path, [1, 2, 3], [1, 2, 3])
    code, _, err = al_bench(*own, "pool=label_noise")
    assert code == 2
    assert "use 'pool=[remap,label_noise]' 'pool.remap.classes=[null,0,1,2]'" in err
    code, out, _ = al_bench(*own, "pool=[remap,label_noise]", "pool.remap.classes=[null,0,1,2]")
    assert code == 0
    assert ", 3 classes" in out


@pytest.mark.slow
def test_more_targets_than_a_pool_has_are_all_of_them(al_bench):
    code, out, _ = al_bench("run", "strategy=powerepig", *FEW, "dry_run=true")
    assert code == 0
    assert "note       strategy asks for 100 target inputs; there are 45, and all are used." in out


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["strategy=epig"],
        ["strategy=corelog"],
        ["strategy=pig"],
        ["strategy=jepig", "strategy.num_targets=60"],
        ["strategy=evalbald", "strategy.num_targets=60"],
        ["strategy=fisher_epig"],
        ["strategy=logdet", "strategy.num_targets=60"],
        ["strategy=subsample", "strategy@strategy.of=epig"],
        ["strategy=random", "strategy@init_strategy=coremse", "budget.init_size=10"],
    ],
    ids=" ".join,
)
def test_strategies_work_with_fewer_targets_than_they_ask_for(quick_run, words):
    code, out, err = quick_run(*FEW, *words)
    assert (code, err) == (0, "")
    assert "and all are used" in out


OWN = ("run", "dataset=arrays", "budget.total=40", "dry_run=true")


@pytest.fixture
def home(tmp_path, monkeypatch):
    (tmp_path / "at home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "at home"))
    return tmp_path / "at home"


@pytest.mark.slow
def test_paths_may_be_called_anything(al_bench, tmp_path, home):
    write(tmp_path, [0, 1], [0, 1])
    data = (tmp_path / "own.npz").read_bytes()
    (home / "own=[1].npz").write_bytes(data)
    code, out, err = al_bench(*OWN, "dataset.path=~/own=[1].npz", "results=~/1e3")
    assert (code, err) == (0, "")
    assert f"results    {home}/1e3/own=_1_/" in out
    assert not list(tmp_path.glob("~*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["007", "1e3", "a b.npz", "it's.npz", "a,b.npz", "日本.npz", "x(1)"]
)
def test_data_may_be_called(al_bench, tmp_path, name):
    write(tmp_path, [0, 1], [0, 1])
    (tmp_path / "link").symlink_to((tmp_path / "own.npz").rename(tmp_path / name))
    (tmp_path / "all" / name).mkdir(parents=True)
    for typed in (name, "link"):
        code, out, err = al_bench(*OWN, f"dataset.path={typed}", f"results=all/{name}")
        assert (code, err) == (0, "")
        assert f"results    all/{name}/" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["results="], "results is empty. Name a file or a folder; . is the current one."),
        (["dataset.path="], "dataset.path is empty."),
        (["results=null"], "results must be text, got 'null'."),
    ],
)
def test_a_path_that_is_empty_is_refused(al_bench, words, said):
    code, _, err = al_bench("run", "dataset=arrays", *words)
    assert (code, err.count("\n")) == (2, 1)
    assert said in err


@pytest.mark.slow
def test_a_sweep_writes_below_the_home_folder(quick_run, al_bench, tmp_path, home):
    code, _, _ = quick_run("-m", "strategy=random,entropy", "results=~/r", "seeds=1")
    assert code == 0
    assert not list(tmp_path.glob("~*"))
    assert {path.name for path in (home / "r").iterdir()} == {".sweeps", "digits"}
    for manifest in (home / "r").rglob("manifests/*.json"):
        assert "results=~/r" in shlex.split(json.loads(manifest.read_text())["command"])
    code, out, _ = al_bench("status", "~/r")
    assert (code, "2 done" in out) == (0, True)
    code, _, _ = al_bench("plot", "~/r", "out=~/plots", "format=png")
    assert (code, len(list((home / "plots").iterdir()))) == (0, 1)


@pytest.mark.slow
def test_folders_of_choices_may_be_called_anything(al_bench, tmp_path, home):
    own = home / "my conf,[1]=ü"
    (own / "strategy").mkdir(parents=True)
    (own / "strategy" / "mine.yaml").write_text("_target_: al_bench.strategies.random.Random\n")
    for typed in (str(own), "~/my conf,[1]=ü"):
        code, out, err = al_bench("run", "--config-dir", typed, "strategy=mine", "dry_run=true")
        assert (code, err) == (0, "")
        assert "run        mine on digits" in out


WRONG = {
    "several.npz": "it holds several arrays (a, b), and one is needed. Write it with np.save(",
    "empty.npy": "it is empty.",
    "picture.npy": "or not a NumPy file at all",
    "pickle.npy": "or not a NumPy file at all",
    "folder": "it is a folder, not a .npy file.",
    "nothing.npy": "there is no file",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("pool.label_noise.path", ["pool=label_noise", "pool.label_noise.kind=file"]),
        ("target.path", ["target=file", "strategy=epig"]),
        ("strategy.space.path", ["strategy=coreset", "strategy/space=embeddings"]),
    ],
    ids=["noise", "target", "space"],
)
def test_a_file_of_another_kind_is_named(al_bench, tmp_path, name, key, words):
    np.savez(tmp_path / "several.npz", a=np.zeros(3), b=np.zeros(3))
    np.save(tmp_path / "pickle.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "picture.npy").write_bytes(b"\x89PNG\r\n\x1a\n 0000")
    (tmp_path / "empty.npy").touch()
    (tmp_path / "folder").mkdir()
    code, _, err = al_bench("run", *words, f"{key}={name}")
    assert (code, err.count("\n")) == (2, 1)
    assert f"{key}={name}" in err
    assert WRONG[name] in err


@pytest.mark.slow
def test_what_is_moved_is_found_by_the_keys_of_a_run(quick_run, al_bench, tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "b c").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    write(tmp_path / "a", [0, 1, 2], [0, 1, 2])
    np.save("noise.npy", np.resize([0, 1, 2], 100))
    noise = ("pool=label_noise", "pool.label_noise.kind=file", "pool.label_noise.path=noise.npy")
    words = ("dataset=arrays", "dataset.path=own.npz", "strategy=random", "seeds=1", *noise)
    assert quick_run(*words)[0] == 0
    (tmp_path / "a" / "renamed.npz").write_bytes((tmp_path / "a" / "own.npz").read_bytes())
    (manifest,) = (tmp_path / "a").glob("results/**/manifests/seed=0.json")
    monkeypatch.chdir(tmp_path / "b c")
    transfer = ("transfer", "../a/results", "model=deterministic", "out=new", "dry_run=true")
    for command in (("rerun", str(manifest)), transfer):
        code, _, err = al_bench(*command)
        assert code == 2
        assert err.endswith("b c/own.npz. Set dataset.path=... to your arrays.\n")
        code, _, err = al_bench(*command, "dataset.path=../a/own.npz")
        assert (code, "Set pool.label_noise.path=… to where it is." in err) == (2, True)
        code, _, err = al_bench(*command, "dataset.root=../a")
        assert (code, "has no dataset.root. Did you mean 'dataset.path'?" in err) == (2, True)
        moved = ("dataset.path=../a/renamed.npz", "pool.label_noise.path=../a/noise.npy")
        code, out, err = al_bench(*command, *moved)
        assert (code, err) == (0, "")
    assert "1 runs, 1 trials to be trained" in out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["training.batch_size=1"], "Use training.batch_size=64."),
        (["training.epoch_size=1"], "Use training.epoch_size=1024."),
        (
            ["training.epoch_size=null", "budget.init_size=1"],
            "Start with two labels or more: budget.init_size=2 budget.init_per_class=null.",
        ),
    ],
)
def test_a_network_that_cannot_train_on_one_point_is_refused_before_any_work(al_bench, words, hint):
    small = ("model=deterministic", "strategy=random", "dry_run=true")
    code, _, err = al_bench("run", "model/network=resnet18", *small, *words)
    assert (code, err.count("\n")) == (2, 1)
    assert "cannot be trained on a batch of one point: Expected more than 1 value" in err
    assert err.endswith(f"{hint}\n")
    code, _, err = al_bench("run", *small, *words)  # a network without batch normalisation
    assert (code, err) == (0, "")
