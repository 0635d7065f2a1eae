"""The open model's pacing: who takes which arrival when, and how many users there are."""

import itertools

import gevent
import numpy as np
import pytest
from tests.load.pacing.crew import DEADLINE_S, Crew, block, blocks

from convload.load.pacing.hand_out import ASLEEP_S, BEHIND_S, HOLD_S, MOST_AT_ONCE, Room, StandStill, UserGrowth


def test_each_arrival_is_taken_once_in_order_and_when_it_is_due() -> None:
    crew = Crew()
    times = [[0.0, 0.01, 0.01, 0.02], [0.1], [0.1, 0.15, 0.2]]

    crew.begin(0.2, 3, only=blocks(*times))
    crew.pass_to(0.2)

    assert crew.end() == 0
    assert crew.due() == list(itertools.chain(*times))
    assert crew.waits() == [0.0] * 8
    assert crew.pacing.offered == 8


def test_the_user_that_parked_last_takes_the_next_arrival() -> None:
    crew = Crew(only=0.001)

    crew.begin(0.2, 3, only=blocks([0.02 * number for number in range(1, 10)]))
    crew.pass_to(0.2)
    crew.end()

    assert [number for number, _, _ in crew.taken] == [2] * 9


def test_when_all_are_busy_arrivals_wait_are_counted_and_their_wait_counts() -> None:
    crew = Crew(max_users=1, only=0.2)

    crew.begin(0.07, 1, only=blocks([0.0, 0.05, 0.06, 0.07]))
    crew.pass_to(0.12)
    waiting = crew.pacing.backlog, crew.pacing.busy, crew.pacing.offered
    crew.pass_to(0.25)

    assert waiting == (3, 1, 4)
    assert crew.taken == [(0, 0.0, 0.0), (0, 0.05, 0.15)]
    assert crew.end() == 2
    assert crew.grown == []


def test_users_are_added_while_none_is_free_but_no_more_than_there_may_be() -> None:
    crew = Crew(max_users=5, only=60.0)

    crew.begin(0.2, 1, only=blocks([0.01 * number for number in range(20)]))
    crew.pass_to(0.3)

    assert (crew.pacing.in_progress, len(crew.grown), len(crew.taken)) == (5, 4, 5)
    assert max(crew.waits()) == 0.0
    assert crew.end() == 15


def test_when_all_users_have_left_others_come_for_what_waits() -> None:
    crew = Crew(max_users=1, only=0.1)
    crew.leaves_after_one = True

    crew.begin(1.0, 1, only=blocks([0.0, 0.01, 0.02]))
    crew.pass_to(1.0)

    assert crew.due() == [0.0, 0.01, 0.02]
    assert crew.end() == 0


def test_a_generator_that_is_behind_adds_users_when_it_has_caught_up() -> None:
    crew = Crew(only=60.0)

    crew.begin(0.2, 1, only=blocks([0.0, 0.01, 0.02]))
    crew.stand_still_until(0.02 + 2 * BEHIND_S)
    grown_while_behind = len(crew.grown)
    crew.pass_to(0.2)

    assert (grown_while_behind, len(crew.grown)) == (0, 2)
    assert crew.end() == 0


def test_a_stop_sends_waiting_users_home_and_nothing_is_taken_after_it() -> None:
    crew = Crew()
    crew.begin(60.0, 4, only=blocks([0.0, 60.0]))

    crew.pacing.stop()
    gevent.joinall(crew.users, timeout=DEADLINE_S)

    assert all(user.ready() for user in crew.users)
    assert crew.pacing.of_class("only").take() is None
    assert (crew.due(), crew.end()) == ([0.0], 0)


def test_a_user_that_is_killed_while_it_waits_takes_no_arrival_with_it() -> None:
    crew = Crew()
    crew.begin(0.2, 2, only=blocks([0.1, 0.11, 0.12]))

    crew.users[1].kill()
    crew.pass_to(0.2)

    assert [number for number, _, _ in crew.taken] == [0, 0, 0]
    assert crew.end() == 0


