from collections.abc import Callable
from typing import Any

import msgspec

from convload.comparison.conclusion import Conclusion
from convload.report.charts import data
from convload.results.runlog import Cell, Interval, Record


def columns(conclusion: Conclusion) -> dict[str, Any]:
    found = data(conclusion)
    length = len(found["t"])
    assert all(len(found[name]) == length for name in ("requests_per_s", "ok_per_s", "users", "in_flight"))
    assert all(len(column) == length for column in found["latency"].values())
    assert all(len(kind["per_s"]) == length for kind in found["errors"])
    return found


def test_a_second_in_which_nobody_reported_is_a_gap(
    passing: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    kept = [record for record in passing if not (isinstance(record, Interval) and record.n in (5, 6))]

    found = columns(conclude_records(kept))

    assert found["t"] == [second + 0.5 for second in range(12)]
    assert found["requests_per_s"][4] > 0
    assert found["requests_per_s"][5:7] == found["latency"]["p50"][5:7] == [None, None]


def test_the_warm_up_and_what_came_after_the_end_are_marked(
    passing: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    last = next(record for record in reversed(passing) if isinstance(record, Interval))
    drain = msgspec.structs.replace(last, n=12, from_s=12.0, to_s=13.0, cells=[])

    found = columns(conclude_records([*passing, drain]))

    assert (found["warmup_to_s"], found["cleanup_from_s"]) == (3, 12)


def test_rare_kinds_beyond_the_colours_are_drawn_as_one(
    passing: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    first = next(record for record in passing if isinstance(record, Interval))
    cells = [Cell("conversation.create", "minimal", "measure", f"http_{500 + i}", 20 - i, "") for i in range(9)]
    more = msgspec.structs.replace(first, n=99, worker=5, from_s=6.0, to_s=7.0, cells=cells)

    found = columns(conclude_records([*passing, more]))["errors"]

    assert [kind["kind"] for kind in found] == [*(f"http_{500 + i}" for i in range(6)), "other kinds"]
    assert found[-1]["per_s"][6] == 14 + 13 + 12


def test_distributions_are_named_by_their_step_and_rise_on_both_axes(conclusion: Conclusion) -> None:
    found = columns(conclusion)["distributions"]

    assert [part["label"] for part in found] == ["conversation.create", "conversation.close", "token.consumer"]
    for part in found:
        assert part["x"] == sorted(part["x"])
        assert part["ms"] == sorted(part["ms"])
        assert part["x"][0] >= 1


def test_an_open_run_has_its_stages_its_backlog_and_both_clocks(
    opened: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    found = columns(conclude_records(opened))

    assert found["open"]
    assert found["stages"] == [{"name": "hold", "from_s": 4.0}, {"name": "surge", "from_s": 14.0}]
    assert max(found["backlog"]) == found["backlog"][9] == 45
    assert sum(found["offered_per_s"]) == 2720
    assert found["service_p99"][12] <= found["latency"]["p99"][12]
    assert max(value for value in found["lateness"]["max"] if value is not None) > 500
    assert [(part["step"], part["clock"]) for part in found["distributions"]] == [
        ("conversation.create", "response"),
        ("conversation.create", "service"),
    ]


def test_nothing_recorded_makes_empty_columns(
    silent: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    found = columns(conclude_records(silent))

    assert found["t"] == found["errors"] == found["distributions"] == []
