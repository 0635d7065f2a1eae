import math
import random
from collections.abc import Iterable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convload.mock.queueing import mmc
from convload.mock.waiting_line import Station, Visit, WaitingLine
from convload.plan.service_times import exponential

END_S = 1e7


def serve(station: Station, requests: Iterable[tuple[float, float]]) -> tuple[WaitingLine, list[Visit | None]]:
    """Sends (arrival, service time) in order through a station that begins at 0, and lets all of them leave."""
    line = WaitingLine(station, 0.0)
    visits = [line.arrive(at_s, service_s) for at_s, service_s in requests]
    line.advance(END_S)
    return line, visits


def waits_by_the_textbook(servers: int, requests: list[tuple[float, float]]) -> list[float]:
    """The recursion of Kiefer and Wolfowitz: whoever comes next takes the server that is free first."""
    free_s, waits = [0.0] * servers, []
    for at_s, service_s in requests:
        free_s.sort()
        start_s = max(at_s, free_s[0])
        waits.append(start_s - at_s)
        free_s[0] = start_s + service_s
    return waits


REQUESTS = st.lists(st.tuples(st.floats(0, 5), st.floats(0.01, 3)), max_size=60).map(
    lambda gaps: [(sum(gap for gap, _ in gaps[: k + 1]), service) for k, (_, service) in enumerate(gaps)]
)


@given(st.integers(1, 5), REQUESTS)
def test_waits_are_those_of_the_textbook(servers: int, requests: list[tuple[float, float]]) -> None:
    _, visits = serve(Station(servers=servers), requests)
    waits = [visit.started_s - visit.arrived_s for visit in visits if visit]

    assert waits == pytest.approx(waits_by_the_textbook(servers, requests), abs=1e-6)


@given(st.integers(1, 4), st.integers(0, 6), st.floats(0, 2), st.floats(0, 1), REQUESTS)
def test_nobody_is_lost_overtakes_or_finds_more_room_than_there_is(
    servers: int, queue: int, sigma: float, degrade: float, requests: list[tuple[float, float]]
) -> None:
    station = Station(servers=servers, queue=queue, sigma=sigma, kappa=sigma / 10, degrade=degrade)
    line, visits = serve(station, requests)
    let_in = [visit for visit in visits if visit]
    starts = [visit.started_s for visit in let_in]
    moments = sorted([(v.started_s, 1) for v in let_in] + [(v.done_s, -1) for v in let_in], key=lambda m: (m[0], m[1]))
    busy = 0
    for _, change in moments:
        busy += change
        assert busy <= servers

    assert line.counts.served == len(let_in)
    assert line.counts.served + line.counts.shed == len(requests)
    assert starts == sorted(starts)
    assert all(v.arrived_s <= v.started_s <= v.done_s for v in let_in)
    assert line.counts.queued_max <= queue
    assert (line.counts.in_service, line.counts.queued) == (0, 0)


@given(st.integers(1, 4), REQUESTS, st.lists(st.floats(0, 400), max_size=20))
def test_a_timer_that_wakes_late_or_early_changes_nobodys_departure(
    servers: int, requests: list[tuple[float, float]], wakes: list[float]
) -> None:
    station = Station(servers=servers, sigma=0.1, stall_every_s=2.0, stall_for_s=0.5)
    disturbed = WaitingLine(station, 0.0)
    found: list[Visit] = []
    for at_s, service_s in requests:
        for wake_s in sorted(wakes):
            if (found[-1].arrived_s if found else 0) <= wake_s < at_s:
                disturbed.advance(wake_s)
        visit = disturbed.arrive(at_s, service_s)
        assert visit is not None
        found.append(visit)
    disturbed.advance(END_S)
    _, quiet = serve(station, requests)

    assert [v.done_s for v in found] == pytest.approx([v.done_s for v in quiet if v], abs=1e-6)


def test_the_next_departure_is_told_and_each_is_announced_in_order() -> None:
    line = WaitingLine(Station(servers=1), 100.0)
    said: list[str] = []
    assert line.next_due_s == math.inf
    for name in ("first", "second"):
        visit = line.arrive(101.0, 2.0)
        assert visit is not None
        visit.on_done = partial(said.append, name)

    assert line.next_due_s == 103.0
    line.advance(102.9)
    assert said == []
    line.advance(103.0)
    assert (said, line.next_due_s) == (["first"], 105.0)
    line.advance(200.0)
    assert said == ["first", "second"]
    assert (line.counts.waited_s, line.counts.in_service_s) == (2.0, 4.0)


