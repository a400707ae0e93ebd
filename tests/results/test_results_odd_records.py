"""Whatever lies in the place of a stored file: commands go on, and do nothing that it says."""

import contextlib
import io
import json
import os
import shutil
import sys
import sysconfig
import tempfile
from hashlib import sha256
from pathlib import Path

import fake_trials
import odd_records
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from al_bench import cli
from al_bench.errors import ResultsError
from al_bench.results import cache, history, lease, parquet
from al_bench.results.store import Store
from al_bench.running import execution

QUICK = (
    *("training.max_epochs=1", "training.epoch_size=64", "model.num_samples=2"),
    *("model/network=mlp", "model.network.hidden=[8]", "budget.total=40", "seeds=2"),
)
PLACES = (
    *("manifests/seed=0.json", "config.yaml", "curves/seed=0.parquet"),
    *("acquisitions/seed=0.parquet", "locks/seed=0.lock", "locks/seed=0.lease"),
    *("plan.json", "decisions.json", "0/job.json"),
)
EXAMPLES = settings(
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # shrinking would run commands for minutes
    suppress_health_check=list(HealthCheck),
)
PROGRAMS = ("git", "nvidia-smi", "uname")  # that say where and with what something was run


class Watch:
    """What a process does beside computing, while ``on``: modules, files written, programs."""

    def __init__(self):
        self.on = False
        self.found = []
        self.allowed = ()

    def __call__(self, event, arguments):
        if not self.on:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = set(mode or "") & set("wax+") or (flags or 0) & (os.O_WRONLY | os.O_RDWR)
            if writes:
                self._file(event, path)
        elif event in ("os.remove", "os.rmdir", "os.mkdir", "os.symlink", "os.truncate"):
            self._file(event, arguments[0])
        elif event in ("os.rename", "os.link"):
            self._file(event, arguments[1])
        elif event == "subprocess.Popen":
            if os.path.basename(os.fspath(arguments[0])) not in PROGRAMS:
                self.found.append((event, arguments[0]))
        elif event in ("os.system", "os.exec", "os.posix_spawn", "socket.connect", "pty.spawn"):
            self.found.append((event, *arguments[:2]))
        elif event == "import" and arguments[0].partition(".")[0] == "foreign_code":
            self.found.append((event, arguments[0]))

    def _file(self, event, path):
        if isinstance(path, int):  # a descriptor: that it was opened has been seen
            return
        if not os.path.dirname(path):  # relative to a folder that is held open, or to this one
            return
        place, last = os.path.split(os.fsdecode(path))
        name = os.path.join(os.path.realpath(place), last)
        if event == "open":  # the others do not follow a link
            name = os.path.realpath(name)
        if not name.startswith(self.allowed):
            self.found.append((event, name))


