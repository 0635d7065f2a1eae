"""What a coordinator knows of its workers: silence by a clock that is passed in, their own clocks by exchanges."""

import time

import pytest

from convload import __version__
from convload.load.processes.members import GAP_S, Member, Members, Silences, State
from convload.load.processes.messages import Hello, Pong


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def joined(members: Members, node: str, ticket: str = "") -> Member:
    member = members.admit(node, Hello(__version__, ticket))
    assert member is not None
    return member


def after(clock: Clock, silences: Silences, seconds: float, looks: int) -> None:
    for _ in range(looks):
        clock.now_s += seconds / looks
        silences.look()


def test_a_silence_lasts_from_the_last_word() -> None:
    clock = Clock()
    silences = Silences(clock)
    silences.end("a")
    after(clock, silences, 3.0, looks=10)

    assert silences.length_s("a") == pytest.approx(3.0)
    assert silences.length_s("never heard") == 0


def test_time_in_which_the_listener_did_not_run_counts_for_nobody() -> None:
    clock = Clock()
    silences = Silences(clock)
    silences.end("a")
    after(clock, silences, 0.5, looks=2)
    after(clock, silences, 20 * GAP_S, looks=1)

    assert silences.length_s("a") == pytest.approx(0.5)


def test_a_clock_is_taken_from_the_exchange_with_the_shortest_round_trip() -> None:
    member = Member("node", 0)
    for round_trip_s, ahead_s in ((0.5, 31.0), (0.01, 30.0), (0.2, 33.0)):
        sent_s, date_s = time.monotonic() - round_trip_s, time.time() - round_trip_s / 2
        member.note(Pong(sent_s, sent_s + round_trip_s / 2 + ahead_s, date_s + 2 * ahead_s))

    assert member.ahead_s == pytest.approx(30.0, abs=0.005)
    assert member.clock_offset_s == pytest.approx(60.0, abs=0.005)
    assert member.round_trip_s == pytest.approx(0.01, abs=0.01)


def test_results_are_awaited_until_a_worker_has_finished_or_is_lost() -> None:
    members = Members(len(State), [])
    for number, state in enumerate(State):
        joined(members, f"node {number}").state = state

    assert {member.state for member in members.taking_part()} == {State.JOINED, State.READY, State.LEAVING}


def test_a_node_that_says_hello_again_keeps_its_number() -> None:
    members = Members(2, [])

    assert [joined(members, node).number for node in ("a", "b", "a")] == [0, 1, 0]


def test_a_place_of_this_machine_is_for_who_has_its_ticket_and_once() -> None:
    members = Members(2, ["ours"])

    first = joined(members, "a")

    assert (first.is_ours, members.admit("b", Hello(__version__)), len(members)) == (False, None, 1)
    assert joined(members, "c", "ours").is_ours
    assert members.admit("d", Hello(__version__, "ours")) is None
    assert members.refused == dict.fromkeys("bd", "the run has all of its workers already")


def test_one_of_another_version_is_refused_and_takes_no_place() -> None:
    members = Members(1, [])

    assert members.admit("old", Hello("0.0.0")) is None
    assert "has convload 0.0.0" in members.refused["old"]
    assert joined(members, "new").number == 0
    members.require_no_failure()


def test_a_worker_that_dies_while_others_are_awaited_leaves_its_place_to_another() -> None:
    clock, members = Clock(), Members(3, ["ours"])
    silences = Silences(clock)
    dead, *_ = (joined(members, node, ticket) for node, ticket in (("a_0", ""), ("b_0", ""), ("us_0", "ours")))
    for node in ("a_0", "b_0", "us_0"):
        silences.end(node)
    after(clock, silences, 3.0, looks=10)
    silences.end("b_0")
    after(clock, silences, 1.0, looks=10)

    assert members.unheard(silences, 3.5) == [dead]
    assert members.drop(dead).startswith("a worker of a went silent")
    assert joined(members, "c_0").number == 2
    assert [(one.node, one.number) for one in members] == [("b_0", 0), ("us_0", 1), ("c_0", 2)]