def test_a_full_queue_sheds_and_takes_in_again_when_one_has_left() -> None:
    line = WaitingLine(Station(servers=2, queue=1), 0.0)
    taken = [line.arrive(0.0, 1.0) is not None for _ in range(5)]

    assert taken == [True, True, True, False, False]
    assert (line.counts.in_service, line.counts.queued, line.counts.shed) == (2, 1, 2)
    assert line.arrive(1.0, 1.0) is not None
    assert (line.counts.in_service_max, line.counts.queued_max) == (2, 1)


@pytest.mark.parametrize(("sigma", "kappa"), [(0.0, 0.0), (0.1, 0.0), (0.05, 0.01)])
@pytest.mark.parametrize("users", [1, 4, 16])
def test_users_who_never_think_get_the_throughput_of_the_scalability_law(
    sigma: float, kappa: float, users: int
) -> None:
    line, chance = WaitingLine(Station(servers=16, sigma=sigma, kappa=kappa), 0.0), random.Random(3)
    mean_s, until_s, now_s = 0.01, 80.0, 0.0

    def come() -> None:
        visit = line.arrive(line_now(), exponential(mean_s).quantile_s(chance.random()))
        assert visit is not None
        visit.on_done = come

    def line_now() -> float:
        return now_s

    for _ in range(users):
        come()
    while now_s < until_s:
        now_s = line.next_due_s
        line.advance(now_s)
    law = users / (mean_s * (1 + sigma * (users - 1) + kappa * users * (users - 1)))

    assert line.counts.served / until_s == pytest.approx(law, rel=0.03)


def test_stalls_shift_every_departure_by_their_length() -> None:
    station = Station(servers=1, stall_every_s=10.0, stall_for_s=2.0)
    _, visits = serve(station, [(0.0, 7.0), (0.0, 2.0), (9.0, 1.0), (25.0, 1.0)])

    assert [v.done_s for v in visits if v] == pytest.approx([7.0, 11.0, 12.0, 26.0])


def test_a_request_that_comes_in_a_stall_is_served_after_it() -> None:
    station = Station(servers=1, stall_every_s=10.0, stall_for_s=2.0)
    line, (visit,) = serve(station, [(9.0, 1.0)])

    assert visit is not None
    assert visit.done_s == pytest.approx(11.0)
    assert line.counts.waited_s == pytest.approx(1.0)


def test_stalls_cost_their_share_of_the_capacity() -> None:
    station = Station(servers=2, stall_every_s=10.0, stall_for_s=2.0)
    line = WaitingLine(station, 0.0)
    for _ in range(10_000):
        line.arrive(0.0, 0.1)
    line.advance(100.0)

    assert line.counts.served == pytest.approx(100 * 20 * 0.8, abs=2)


def test_a_slow_start_falls_to_nothing_and_comes_back_after_idleness() -> None:
    station = Station(servers=8, slow_start_idle_s=30.0, slow_start_for_s=10.0, slow_start_factor=5.0)
    _, visits = serve(station, [(0.0, 0.1), (5.0, 0.1), (10.0, 0.1), (39.0, 0.1), (70.0, 0.1), (75.0, 0.1)])
    took = [(v.done_s - v.started_s) / 0.1 for v in visits if v]

    assert took == pytest.approx([5.0, 3.0, 1.0, 1.0, 5.0, 3.0])


def test_beyond_saturation_goodput_falls() -> None:
    left = []
    for load in (0.9, 1.5, 3.0):
        line = WaitingLine(Station(servers=2, queue=100, degrade=0.05, degrade_cap=3.0), 0.0)
        for k in range(int(load * 20 * 200)):
            line.arrive(k / (load * 20), 0.1)
        line.advance(200.0)
        left.append(line.counts.served / 200)

    assert left[0] == pytest.approx(18, rel=0.01)
    assert left[1] == pytest.approx(20 / 3, rel=0.1)
    assert left[2] == pytest.approx(20 / 3, rel=0.05)


@pytest.mark.parametrize(("queue", "rate"), [(None, 360.0), (10, 600.0)])
def test_waits_of_a_random_stream_are_those_of_theory(queue: int | None, rate: float) -> None:
    """100,000 arrivals: the standard error of the mean wait is 4 % without a limit, far less with one."""
    chance, service, now_s, requests = random.Random(11), exponential(0.008), 0.0, []
    for _ in range(100_000):
        now_s += chance.expovariate(rate)
        requests.append((now_s, service.quantile_s(chance.random())))
    line, visits = serve(Station(servers=4, queue=queue), requests)
    model = mmc(4, queue, rate, 0.008)

    assert line.counts.waited_s / line.counts.served == pytest.approx(model.mean_s, rel=0.08)
    assert line.counts.shed / len(visits) == pytest.approx(model.shed_share, rel=0.03, abs=1e-9)