@pytest.fixture(scope="module")
def watch():
    made = Watch()
    sys.addaudithook(made)
    yield made
    made.on = False


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A sweep of two runs of two seeds, as it leaves them: a folder of results."""
    from al_bench.configuration.composing import compose
    from al_bench.running.prepare import prepare

    root = tmp_path_factory.mktemp("stored") / "results"
    sweep, trials = root / ".sweeps" / "20260101-000000", {}
    for name in ("entropy", "random"):
        identity = prepare(compose([*QUICK, f"strategy={name}"])).run.identity
        trials[name] = {identity.folder: [0, 1]}
        for seed in (0, 1):
            with Store(root).claim(identity, seed, fake_trials.ENGINE) as files:
                trial = fake_trials.FakeTrial(files, warm=False)
                while len(trial.rows) < fake_trials.ROUNDS:
                    trial.step()
                files.finish("budget")
    return record(sweep, trials)


def record(sweep, trials):
    from al_bench.results import sweeps

    words = {name: [f"strategy={name}", *QUICK] for name in trials}
    sweeps.write_plan(sweep, list(words.values()), "al-bench run -m strategy=entropy,random")
    for place, name in enumerate(trials):
        sweeps.write_job(sweep / str(place), words[name], trials[name])
    (run,) = trials["entropy"]
    arm = {"arm": "entropy", "baseline": "random", "run_id": run.name}
    sweeps.write_decisions(sweep, [2, 4], [arm | {"seeds": 2, "verdict": "better"}])
    return sweep.parent.parent


class Folder:
    """A copy of the results with one odd file, and what commands say of it."""

    def __init__(self, stored, place, watch):
        self.place = place
        self.watch = watch
        self.results = shutil.copytree(stored, place / "results")
        self.home = place / "home"
        self.out = place / "out"
        self.home.mkdir()
        (self.home / "private").write_text("PRIVATE KEY")
        (place / "foreign_code.py").write_text("open('home/touched', 'w')\n")
        (self.run,) = self.results.glob("digits/mc_dropout/entropy/*")
        (self.other,) = self.results.glob("digits/mc_dropout/random/*")
        (self.sweep,) = self.results.glob(".sweeps/2026*")
        self.manifest = self.run / "manifests" / "seed=0.json"
        shutil.copy(self.run / "locks" / "seed=0.lock", self.run / "locks" / "seed=0.lease")
        self.kept = {path: path.read_bytes() for path in map(self.path, PLACES)}

    def path(self, name):
        return (self.sweep if name in PLACES[-3:] else self.run) / name

    @contextlib.contextmanager
    def holding(self, name, what, *, recorded, status):
        """``what`` at a place; the manifest says the status, and the hashes of files or none."""
        content = json.loads(self.kept[self.manifest])
        if not recorded:
            del content["files"]
        self.manifest.write_text(json.dumps(content | {"status": status}))
        odd_records.put(self.path(name), what, self.home)
        self.out.mkdir()
        try:
            yield
        finally:
            shutil.rmtree(self.out)
            for path, data in self.kept.items():
                odd_records.put(path, data, self.home)
            for path in self.results.rglob("*.damaged*"):
                path.unlink()
        assert [path.name for path in self.home.iterdir()] == ["private"]
        left = {path.name for path in self.place.iterdir()}
        assert left == {"foreign_code.py", "home", "results"}

    def says(self, *words):
        """What a command prints; it must end with an exit code and a line, and touch nothing."""
        spoken, complained = io.StringIO(), io.StringIO()
        before = set(sys.modules)
        self.watch.found.clear()
        self.watch.on = True
        try:
            with contextlib.redirect_stdout(spoken), contextlib.redirect_stderr(complained):
                code = cli.main(list(words))
        finally:
            self.watch.on = False
        out, err = spoken.getvalue(), complained.getvalue()
        assert code in (0, 1, 2), (words, code)
        for unwanted in ("Traceback", "verbose=true for more", "PRIVATE"):
            assert unwanted not in out + err, (words, err)
        assert self.watch.found == [], words
        self.require_known(set(sys.modules) - before)
        return code, out, err

    def require_known(self, names):
        """All that was imported is al-bench, a library or Python's own."""
        own = (str(Path(cli.__file__).parent), sys.prefix, *sysconfig.get_paths().values())
        for name in names:
            file = getattr(sys.modules.get(name), "__file__", None)
            assert file is None or file.startswith(own), file


@pytest.fixture(scope="module")
def folder(stored, tmp_path_factory, watch):
    import matplotlib.font_manager  # noqa: F401  keeps a list of fonts where it is loaded first

    place = tmp_path_factory.mktemp("odd")
    made = Folder(stored, place, watch)
    temporary = os.path.realpath(tempfile.gettempdir())
    caches = (os.devnull, f"{temporary}/al-bench-", f"{temporary}/torchinductor_")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(sys, "path", [*sys.path])
        patch.setattr(lease, "STALE_SECONDS", 0.0)  # nobody waits for a lease that does not move
        patch.setattr(lease, "LOOK_SECONDS", 0.001)
        made.watch.allowed = (f"{made.results}/", f"{made.out}", *caches)
        yield made


@st.composite
def odd_files(draw, folder):
    """A place, what lies there, whether the manifest has hashes, and its status."""
    name = draw(st.sampled_from(PLACES))
    what = draw(odd_records.instead_of(folder.path(name), folder.kept[folder.path(name)]))
    status = draw(st.sampled_from(["done", "done", "running", "failed"]))
    return name, what, draw(st.booleans()), status


