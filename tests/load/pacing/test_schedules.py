import itertools
from collections.abc import Iterator

import gevent
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from convload.load.pacing.arrivals import Block, Cursor, merged
from convload.load.pacing.schedules import AlternatingTargets, Schedule, Streams
from convload.plan.plan import assemble, marks
from convload.plan.schedule import BLOCK, Loss, Times
from convload.plan.stages import alternating_windows

LOSSES = st.lists(st.tuples(st.integers(0, 4), st.floats(0.0, 3.0)), max_size=3)


def block(times: list[float]) -> Block:
    return Block(np.array(times, dtype=float), np.array([f"at {due_s}" for due_s in times], dtype=object))


def blocks(*parts: list[float]) -> Iterator[Block]:
    return iter([block(part) for part in parts])


def schedule(arrivals: str, workers: int, replay: str = "") -> Schedule:
    keys = {"replay": "recorded"} if replay else {"rate": "80", "duration": "3s", "warmup": "0s", "arrivals": arrivals}
    return Schedule(assemble(None, {}, keys), workers, replay)


def times_of(found: Streams) -> Times:
    parts = [part.times for part in merged(list(found.values()))]
    return np.concatenate(parts) if parts else np.empty(0)


class Fired:
    """What each worker of a run has to fire, as it hears of losses."""

    def __init__(self, plan: Schedule, workers: int) -> None:
        self.plan = plan
        self.of = {worker: times_of(plan.arrivals(worker)) for worker in range(workers)}
        self.gone: list[Times] = []

    def lose(self, worker: int, from_s: float) -> None:
        own = self.of.pop(worker)
        self.gone.append(own[own < from_s])
        self.plan.losses.append(Loss(worker, from_s, list(self.of)))
        for survivor in self.of:
            self.of[survivor] = np.concatenate([self.of[survivor], times_of(self.plan.inherited(survivor))])

    def all(self) -> Times:
        return np.sort(np.concatenate([*self.gone, *self.of.values()]))


@given(arrivals=st.sampled_from(["even", "poisson"]), workers=st.integers(1, 5), losses=LOSSES)
def test_whoever_is_lost_each_arrival_is_fired_once(
    arrivals: str, workers: int, losses: list[tuple[int, float]]
) -> None:
    fired = Fired(schedule(arrivals, workers), workers)
    whole = fired.all()

    for lost, from_s in sorted(losses, key=lambda loss: loss[1]):
        if lost in fired.of and len(fired.of) > 1:
            fired.lose(lost, from_s)

    np.testing.assert_array_equal(fired.all(), whole)


@given(times=st.lists(st.floats(0, 1e6), min_size=1, max_size=50), workers=st.integers(1, 5))
def test_recorded_times_are_dealt_out_whole(times: list[float], workers: int) -> None:
    plan = schedule("", workers, "\n".join(map(repr, times)))

    together = np.sort(np.concatenate([times_of(plan.arrivals(worker)) for worker in range(workers)]))

    np.testing.assert_array_equal(together, np.sort(np.array(times)) - min(times))


@given(lost=st.integers(0, 3), from_s=st.floats(0.6, 2.9))
def test_what_a_lost_worker_had_to_fire_until_then_is_counted(lost: int, from_s: float) -> None:
    plan = schedule("poisson", 4)
    own = times_of(plan.arrivals(lost))
    plan.losses.append(Loss(lost, from_s, [worker for worker in range(4) if worker != lost]))

    assert plan.count(lost, from_s - 0.5, from_s) == sum((own >= from_s - 0.5) & (own < from_s))
    assert plan.count(lost, from_s, 3.0) == 0


@pytest.mark.parametrize("arrivals", ["even", "poisson"])
def test_survivors_inherit_even_parts_also_of_what_was_inherited(arrivals: str) -> None:
    fired = Fired(schedule(arrivals, 4), 4)

    fired.lose(0, 1.0)
    fired.lose(1, 1.0)

    parts = [int((times >= 1.0).sum()) for times in fired.of.values()]
    own = [int((times_of(schedule(arrivals, 4).arrivals(worker)) >= 1.0).sum()) for worker in (2, 3)]
    # Of the first loss a third each, of the second a half each: rounding may make two of difference.
    assert abs((parts[0] - own[0]) - (parts[1] - own[1])) <= 2


def test_what_is_inherited_is_read_without_giving_way() -> None:
    # Three blocks a worker, the last of one arrival: one survivor of two has no part of it.
    keys = {"rate": str(3 * (2 * BLOCK + 1)), "duration": "1s", "warmup": "0s", "arrivals": "even"}
    plan = Schedule(assemble(None, {}, keys), 3, "")
    due = times_of(plan.arrivals(1)) >= 0.1
    plan.losses.append(Loss(1, 0.1, [0, 2]))
    inherited = [plan.inherited(worker) for worker in (0, 2)]
    others: list[int] = []
    other = gevent.spawn(others.append, 1)

    count = sum(len(times_of(streams)) for streams in inherited)

    assert (count, others) == (due.sum(), [])
    other.join()


WEIGHTS = {"rare": 1.0, "common": 3.0, "odd": 0.5}


@pytest.mark.parametrize("rate", [2, 20, 2000])
@pytest.mark.parametrize("arrivals", ["even", "poisson"])
def test_each_class_has_the_share_of_arrivals_that_its_weight_says(rate: int, arrivals: str) -> None:
    keys = {"rate": str(rate), "duration": f"{400 / rate}s", "warmup": "0s", "arrivals": arrivals}
    plan = Schedule(assemble(None, {}, keys), 3, "", WEIGHTS)

    streams = [plan.arrivals(worker) for worker in range(3)]
    counts = np.array([sum(len(times_of({"": stream[name]})) for stream in streams) for name in WEIGHTS])

    expected = np.array([*WEIGHTS.values()]) / sum(WEIGHTS.values()) * counts.sum()
    assert stats.chisquare(counts, expected).pvalue > 1e-4


