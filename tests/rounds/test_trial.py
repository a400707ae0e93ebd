"""A trial of active learning buys what its budget says, and goes on from stored rounds."""

import dataclasses

import pytest
import torch

from al_bench.data.base import Examples
from al_bench.errors import AlBenchError, ConfigError
from al_bench.rounds.active_learning import ActiveLearningTrial
from al_bench.running import notebook
from al_bench.strategies.base import Selection
from al_bench.strategies.random import Random


@pytest.mark.slow
def test_strategies_share_splits_and_seeds_do_not(make_trials):
    random = make_trials("strategy=random", "seeds=3", "budget.validation_size=50")
    bald = make_trials("strategy=bald", "seeds=3", "budget.validation_size=50")
    for one, other in zip(random, bald, strict=True):
        assert torch.equal(one.initial, other.initial)
        assert torch.equal(one.validation, other.validation)
    assert len({tuple(trial.initial.tolist()) for trial in random}) == 3
    assert len({tuple(trial.validation.tolist()) for trial in random}) == 3


def test_strategies_share_the_first_rounds_model(make_trials):
    rows = [
        notebook.execute(make_trials(f"strategy={name}", "seeds=2", "budget.total=30"))
        for name in ("random", "bald")
    ]
    for column in ("test_accuracy", "test_nll", "train_loss"):
        first, second = (frame[frame["round"] == 0][column].tolist() for frame in rows)
        assert first == second
        assert first[0] != first[1]  # seeds differ


@pytest.mark.slow
def test_an_offset_of_one_stream_leaves_the_others(make_trials):
    (plain,) = make_trials("seeds=1")
    (moved,) = make_trials("seeds=1", "streams.initial=1")
    assert torch.equal(plain.validation, moved.validation)
    assert not torch.equal(plain.initial, moved.initial)


@pytest.mark.slow
def test_the_budget_is_met_exactly_and_every_point_is_bought_once(make_trials):
    frame = notebook.execute(trials := make_trials("strategy=random", "seeds=1"))
    assert frame["num_labeled"].tolist() == [20, 30, 40, 45]
    (trial,) = trials
    assert len(set(trial.labeled)) == 45
    assert not set(trial.labeled) & set(trial.validation.tolist())


@pytest.mark.slow
def test_a_full_budget_trains_once_on_everything_but_validation(make_trials):
    (trial,) = make_trials(
        "budget=full", "budget.total=null", "budget.validation_size=50", "seeds=1"
    )
    assert len(trial.labeled) == len(trial.pool) - 50
    assert len(trial.available()) == 0
    assert trial.run.num_rounds(trial.num_classes) == 1
    frame = notebook.execute([trial])
    assert frame["num_labeled"].tolist() == [len(trial.labeled)]


@pytest.mark.slow
def test_per_class_initial_sets_are_balanced(make_trials):
    (trial,) = make_trials("seeds=1", "budget.init_size=null", "budget.init_per_class=2")
    labels = trial.pool.labels[trial.initial]
    assert labels.bincount().tolist() == [2] * 10
    assert sorted(labels[:10].tolist()) == list(range(10))  # one of each, then the next of each


@pytest.mark.slow
def test_initial_and_validation_sets_have_the_points_of_each_class_that_are_asked_for(make_trials):
    initial, validation = [3, 0, 1, *[2] * 7], [0, 4, *[1] * 8]
    words = (f"budget.init_per_class={initial}", f"budget.validation_per_class={validation}")
    trials = make_trials("seeds=2", "budget.init_size=null", *words)
    for trial in trials:
        labels = trial.pool.labels
        assert labels[trial.initial].bincount(minlength=10).tolist() == initial
        assert labels[trial.validation].bincount(minlength=10).tolist() == validation
        assert not set(trial.initial.tolist()) & set(trial.validation.tolist())
        taken = {*trial.initial.tolist(), *trial.validation.tolist()}
        assert not taken & set(trial.available().tolist())
        turns = labels[trial.initial].tolist()
        assert turns[:9] == [0, *range(2, 10)]  # in turn
        assert turns[-1] == 0
    assert not torch.equal(trials[0].validation, trials[1].validation)


