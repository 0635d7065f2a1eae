"""How far below the ceiling a run was."""

from pathlib import Path

import msgspec
import pytest
from tests.run_logs import Make

from convload.comparison.conclusion import conclude
from convload.contract.steps import FIRST, RETRY
from convload.report import figures
from convload.results import runlog
from convload.results.run import Run
from convload.results.runlog import Cell, KnownCeiling, Manifest, RunLog

KNOWN = KnownCeiling(1_600.0, 1, 4.0, "2026-11-23T10:00:00+00:00")


def with_ceiling(log: RunLog, ceiling: KnownCeiling | None) -> RunLog:
    return msgspec.structs.replace(log, manifest=msgspec.structs.replace(log.manifest, ceiling=ceiling))


def test_a_run_states_its_share_of_the_ceiling(make: Make) -> None:
    summary = Run(with_ceiling(make.opened(rate=100), KNOWN)).summary

    assert (summary.generator.ceiling_per_s, summary.generator.ceiling_share) == (1_600.0, 0.0625)
    assert figures.ceiling(summary) == (
        "1,600 requests/s on 1 worker (convload doctor, 2026-11-23), the run's 100.0/s are 6.25 % of it"
    )
    assert summary.notes == []


def with_more(log: RunLog, *cells: Cell) -> RunLog:
    """Adds cells to each measured second."""
    records = [
        msgspec.structs.replace(record, cells=[*record.cells, *cells])
        if isinstance(record, runlog.Interval) and record.n >= 2
        else record
        for record in log.records
    ]
    return msgspec.structs.replace(log, records=records)


def test_all_steps_count_for_the_generator(make: Make) -> None:
    closes = make.cell([900] * 100, step="conversation.close", variant="")

    summary = Run(with_ceiling(with_more(make.opened(rate=100), closes), KNOWN)).summary

    assert summary.achieved_rate == 100.0
    assert (summary.generator.requests_per_s, summary.generator.ceiling_share) == (200.0, 0.125)


def test_of_a_conversation_that_was_retried_each_request_counts_once(make: Make) -> None:
    first, retry = (make.cell([900] * count, step=step) for step, count in ((FIRST, 100), (RETRY, 20)))

    summary = Run(with_ceiling(with_more(make.opened(rate=100), first, retry), KNOWN)).summary

    assert summary.generator.requests_per_s == 120.0


def test_without_a_ceiling_it_is_said_how_to_measure_one(make: Make) -> None:
    summary = Run(make.opened()).summary

    assert (summary.generator.ceiling_per_s, summary.generator.ceiling_share) == (None, None)
    assert figures.ceiling(summary) == "not known: run `convload doctor`"


@pytest.mark.parametrize(("rate_per_s", "noted"), [(126.0, 0), (124.0, 1), (50.0, 1)])
def test_a_run_near_its_ceiling_is_noted_and_stays_valid(make: Make, rate_per_s: float, noted: int) -> None:
    log = with_ceiling(make.opened(rate=100), msgspec.structs.replace(KNOWN, rate_per_s=rate_per_s))

    conclusion = conclude(log)

    assert len([note for note in conclusion.summary.notes if "measured to generate" in note]) == noted
    assert conclusion.validity.reasons == []


def test_a_ceiling_that_was_not_reached_warns_of_nothing(make: Make) -> None:
    log = with_ceiling(make.opened(rate=100), msgspec.structs.replace(KNOWN, rate_per_s=100.0, at_least=True))

    summary = Run(log).summary

    assert summary.notes == []
    assert figures.ceiling(summary).startswith("at least 100 requests/s")


def test_a_run_that_measured_nothing_has_no_share(make: Make) -> None:
    assert Run(with_ceiling(make.log(), KNOWN)).summary.generator.ceiling_share is None


def test_the_log_keeps_it_and_a_log_without_it_can_be_read(make: Make, tmp_path: Path) -> None:
    log = with_ceiling(make.opened(), KNOWN)
    old = msgspec.json.decode(msgspec.json.encode(log.manifest))
    del old["ceiling"]
    (tmp_path / "run.jsonl").write_bytes(msgspec.json.encode(log.manifest) + b"\n")

    assert runlog.read(tmp_path).manifest.ceiling == KNOWN
    assert msgspec.convert(old, Manifest).ceiling is None
