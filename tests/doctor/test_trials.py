"""What a trial met, and what is said of a search."""

from datetime import UTC, datetime

import msgspec
import pytest

from convload.doctor.search import Ceiling, describe, known_ceiling
from convload.doctor.trials import CeilingTrial, Seen, busiest_share, limits_of, taken_by_others

LATE = CeilingTrial(
    16_000.0,
    valid=False,
    lateness_p50_ms=5.0,
    lateness_p99_ms=40.0,
    cpu_share=0.5,
    mock_cpu_share=0.4,
    reasons=["late"],
)
FINE = CeilingTrial(
    8_000.0, valid=True, achieved_per_s=8_010.0, lateness_p50_ms=0.06, lateness_p99_ms=0.6, cpu_share=0.5
)


@pytest.mark.parametrize(
    ("shares", "own_cores", "reasons", "met"),
    [
        ({}, 0.9, ["late"], ["lateness"]),
        ({"cpu_share": 0.99}, 1.3, ["generator_saturated", "late"], ["worker CPU", "lateness"]),
        ({"mock_cpu_share": 0.95}, 1.4, ["late", "rate_missed"], ["mock CPU", "lateness", "requests not sent in time"]),
        ({}, 1.9, ["late"], ["all cores", "lateness"]),
        ({"others_cores": 0.7}, 0.9, ["late"], ["other work on this machine", "lateness"]),
        ({}, 0.9, ["ports_exhausted"], ["local ports"]),
    ],
)
def test_causes_are_named_before_what_shows_of_them(
    shares: dict[str, float], own_cores: float, reasons: list[str], met: list[str]
) -> None:
    quiet = CeilingTrial(16_000.0, valid=False, cpu_share=0.5, mock_cpu_share=0.4, others_cores=0.1)
    trial: CeilingTrial = msgspec.structs.replace(quiet, **shares)

    assert limits_of(trial, reasons, own_cores, cores=2.0) == met


def test_a_valid_trial_met_nothing() -> None:
    assert limits_of(FINE, [], 2.0, cores=2.0) == []


def test_the_busiest_second_of_a_process_is_found_between_quiet_ones() -> None:
    seen = [(0.1 * n, min(max(0.1 * n - 1.0, 0.0), 1.5)) for n in range(50)]

    assert busiest_share(seen, 1.0) == pytest.approx(1.0, abs=0.01)
    assert busiest_share(seen[:5], 1.0) is None
    assert busiest_share([], 1.0) is None


def test_what_others_took_is_what_the_machine_did_beyond_the_trial() -> None:
    seen = [Seen(0.0, 0.0, 1.0, 100.0), Seen(2.0, 0.5, 3.0, 103.0)]

    assert taken_by_others(seen) == 0.5
    assert taken_by_others(seen[:1]) is None


def test_a_ceiling_is_told_with_its_lateness_and_what_limited_it() -> None:
    beyond = CeilingTrial(16_000.0, valid=False, limits=["mock CPU", "lateness"], reasons=["requests started late"])
    text = " ".join(describe(Ceiling([FINE, beyond], FINE, beyond), workers=2))

    assert "Ceiling: 8,000 requests/s on 2 workers, with lateness p50 0.06 and p99 0.60 ms" in text
    assert "Limited at 16,000/s by: mock CPU, lateness." in text
    assert "against a target elsewhere the ceiling is at least this" in text


def test_a_search_that_met_no_limit_says_at_least() -> None:
    found = Ceiling([FINE], FINE, None)

    assert "Ceiling: at least 8,000 requests/s on 1 worker" in describe(found, 1)[0]
    ceiling = known_ceiling(found, 1, datetime(2026, 1, 2, tzinfo=UTC))
    assert ceiling is not None
    assert (ceiling.rate_per_s, ceiling.at_least, ceiling.measured[:10]) == (8_000.0, True, "2026-01-02")


def test_a_ceiling_that_other_work_has_lowered_is_one_at_least() -> None:
    disturbed = CeilingTrial(16_000.0, valid=False, others_cores=1.3, limits=["other work on this machine", "lateness"])
    found = Ceiling([FINE, disturbed], FINE, disturbed)

    ceiling = known_ceiling(found, 1, datetime(2026, 1, 2, tzinfo=UTC))

    assert ceiling is not None
    assert ceiling.at_least
    text = " ".join(describe(found, 1))
    assert "Ceiling: at least 8,000 requests/s" in text
    assert "Others took 1.30 cores meanwhile" in text


def test_a_search_in_which_nothing_held_says_so_and_keeps_nothing() -> None:
    found = Ceiling([LATE], None, LATE)

    assert "Ceiling: not found." in describe(found, 1)[0]
    assert known_ceiling(found, 1, datetime(2026, 1, 2, tzinfo=UTC)) is None