@pytest.mark.slow
def test_held_out_targets_leave_the_pool_and_are_equal_for_all_strategies(make_trials):
    counts = [5, 0, *[2] * 8]
    words = ("target=held_out", f"target.counts={counts}", "pool=repeat", "seeds=2")
    one, other = (make_trials(*words, f"strategy={name}") for name in ("random", "epig"))
    (plain,) = make_trials("pool=repeat", "seeds=1")
    for trial, same in zip(one, other, strict=True):
        assert torch.equal(trial.pool.source_index, same.pool.source_index)
        assert torch.equal(trial.initial, same.initial)
        targets = trial.targets
        shown = targets.inputs.gather(targets.indices, torch.device("cpu"))
        assert len(shown) == sum(counts)
        copies = int(plain.pool.source_index.bincount().max())
        assert len(trial.pool) == len(plain.pool) - copies * sum(counts)
        gathered = plain.pool.inputs.gather(torch.arange(len(plain.pool)), torch.device("cpu"))
        if trial.seed == 0:  # another seed's copies have another noise
            places = [(gathered == x).flatten(1).all(dim=1).nonzero()[0].item() for x in shown]
            labels = plain.pool.labels[places]
            assert labels.bincount(minlength=10).tolist() == counts
            away = set(plain.pool.source_index[places].tolist())
            assert not away & set(trial.pool.source_index.tolist())


@pytest.mark.slow
def test_test_sets_have_the_points_of_each_class_that_are_asked_for(make_trials):
    counts = [7, 0, *[3] * 8]
    first, second = make_trials(f"evaluation.test_counts={counts}", "seeds=2", "strategy=random")
    (other,) = make_trials(f"evaluation.test_counts={counts}", "seeds=1", "strategy=bald")
    cpu = torch.device("cpu")
    shown = []
    for trial in (first, second, other):
        assert trial.test.labels.bincount(minlength=10).tolist() == counts
        shown.append(trial.test.inputs.gather(torch.arange(len(trial.test)), cpu))
    assert torch.equal(shown[0], shown[2])
    assert not torch.equal(shown[0], shown[1])
    assert len(notebook.execute([first])) > 1


@pytest.mark.slow
def test_an_empty_start_trains_nothing_and_goes_on(make_trials):
    overrides = ("strategy=bald", "seeds=1", "budget.init_size=0", "budget.total=20")
    frame = notebook.execute(make_trials(*overrides))
    assert frame["num_labeled"].tolist() == [0, 10, 20]
    assert frame["steps"].tolist()[0] == 0


@pytest.mark.slow
def test_copies_of_initial_and_validation_points_leave_the_pool(make_trials):
    (trial,) = make_trials("seeds=1", "pool=repeat", "budget.validation_size=30")
    left = set(trial.pool.source_index[trial.available()].tolist())
    taken = torch.cat([trial.initial, trial.validation])
    sources = trial.pool.source_index[taken].tolist()
    assert len(set(sources)) == 50  # no point twice
    assert not left & set(sources)


@pytest.mark.slow
def test_a_missing_class_is_named_when_per_class_was_asked(make_trials):
    (trial,) = make_trials("seeds=1")
    pool = dataclasses.replace(trial.pool, num_classes=11)
    budget = dataclasses.replace(trial.run.budget, init_size=None, init_per_class=1)
    run = dataclasses.replace(trial.run, budget=budget)
    with pytest.raises(ConfigError, match="0 points of class 10"):
        ActiveLearningTrial(run, trial.streams, pool, trial.targets, trial.test)


@pytest.mark.slow
def test_refused_points_are_counted_as_queried_and_never_trained_on(make_trials):
    (trial,) = make_trials("strategy=random", "seeds=1", "budget.total=60")
    refused = torch.zeros(len(trial.pool), dtype=torch.bool)
    refused[::2] = True
    pool = dataclasses.replace(trial.pool, refused=refused)
    trial = ActiveLearningTrial(trial.run, trial.streams, pool, trial.targets, trial.test)
    frame = notebook.execute([trial])
    assert frame["num_queried"].tolist() == [20, 30, 40, 50, 60]
    assert frame["num_labeled"].iloc[-1] < 60
    assert not refused[torch.tensor(trial.labeled)].any()


