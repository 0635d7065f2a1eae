"""Makes the pacing that a plan asks for: closed users, or arrivals by rate or by a recording."""

from collections.abc import Callable

from convload.load.arrivals import OpenPacing
from convload.load.messages import Setup
from convload.load.pacing import ClosedPacing, Pacing
from convload.plan import Plan
from convload.schedule import RateProfile, blocks, replay_blocks
from convload.stages import parse_replay

AFTER_LAST_S = 0.001
"""A recording ends behind its last start, so that this one too is due before the end."""


def make_pacing(plan: Plan, setup: Setup, grow: Callable[[int], None]) -> Pacing:
    """Returns one worker's pacing; `grow` starts that many more users."""
    worker, workers = setup.worker, setup.workers
    if plan.model == "closed":
        return ClosedPacing(plan, worker, workers)
    share = -(-plan.max_in_flight // workers)
    if plan.replay:
        recorded = parse_replay(setup.replay, plan.replay)
        variants = recorded.variants[worker::workers] if any(recorded.variants) else ()
        times = replay_blocks(recorded.times_s, worker, workers)
        return OpenPacing(times, float(recorded.times_s[-1]) + AFTER_LAST_S, share, grow, variants)
    profile = RateProfile(plan.resolved_stages())
    return OpenPacing(blocks(profile, plan.arrivals, plan.seed, worker, workers), profile.ends_s, share, grow)
