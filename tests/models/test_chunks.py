"""A chunk that does not fit into memory is halved, and the round says so and is otherwise equal."""

import dataclasses
import json

import pytest
import torch
from sampling.in_memory import NETWORK, Kept, make_trial

from al_bench.models.chunks import counted_halvings, halved_to_fit
from al_bench.models.deterministic import Deterministic
from al_bench.running import notebook
from al_bench.sampling import loop
from al_bench.sampling.budget import StepBudget
from al_bench.sampling.draws import Uniform

ON_CPU = "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory"
REFUSALS = {
    "device": lambda: torch.OutOfMemoryError("CUDA out of memory."),
    "cpu": lambda: RuntimeError(ON_CPU),
    "python": lambda: MemoryError(),
}


class Small:
    """A model whose posteriors have memory for so many points at once."""

    def __init__(self, model, most, refused=REFUSALS["device"]):
        self._model, self._most, self._refused = model, most, refused

    def __getattr__(self, name):
        return getattr(self._model, name)

    def posterior(self, *given):
        return SmallPosterior(self._model.posterior(*given), self._most, self._refused)


class SmallPosterior:
    """Refuses passes over more points than it has memory for."""

    def __init__(self, posterior, most, refused):
        self._posterior, self._most, self._refused = posterior, most, refused

    def __getattr__(self, name):
        found = getattr(self._posterior, name)
        if name not in ("log_probs", "features", "gradient_factors"):
            return found

        def limited(inputs, *given):
            if len(inputs) > self._most:
                raise self._refused()
            return found(inputs, *given)

        return limited


def executed(trial, most=None, refused=REFUSALS["device"]):
    """Rows of a trial, without what is measured, and what it has bought."""
    if most is not None:
        model = Small(trial.run.model, most, refused)
        trial.run = dataclasses.replace(trial.run, model=model)
    frame = notebook.execute([trial])
    measured = [name for name in frame if "seconds" in name or "peak" in name or name == "notes"]
    told = frame["notes"] if "notes" in frame else [None] * len(frame)
    notes = [json.loads(text) if isinstance(text, str) else {} for text in told]
    return frame.drop(columns=measured), notes, trial.labeled


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["bald", "coreset", "badge"])
def test_what_does_not_fit_is_halved_and_noted_and_changes_nothing(make_trials, strategy):
    words = [f"strategy={strategy}", "seeds=1", "budget.validation_size=100", "budget.total=30"]
    words += ["evaluation.joint_size=5", "evaluation.online=true"]
    plain, notes, bought = executed(*make_trials(*words))
    small, told, same = executed(*make_trials(*words), most=7)
    assert same == bought
    for name in plain:
        if plain[name].dtype == float:
            assert small[name].tolist() == pytest.approx(plain[name].tolist(), nan_ok=True), name
    assert all("chunks_halved" not in note for note in notes)
    assert all(note.pop("chunks_halved") >= 6 for note in told)
    assert [set(note) for note in told] == [set(note) for note in notes]


@pytest.mark.slow
@pytest.mark.parametrize("kind", REFUSALS)
def test_memory_is_refused_in_several_words(make_trials, kind):
    words = ["strategy=random", "seeds=1", "budget.total=20"]
    _, notes, _ = executed(*make_trials(*words), most=300, refused=REFUSALS[kind])
    assert notes == [{"chunks_halved": 1}]  # 500 test points


@pytest.mark.slow
def test_a_point_that_does_not_fit_is_an_error(make_trials):
    (trial,) = make_trials("strategy=random", "seeds=1", "budget.total=20")
    with pytest.raises(torch.OutOfMemoryError, match=r"CUDA out of memory\."):
        executed(trial, most=0)


def test_rounds_of_active_sampling_say_so_too():
    model, budget = Small(Deterministic(NETWORK), most=40), StepBudget(steps=2, candidates=16)
    trial, kept = make_trial(Uniform(), model=model, budget=budget), Kept()
    loop.execute([trial], kept)
    assert not kept.failures
    assert all(json.loads(row["notes"])["chunks_halved"] for row in kept.rows)


def test_other_errors_are_none_of_memory_and_go_on():
    def broken(indices):
        raise RuntimeError("shapes do not match")

    with counted_halvings() as halvings, pytest.raises(RuntimeError, match="shapes do not match"):
        list(halved_to_fit(torch.arange(8), 8, broken))
    assert halvings.notes == {}


def test_of_nothing_there_is_an_empty_chunk():
    (part,) = halved_to_fit(torch.arange(0), 8, lambda indices: torch.empty(len(indices), 3))
    assert part.shape == (0, 3)


def test_every_index_is_computed_once_in_its_order():
    shown = []

    def limited(indices):
        if len(indices) > 3:
            raise torch.OutOfMemoryError
        shown.append(len(indices))
        return indices

    with counted_halvings() as halvings:
        parts = list(halved_to_fit(torch.arange(20), 16, limited))
    assert torch.equal(torch.cat(parts), torch.arange(20))
    assert set(shown) == {2}
    assert halvings.notes == {"chunks_halved": 3}
