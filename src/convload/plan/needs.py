"""What a plan will need of the machines that fire it and of its target, before anything is started."""

import msgspec
import numpy as np

from convload.plan.plan import Plan
from convload.plan.schedule import RateProfile, Stage, blocks
from convload.plan.stages import parse_replay

FILES_A_USER = 2
"""A connection to each of two services."""

FILES_OF_A_PROCESS = 256
"""What a worker has open besides: its code, logs, the channel to its coordinator."""

LOG_BYTES_A_SECOND = 8_000
"""Of each worker: an interval with a dozen variants, measured over runs of 50 to 2,000 conversations a second."""

REPORT_BYTES = 300_000

MOST_COUNTED = 10_000_000
"""Beyond so many arrivals their mean is as good, and is there at once."""


def files_needed(users: int, workers: int, targets: int = 1) -> int:
    """Returns the file descriptors that each of so many workers may need."""
    return FILES_A_USER * targets * -(-users // workers) + FILES_OF_A_PROCESS


def users_within(files: int) -> int:
    """Returns how many users a worker may have that may open so many files; none where it is too few."""
    return max((files - FILES_OF_A_PROCESS) // FILES_A_USER, 0)


class Needs(msgspec.Struct, frozen=True):
    """What a run takes at most. None: nobody knows beforehand, it depends on the answers.

    `arrivals` are those of each stage of an open load, in their order; `conversations` all of them.
    """

    arrivals: list[int]
    conversations: int | None
    app_tokens: int
    consumer_tokens: int | None
    sockets: int
    files_a_worker: int
    disk_bytes: int | None


def needs_of(plan: Plan, replay: str) -> Needs:
    """Returns what a plan needs; `replay` is the text of its recorded starts, if it has any."""
    targets = 2 if plan.target_b else 1
    duration_s, conversations, arrivals = plan.ends_after_s, plan.conversations, list[int]()
    if plan.replay:
        times_s = parse_replay(replay, plan.replay).times_s
        duration_s, conversations = float(times_s[-1]), len(times_s)
    elif plan.model == "open":
        arrivals = arrivals_of(plan, plan.resolved_stages())
        conversations = sum(arrivals)
    consumers = {"close": plan.users, "fresh": conversations, "pool": plan.pool_size or conversations, "none": 0}
    minted = consumers[plan.consumers]
    logged_s = None if duration_s is None else (duration_s + plan.extend_s) * plan.workers
    return Needs(
        arrivals=arrivals,
        conversations=conversations,
        app_tokens=0 if plan.consumers == "none" else plan.workers * targets,
        consumer_tokens=None if minted is None else minted * (targets if plan.consumers == "close" else 1),
        sockets=FILES_A_USER * targets * plan.users,
        files_a_worker=files_needed(plan.users, plan.workers, targets),
        disk_bytes=None if logged_s is None else int(logged_s * LOG_BYTES_A_SECOND) + REPORT_BYTES,
    )


def arrivals_of(plan: Plan, stages: list[Stage]) -> list[int]:
    """Returns how many arrivals each stage has: the schedule follows from plan and seed, so they can be counted."""
    profile = RateProfile(stages)
    if profile.total > MOST_COUNTED:
        return [round(stage.duration_s * (stage.from_rate + stage.to_rate) / 2) for stage in stages]
    counts = np.zeros(len(stages), dtype=np.int64)
    for worker in range(plan.workers):
        for times_s in blocks(profile, plan.arrivals, plan.seed, worker, plan.workers):
            counts += np.histogram(times_s, profile.starts_s)[0]
    return counts.tolist()