@pytest.mark.slow
def test_a_target_on_validation_stops_early(make_trials):
    overrides = ("budget.validation_size=100", "budget.target_accuracy=0.01", "seeds=1")
    frame = notebook.execute(make_trials("strategy=random", *overrides))
    assert frame["round"].tolist() == [0]


@pytest.mark.slow
def test_an_empty_pool_ends_the_trial(make_trials):
    overrides = ("pool=subset", "pool.subset.size=45", "budget.total=45")
    frame = notebook.execute(trials := make_trials("strategy=bald", "seeds=1", *overrides))
    assert frame["num_labeled"].iloc[-1] == 45
    assert len(trials[0].available()) == 0


@pytest.mark.slow
def test_restored_trials_go_on_as_if_never_stopped(make_trials):
    store = notebook.MemoryStore()
    (trial,) = make_trials("strategy=bald", "seeds=1")
    whole = notebook.execute([trial])
    (again,) = make_trials("strategy=bald", "seeds=1")
    half = again.run
    from al_bench.rounds.loop import advance
    from al_bench.training.trainer import fit_one

    for _ in range(2):
        advance(again, fit_one(again), store)
    (resumed,) = make_trials("strategy=bald", "seeds=1")
    resumed.restore(store.rows, store.acquired)
    assert resumed.labeled == again.labeled
    rest = notebook.execute([resumed])
    assert half.identity == trial.run.identity
    for column in ("test_nll", "train_loss", "num_labeled"):
        assert rest[column].tolist() == whole[column].tolist()[2:]
    assert resumed.labeled == trial.labeled


@pytest.mark.slow
def test_stored_rounds_of_another_initial_set_are_refused(make_trials):
    store = notebook.MemoryStore()
    trials = make_trials("strategy=random", "seeds=[0,1]")
    from al_bench.rounds import loop
    from al_bench.training.trainer import SequentialTrainer

    loop.execute(trials[:1], SequentialTrainer(), store)
    with pytest.raises(AlBenchError, match="initial set"):
        trials[1].restore(store.rows, store.acquired)


class Stub:
    """A strategy that answers what it was told to."""

    needs = frozenset()

    def __init__(self, positions):
        self.positions = torch.tensor(positions)

    def select(self, view, batch_size, generator):
        return Selection(self.positions, torch.zeros(len(self.positions), dtype=torch.float64))


@pytest.mark.slow
@pytest.mark.parametrize("positions", [[0, 1], [0] * 10, [*range(9), 5000], [*range(9), -1]])
def test_a_strategy_that_picks_wrongly_is_stopped(make_trials, positions):
    (trial,) = make_trials("seeds=1")
    trial.run = dataclasses.replace(trial.run, strategy=Stub(positions))
    with pytest.raises(AlBenchError, match="10 different positions"):
        notebook.execute([trial])


@pytest.mark.slow
def test_test_labels_influence_nothing_but_the_test_columns(make_trials):
    frames, picks = [], []
    for poison in (False, True):
        (trial,) = make_trials("strategy=bald", "seeds=1", "budget.validation_size=30")
        if poison:
            trial.test = Examples(trial.test.inputs, torch.zeros_like(trial.test.labels))
        frames.append(notebook.execute([trial]))
        picks.append(trial.labeled)
    assert picks[0] == picks[1]
    kept = ["train_loss", "validation_accuracy", "validation_nll", "best_epoch"]
    assert frames[0][kept].equals(frames[1][kept])
    assert frames[0]["test_accuracy"].tolist() != frames[1]["test_accuracy"].tolist()


@pytest.mark.slow
def test_the_initial_set_can_be_bought_by_a_strategy(make_trials):
    frames = {}
    for name in ("random", "bald"):
        (trial,) = make_trials(f"strategy={name}", "strategy@init_strategy=margin", "seeds=1")
        assert len(trial.initial) == 0
        frames[name] = notebook.execute([trial])
        assert trial.run.num_rounds(10) == len(frames[name])
    for frame in frames.values():
        assert frame["num_labeled"].tolist() == [0, 20, 30, 40, 45]
        assert frame["round"].tolist() == [0, 1, 2, 3, 4]
    first, second = (frame["test_nll"].tolist() for frame in frames.values())
    assert first[:2] == second[:2]  # the same initial set and the same weights
    assert first[2:] != second[2:]


