"""Was the load generator the limit? One rule for the validity of a run, the trials of a search, and the doctor.

It was where a worker had no CPU time left, or where requests started late for a reason that lies on this side: its own
clocks say that the worker could not run (its event loop was late, its core was taken), or its users were not waiting
for the target. All other lateness is the target's: an arrival waits while those who could send it wait for an answer, a
token or a connection, and the wait is what the target did to its callers. It counts in the response time.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from convload.contract.steps import CREATE
from convload.plan.facts import ValidityLimits
from convload.results.histogram import Histogram, milliseconds
from convload.results.measured import highest_together, of_workers
from convload.results.runlog import MEASURE, Cell, Interval
from convload.results.window import REMNANT_S, length_s

CATCHES_UP = 2
"""A stall delays what is due in it, and then what is due while that is sent: together for twice as long at most."""

HELD_SHARE = 0.5
"""Users of which so many wait for the target are held by it; a plan whose users think lets most of them think."""


LOOKED_BACK = 3
"""Intervals at the end of a run that say why arrivals were never sent."""

MS_A_SECOND = 1000

THROTTLED_SHARE = 0.01
"""Of an interval: of requests that come at any time one in a hundred then meets a stop, and the p99 shows it."""


class Saturated(msgspec.Struct, frozen=True):
    """A worker without CPU time to spare: its share of a core in the `hot_s` of its `all_s` in which it had none.

    `wait_share` is what others took of the core while it could have run, `throttled_share` the time in which the quota
    of a cgroup held it back.
    """

    worker: int
    cpu_share: float
    wait_share: float
    throttled_share: float
    hot_s: float
    all_s: float


def is_generator_limit(
    parts: Sequence[Interval], lateness: Histogram, limits: ValidityLimits, most_users: int | None
) -> bool:
    """Says whether the load in some intervals was not the one that was meant, for a reason that lies on this side."""
    late = late_p99_ms(lateness, limits) is not None and not is_late_by_target(parts, limits, most_users)
    return bool(saturated_workers(parts, limits)) or late


def is_late_by_target(parts: Sequence[Interval], limits: ValidityLimits, most_users: int | None) -> bool:
    """Says whether most of the requests that were late waited for a target that held those who could send them."""
    is_watched = any(part.awaiting for part in parts)  # earlier versions did not say how many users waited
    all_late = by_target = 0
    for own in of_workers(parts).values():
        last = own[-LOOKED_BACK:]
        all_late += own[-1].unsent
        by_target += own[-1].unsent if _is_held(last) and _stalled_ms(last, limits) < MS_A_SECOND else 0
        for wait in _waits(own, limits):
            if wait.longest_ms > limits.lateness_p99_ms:
                lateness = _lateness_of(wait.part)
                own_us = 1000 * (limits.lateness_p99_ms + wait.stalled_ms)
                all_late += lateness.above(1000 * limits.lateness_p99_ms)
                by_target += lateness.above(own_us) if wait.is_held or not is_watched else 0
    return by_target > all_late / 2 and (is_watched or all_users_busy(parts, most_users))


def kept_waiting(parts: Sequence[Interval], limits: ValidityLimits, users_a_worker: float) -> set[tuple[int, int]]:
    """Returns in which intervals, by worker and number, arrivals waited for a target that held the users.

    Where a worker may have no more users any such wait is the target's that its own clocks do not explain. Before that,
    one that is no longer than what makes a run late may be for a user that is only being started. Where the results of
    several workers are added up nobody knows whose they are: that is no wait for the target.
    """
    return {
        (wait.part.worker, wait.part.n)
        for own in of_workers(parts).values()
        for wait in _waits(own, limits)
        if wait.is_held
        and wait.part.own is None
        and wait.longest_ms > wait.stalled_ms + (limits.lateness_p99_ms if wait.part.users < users_a_worker else 0.0)
    }


class _Wait(NamedTuple):
    """An interval in which requests were late, whether the target held users meanwhile, and the generator's part."""

    part: Interval
    longest_ms: float
    is_held: bool
    stalled_ms: float


