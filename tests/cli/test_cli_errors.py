"""Bad input ends in one line that says what to type, before any work."""

import subprocess
import sys

import numpy as np
import pytest

BAD = [
    (["strategy=batchbold"], "no strategy=batchbold. Did you mean 'batchbald'"),
    (["dataset=mnits"], "no dataset=mnits. Did you mean 'mnist'"),
    (["model/network=resnet"], "no model/network=resnet. Did you mean 'resnet18'"),
    (["experiment=batchbald/mnis"], "Did you mean"),
    (["stratgy=bald"], "no key 'stratgy'. Did you mean 'strategy'"),
    (["budget.totl=3"], "no key 'budget.totl'"),
    (["streams.innit=1"], "no key 'streams.innit'"),
    (["seeds=-1"], "seeds=-1: at least one seed is needed"),
    (["seeds=0"], "at least one seed"),
    (["seeds=[0,1,0]"], "repeats 0"),
    (["seeds=[-3]"], "whole number from 0, got -3"),
    (["seeds=1.5"], "seeds=1.5 is neither a whole number nor a list"),
    (["budget.total=5000"], "total=5000 is more than the pool's 1297 points"),
    (["budget.init_size=200"], "initial set has 200 labels, more than budget.total=120"),
    (["budget.batch_size=0"], "batch_size must be a whole number from 1, got 0"),
    (["model=deterministic"], "strategy=bald needs posterior samples that differ"),
    (
        ["strategy=ddu"],
        "strategy=ddu needs densities of features, which model=mc_dropout with network=digits_cnn "
        "does not provide. Use model=ddu.",
    ),
    (
        ["strategy=ddu", "model=ddu", "strategy.num_samples=1"],
        "strategy.num_samples=1 takes posterior samples, but the density of features is that of "
        "one network. Use strategy.num_samples=null.",
    ),
    (["strategy=grand", "strategy.num_samples=3"], "strategy.num_samples=3 takes posterior"),
    (["strategy=ddu", "model=ddu", "model.covariance=ful"], "model.covariance=ful is unknown"),
    (["strategy=ddu", "model=ddu", "model/network=vgg99"], "no model/network=vgg99"),
    (["model=sngp", "model.num_features=0"], "model.num_features must be a whole number from 1"),
    (["model=sngp", "model.ridge=0"], "model.ridge must be a number above 0, got 0"),
    (["model=sngp", "model.length_scale=-1"], "model.length_scale must be a number above 0"),
    (["model=sngp", "model/network=null"], "model/network=null: null is no choice"),
    (
        ["model=sngp", "model/network=mlp", "model.network.hidden=[1]"],
        "at least 2 features, got 1: ",
    ),
    (["model=sngp", "strategy=badge"], "badge needs last-layer gradients, which model=sngp"),
    (["model=sngp", "strategy=ddu"], "strategy=ddu needs densities of features, which model=sngp"),
    (["model=random_forest", "model.ridge=1"], "no key 'model.ridge'"),
    (["model.num_samples=1"], "strategy=bald needs posterior samples that differ"),
    (["model.network.dropout=0"], "strategy=bald needs posterior samples that differ"),
    (
        ["strategy=random", "model.network.dropout=0"],
        "nothing to drop in network=digits_cnn: its 20 posterior samples would all be the same. "
        "Use model.num_samples=1",
    ),
    (["strategy=random", "model/network=mlp", "model.network.hidden=[]"], "nothing to drop"),
    (["strategy.num_samples=50"], "more than the 20 samples of model=mc_dropout"),
    (["training.monitor=accuracy", "training.patience=3"], "needs a validation set"),
    (["training.augment=crop_flip"], "Choose one with training/augment="),
    (["training/schedule=cosin"], "no training/schedule=cosin. Did you mean 'cosine'"),
    (
        ["training=resnet_cifar", "training.max_epochs=30"],
        "below the number of epochs",
    ),
    (["training/augment=null"], "Write ~training/augment"),
    (["training.schedule.final=0"], "choose one with training/schedule="),
    (["training/augment=crop", "training.augment.padding=-1"], "training.augment.padding must be"),
    (["device=cuda:7"], "Try device=cpu"),
    (["device=gpu"], "Valid: auto, cpu, cuda"),
    (["device=cpu:3"], "device=cpu:3: there is one cpu. Try device=cpu."),
    (["strategy=random,"], "strategy=random, has a comma too many. Write strategy=random"),
    (["strategy=,random"], "strategy=,random has a comma too many. Write strategy=random"),
    (["seeds=[0,,1,]"], "seeds=[0,,1,] has a comma too many. Write seeds=[0,1]"),
    (["strategy=random", "budget.init_size=null"], "are both null"),
    (["--config-dir"], "--config-dir needs a value. Write --config-dir FOLDER"),
    (["--cfg"], "--cfg needs a value. Write --cfg job"),
    (["--cfg", "job", "-p"], "--package needs a value. Write --package training"),
    (["--cfg", "job", "-p", "trainig"], "no part 'trainig' of the configuration. Did you mean"),
    (["--cfg", "job", "-p", "study"], "study is null, so there is nothing to show of it."),
    (["budgt.total=30"], "There is no key 'budgt.total'. Did you mean 'budget.total'?"),
    (["threads=0"], "threads must be a whole number from 1, got 0"),
    (["pack_width=0"], "pack_width must be a whole number from 1, got 0"),
    (["pack_width=-3"], "pack_width must be a whole number from 1, got -3"),
    (["pack_width=2.5"], "pack_width must be a whole number, got '2.5'"),
    (["pack_width=auto"], "pack_width must be a whole number, got 'auto'"),
    (
        ["pack_width=4", "model=random_forest"],
        "pack_width=4: RandomForest trains no network. Leave pack_width out.",
    ),
    (
        ["pack_width=4", "model/network=resnet18", "training=epochs"],
        "all its batches must have the same size. Add training.epoch_size as a multiple of "
        "training.batch_size=64, or leave pack_width out.",
    ),
    (
        ["pack_width=4", "selection=uniform"],
        "with selection=… they are trained one by one. Leave pack_width out.",
    ),
    (["threads=two"], "threads must be a whole number, got 'two'"),
    (["scoring_precision=float16"], "scoring_precision=float16 is unknown"),
    (["resume=yes"], "resume"),
    (["budget.batch_size=2.5"], "budget.batch_size must be a whole number from 1, got 2.5"),
    (["budget.validation_size=2.5"], "whole number from 0, got 2.5"),
    (["budget.init_size=null", "budget.init_per_class=[1,2]"], "has 2 numbers for 10 classes"),
    (
        ["budget.init_size=null", f"budget.init_per_class={[200, *[0] * 9]}", "budget.total=300"],
        "there are 128 points of class 0. Use budget.init_per_class=null",
    ),
    ([f"budget.validation_per_class={[0, 500, *[0] * 8]}"], "points of class 1. Ask for as many"),
    (["evaluation.test_counts=[1,2]"], "evaluation.test_counts has 2 numbers for 10 classes"),
    ([f"evaluation.test_counts={[51, *[1] * 9]}"], "of the test set: there are 50 points of class"),
    (["evaluation.test_counts=5"], "evaluation.test_counts must be a list such as [0,1], got 5"),
    (["target=held_out"], "target.counts"),
    (["target=held_out", "target.counts=[1,2]"], "target.counts has 2 numbers for 10 classes"),
    (["target=held_out", f"target.counts={[999] * 10}"], "points of class 0. Ask for as many"),
    (
        [
            *("training=full_batch", "budget.validation_size=50", "model=deterministic"),
            *("strategy=random", "training.monitor_samples=5"),
        ],
        "model=deterministic drops none when it predicts. Use training.monitor_samples=null",
    ),
    (
        ["dataset=magic", "dataset.root=nowhere"],
        "archive.ics.uci.edu/dataset/159. dataset.root=...",
    ),
    (["training.learning_rate=nan"], "learning_rate must be a number above 0, got nan"),
    (["training.learning_rate=abc"], "learning_rate must be a number above 0, got 'abc'"),
    (["model.network.dropout=x"], "model.network.dropout must be a number from 0 and below 1"),
    (["budget.init_size=null", "budget.init_per_class=20"], "Lower budget.init_per_class"),
    (["evaluation.num_samples=500"], "more than the 20 samples"),
    (
        ["evaluation.joint_size=501"],
        "evaluation.joint_size=501 is more than the 500 test points. Use evaluation.joint_size=500",
    ),
    (["evaluation.joint_size=0"], "evaluation.joint_size must be a whole number from 1, got 0"),
    (["evaluation.joint_size=2.5"], "evaluation.joint_size must be a whole number from 1, got 2.5"),
    (["evaluation.online=1"], "evaluation.online must be true or null, got 1. Leave it out, or"),
    (
        ["evaluation.online=true", "model=deterministic", "strategy=random"],
        "reweights posterior samples; model=deterministic has one. Use model=mc_dropout, "
        "another model of two samples or more, or evaluation.online=null.",
    ),
    (["evaluation.online=true", "evaluation.num_samples=1"], "but evaluation.num_samples=1. Use 2"),
    (["evaluation.jointsize=5"], "Did you mean 'evaluation.joint_size'?"),
    (["strategy.num_samples=1"], "compares posterior samples"),
    (["pool=repeat", "budget.validation_size=1000", "budget.total=2800"], "without copies"),
    (["pool=[subset]", "pool.subset.size=60", "budget=batchbald_mnist"], "Seed 0: "),
    (["hydra/launcher=foo", "-m"], "There is no hydra/launcher=foo"),
    (["hydra/launcher=3", "-m"], "hydra/launcher=3: a choice is a name."),
    (["hydra.launcher=null", "-m"], "hydra.launcher=null is no launcher. Leave it out"),
    (["hydra.sweeper=3", "-m"], "hydra.sweeper=3 is no sweeper. Leave it out"),
    (["hydra.sweeper=null", "-m"], "hydra.sweeper=null is no sweeper. Leave it out"),
    (["hydra.sweeper.max_batch_size=0", "-m"], "max_batch_size must be a whole number from 1"),
    (["hydra.sweeper.params={seeds:'1,2'}", "-m"], "this is for files of presets. Type -m key=a,b"),
    (["+hydra.sweeper.params={seeds:'1,2'}", "-m"], "this is for files of presets"),
    (["+hydra.sweeper.params.seeds='1,2'", "-m"], "hydra.sweeper.params.seeds"),
    (["hydra.sweeper.a=1", "-m"], "There is no key 'hydra.sweeper.a'. Valid: max_batch_size"),
    (["hydra=3"], "hydra=3: a choice is a name."),
    (["+hydra.callbacks.mine=3"], "hydra.callbacks.mine has no _target_, got 3"),
    (["+hydra.callbacks.mine._target_=no.Where"], "there is no module 'no'"),
    (["model/network=3"], "a choice is a name. See al-bench list networks."),
    (["experiment=true"], "a choice is a name. See al-bench list experiments."),
    (["strategy@init_strategy=3"], "a choice is a name. See al-bench list strategies."),
    (["init_strategy=3"], "Write strategy@init_strategy=NAME."),
    (["streams=3"], "Try streams.init=1."),
    (["workers=0"], "workers must be a whole number from 1, got 0"),
    (["evaluation.num_samples=0"], "evaluation.num_samples"),
    (["+strategy.betta=3"], "strategy has no parameter 'betta'"),
    (["strategy._target_=nowhere.Nothing"], "cannot be loaded"),
    (["dataset=arrays"], "dataset.path has no default. Add dataset.path="),
    (["dataset=mnist"], "dataset.root="),
    (["dataset=digits", "model/network=batchbald_cnn"], "digits_cnn"),
    (["seeds=range(5"], "al-bench:"),
    (["pool=[subset]", "pool.subset.size=9000"], "9000"),
    (["+foo=1"], "There is no key 'foo'. Valid: baseline, budget,"),
    (["model.num_samples=1"], "does not provide. Use model.num_samples=20, or strategy=entropy."),
    (["model=deterministic", "strategy=bald"], "=0.5), or strategy=entropy."),
    (["evaluation.ood.usps.root=x"], "a list. Write evaluation.ood=[{usps: {root: x}}]."),
    (["evaluation.ood=[usps]"], "Set root: ... to the folder that holds usps.bz2"),
    (["training=al_bench.data.digits.Digits"], "training: Digits is no Recipe. Derive the class"),
    (["pool=[nope]"], "There is no pool=nope. Valid: contaminate, full,"),
    (["dataset=my.npz"], "a file is no data set. Write dataset=arrays dataset.path=my.npz."),
    (["pool=[]"], "pool=[] names no pool. Write pool=full"),
    (["strategy@init_strategy=null"], "null is no choice. Write ~strategy@init_strategy."),
    (["-m", "tracker=null,wandb"], "once for the others, and once with ~tracker."),
    (["results=${oc.env:NONESUCH}"], "Environment variable 'NONESUCH' not found"),
    (["~seeds"], "seeds cannot be taken away"),
    (["budget.batchsize=5"], "'budget.batchsize'. Did you mean 'budget.batch_size'?"),
    (["strategy=powerbald", "strategy.rule.bet=1"], "Did you mean 'strategy.rule.beta'?"),
    (["strategy=epig", "strategy.num_targets=5"], "Did you mean 'strategy.score.num_targets'?"),
    (["+model.network.dropuot=0.1"], "Did you mean 'model.network.dropout'?"),
    (["strategy/scores=bald"], "Did you mean 'strategy/score'"),
    (["dataset.path=3"], "dataset has no keys of its own"),
    (["target.path=3"], "target is null; choose one with target=…"),
    (["init_strategy.x=3"], "choose one with strategy@init_strategy=…"),
    (["init_strategy=coreset"], "Write strategy@init_strategy=coreset."),
    (["hydra.jobs.chdir=true"], "Did you mean 'hydra.job'"),
    (["target=classes", "target.proportions=3"], "target.proportions must be a list such as"),
    (["strategy=bald", "strategy.rule=power"], "Choose one with strategy/rule="),
    (["strategy=bald", "strategy.score=entropy"], "strategy.score must be an object with a"),
    (["strategy=coreset", "strategy.space=inputs"], "Choose one with strategy/space="),
    (["~strategy"], "Every run has a strategy; none is chosen. Add strategy=…"),
    (["model=null"], "every run has one model"),
    (["strategy=[random,bald]"], "For a run each: -m strategy=random,bald."),
    (["strategy=random,bald"], "Several values, strategy=random,bald, are a sweep. Add -m"),
    (["strategy"], "'strategy' is not key=value. Write strategy=…"),
    (["bald"], "Did you mean strategy=bald?"),
    (["=3"], "has no key"),
    (["a=b=c"], "'a=b=c' cannot be read"),
    (["dry_run=maybe"], "dry_run must be true or false, got 'maybe'"),
    (["deterministic=null"], "deterministic must be true or false, got 'null'"),
    (["deterministic=maybe"], "deterministic must be true or false, got 'maybe'"),
    (["together=3"], "together must be true or false, got '3'"),
    (["-m", "strategy=random,bald", "together=3"], "together must be true or false, got '3'"),
    (["dry_run=0.5"], "dry_run must be true or false, got '0.5'"),
    (["results=null"], "results must be text, got 'null'"),
    (["+experiment=demo"], "Write experiment=… without +"),
    (["--foo"], "al-bench run has no flag --foo. Keys are written key=value"),
    (["--strategy=bald"], "Write strategy=…"),
    (["-p", "training"], "--package shows the configuration and runs nothing. Add --cfg job."),
    (["--config-dir", "nope"], "There is no folder nope"),
    (["-m", "results=a,b"], "results=a,b: a sweep has one results folder"),
    (["results=new,folder"], "a folder with a comma in its name in quotes of its own"),
    (["seeds=2", "seeds=3"], "seeds is given twice: 2 and 3. Type it once."),
    (["seeds=2", "seeds=2"], "seeds is given twice: 2 and 2. Type it once."),
    (["strategy=bald", "-m", "strategy=random,bald"], "strategy is given twice: bald and random,"),
    (["+model.x=1", "++model.x=2"], "model.x is given twice: 1 and 2."),
    (["strategy@init_strategy=corset"], "no strategy@init_strategy=corset. Did you mean 'coreset'"),
    (["strategy=corset", "strategy@init_strategy=bald"], "There is no strategy=corset. Did you"),
    (
        ["strategy=gr\udcc3\udcb6n"],
        "has signs that are no text in this locale. Set LC_ALL=C.UTF-8.",
    ),
    (["-m", "hydra.mode=RUN"], "-m makes a sweep, hydra.mode=RUN a single run."),
    (["learning_rate=0.1"], "'learning_rate'. Did you mean training.learning_rate=0.1?"),
    (["network=mlp"], "'network'. Did you mean model/network=mlp?"),
    (["batch_size=3"], "Did you mean budget.batch_size=3 or training.batch_size=3?"),
    (["strategy=powerbald", "rule.beta=3"], "Did you mean strategy.rule.beta=3?"),
    (["hydra.job.chdir=true"], "hydra.job.chdir=true: al-bench makes its own folders. Leave it"),
    (["hydra.run.dir=x"], "hydra.run.dir=x: al-bench makes its own folders"),
    (["-m", "hydra.sweep.dir=x"], "hydra.sweep.dir=x: al-bench makes its own folders"),
    (["hydra.output_subdir=.hydra"], "hydra.output_subdir=.hydra: al-bench makes its own folders"),
    (["-m", "hydra.launcher.n_jobs=1,2"], "Hydra's own keys cannot be swept"),
    (["-m", "strategy=random", "budget.total=interval(1,2)"], "names no values to sweep over"),
    (["--cfg", "job", "-m"], "--cfg shows the configuration of one job. Leave out -m."),
    (["--config-name", "x"], "al-bench run has no flag --config-name."),
    (["strategy=random", "strategy/space=inputs"], "The strategy that is chosen has no space"),
    (["strategy=al_bench.strategies.random.Rondom"], "has no 'Rondom'. Did you mean"),
    (["strategy=al_bench.strategies.random.Random", "strategy.x=1"], "no key 'strategy.x'"),
    (["strategy@init_strategy=bald"] * 2, "strategy@init_strategy is given twice: bald and bald."),
]


