"""The open model's pacing with real greenlets and real time, each test bounded by a deadline."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import gevent
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convload.load.pacing.open import Block, OpenPacing, merged
from convload.load.pacing.schedules import Schedule, Shares
from convload.load.processes.messages import Share
from convload.plan.plan import assemble
from convload.plan.schedule import Times

DEADLINE_S = 5.0


def block(times: list[float], variants: list[str] | None = None) -> Block:
    return Block(np.array(times, dtype=float), np.array(variants or [""] * len(times), dtype=object))


def blocks(*parts: list[float]) -> Iterator[Block]:
    return iter([block(part) for part in parts])


class Crew:
    """Users that take arrivals and hold each for a while."""

    def __init__(self, hold_s: float = 0.0, max_users: int = 50) -> None:
        self.hold_s = hold_s
        self.max_users = max_users
        self.taken: list[tuple[int, float, float]] = []
        self.variants: list[str] = []
        self.users: list[gevent.Greenlet] = []
        self.grown = 0

    def pace(self, arrivals: Iterator[Block], ends_s: float) -> OpenPacing:
        self.pacing = OpenPacing(arrivals, ends_s, self.max_users, self.grow)
        return self.pacing

    def begin(self, users: int) -> None:
        self.add(users)
        gevent.sleep(0)
        self.started_s = time.monotonic()
        self.pacing.start(self.started_s)

    def grow(self, count: int) -> None:
        self.grown += count
        self.add(count)

    def add(self, count: int) -> None:
        self.users += [gevent.spawn(self.work, len(self.users) + number) for number in range(count)]

    def work(self, number: int) -> None:
        with self.pacing.taking_part():
            while (due_s := self.pacing.take()) is not None:
                self.taken.append((number, due_s - self.started_s, time.monotonic() - due_s))
                self.variants.append(self.pacing.variant)
                if self.hold_s:
                    gevent.sleep(self.hold_s)

    def due(self) -> list[float]:
        return [due_s for _, due_s, _ in self.taken]

    def end(self) -> int:
        """Ends the pacing and returns what was never sent; every user has gone home."""
        unsent = self.pacing.settle()
        gevent.joinall(self.users, timeout=DEADLINE_S)
        assert all(user.ready() for user in self.users), "a user hangs"
        return unsent


def await_that(reached: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not reached():
        assert time.monotonic() < deadline_s
        gevent.sleep(0.005)


def test_each_arrival_of_the_schedule_is_taken_once_in_order_and_when_it_is_due() -> None:
    crew = Crew()
    times = [[0.0, 0.01, 0.01, 0.02], [0.1], [0.1, 0.15, 0.2]]
    crew.pace(blocks(*times), 0.2)

    crew.begin(3)
    await_that(lambda: len(crew.taken) == 8)

    assert crew.end() == 0
    assert crew.due() == pytest.approx(list(itertools.chain(*times)), abs=1e-6)
    assert all(late_s >= 0 for _, _, late_s in crew.taken)
    assert sorted(late_s for _, _, late_s in crew.taken)[3] < 0.05
    assert crew.pacing.offered == crew.pacing.taken == 8


def test_the_user_that_parked_last_takes_the_next_arrival() -> None:
    crew = Crew(hold_s=0.001)
    crew.pace(blocks([0.02 * number for number in range(1, 10)]), 0.2)

    crew.begin(3)
    await_that(lambda: len(crew.taken) == 9)
    crew.end()

    assert [number for number, _, _ in crew.taken] == [2] * 9


def test_when_all_are_busy_arrivals_wait_are_counted_and_their_wait_counts() -> None:
    crew = Crew(hold_s=0.2, max_users=1)
    crew.pace(blocks([0.0, 0.05, 0.06, 0.07]), 0.07)

    crew.begin(1)
    gevent.sleep(0.12)
    waiting = crew.pacing.backlog, crew.pacing.busy, crew.pacing.offered
    await_that(lambda: len(crew.taken) == 2)
    unsent = crew.end()

    assert waiting == (3, 1, 4)
    assert crew.grown == 0
    assert crew.taken[1][2] >= 0.1
    assert unsent == 2
    assert len(crew.taken) + unsent == crew.pacing.taken + unsent == 4


def test_users_are_added_while_none_is_free_but_no_more_than_there_may_be() -> None:
    crew = Crew(hold_s=60.0, max_users=5)
    crew.pace(blocks([0.01 * number for number in range(20)]), 0.2)

    crew.begin(1)
    await_that(lambda: len(crew.taken) == 5)
    gevent.sleep(0.1)
    full = crew.pacing.in_progress, crew.grown, len(crew.taken)
    gevent.killall(crew.users, timeout=DEADLINE_S)

    assert full == (5, 4, 5)
    assert crew.pacing.settle() == 15


def test_a_generator_that_is_behind_adds_no_users_but_does_when_it_has_caught_up() -> None:
    crew = Crew(hold_s=60.0, max_users=50)
    crew.pace(blocks([0.001 * number for number in range(200)]), 0.2)
    busy = True

    def keep_the_loop_busy() -> None:
        while busy:
            until_s = time.monotonic() + 0.01
            while time.monotonic() < until_s:
                pass
            gevent.sleep(0.0001)

    spinning = gevent.spawn(keep_the_loop_busy)
    crew.begin(2)
    gevent.sleep(0.15)
    grown_while_behind = crew.grown
    busy = False
    spinning.join()
    await_that(lambda: len(crew.taken) == 50)
    gevent.killall(crew.users, timeout=DEADLINE_S)
    crew.pacing.settle()

    assert grown_while_behind < 10


def test_a_stop_sends_waiting_users_home_and_nothing_is_taken_after_it() -> None:
    crew = Crew()
    crew.pace(blocks([0.0, 60.0]), 60.0)
    crew.begin(4)
    await_that(lambda: len(crew.taken) == 1)

    crew.pacing.stop()
    gevent.joinall(crew.users, timeout=DEADLINE_S)

    assert all(user.ready() for user in crew.users)
    assert crew.pacing.take() is None
    assert crew.end() == 0


def test_a_user_that_is_killed_while_it_waits_takes_no_arrival_with_it() -> None:
    crew = Crew()
    crew.pace(blocks([0.1, 0.11, 0.12]), 0.2)
    crew.begin(2)

    crew.users[0].kill()
    await_that(lambda: len(crew.taken) == 3)

    assert crew.end() == 0
    assert {number for number, _, _ in crew.taken} == {1}


def test_arrivals_taken_over_join_the_own_ones_in_order_with_their_variants() -> None:
    crew = Crew()
    crew.pace(iter([block([0.0, 0.1, 0.3], ["a", "b", "c"]), block([0.4], ["d"])]), 0.6)
    crew.begin(2)
    await_that(lambda: len(crew.taken) == 1)

    crew.pacing.take_over(iter([block([0.2, 0.35], ["x", "y"]), block([0.5], ["z"])]), 100)
    await_that(lambda: len(crew.taken) == 7)

    assert crew.end() == 0
    assert crew.due() == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.35, 0.4, 0.5], abs=1e-6)
    assert crew.variants == ["a", "b", "x", "c", "y", "d", "z"]


def test_one_whose_own_schedule_is_over_takes_over_too() -> None:
    crew = Crew()
    crew.pace(blocks([0.0]), 1.0)
    crew.begin(1)
    await_that(lambda: len(crew.taken) == 1)

    crew.pacing.take_over(blocks([0.05, 0.06]), 50)
    await_that(lambda: len(crew.taken) == 3)

    assert crew.end() == 0


ASLEEP = """
import sys, time, gevent, numpy as np
from convload.load.pacing.open import Block, OpenPacing

