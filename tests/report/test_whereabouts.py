"""When and where a gate was broken."""

from typing import Any

import pytest
from tests.run_logs import Make

from convload.comparison.conclusion import conclude
from convload.report import whereabouts
from convload.report.whereabouts import Where
from convload.results.runlog import RunLog


def places(log: RunLog) -> list[Where]:
    conclusion = conclude(log)
    return whereabouts.of_gates(conclusion.run, conclusion.gates)


def slow(seconds: range, **fields: Any) -> Any:
    return lambda _, second: dict(fields) if second in seconds else {}


def test_a_storm_is_named_by_its_seconds(make: Make) -> None:
    log = make.opened(slow(range(12, 15), service_us=90_000), seconds=40, gates=["create.p95 < 20ms", "errors < 1%"])

    (found,) = places(log)

    assert found.gate.gate == "create.p95 < 20ms"
    assert found.stretches == [(12, 15)]
    assert found.text == "300 of 3,800 requests took longer than 20 ms; 100 % of those from 12 to 15 s."


def test_times_are_told_of_requests_that_succeeded(make: Make) -> None:
    log = make.opened(slow(range(12, 15), service_us=90_000, failed=40), seconds=40, gates=["create.p97 < 20ms"])

    (found,) = places(log)

    assert found.text.startswith("180 of 3,680 requests took longer than 20 ms")


def test_what_failed_is_named_by_its_outcomes(make: Make) -> None:
    (found,) = places(make.opened(slow(range(20, 24), failed=50), seconds=40, gates=["errors < 1%"]))

    assert found.stretches == [(20, 24)]
    assert found.text == "200 of 3,800 requests failed (http_503 100 %); 100 % of those from 20 to 24 s."


def test_what_goes_on_all_the_time_has_no_stretch(make: Make) -> None:
    (found,) = places(make.opened(slow(range(40), service_us=90_000), seconds=40, gates=["create.p50 < 20ms"]))

    assert found.stretches == []
    assert found.text.endswith("they are spread over the whole run.")


def test_a_rate_that_fell_is_named_by_the_seconds_in_which_it_was_too_low(make: Make) -> None:
    log = make.opened(slow(range(20, 23), failed=0), seconds=40, gates=["rate > 200/s"])

    (found,) = places(log)

    assert found.text == "38 of 38 seconds were below 200/s; that is so throughout the run."


def test_a_variant_that_stands_out_is_named(make: Make) -> None:
    cells = [make.cell([1000] * 90), make.cell([50_000] * 10, variant="with_sdes")]
    log = make.log(*(make.interval(n, cells, 100 * (n + 1)) for n in range(2, 12)), gates=["create.p95 < 20ms"])

    (found,) = places(log)

    assert "variant with_sdes has 100 % of them and 10 % of all requests" in found.text


@pytest.mark.parametrize("gate", ["create.p90 < 20ms", "unsent == 0"])
def test_of_a_gate_that_holds_nothing_is_said(gate: str, make: Make) -> None:
    assert places(make.opened(seconds=40, gates=[gate])) == []
