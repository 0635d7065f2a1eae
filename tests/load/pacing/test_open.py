"""The open model's pacing with real greenlets and real time, each test bounded by a deadline."""

import itertools
import time
from collections.abc import Callable, Iterator

import gevent
import numpy as np
import pytest

from convload.load.pacing.arrivals import Block
from convload.load.pacing.open import ASLEEP_S, BEHIND_S, HOLD_S, MOST_AT_ONCE, Growth, OpenPacing, Room, StandStill

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
        self.pacing = OpenPacing({"": arrivals}, ends_s, self.max_users, lambda _, count: self.grow(count))
        self.starts = self.pacing.of_class("")
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
        with self.starts.taking_part():
            while (due_s := self.starts.take()) is not None:
                self.taken.append((number, due_s - self.started_s, time.monotonic() - due_s))
                self.variants.append(self.starts.variant)
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
    assert crew.pacing.offered == 8


def test_the_user_that_parked_last_takes_the_next_arrival() -> None:
    crew = Crew()
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
    assert len(crew.taken) == 2


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
    assert crew.starts.take() is None
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

    crew.pacing.take_over({"": iter([block([0.2, 0.35], ["x", "y"]), block([0.5], ["z"])])}, 100)
    await_that(lambda: len(crew.taken) == 7)

    assert crew.end() == 0
    assert crew.due() == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.35, 0.4, 0.5], abs=1e-6)
    assert crew.variants == ["a", "b", "x", "c", "y", "d", "z"]


def test_one_whose_own_schedule_is_over_takes_over_too() -> None:
    crew = Crew()
    crew.pace(blocks([0.0]), 1.0)
    crew.begin(1)
    await_that(lambda: len(crew.taken) == 1)

    crew.pacing.take_over({"": blocks([0.05, 0.06])}, 50)
    await_that(lambda: len(crew.taken) == 3)

    assert crew.end() == 0


def holding(*instants_s: float) -> list[bool]:
    still = StandStill()
    return [still.holds(now_s) for now_s in instants_s]


def test_a_process_that_runs_never_holds_its_fire() -> None:
    assert not any(holding(*np.arange(0.0, 60.0, ASLEEP_S / 2).tolist()))


def test_a_process_that_was_stopped_holds_its_fire_for_a_moment() -> None:
    back_s = 10.0 + ASLEEP_S + 0.1

    assert holding(10.0, back_s, back_s + HOLD_S - 0.01, back_s + HOLD_S) == [False, True, True, False]


def test_a_process_that_has_not_begun_was_not_stopped() -> None:
    assert holding(1000.0) == [False]


def test_users_are_added_for_arrivals_that_wait_in_bounded_numbers() -> None:
    growth = Growth(Room(25, 1))

    added = [growth.more(backlog=100, late_s=0.0) for _ in range(4)]

    assert [count for count, _ in added] == [MOST_AT_ONCE, MOST_AT_ONCE, 5, 0]
    assert [again_s > 0 for _, again_s in added] == [True, True, True, False]


def test_no_user_is_added_for_an_arrival_that_one_is_on_its_way_for() -> None:
    growth = Growth(Room(25, 1))

    assert [growth.more(backlog=3, late_s=0.0)[0] for _ in range(2)] == [3, 0]


def test_a_generator_that_is_behind_adds_no_users_and_looks_again() -> None:
    count, again_s = Growth(Room(25, 1)).more(backlog=3, late_s=2 * BEHIND_S)

    assert (count, again_s > 0) == (0, True)


def test_a_process_that_was_stopped_sends_nothing_until_it_may() -> None:
    crew = Crew()
    crew.pace(blocks([0.0, 0.01, 0.02]), 1.0)
    crew.begin(2)
    crew.pacing.stand_still.until_s = crew.started_s + 0.2
    await_that(lambda: len(crew.taken) == 3)

    assert crew.end() == 0
    assert min(late_s + due_s for _, due_s, late_s in crew.taken) >= 0.2


def test_a_class_without_users_gets_its_first_one_whatever_the_others_took() -> None:
    room = Room(12, 3)
    first, second, third = Growth(room), Growth(room), Growth(room)

    greedy = [first.more(backlog=100, late_s=0.0)[0] for _ in range(3)]

    assert greedy == [10, 0, 0]
    assert [second.more(backlog=5, late_s=0.0)[0], third.more(backlog=5, late_s=0.0)[0]] == [1, 1]


def test_places_that_users_leave_are_free_for_any_class() -> None:
    room = Room(4, 2)
    first, second = Growth(room), Growth(room)
    for _ in range(first.more(backlog=10, late_s=0.0)[0]):
        first.come()

    while first.present:
        first.leave()

    assert second.more(backlog=10, late_s=0.0)[0] == 3


def test_an_arrival_waits_for_a_user_of_its_class_and_keeps_none_of_another() -> None:
    asked: list[tuple[str, int]] = []
    pacing = OpenPacing(
        {"slow": blocks([0.0, 0.01]), "quick": blocks([0.02, 0.03])}, 1.0, 2, lambda *more: asked.append(more)
    )
    taken: list[tuple[str, float]] = []

    def work(name: str, hold_s: float) -> None:
        starts = pacing.of_class(name)
        with starts.taking_part():
            while (due_s := starts.take()) is not None:
                taken.append((name, round(due_s - started_s, 3)))
                gevent.sleep(hold_s)

    users = [gevent.spawn(work, "slow", 0.3), gevent.spawn(work, "quick", 0.0)]
    gevent.sleep(0)
    started_s = time.monotonic()
    pacing.start(started_s)
    await_that(lambda: len(taken) == 4)
    unsent = pacing.settle()
    gevent.joinall(users, timeout=DEADLINE_S)

    assert taken == [("slow", 0.0), ("quick", 0.02), ("quick", 0.03), ("slow", 0.01)]
    assert (unsent, asked) == (0, [])
