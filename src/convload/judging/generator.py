"""Was the load generator the limit? One rule for the validity of a run, the trials of a search, and the doctor.

It was where a worker had no CPU time left, or where requests started late for a reason that lies on this side: its own
clocks say that the worker could not run (its event loop was late, its core was taken), or its users were not waiting
for the target. All other lateness is the target's: an arrival waits while those who could send it wait for an answer, a
token or a connection, and the wait is what the target did to its callers. It counts in the response time.
"""

from collections.abc import Iterable
from typing import NamedTuple, Self

import msgspec
import numpy as np

from convload.contract.steps import CREATE
from convload.plan.facts import ValidityLimits
from convload.results.health import Chosen, Floats, Health
from convload.results.histogram import Histogram, Integers, milliseconds
from convload.results.interval import Own
from convload.results.measured import highest_together
from convload.results.runlog import MEASURE, Cell, Interval
from convload.results.window import REMNANT_S

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


def is_generator_limit(health: Health, lateness: Histogram, limits: ValidityLimits, most_users: int | None) -> bool:
    """Says whether the load in some intervals was not the one that was meant, for a reason that lies on this side."""
    late = late_p99_ms(lateness, limits) is not None and not is_late_by_target(health, limits, most_users)
    return bool(saturated_workers(health, limits)) or late


def is_late_by_target(health: Health, limits: ValidityLimits, most_users: int | None) -> bool:
    """Says whether most of the requests that were late waited for a target that held those who could send them."""
    is_watched = bool(health["awaiting"].any())  # earlier versions did not say how many users waited
    ends = health.starts + health.sizes
    is_held, stalled_ms = _around(health, np.maximum(ends - LOOKED_BACK, health.starts), ends, limits)
    unsent = health.ends["unsent"]
    all_late = int(unsent.sum())
    by_target = int(unsent[is_held & (stalled_ms < MS_A_SECOND)].sum())
    waits = _Waits.of(health, limits)
    for wait in np.flatnonzero(waits.longest_ms > limits.lateness_p99_ms).tolist():
        lateness = _lateness_of(waits.known[wait])
        own_us = 1000 * (limits.lateness_p99_ms + float(waits.stalled_ms[wait]))
        all_late += lateness.above(1000 * limits.lateness_p99_ms)
        by_target += lateness.above(own_us) if waits.is_held[wait] or not is_watched else 0
    return by_target > all_late / 2 and (is_watched or all_users_busy(health, most_users))


def kept_waiting(parts: Iterable[Interval], limits: ValidityLimits, users_a_worker: float) -> set[tuple[int, int]]:
    """Returns in which intervals, by worker and number, arrivals waited for a target that held the users.

    Where a worker may have no more users any such wait is the target's that its own clocks do not explain. Before that,
    one that is no longer than what makes a run late may be for a user that is only being started. Where the results of
    several workers are added up nobody knows whose they are: that is no wait for the target.
    """
    parts = list(parts)
    if all(part.own is not None for part in parts):
        return set()
    health = Health.of(parts)
    waits = _Waits.of(health, limits, alone=True)
    few = np.where(health["users"][waits.places] < users_a_worker, limits.lateness_p99_ms, 0.0)
    kept = waits.places[waits.is_held & (waits.longest_ms > waits.stalled_ms + few)]
    return set(zip(health["worker"][kept].tolist(), health["n"][kept].tolist(), strict=True))


class _Waits(NamedTuple):
    """Intervals in which requests were late, whether the target held users meanwhile, and the generator's part."""

    places: Integers
    known: list[Interval | Own]
    longest_ms: Floats
    is_held: Chosen
    stalled_ms: Floats

    @classmethod
    def of(cls, health: Health, limits: ValidityLimits, *, alone: bool = False) -> Self:
        """Returns the intervals in which a measured create was late; `alone` those that have results of their own."""
        asked = (item for item in health.timed() if not (alone and isinstance(item[1], Own)))
        timed = ((place, one, *_longest_us(one)) for place, one in asked)
        late = [one for one in timed if one[2]]
        places = np.array([place for place, *_ in late], np.int64)
        longest_us, slowest_us = np.array([times for _, _, *times in late], np.int64).reshape(-1, 2).T
        worker = np.repeat(np.arange(len(health.sizes)), health.sizes)
        # Each worker's time behind that of the one before, so that one search finds the place in all.
        longest_s = 2 * max(float(health["to_s"].max(initial=0.0)), 1.0)
        due_s = np.maximum(health["from_s"][places] - slowest_us / 1e6, 0.0)
        first = np.searchsorted(health["to_s"] + longest_s * worker, due_s + longest_s * worker[places])
        first = np.clip(first, health.starts[worker[places]], places)
        # Also the one behind: a process that goes on may cut its interval before it notes that it stood still.
        behind = np.minimum(places + 2, (health.starts + health.sizes)[worker[places]])
        return cls(places, [one for _, one, *_ in late], longest_us / 1000, *_around(health, first, behind, limits))