@pytest.mark.parametrize(
    ("words", "said"),
    # Each composes a configuration: every second one is in the slow set.
    [pytest.param(*case, marks=[pytest.mark.slow][: n % 2]) for n, case in enumerate(BAD)],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_refused_in_one_line_before_any_work(al_bench, tmp_path, words, said):
    code, out, err = al_bench("run", *words)
    assert code == 2
    assert err.startswith("al-bench: ")
    assert err.count("\n") == 1
    assert said in err
    assert "Traceback" not in out + err
    assert not list(tmp_path.glob("results/**/*.parquet"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        ("_target_: own.Own\npowr: 2.0\n", "no parameter 'powr'. Did you mean 'strategy.power'?"),
        ("_target_: own.Own\npower: abc\n", "strategy.power must be a number or null, got 'abc'"),
        ("_target_: own.Own\n", "strategy.power is missing. Add +strategy.power=…"),
        ("_target_: own.Nothing\npower: 2.0\n", "strategy._target_=own.Nothing cannot be loaded"),
        ("_target_: own.Onw\n", "own has no 'Onw'. Did you mean 'own.Own'?"),
        (
            "_target_: onw.Own\n",
            "there is no module 'onw'. Did you mean 'own'? A class of your own",
        ),
        ("_target_: al_bench.strategies.radom.Random\n", "mean 'al_bench.strategies.random'?"),
        ("_target_: Own\n", "it names no module. Write module.Class."),
        ("_target_: .Own\n", "it names no module. Write module.Class."),
        ("_target_: own.Own\npower: 7.0\n", "strategy: KeyError: 'seven' (own.py:7)."),
        ("power: 2.0\n", "strategy/own.yaml) has no _target_. Add a line _target_: module.Class"),
    ],
)
def test_a_users_own_yaml_is_checked_against_the_classs_signature(al_bench, tmp_path, yaml, said):
    own = tmp_path / "beside" / "mine"  # its parent is where own.py is found
    (own / "strategy").mkdir(parents=True)
    (own / "strategy" / "own.yaml").write_text(yaml)
    (tmp_path / "beside" / "own.py").write_text(
        "from dataclasses import dataclass\n"
        "from al_bench.strategies.random import Random\n"
        "@dataclass(frozen=True)\n"
        "class Own(Random):\n"
        "    power: float | None\n"
        "    def __post_init__(self):\n"
        "        if self.power is not None and self.power > 6: raise KeyError('seven')\n"
    )
    code, out, err = al_bench("run", "--config-dir", str(own), "strategy=own")
    sys.modules.pop("own", None)
    assert (code, err.count("\n")) == (2, 1)
    assert said in err
    assert "Traceback" not in out + err


@pytest.mark.slow
def test_a_users_own_data_that_cannot_be_read_is_no_bad_configuration(al_bench, tmp_path):
    (tmp_path / "mine" / "dataset").mkdir(parents=True)
    (tmp_path / "mine" / "dataset" / "latin.yaml").write_text("_target_: letters.Latin\n")
    (tmp_path / "letters.py").write_text(
        "class Latin:\n    def load(self):\n        return b'M\\xfcller'.decode('utf-8')\n"
    )
    code, _, err = al_bench("run", "--config-dir", "mine", "dataset=latin")
    sys.modules.pop("letters", None)
    assert (code, err.count("\n")) == (1, 1)
    assert "UnicodeDecodeError" in err
    assert "(letters.py:3)" in err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("dataset=wrong.Empty", "dataset: Empty has no method load. al_bench.data.base says"),
        ("dataset=wrong.Null", "dataset: load of Null must return a Dataset, got NoneType."),
        ("target=wrong.Empty", "target: Empty has no method of. al_bench.data.target says"),
        ("target=wrong.Null", "target: of of Null must return a Targets, got NoneType."),
        ("+pool.mine._target_=wrong.Empty", "pool.mine: Empty has no attribute stage"),
        ("strategy=leaves.Own", "leaves must not end the process: SystemExit: 5 (leaves.py:1).\n"),
    ],
)
def test_a_class_that_is_another_kind_of_thing_is_told_before_any_work(
    al_bench, tmp_path, word, said
):
    (tmp_path / "wrong.py").write_text(
        "class Empty:\n    pass\n\n\n"
        "class Null:\n    def load(self):\n        pass\n\n"
        "    def of(self, dataset, pool):\n        pass\n"
    )
    (tmp_path / "leaves.py").write_text("import sys; sys.exit(5)\n")
    code, _, err = al_bench("run", word, "seeds=1", "dry_run=true")
    sys.modules.pop("wrong", None)
    assert (code, err.count("\n")) == (2, 1)
    assert said in err


