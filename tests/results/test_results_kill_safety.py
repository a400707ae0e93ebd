"""Killed at any instant and started again, a trial leaves what it would have left undisturbed."""

from pathlib import Path
from typing import Any

import pytest
from breaking_disk import BreakingDisk, Killed
from fake_trials import ENGINE, OTHER_ENGINE, leftovers, run_trial, stored, trial_paths

# Quick: every fourth operation under power cuts. The rest adds what should be
# redundant: killed before an operation is killed after the one before it.
HAZARDS = [
    pytest.param("after", True, 4, id="power-cut-after-every-fourth"),
    pytest.param("after", True, 1, id="power-cut-after", marks=pytest.mark.slow),
    pytest.param("after", False, 2, id="after-every-second", marks=pytest.mark.slow),
    pytest.param("torn", False, 1, id="within-a-write"),
    pytest.param("after", False, 1, id="after", marks=pytest.mark.slow),
    pytest.param("before", False, 1, id="before", marks=pytest.mark.slow),
    pytest.param("before", True, 1, id="power-cut-before", marks=pytest.mark.slow),
    pytest.param("torn", True, 1, id="power-cut-within-a-write", marks=pytest.mark.slow),
]


@pytest.fixture(params=[False, True], ids=["cold", "warm"])
def warm(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def run_on(disk: BreakingDisk, root: Path, **options: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        disk.install(patch)
        run_trial(root, **options)


def operations(root: Path, **options: Any) -> list[str]:
    disk = BreakingDisk(None)
    run_on(disk, root, **options)
    return disk.operations


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "power_cut", "step"), HAZARDS)
def test_a_trial_killed_at_any_operation_ends_as_if_undisturbed(
    tmp_path: Path, warm: bool, moment: str, power_cut: bool, step: int
) -> None:
    names = operations(tmp_path / "whole", warm=warm)
    expected = stored(tmp_path / "whole")
    assert len(names) > 60
    claimed = len(operations(tmp_path / "claimed", warm=warm, rounds=0))
    for at, name in list(enumerate(names))[::step]:
        if (moment == "torn" and name != "write_some") or (warm and at < claimed):
            continue  # a claim is the same, cold or warm
        root = tmp_path / str(at)
        reported: list[int] = []
        with pytest.raises(Killed):
            run_on(BreakingDisk(at, moment, power_cut), root, warm=warm, reported=reported)
        run_trial(root, warm=warm, reported=reported)
        assert stored(root) == expected, f"killed {moment} operation {at}, {name}"
        assert leftovers(root) == []


@pytest.mark.slow
def test_a_trial_killed_again_while_it_recovers_ends_as_if_undisturbed(
    tmp_path: Path, warm: bool
) -> None:
    names = operations(tmp_path / "whole", warm=warm)
    for first in range(0, len(names), 8):
        root = tmp_path / str(first)
        reported: list[int] = []
        for at in (first, first // 2, 7, 2):
            disk = BreakingDisk(at, "after", power_cut=at % 2 == 0)
            try:
                run_on(disk, root, warm=warm, reported=reported)
            except Killed:
                continue
        run_trial(root, warm=warm, reported=reported)
        assert stored(root) == stored(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("warm", "power_cut"),
    [
        (False, True),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [(False, False), (True, False), (True, True)]
        ),
    ],
)
@pytest.mark.parametrize(
    "last",
    [
        pytest.param(ENGINE, id="old engine", marks=pytest.mark.slow),
        pytest.param(OTHER_ENGINE, id="new engine"),
    ],
)
def test_rounds_of_two_engines_never_mix_when_a_fresh_start_is_killed(
    tmp_path: Path, warm: bool, power_cut: bool, last: dict[str, object]
) -> None:
    for engine in (ENGINE, OTHER_ENGINE):
        run_trial(tmp_path / str(engine["device"]), warm=warm, engine=engine)
    run_trial(tmp_path / "count", warm=warm, rounds=2)
    names = operations(tmp_path / "count", warm=warm, engine=OTHER_ENGINE)
    finished_on = []
    quick = power_cut and not warm
    for at, name in list(enumerate(names))[:: -3 if quick else -1]:
        root = tmp_path / str(at)
        run_trial(root, warm=warm, rounds=2)
        with pytest.raises(Killed):
            run_on(BreakingDisk(at, "after", power_cut), root, warm=warm, engine=OTHER_ENGINE)
        run_trial(root, warm=warm, engine=last)
        finished_on.append(stored(root)[0].column("device")[0].as_py())
        assert stored(root) == stored(tmp_path / finished_on[-1]), f"killed after {at}, {name}"
    assert finished_on[0] == "cuda"  # that one had been finished before it was killed
    assert finished_on[-1] == last["device"]


@pytest.mark.slow
def test_a_curve_that_lags_behind_its_acquisitions_trims_them(tmp_path: Path) -> None:
    run_trial(tmp_path / "one", rounds=1)
    run_trial(tmp_path / "two", rounds=2)
    ahead = trial_paths(tmp_path / "two").acquisitions
    ahead.replace(trial_paths(tmp_path / "one").acquisitions)
    run_trial(tmp_path / "one")
    run_trial(tmp_path / "whole")
    assert stored(tmp_path / "one") == stored(tmp_path / "whole")
