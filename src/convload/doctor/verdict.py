"""Says what a search found: the ceiling, what it was limited by, and how sure that is."""

from datetime import datetime

from convload import machine
from convload.doctor.search import Ceiling, CeilingTrial
from convload.doctor.trials import ALL_CORES, MOCK_CPU, OTHER_WORK
from convload.report.figures import about, core_share
from convload.results.ceiling import KnownCeiling


def known_ceiling(found: Ceiling, workers: int, now: datetime) -> KnownCeiling | None:
    """Returns what is to be saved; None where no rate held."""
    if found.best is None:
        return None
    stamp = now.isoformat(timespec="seconds")
    return KnownCeiling(found.best.rate, workers, machine.usable_cores(), stamp, at_least=is_at_least(found))


def is_at_least(found: Ceiling) -> bool:
    """Says whether the ceiling may be higher: no rate was too high, or one failed while others took the machine."""
    return found.at_least or (found.beyond is not None and OTHER_WORK in found.beyond.limits)


def describe(found: Ceiling, workers: int) -> list[str]:
    """Returns the sentences that a person reads."""
    on = f"{workers} worker{'s' * (workers != 1)}"
    if found.best is None:
        lowest = found.trials[-1]
        return [
            f"Ceiling: not found. Even at {lowest.rate:,.0f} requests/s on {on} a run was not valid.",
            *_why(lowest),
        ]
    least = "at least " if is_at_least(found) else ""
    said = [f"Ceiling: {least}{found.best.rate:,.0f} requests/s on {on}, with {_figures(found.best)}."]
    if found.beyond is None:
        return [
            *said,
            "Every rate tried held, so the ceiling is higher: try more of them, without --quick or with --trials.",
        ]
    return [*said, *_why(found.beyond)]


def _figures(trial: CeilingTrial) -> str:
    lateness = f"lateness p50 {about(trial.lateness_p50_ms)} and p99 {about(trial.lateness_p99_ms)} ms"
    return f"{lateness}, the busiest worker at {core_share(trial.cpu_share)}"


def _why(beyond: CeilingTrial) -> list[str]:
    met = ", ".join(beyond.limits) or "no single limit"
    said = [f"Limited at {beyond.rate:,.0f}/s by: {met}.", *(f"  {reason}" for reason in beyond.reasons)]
    if {MOCK_CPU, ALL_CORES} & set(beyond.limits):
        said.append(
            "The mock shares this machine and was busy itself: against a target elsewhere the ceiling is at least this."
        )
    if OTHER_WORK in beyond.limits:
        said.append(
            f"Others took {about(beyond.others_cores)} cores meanwhile: on a quiet machine the ceiling may be higher."
        )
    return said