def test_arrivals_taken_over_join_the_own_ones_in_order_with_their_variants() -> None:
    crew = Crew()
    crew.begin(0.6, 2, only=iter([block([0.0, 0.1, 0.3], ["a", "b", "c"]), block([0.4], ["d"])]))

    crew.pacing.take_over({"only": iter([block([0.2, 0.35], ["x", "y"]), block([0.5], ["z"])])}, 100)
    crew.pass_to(0.6)

    assert crew.end() == 0
    assert crew.due() == [0.0, 0.1, 0.2, 0.3, 0.35, 0.4, 0.5]
    assert crew.variants == ["a", "b", "x", "c", "y", "d", "z"]


def test_one_whose_own_schedule_is_over_takes_over_too() -> None:
    crew = Crew()
    crew.begin(1.0, 1, only=blocks([0.0]))

    crew.pacing.take_over({"only": blocks([0.05, 0.06])}, 50)
    crew.pass_to(0.1)

    assert (crew.due(), crew.end()) == ([0.0, 0.05, 0.06], 0)


def test_a_process_that_was_stopped_sends_nothing_until_it_may() -> None:
    crew = Crew()
    crew.begin(10.0, 2, only=blocks([0.0, 1.0, 4.0]))

    crew.stand_still_until(3.0)
    crew.pass_to(5.0)

    assert crew.taken[1:] == [(1, 1.0, 2.0 + HOLD_S), (1, 4.0, 0.0)]
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
    growth = UserGrowth(Room(25, 1))

    added = [growth.more(backlog=100, late_s=0.0) for _ in range(4)]

    assert [count for count, _ in added] == [MOST_AT_ONCE, MOST_AT_ONCE, 5, 0]
    assert [again_s > 0 for _, again_s in added] == [True, True, True, False]


def test_no_user_is_added_for_an_arrival_that_one_is_on_its_way_for() -> None:
    growth = UserGrowth(Room(25, 1))

    assert [growth.more(backlog=3, late_s=0.0)[0] for _ in range(2)] == [3, 0]


def test_a_generator_that_is_behind_adds_no_users_and_looks_again() -> None:
    count, again_s = UserGrowth(Room(25, 1)).more(backlog=3, late_s=2 * BEHIND_S)

    assert (count, again_s > 0) == (0, True)


def test_a_class_without_users_gets_its_first_one_whatever_the_others_took() -> None:
    room = Room(12, 3)
    first, second, third = UserGrowth(room), UserGrowth(room), UserGrowth(room)

    greedy = [first.more(backlog=100, late_s=0.0)[0] for _ in range(3)]

    assert greedy == [10, 0, 0]
    assert [second.more(backlog=5, late_s=0.0)[0], third.more(backlog=5, late_s=0.0)[0]] == [1, 1]


def test_places_that_users_leave_are_free_for_any_class() -> None:
    room = Room(4, 2)
    first, second = UserGrowth(room), UserGrowth(room)
    for _ in range(first.more(backlog=10, late_s=0.0)[0]):
        first.come()

    while first.present:
        first.leave()

    assert second.more(backlog=10, late_s=0.0)[0] == 3


def test_an_arrival_waits_for_a_user_of_its_class_and_keeps_none_of_another() -> None:
    crew = Crew(max_users=2, slow=0.3, quick=0.0)

    crew.begin(1.0, 1, slow=blocks([0.0, 0.01]), quick=blocks([0.02, 0.03]))
    crew.pass_to(1.0)

    assert crew.taken == [(0, 0.0, 0.0), (1, 0.02, 0.0), (1, 0.03, 0.0), (0, 0.01, 0.29)]
    assert (crew.end(), crew.grown) == (0, [])


def test_a_slow_class_grows_and_another_keeps_its_arrivals() -> None:
    crew = Crew(max_users=10, slow=60.0, quick=0.0)
    tenths = [0.1 * number for number in range(10)]

    crew.begin(1.0, 1, slow=blocks(tenths), quick=blocks(tenths))
    crew.pass_to(1.0)

    assert sorted(crew.due()) == pytest.approx(sorted([*tenths[:9], *tenths]))
    assert crew.grown == ["slow"] * 8
    assert crew.end() == 1
