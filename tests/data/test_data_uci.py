"""Tables of UCI are read whole or not at all, split and standardised as EPIG has it."""

import gzip

import numpy as np
import pandas as pd
import pytest
import torch

from al_bench.data.uci import Magic, Satellite, Vowel
from al_bench.errors import ConfigError, DataError

CPU = torch.device("cpu")
RANDOM = np.random.default_rng(0)


def shuffled(words, counts):
    return RANDOM.permutation(np.repeat(words, counts))


def write(path, columns, separator=" "):
    lines = [separator.join(map(str, row)) for row in zip(*columns, strict=True)]
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), 1))


def features(rows, count):
    return list(np.round(RANDOM.normal(3.0, 7.0, size=(count, rows)), 3))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uci")
    labels = shuffled(["g", "h"], Magic.COUNTS)
    write(folder / "magic04.data.gz", [*features(19_020, 10), labels], ",")
    for name, counts in zip(Satellite.FILES, Satellite.COUNTS, strict=True):
        labels = shuffled([1, 2, 3, 4, 5, 7], counts)
        write(folder / f"{name}.gz", [*features(sum(counts), 36), labels])
    part = np.repeat([0, 1], [528, 462])
    labels = [*np.tile(np.arange(11), 48), *np.tile(np.arange(11), 42)]
    speakers = [np.arange(990) % 15, np.arange(990) % 2]
    write(folder / "vowel-context.data.gz", [part, *speakers, *features(990, 10), labels])
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "train", "test", "num_features", "num_classes"),
    [(Magic, 13_314, 5_706, 10, 2), (Satellite, 4_435, 2_000, 36, 6), (Vowel, 528, 462, 10, 11)],
)
def test_tables_have_their_sizes_and_are_standardised_by_the_training_part(
    root, source, train, test, num_features, num_classes
):
    dataset = source(str(root)).load()
    assert (len(dataset.train), len(dataset.test)) == (train, test)
    assert dataset.train.inputs.input_shape == (num_features,)
    assert dataset.num_classes == num_classes
    shown = dataset.train.inputs.gather(torch.arange(train), CPU).double()
    assert shown.mean(dim=0).abs().max() < 1e-5
    assert (shown.std(dim=0, correction=0) - 1).abs().max() < 1e-5
    assert dataset.fingerprint == source(str(root)).load().fingerprint


@pytest.mark.slow
def test_the_split_of_magic_is_that_of_the_published_code(root):
    table = pd.read_csv(root / "magic04.data.gz", header=None).sample(frac=1, random_state=0)
    values = table.to_numpy()
    num_test = int(0.3 * len(values))
    inputs = values[:, :-1].astype(np.float32)
    inputs = (inputs - inputs[:-num_test].mean(axis=0)) / inputs[:-num_test].std(axis=0)
    dataset = Magic(str(root)).load()
    for part, expected in ((dataset.train, inputs[:-num_test]), (dataset.test, inputs[-num_test:])):
        shown = part.inputs.gather(torch.arange(len(part)), CPU).numpy()
        np.testing.assert_allclose(shown, expected, atol=1e-4)
    assert (dataset.test.labels.numpy() == (values[-num_test:, -1] == "h")).all()


def test_vowels_are_split_by_the_first_column_which_is_no_feature(root):
    text = gzip.decompress((root / "vowel-context.data.gz").read_bytes()).decode()
    rows = np.array([line.split() for line in text.splitlines()], dtype=float)
    dataset = Vowel(str(root)).load()
    train = rows[rows[:, 0] == 0]
    assert dataset.train.labels.tolist() == train[:, 13].astype(int).tolist()
    expected = (train[:, 3:13] - train[:, 3:13].mean(axis=0)) / train[:, 3:13].std(axis=0)
    shown = dataset.train.inputs.gather(torch.arange(528), CPU).numpy()
    np.testing.assert_allclose(shown, expected, atol=1e-5)


def changed(root, tmp_path, name, change):
    """A folder in which one file is another, unpacked."""
    for path in root.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / f"{name}.gz").unlink()
    lines = gzip.decompress((root / f"{name}.gz").read_bytes()).decode().splitlines()
    (tmp_path / name).write_text("\n".join(change(lines)))
    return str(tmp_path)


def with_first(line):
    return lambda lines: [line(lines[0]), *lines[1:]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines[:-3], "sat.tst is damaged: it has 1,997 rows and should have 2,000"),
        (lambda lines: [*lines[:-1], lines[-1][:-4]], "row 2000 has 36 columns and should have 37"),
        (
            with_first(lambda line: line[:-1] + "6"),
            "it has a class 6, and should have 1, 2, 3, 4, 5, 7. Get it",
        ),
        (with_first(lambda line: line.replace(".", "x")), "could not convert"),
        (with_first(lambda line: "nan" + line[line.index(" ") :]), "a feature is no finite number"),
    ],
)
def test_files_that_were_cut_or_changed_are_named(root, tmp_path, change, said):
    with pytest.raises(DataError, match=said):
        Satellite(changed(root, tmp_path, "sat.tst", change)).load()


def test_rows_of_a_class_that_are_missing_are_noticed(root, tmp_path):
    folder = changed(root, tmp_path, "vowel-context.data", lambda lines: [*lines[1:], lines[1]])
    with pytest.raises(DataError, match=r"its classes have \[89, 91, 90, .* and should have \[90,"):
        Vowel(folder).load()


def test_files_that_are_not_there_are_named_with_where_to_get_them(root, tmp_path):
    (tmp_path / "sat.trn.gz").write_bytes((root / "sat.trn.gz").read_bytes())
    with pytest.raises(DataError, match=r"lacks sat.tst. Get sat.tst from archive.ics.uci.edu/"):
        Satellite(str(tmp_path)).load()
    with pytest.raises(DataError, match=r"There is no folder .*nowhere"):
        Vowel(str(tmp_path / "nowhere")).load()
    with pytest.raises(ConfigError, match="root must be a folder"):
        Magic(root="")


def test_a_packed_file_that_was_cut_is_named(root, tmp_path):
    whole = (root / "vowel-context.data.gz").read_bytes()
    (tmp_path / "vowel-context.data.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"vowel-context.data.gz is damaged"):
        Vowel(str(tmp_path)).load()