@pytest.mark.parametrize("command", [["run"], ["check"], ["run", "-m"]], ids=" ".join)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"_target_: own.Own\npower: [1\nk: 2\n", "mine/strategy/own.yaml:3 is no YAML: "),
        (b"_target_: own.Own\n\tpower: 1\n", "own.yaml:2 is no YAML: found"),
        (b"_target_: own.Own\npower: 1\npower: 2\n", "own.yaml:3 is no YAML: found duplicate key"),
        (b"# Mine\n# M\xfcller\n", "mine/strategy/own.yaml:2 is not in UTF-8. Save it as UTF-8."),
    ],
    ids=["bracket", "tab", "twice", "latin-1"],
)
def test_a_broken_yaml_is_named_with_its_line(al_bench, tmp_path, command, content, said):
    (tmp_path / "mine" / "strategy").mkdir(parents=True)
    (tmp_path / "mine" / "strategy" / "own.yaml").write_bytes(content)
    code, out, err = al_bench(*command, "--config-dir", "mine", "strategy=own")
    assert (code, out) == (2, "")
    assert err.startswith("al-bench: ")
    assert err.count("\n") == 1
    assert said in err
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import torch\nx = (\n", "SyntaxError: '(' was never closed (faulty.py:2)."),
        ("import nonesuch\n", "ModuleNotFoundError: No module named 'nonesuch' (faulty.py:1)."),
    ],
)
@pytest.mark.slow
def test_a_users_module_that_cannot_be_imported_says_where(tmp_path, code, said):
    """In a process of its own: Hydra's lines would go to a logger that pytest has replaced."""
    (tmp_path / "mine" / "strategy").mkdir(parents=True)
    (tmp_path / "mine" / "strategy" / "own.yaml").write_text("_target_: faulty.Own\n")
    (tmp_path / "faulty.py").write_text(code)
    words = ["check", "--config-dir", "mine", "strategy=own"]
    found = subprocess.run(
        [sys.executable, "-m", "al_bench", *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert found.returncode == 2
    assert found.stderr == f"al-bench: strategy._target_=faulty.Own cannot be loaded: {said}\n"


def test_a_traceback_is_shown_when_asked_for(al_bench):
    code, _, err = al_bench("run", "seeds=-1", "verbose=true")
    assert code == 2
    assert "Traceback" in err


@pytest.mark.parametrize("words", [["rnu"], ["plto", "results"]])
def test_an_unknown_command_gets_near_names(al_bench, words):
    code, _, err = al_bench(*words)
    assert code == 2
    assert "Did you mean" in err


@pytest.mark.slow
def test_a_results_path_that_is_a_file_is_refused(al_bench, tmp_path):
    (tmp_path / "results").write_text("not a folder")
    code, _, err = al_bench("run", "budget.total=30")
    assert code != 0
    assert err.count("\n") == 1
    assert "results" in err


@pytest.mark.slow
def test_wrong_arrays_are_refused(al_bench, tmp_path):
    np.savez(tmp_path / "own.npz", x_train=np.zeros((5, 2)))
    code, _, err = al_bench("run", "dataset=arrays", "dataset.path=own.npz")
    assert code == 2
    assert "y_train" in err


def test_plotting_an_empty_folder_says_what_to_do(al_bench, tmp_path):
    (tmp_path / "results").mkdir()
    code, _, err = al_bench("plot")
    assert code == 1
    assert "al-bench run" in err


@pytest.mark.parametrize(
    "words",
    [
        ["~streams.init", "+streams.init=1"],
        ["strategy=random", "strategy@init_strategy=bald", "budget.init_size=20"],
        ["model=mc_dropout", "model/network=mlp", "model.num_samples=3", "++seeds=1"],
        ["pool=[subset]", "pool.subset.size=900"],
        ["-m", "strategy=random,bald"],
    ],
    ids=" ".join,
)
def test_words_that_only_look_alike_are_not_given_twice(words):
    from al_bench.configuration.words import read

    assert [word for word in words if word != "-m"] == read(words).overrides


NOWHERE = "does not say where its keys belong. Make its first line: # @package _global_"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seeds: 1\n", NOWHERE),
        ("defaults:\n  - override /dataset: digits\nseeds: 1\n", NOWHERE),
        (
            "# @package _global_\ndefaults:\n  - override dataset: digits\n",
            "override dataset means a group below experiment. Write override /dataset",
        ),
    ],
    ids=["keys", "choices", "relative"],
)
def test_a_preset_whose_keys_lie_elsewhere_is_named_with_its_file(al_bench, tmp_path, text, said):
    own = tmp_path / "mine" / "experiment" / "deep"
    own.mkdir(parents=True)
    (own / "lost.yaml").write_text(text)
    code, out, err = al_bench("run", "--config-dir", "mine", "experiment=deep/lost")
    assert (code, out) == (2, "")
    file = "mine/experiment/deep/lost.yaml"
    assert err.startswith(f"al-bench: {file}")
    assert said in err


