import json
from collections.abc import Callable

from convload.report.summary_json import render
from convload.results.runlog import Record
from convload.results.verdict import Conclusion


def test_it_holds_what_pipelines_rely_on(conclusion: Conclusion) -> None:
    document = json.loads(render(conclusion))

    assert document["format"] == "convload/summary/1"
    assert document["verdict"]["outcome"] == "fail"
    assert document["verdict"]["exit_code"] == 1
    assert document["validity"] == {"valid": True, "reasons": []}
    facts = ("model", "seed", "workers", "duration_s", "warmup_s", "offered_rate", "unsent")
    assert [document[fact] for fact in facts] == ["closed", 7, 2, 9.0, 3.0, None, 0]
    create = document["steps"]["conversation.create"]
    assert create["count"] == create["ok"] + sum(create["errors"].values())
    assert set(create["response_ms"]) == {"p50", "p90", "p95", "p99", "p99.9", "max", "mean"}
    assert document["achieved_rate"] == round(create["count"] / 9, 3)
    assert {"count", "ok", "response_ms"} <= document["variants"]["seed_example"].keys()
    gate = {"gate", "outcome", "value", "low", "high", "limit"}
    assert all(gate <= result.keys() for result in document["gates"])
    assert {"cpu_share", "lateness_p99_ms"} <= document["generator"].keys()
    assert {"plan", "versions", "machine", "started"} <= document["manifest"].keys()


def test_a_run_that_measured_nothing_states_no_figure(
    silent: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    document = json.loads(render(conclude_records(silent)))

    assert (document["achieved_rate"], document["steps"], document["generator"]["cpu_share"]) == (None, {}, None)
    assert document["gates"][0]["outcome"] == document["verdict"]["outcome"] == "inconclusive"


def test_no_terminal_obeys_it(conclusion: Conclusion) -> None:
    assert render(conclusion).replace("\n", "").isprintable()
    assert render(conclusion).isascii()
