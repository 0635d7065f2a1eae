"""Runs that others follow while they go on."""

import re
import threading
from collections import Counter

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from tests.asking import OPENMETRICS, ask
from tests.conftest import Cli, summary_of

METRICS = re.compile(r"http://127.0.0.1:(\d+)/metrics")


def test_the_last_scrape_and_the_slowest_requests_of_a_run_are_those_of_its_summary(cli: Cli) -> None:
    run = cli.start(
        *("run", "--rate", "50", "--duration", "2s", "--warmup", "0s", "--out", "out", "--traced", "1"),
        *("--prometheus", "127.0.0.1:0"),
    )
    assert run.stderr is not None
    port = next(int(found[1]) for line in run.stderr if (found := METRICS.search(line)))

    last, pause = "", threading.Event()
    while text := ask(port, "/metrics", OPENMETRICS).body:
        last = text
        pause.wait(0.1)

    assert run.wait(30) in {0, 3}  # on a busy machine it may be too late to be evidence
    counts: Counter[str] = Counter()
    for family in text_string_to_metric_families(last):
        for sample in family.samples:
            if sample.name == "convload_requests_total" and sample.labels["phase"] == "measure":
                counts[sample.labels["step"]] += int(sample.value)
    steps = summary_of(cli.folder / "out")["steps"]
    assert counts == {step: row["count"] for step, row in steps.items()}
    assert counts["conversation.create"] == summary_of(cli.folder / "out")["counts"]["recorded"] > 50
    assert_slow_requests_are_found_again(cli)


def assert_slow_requests_are_found_again(cli: Cli) -> None:
    summary = summary_of(cli.folder / "out")
    kept = summary["requests"]["conversation.create"]
    assert len(kept["slowest"]) == len(kept["ordinary"]) == 10
    slowest = kept["slowest"][0]
    longest_ms = summary["steps"]["conversation.create"]["response_ms"]["max"]
    assert slowest["response_ms"] == pytest.approx(longest_ms, abs=0.002)
    assert 0 < slowest["first_byte_ms"] <= slowest["service_ms"]
    assert re.fullmatch("[0-9a-f]{32}", slowest["trace_id"])
    shown = cli("payloads", "show", "--run", "out", "--index", str(slowest["index"]))
    assert f"payload {slowest['index']}: {slowest['variant']}," in shown.err