PRESET = """# @package _global_
# al-bench run experiment=wide: nothing that can be run
hydra:
  mode: MULTIRUN
  sweeper:
    params:
      strategy: random,bald
"""


@pytest.mark.parametrize(
    ("preset", "words"),
    [
        (PRESET + "      results: a,b\n", []),
        pytest.param(PRESET + "      results: a,b\n", ["dry_run=true"], marks=pytest.mark.slow),
        pytest.param(PRESET, ["+hydra.sweeper.params.results='a,b'"], marks=pytest.mark.slow),
    ],
    ids=["preset", "dry run", "typed"],
)
def test_a_preset_sweeps_over_no_results_folders(al_bench, tmp_path, preset, words):
    own = tmp_path / "mine" / "experiment"
    own.mkdir(parents=True)
    (own / "wide.yaml").write_text(preset)
    code, out, err = al_bench("run", "--config-dir", "mine", "experiment=wide", *words)
    assert (code, out) == (2, "")
    assert err.startswith("al-bench: results=a,b: a sweep has one results folder. Type the command")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.slow
def test_a_folder_that_is_typed_is_the_one_of_a_preset_that_names_several(al_bench, tmp_path):
    own = tmp_path / "mine" / "experiment"
    own.mkdir(parents=True)
    (own / "wide.yaml").write_text(PRESET + "      results: a,b\n")
    words = ("--config-dir", "mine", "experiment=wide", "results=one", "dry_run=true")
    code, out, _ = al_bench("run", *words)
    assert (code, out.count("one/digits")) == (0, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("strategy=bald", "model=sngp", "model.ridge=1e-30"), "model.ridge"),
        (
            ("strategy=bait", "model=deterministic", "strategy.regularization=1e-30"),
            "strategy.regularization",
        ),
    ],
)
def test_a_prior_too_small_to_be_seen_fails_its_trial_in_words(al_bench, monkeypatch, words, key):
    monkeypatch.setenv("COLUMNS", "400")
    code, out, _ = al_bench("run", *words, "seeds=1", "budget.total=30", "training.max_epochs=1")
    assert code == 1
    assert "A precision matrix is not positive definite" in out
    assert f"Raise {key}." in out
    assert "LinAlg" not in out