def _around(health: Health, begins: Integers, ends: Integers, limits: ValidityLimits) -> tuple[Chosen, Floats]:
    """Returns whether the target held users in some intervals of a worker, and the generator's part in lateness."""
    held = health["awaiting"] >= np.maximum(HELD_SHARE * health["users"], 1)
    busy_s = np.where(_could_not_run(health, limits), health.lengths_s, 0.0)
    held_before, busy_before = (np.concatenate(([0], np.cumsum(one))) for one in (held, busy_s))
    pairs = np.stack([begins, ends], axis=1).reshape(-1)
    delays_ms = np.append(health["hub_delay_ms"], 0.0)
    longest_ms = np.maximum.reduceat(delays_ms, pairs)[::2] if len(pairs) else delays_ms[:0]
    stalled_ms = CATCHES_UP * longest_ms + MS_A_SECOND * (busy_before[ends] - busy_before[begins])
    return held_before[ends] > held_before[begins], stalled_ms


def _longest_us(one: Interval | Own) -> tuple[int, int]:
    """Returns the longest lateness and the longest response of the measured creates of a worker in an interval."""
    if isinstance(one, Own):
        return Histogram.longest_us(one.lateness), one.slowest_us
    cells = _late_cells(one)
    late, slow = ([Histogram.longest_us(getattr(cell, name)) for cell in cells] for name in ("lateness", "response"))
    return max(late, default=0), max(slow, default=0)


def _lateness_of(one: Interval | Own) -> Histogram:
    if isinstance(one, Own):
        return Histogram.decode(one.lateness)
    return Histogram.merged(Histogram.decode(cell.lateness) for cell in _late_cells(one))


def _late_cells(part: Interval) -> list[Cell]:
    return [cell for cell in part.cells if cell.step == CREATE and cell.phase == MEASURE and cell.lateness]


def saturated_workers(health: Health, limits: ValidityLimits) -> list[Saturated]:
    """Returns the workers that were at the limit of CPU time for too long."""
    health = health.where(health.lengths_s >= REMNANT_S)
    hot = _could_not_run(health, limits)
    count, all_s, hot_s = (health.sums(one) for one in (hot.astype(int), health.lengths_s, hot * health.lengths_s))
    named = np.flatnonzero((count >= limits.cpu_seconds) & (hot_s > limits.cpu_seconds_share * all_s))
    names = ("cpu_share", "cpu_wait_share", "throttled_share")
    shares = [(health.sums(hot * health[name])[named] / count[named]).tolist() for name in names]
    workers = health["worker"][health.starts[named]].tolist()
    return list(map(Saturated, workers, *shares, hot_s[named].tolist(), all_s[named].tolist()))


def _could_not_run(health: Health, limits: ValidityLimits) -> Chosen:
    """Says of each interval whether its worker ran all the time that it could have: it had none to spare."""
    taken = health["cpu_share"] + health["cpu_wait_share"]
    found: Chosen = (health["throttled_share"] > THROTTLED_SHARE) | (taken >= limits.cpu_share)
    return found


def has_no_cpu_left(cores_used: float, limits: ValidityLimits, cores: float = 1.0) -> bool:
    """Says whether a process, or all processes of a machine, took so much CPU time that there was no more to give."""
    return cores_used >= limits.cpu_share * cores


def late_p99_ms(lateness: Histogram, limits: ValidityLimits) -> float | None:
    """Returns the p99 of the lateness of all requests where it is beyond the limit."""
    p99_ms = milliseconds(lateness.percentile(99)) if lateness.count else 0.0
    return p99_ms if p99_ms > limits.lateness_p99_ms else None


def all_users_busy(health: Health, most_users: int | None) -> bool:
    """Says whether there was a time at which no user was free for an arrival."""
    return most_users is not None and highest_together(health, "users") >= most_users


def limits_of_trial(limits: ValidityLimits) -> ValidityLimits:
    """Returns the limits for a trial of a search, which has no three seconds to be saturated in."""
    return msgspec.structs.replace(limits, cpu_seconds=1)