@pytest.mark.slow
def test_an_initial_strategy_is_named_in_the_protocol(make_trials):
    (plain,) = make_trials("strategy=random", "seeds=1")
    (bought,) = make_trials("strategy=random", "strategy@init_strategy=margin", "seeds=1")
    assert plain.run.identity.protocol_id != bought.run.identity.protocol_id


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides", [["budget.init_size=0"], ["budget.init_size=null", "budget.init_per_class=2"]]
)
def test_an_initial_strategy_needs_a_number_of_labels(make_trials, overrides):
    with pytest.raises(ConfigError, match=r"init_strategy buys budget\.init_size labels, but"):
        make_trials("strategy@init_strategy=margin", "seeds=1", *overrides)


@pytest.mark.slow
def test_an_initial_strategy_is_checked_before_any_work(make_trials):
    typed = "strategy@init_strategy=bald"
    with pytest.raises(ConfigError, match=r"init_strategy\.num_samples=50 is more than the 4"):
        make_trials(typed, "init_strategy.num_samples=50", "strategy=random")
    with pytest.raises(ConfigError, match="init_strategy needs posterior samples that differ"):
        make_trials(typed, "model.num_samples=1", "strategy=random")


@pytest.mark.slow
def test_target_inputs_can_have_their_own_classes(make_trials):
    share = "target.proportions=[1,1,0,0,0,0,0,0,0,0]"
    (trial,) = make_trials("seeds=1", "target=classes", share)
    labels = trial.pool.labels[trial.targets.indices]
    assert set(labels.tolist()) == {0, 1}
    with pytest.raises(ConfigError, match=r"target\.proportions has no default"):
        make_trials("seeds=1", "target=classes")


def keeper(name):
    """A strategy that keeps who left it a state and in which round; what it was handed is told."""

    @dataclasses.dataclass(frozen=True)
    class Keeper(Random):
        told: list = dataclasses.field(default_factory=list, compare=False)

        def select(self, view, batch_size, generator):
            self.told.append((view.round, view.state))
            chosen = super().select(view, batch_size, generator)
            return dataclasses.replace(chosen, state={"of": name, "round": view.round})

    return Keeper()


@pytest.mark.slow
@pytest.mark.parametrize("is_same", [False, True])
def test_a_state_goes_to_the_strategy_that_left_it_alone(make_trials, is_same):
    (trial,) = make_trials("strategy=random", "strategy@init_strategy=random", "seeds=1")
    strategy, bought_by = keeper("strategy"), keeper("init")
    bought_by = strategy if is_same else bought_by
    trial.run = dataclasses.replace(trial.run, strategy=strategy, init_strategy=bought_by)
    rows = notebook.execute([trial])
    assert rows["strategy_state"].notna().sum() == len(rows) - 1
    handed = dict(strategy.told)
    if not is_same:
        assert bought_by.told == [(0, None)]
        assert handed[1] is None
    else:
        assert handed[1] == {"of": "strategy", "round": 0}
    assert handed[2] == {"of": "strategy", "round": 1}


@pytest.mark.slow
def test_a_stored_state_is_handed_on_where_the_trial_goes_on(make_trials):
    (trial,) = make_trials("strategy=random", "seeds=1")
    trial.rows = [{"round": 0, "strategy_state": '{"kept": 1}'}]
    assert trial.state_for(trial.run.strategy) == '{"kept": 1}'
    assert trial.state_for(Random()) is None


@pytest.mark.slow
@pytest.mark.parametrize(("size", "is_same"), [(20, False), (10, True)])
def test_clusters_of_another_size_are_not_handed_on(make_trials, size, is_same):
    (trial,) = make_trials(
        "strategy=cluster_margin",
        "strategy@init_strategy=cluster_margin",
        f"init_strategy.cluster_size={size}",
        "pool=[subset]",
        "pool.subset.size=300",
        "seeds=1",
    )
    assert (trial.run.init_strategy is trial.run.strategy) == is_same