@pytest.mark.slow
@pytest.mark.promise("Looking at results runs nothing of theirs")
@given(data=st.data())
@settings(EXAMPLES, max_examples=30)
def test_no_odd_file_ends_a_command_or_is_obeyed(folder, data):
    name, what, recorded, status = data.draw(odd_files(folder))
    with folder.holding(name, what, recorded=recorded, status=status):
        code, out, _ = folder.says("status", "results")
        assert code == 0
        assert folder.other.name in out  # one odd file hides no other trial
        code, out, _ = folder.says("compare", "results")
        assert code == 0
        assert "random" in out
        for words in (
            ("status", "results", "check=true"),
            ("export", "results", "out=out/curves.csv"),
            ("export", "results", "out=out/labels.csv", "kind=acquisitions"),
            ("export", "results", "merge=out/merged"),
            ("info", str(folder.run)),
            ("info", str(folder.run), str(folder.other)),
        ):
            folder.says(*words)


@pytest.mark.promise("One odd file is named and left out")
@pytest.mark.slow
@given(data=st.data())
@settings(EXAMPLES, max_examples=4)
def test_no_odd_file_ends_what_draws_or_trains(folder, data):
    manifest = str(folder.manifest)
    name, what, recorded, status = data.draw(odd_files(folder))
    words = [
        ("plot", "results", "out=out/plots"),
        ("report", "results", "out=out/report.html"),
        ("transfer", "results", "model=deterministic", "out=out/new", "dry_run=true"),
        ("rerun", manifest),
        ("run", *QUICK, "strategy=entropy", "results=results", "dry_run=true"),
    ]
    with folder.holding(name, what, recorded=recorded, status=status):
        for typed in words:
            folder.says(*typed)


WARM = (*QUICK[:-1], "strategy=random", "training.start=warm", "seeds=1")


@pytest.fixture(scope="module")
def half(folder, tmp_path_factory):
    """A run whose weights wait for its last round; its results and the name of the checkpoint."""
    results = tmp_path_factory.mktemp("half") / "results"
    commit = execution.Rounds.commit

    def twice(rounds, trial, row, acquired):
        if trial.round == 2:
            raise KeyboardInterrupt
        return commit(rounds, trial, row, acquired)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execution.Rounds, "commit", twice)
        assert cli.main(["run", *WARM, f"results={results}"]) == 130
    (path,) = results.rglob("*.pt")
    return results, path.relative_to(results)


@pytest.mark.promise("Looking at results runs nothing of theirs")
@pytest.mark.slow
@given(data=st.data())
@settings(EXAMPLES, max_examples=15)
def test_no_odd_checkpoint_ends_a_run_or_is_obeyed(folder, half, data):
    stored, name = half
    results = shutil.copytree(stored, stored.parent / "odd")
    what = data.draw(odd_records.instead_of(results / name, (results / name).read_bytes()))
    odd_records.put(results / name, what, folder.home)
    (curve,) = results.rglob("curves/*.parquet")
    table = pq.read_table(pa.BufferReader(curve.read_bytes()))
    footer = dict(table.schema.metadata)
    digest = data.draw(st.sampled_from(["as stored", "of what is there", "none"]))
    if digest != "as stored":
        del footer[history.CHECKPOINT_DIGEST]
    if digest == "of what is there" and isinstance(what, bytes):
        footer[history.CHECKPOINT_DIGEST] = sha256(what).hexdigest().encode()
    curve.write_bytes(parquet.encode(table, footer))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(folder.watch, "allowed", (f"{results}/", *folder.watch.allowed))
            code, out, _ = folder.says("run", *WARM, f"results={results}")
        assert code == 0 or "seed 0 failed: " in out, out
    finally:
        shutil.rmtree(results)
    assert not (folder.home / "touched").exists()


@pytest.mark.slow
@pytest.mark.promise("Looking at results runs nothing of theirs")
@given(data=st.data())
@settings(EXAMPLES, max_examples=10)
def test_no_odd_file_of_the_cache_is_obeyed(folder, tmp_path_factory, data):
    results, made = tmp_path_factory.mktemp("cache"), {"losses": torch.tensor([1.0, 2.0])}
    cache.cached(results, "kind", {}, lambda: made)
    (path,) = results.rglob("*.pt")
    whole = path.read_bytes()
    what = data.draw(odd_records.instead_of(path, whole[cache.DIGEST :]))
    if isinstance(what, bytes) and data.draw(st.booleans()):
        what = sha256(what).hexdigest().encode() + what  # as if it had been stored like that
    odd_records.put(path, what, folder.home)
    with contextlib.suppress(ResultsError) if path.is_dir() else contextlib.nullcontext():
        assert isinstance(cache.cached(results, "kind", {}, lambda: made), dict)
    assert not (folder.home / "touched").exists()