times = np.arange(0.0, 60.0, 0.05)
pacing = OpenPacing(iter([Block(times, np.full(len(times), "", dtype=object))]), 60.0, 10, lambda count: None)
began_s = time.monotonic()

def work():
    with pacing.taking_part():
        while pacing.take() is not None:
            print(f"{time.monotonic() - began_s:.3f}", flush=True)
            gevent.sleep(0.001)

for _ in range(3):
    gevent.spawn(work)
gevent.sleep(0)
pacing.start(began_s)
gevent.sleep(60)
"""


def test_a_process_that_was_stopped_holds_its_fire_for_a_moment_when_it_goes_on() -> None:
    with subprocess.Popen([sys.executable, "-c", ASLEEP], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            shots = [float(process.stdout.readline()) for _ in range(5)]
            os.kill(process.pid, signal.SIGSTOP)
            gevent.sleep(2.5)
            os.kill(process.pid, signal.SIGCONT)
            shots += [float(process.stdout.readline()) for _ in range(20)]
        finally:
            process.kill()

    gap_s = max(later - earlier for earlier, later in pairwise(shots))
    assert 2.9 < gap_s < 4.5


# -- who carries what --

LOSSES = st.lists(st.tuples(st.integers(0, 4), st.floats(0.0, 3.0)), max_size=3)


def schedule(arrivals: str, workers: int, replay: str = "") -> Schedule:
    keys = {"replay": "recorded"} if replay else {"rate": "80", "duration": "3s", "warmup": "0s", "arrivals": arrivals}
    return Schedule(assemble(None, {}, keys), workers, replay)


def times_of(found: Iterator[Block]) -> Times:
    parts = [part.times for part in found]
    return np.concatenate(parts) if parts else np.empty(0)


@given(arrivals=st.sampled_from(["even", "poisson"]), workers=st.integers(1, 5), losses=LOSSES)
def test_whoever_is_lost_the_rest_is_carried_without_gap_or_double(
    arrivals: str, workers: int, losses: list[tuple[int, float]]
) -> None:
    plan = schedule(arrivals, workers)
    shares = Shares(workers)
    alive, carried = list(range(workers)), []
    for lost, from_s in sorted(losses, key=lambda loss: loss[1]):
        if lost in alive and len(alive) > 1:
            alive.remove(lost)
            mine = times_of(plan.arrivals(shares.of(lost)))
            carried.append(mine[mine < from_s])
            assert plan.count(shares.of(lost), from_s - 0.5, from_s) == sum((mine >= from_s - 0.5) & (mine < from_s))
            shares.give_away(lost, alive, from_s)

    carried += [times_of(plan.arrivals(shares.of(worker))) for worker in alive]

    whole = times_of(plan.arrivals([Share(worker) for worker in range(workers)]))
    np.testing.assert_array_equal(np.sort(np.concatenate(carried)), whole)


def test_a_share_of_a_replay_keeps_the_variant_of_each_arrival() -> None:
    text = "\n".join(f"{number / 10} v{number}" for number in range(20))
    plan = schedule("", 3, text)
    shares = Shares(3)

    shares.give_away(1, [0, 2], 1.0)
    found = [
        (due_s, variant)
        for worker in (0, 2)
        for part in plan.arrivals(shares.of(worker))
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

    found = times_of(merged([blocks(*stream) for stream in rising]))

    assert found.tolist() == sorted(itertools.chain(*itertools.chain(*streams)))
