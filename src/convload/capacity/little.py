"""Checks Little's law, L = λW: what is in flight is the rate times the response. Where it fails, a figure is wrong."""

from collections.abc import Sequence

from convload.results.capacity_result import LittleCheck, Trial

TOLERANCE = 0.1
"""Relative. The law holds exactly over a long time; in a trial, what is in flight at its ends makes the
difference."""


def check_little(trials: Sequence[Trial], tolerance: float = TOLERANCE) -> list[LittleCheck]:
    """Returns the check of each steady trial that measured all three; a growing backlog is in no balance.

    The mean response is that of creates that succeeded, so theirs is the rate: what is shed is refused at once.
    """
    checks = []
    for trial in trials:
        rate, response_ms, in_flight = trial.achieved_per_s, trial.response_mean_ms, trial.in_flight_mean
        if trial.growing or rate is None or response_ms is None or in_flight is None:
            continue
        expected = rate * (1 - (trial.error_share or 0.0)) * response_ms / 1000
        holds = abs(in_flight - expected) <= max(tolerance * expected, 1.0)
        checks.append(LittleCheck(trial.rate, in_flight, expected, holds))
    return checks