@given(from_s=st.floats(0.0, 3.0), arrivals=st.sampled_from(["even", "poisson"]))
def test_classes_are_of_the_arrivals_and_go_with_them_to_who_inherits(from_s: float, arrivals: str) -> None:
    keys = {"rate": "80", "duration": "3s", "warmup": "0s", "arrivals": arrivals}
    plan = Schedule(assemble(None, {}, keys), 3, "", WEIGHTS)
    before = {name: times_of({"": stream}) for name, stream in plan.arrivals(1).items()}
    plan.losses.append(Loss(1, from_s, [0, 2]))

    inherited = [plan.inherited(worker) for worker in (0, 2)]

    for name, times in before.items():
        parts = [times_of({"": streams[name]}) for streams in inherited if name in streams]
        np.testing.assert_array_equal(np.sort(np.concatenate([*parts, []])), times[times >= from_s])
    np.testing.assert_array_equal(
        np.sort(np.concatenate([*before.values()])), times_of(schedule(arrivals, 3).arrivals(1))
    )


def test_a_leg_that_is_added_after_a_loss_is_fired_by_those_who_are_left() -> None:
    plan = schedule("poisson", 3)
    plan.losses.append(Loss(1, 1.0, [0, 2]))
    plan.add(alternating_windows(50.0, 0.0, 2.0, 0.5), 3.0)

    parts = [times_of(plan.arrivals(worker, -1)) for worker in range(3)]

    assert [len(part) > 0 for part in parts] == [True, False, True]
    assert min(part.min() for part in parts if len(part)) >= 3.0
    assert plan.ends_s == 5.0


def test_a_share_of_a_replay_keeps_the_variant_of_each_arrival() -> None:
    plan = schedule("", 3, "\n".join(f"{number / 10} v{number}" for number in range(20)))

    plan.losses.append(Loss(1, 1.0, [0, 2]))
    found = [
        (due_s, variant)
        for worker in (0, 2)
        for part in plan.arrivals(worker)[""]
        for due_s, variant in zip(part.times.tolist(), part.variants.tolist(), strict=True)
    ]

    assert all(variant == f"v{round(due_s * 10)}" for due_s, variant in found)
    lost = {1, 4, 7}  # of worker 1 before 1 s
    assert {round(due_s * 10) for due_s, _ in found} == set(range(20)) - lost


@given(st.lists(st.lists(st.lists(st.floats(0, 100), min_size=1, max_size=4), max_size=4), max_size=4))
def test_merging_streams_is_sorting_them(streams: list[list[list[float]]]) -> None:
    rising = []
    for stream in streams:
        ordered = iter(sorted(itertools.chain(*stream)))
        rising.append([list(itertools.islice(ordered, len(part))) for part in stream])

    found = times_of({"": merged([blocks(*stream) for stream in rising])})

    assert found.tolist() == sorted(itertools.chain(*itertools.chain(*streams)))


@given(
    st.lists(st.lists(st.floats(0, 50), min_size=1, max_size=4), max_size=5),
    st.lists(st.floats(0, 50), min_size=1, max_size=5),
    st.integers(0, 8),
)
def test_a_cursor_counts_each_arrival_once_also_when_others_are_merged_in(
    parts: list[list[float]], more: list[float], before: int
) -> None:
    whole = sorted(itertools.chain(*parts))
    ordered = iter(whole)
    cursor = Cursor(blocks(*[list(itertools.islice(ordered, len(part))) for part in parts]))
    cursor.start(0.0)
    variants = []

    for _ in range(min(before, len(whole))):
        cursor.advance()
        variants.append(cursor.variant)
    cursor.merge(blocks(sorted(more)))
    left = cursor.pass_over(20.0)

    ahead = sorted([*whole[before:], *more])
    assert variants == [f"at {due_s}" for due_s in whole[:before]]
    assert (cursor.taken, left) == (len(variants), sum(due_s <= 20.0 for due_s in ahead))
    assert cursor.next_s is None


def test_two_targets_are_fired_at_in_windows_a_b_b_a() -> None:
    alternation = AlternatingTargets(marks(alternating_windows(10.0, 0.0, 8.0, 1.0)), 100.0)

    assert [alternation.index_at(100.5 + second) for second in range(8)] == [0, 1, 1, 0, 0, 1, 1, 0]
    assert alternation.index_at(99.0) == 0


@pytest.mark.parametrize("arrivals", ["even", "poisson"])
@pytest.mark.parametrize("rate", ["80", "33.3"])
def test_both_windows_of_a_pair_have_the_same_arrivals(arrivals: str, rate: str) -> None:
    keys = {"rate": rate, "duration": "60s", "warmup": "4s", "arrivals": arrivals, "target_b": "http://127.0.0.1:9"}
    plan = Schedule(assemble(None, {}, keys), 2, "")
    stages = marks(assemble(None, {}, keys).resolved_stages())

    for worker in (0, 1):
        due_s = times_of(plan.arrivals(worker))
        offsets = [
            due_s[(due_s >= mark.starts_s) & (due_s < mark.starts_s + mark.duration_s)] - mark.starts_s
            for mark in stages
        ]
        assert sum(map(len, offsets)) == len(due_s)
        for first, second in zip(offsets[::2], offsets[1::2], strict=True):
            assert len(first) > 0
            np.testing.assert_allclose(first, second, atol=1e-9)
        if arrivals == "poisson":
            assert len({len(first) for first in offsets[2::2]}) > 1
