"""What programs read of a run: summary.json, intervals.csv and errors.jsonl."""

import csv
import io
import json
from collections.abc import Callable

from convload.comparison.conclusion import Conclusion
from convload.report.data_files import errors_jsonl, intervals_csv, summary_json
from convload.results.runlog import Record

LEFT_OUT = "whether the run was steady: it needs 20 s of constant load, the longest stretch has 9 s"


def test_the_summary_holds_what_pipelines_rely_on(conclusion: Conclusion) -> None:
    document = json.loads(summary_json(conclusion))

    assert document["format"] == "convload/summary/1"
    assert document["verdict"]["outcome"] == "fail"
    assert document["verdict"]["exit_code"] == 1
    assert document["validity"] == {"valid": True, "reasons": [], "named": [], "left_out": [LEFT_OUT]}
    facts = ("model", "seed", "workers", "duration_s", "warmup_s", "offered_rate", "unsent")
    assert [document[fact] for fact in facts] == ["closed", 7, 2, 9.0, 3.0, None, 0]
    create = document["steps"]["conversation.create"]
    assert create["count"] == create["ok"] + sum(create["errors"].values())
    assert set(create["response_ms"]) == {"p50", "p90", "p95", "p99", "max", "mean"}
    assert create["unsupported"] == {"p99.9": "needs 2,995 samples, has 540"}
    assert document["achieved_rate"] == round(create["count"] / 9, 3)
    assert {"count", "ok", "response_ms"} <= document["variants"]["seed_example"].keys()
    gate = {"gate", "outcome", "value", "low", "high", "limit"}
    assert all(gate <= result.keys() for result in document["gates"])
    assert {"cpu_share", "lateness_p99_ms"} <= document["generator"].keys()
    assert {"plan", "versions", "machine", "started"} <= document["manifest"].keys()


def test_a_run_that_measured_nothing_states_no_figure(
    silent: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    document = json.loads(summary_json(conclude_records(silent)))

    assert (document["achieved_rate"], document["steps"], document["generator"]["cpu_share"]) == (None, {}, None)
    assert document["gates"][0]["outcome"] == document["verdict"]["outcome"] == "inconclusive"


def test_no_terminal_obeys_it(conclusion: Conclusion) -> None:
    assert summary_json(conclusion).replace("\n", "").isprintable()
    assert summary_json(conclusion).isascii()


def test_an_open_run_has_its_rates_its_stages_and_named_reasons(
    opened: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    document = json.loads(summary_json(conclude_records(opened)))

    assert (document["offered_rate"], document["achieved_rate"], document["unsent"]) == (120.0, 120.0, 0)
    assert (document["backlog_highest"], document["in_flight_highest"]) == (45, 60)
    assert [(reason["name"], reason["waived"]) for reason in document["validity"]["named"]] == [("late", False)]
    assert [reason["text"] for reason in document["validity"]["named"]] == document["validity"]["reasons"]
    surge = document["stages"]["surge"]
    assert (surge["from_rate"], surge["to_rate"], surge["duration_s"], surge["count"]) == (80.0, 240.0, 10.0, 1600)
    assert {"response_ms", "service_ms", "lateness_ms", "offered_rate", "achieved_rate", "errors"} <= surge.keys()
    watched = {"hub_delay_highest_ms", "files_free_lowest", "sockets_waiting_highest", "lateness_p99_ms"}
    assert watched <= document["generator"].keys()


def test_the_rows_of_the_intervals_add_up_to_the_summary(conclusion: Conclusion) -> None:
    rows = list(csv.DictReader(io.StringIO(intervals_csv(conclusion))))
    measured = [row for row in rows if row["phase"] == "measure"]
    create = conclusion.summary.steps["conversation.create"]

    assert [int(row["t_s"]) for row in rows] == list(range(12))
    assert sum(float(row["requests_per_s"]) for row in measured) == create.count
    assert sum(float(row["ok_per_s"]) for row in measured) == create.ok
    for kind, count in create.errors.items():
        assert sum(float(row[f"{kind}_per_s"]) for row in measured) == count
    assert max(float(row["response_max_ms"]) for row in measured) == create.response_ms["max"]


def test_the_intervals_of_a_run_without_seconds_have_their_header(
    silent: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    assert intervals_csv(conclude_records(silent)).startswith("t_s,phase,offered_per_s,requests_per_s,ok_per_s,users,")


def test_every_line_of_the_errors_is_a_sample_with_all_that_shows_its_payload_again(conclusion: Conclusion) -> None:
    samples = [json.loads(line) for line in errors_jsonl(conclusion).splitlines()]

    assert len(samples) == len(conclusion.samples)
    assert {"t_s", "step", "variant", "outcome", "detail", "index", "worker", "trace_id", "headers"} == samples[
        0
    ].keys()
    assert {sample["detail"] for sample in samples} == {sample.detail for sample in conclusion.samples}


def test_a_terminal_shows_the_errors_and_never_obeys_them(conclusion: Conclusion) -> None:
    text = errors_jsonl(conclusion)

    assert text.isascii()
    assert "\x1b" not in text