def _waits(own: Sequence[Interval], limits: ValidityLimits) -> Iterator[_Wait]:
    """Yields the intervals of a worker in which a measured create was late."""
    for place, part in enumerate(own):
        longest_us, slowest_us = _longest_us(part)
        if longest_us:
            due_s = part.from_s - slowest_us / 1e6
            first = place
            while first and own[first - 1].to_s >= due_s:
                first -= 1
            # Also the one behind: a process that goes on may cut its interval before it notes that it stood still.
            around = own[first : place + 2]
            yield _Wait(part, longest_us / 1000, _is_held(around), _stalled_ms(around, limits))


def _longest_us(part: Interval) -> tuple[int, int]:
    """Returns the longest lateness and the longest response of the measured creates of a worker in an interval."""
    if part.own is not None:
        return Histogram.longest_us(part.own.lateness), part.own.slowest_us
    cells = _late_cells(part)
    late, slow = ([Histogram.longest_us(getattr(cell, name)) for cell in cells] for name in ("lateness", "response"))
    return max(late, default=0), max(slow, default=0)


def _lateness_of(part: Interval) -> Histogram:
    if part.own is not None:
        return Histogram.decode(part.own.lateness)
    return Histogram.merged(Histogram.decode(cell.lateness) for cell in _late_cells(part))


def _late_cells(part: Interval) -> list[Cell]:
    return [cell for cell in part.cells if cell.step == CREATE and cell.phase == MEASURE and cell.lateness]


def _is_held(parts: Sequence[Interval]) -> bool:
    return any(part.awaiting >= max(HELD_SHARE * part.users, 1) for part in parts)


def _stalled_ms(parts: Sequence[Interval], limits: ValidityLimits) -> float:
    """Returns how late the generator itself can have made a request in some intervals of a worker."""
    busy_s = sum(length_s(part) for part in parts if _could_not_run(part, limits))
    return CATCHES_UP * max(part.hub_delay_ms for part in parts) + MS_A_SECOND * busy_s


def saturated_workers(parts: Iterable[Interval], limits: ValidityLimits) -> list[Saturated]:
    """Returns the workers that were at the limit of CPU time for too long."""
    found = []
    for worker, own in of_workers(parts).items():
        whole = [part for part in own if length_s(part) >= REMNANT_S]
        hot = [part for part in whole if _could_not_run(part, limits)]
        all_s, hot_s = sum(map(length_s, whole)), sum(map(length_s, hot))
        if len(hot) >= limits.cpu_seconds and hot_s > limits.cpu_seconds_share * all_s:
            names = ("cpu_share", "cpu_wait_share", "throttled_share")
            cpu, wait, throttled = (sum(getattr(part, name) for part in hot) / len(hot) for name in names)
            found.append(Saturated(worker, cpu, wait, throttled, hot_s, all_s))
    return found


def _taken_share(part: Interval) -> float:
    """Returns the share of an interval in which a worker ran or could have: what is left is time it had to spare."""
    return part.cpu_share + part.cpu_wait_share


def _could_not_run(part: Interval, limits: ValidityLimits) -> bool:
    return part.throttled_share > THROTTLED_SHARE or has_no_cpu_left(_taken_share(part), limits)


def has_no_cpu_left(cores_used: float, limits: ValidityLimits, cores: float = 1.0) -> bool:
    """Says whether a process, or all processes of a machine, took so much CPU time that there was no more to give."""
    return cores_used >= limits.cpu_share * cores


def late_p99_ms(lateness: Histogram, limits: ValidityLimits) -> float | None:
    """Returns the p99 of the lateness of all requests where it is beyond the limit."""
    p99_ms = milliseconds(lateness.percentile(99)) if lateness.count else 0.0
    return p99_ms if p99_ms > limits.lateness_p99_ms else None


def all_users_busy(parts: Sequence[Interval], most_users: int | None) -> bool:
    """Says whether there was a time at which no user was free for an arrival."""
    return most_users is not None and highest_together(parts, "users") >= most_users


def limits_of_trial(limits: ValidityLimits) -> ValidityLimits:
    """Returns the limits for a trial of a search, which has no three seconds to be saturated in."""
    return msgspec.structs.replace(limits, cpu_seconds=1)
