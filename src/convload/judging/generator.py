"""Was the load generator the limit? One rule for the validity of a run, the trials of a search, and the doctor.

It was where a worker had no CPU time left, or where requests started late although users were free to send them: where
all users were busy it is the target that held them, and the wait is what it did to its callers.
"""

from collections.abc import Iterable, Sequence

import msgspec

from convload.plan.facts import ValidityLimits
from convload.results.histogram import Histogram, milliseconds
from convload.results.measured import highest_together, of_workers
from convload.results.runlog import Interval
from convload.results.window import REMNANT_S, length_s


class Saturated(msgspec.Struct, frozen=True):
    """A worker without CPU time to spare: its share of a core in the `hot_s` of its `all_s` in which it had none."""

    worker: int
    cpu_share: float
    hot_s: float
    all_s: float


def is_generator_limit(
    parts: Sequence[Interval], lateness: Histogram, limits: ValidityLimits, most_users: int | None
) -> bool:
    """Says whether the load in some intervals was not the one that was meant, for a reason that lies on this side."""
    late = late_p99_ms(lateness, limits) is not None and not all_users_busy(parts, most_users)
    return bool(saturated_workers(parts, limits)) or late


def saturated_workers(parts: Iterable[Interval], limits: ValidityLimits) -> list[Saturated]:
    """Returns the workers that were at the limit of CPU time for too long."""
    found = []
    for worker, own in of_workers(parts).items():
        whole = [part for part in own if length_s(part) >= REMNANT_S]
        hot = [part for part in whole if has_no_cpu_left(part.cpu_share, limits)]
        all_s, hot_s = sum(map(length_s, whole)), sum(map(length_s, hot))
        if len(hot) >= limits.cpu_seconds and hot_s > limits.cpu_seconds_share * all_s:
            found.append(Saturated(worker, sum(part.cpu_share for part in hot) / len(hot), hot_s, all_s))
    return found


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
