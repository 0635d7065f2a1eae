"""What Prometheus is told while a run goes on, over real sockets; read by the parser of prometheus-client."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as read_plain
from tests.asking import OPENMETRICS, ask
from tests.run_logs import Make

from convload.live.metrics import MetricsServer
from convload.results.progress import Progress
from convload.results.run import Run
from convload.results.runlog import FILE_NAME, RunLog
from convload.results.writing import RunLogWriter

Samples = dict[str, list[tuple[dict[str, str], float]]]


class Scraped:
    """A run log as far as it was written, and the server of its metrics."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.progress = folder, Progress()
        self.server = MetricsServer(self.progress, "127.0.0.1", 0)

    def write(self, log: RunLog) -> None:
        writer = RunLogWriter(self.folder / FILE_NAME)
        for record in [log.manifest, *log.records]:
            writer.write(record)
        writer.close()
        self.progress.read(self.folder)

    def get(self, accept: str = OPENMETRICS["Accept"]) -> str:
        return ask(self.server.port, "/metrics", {"Accept": accept}).body


@pytest.fixture
def scraped(tmp_path: Path) -> Iterator[Scraped]:
    made = Scraped(tmp_path)
    yield made
    made.server._server.close()  # at once: nobody comes for the last figures


def samples_of(text: str) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def total(samples: Samples, name: str, **labels: str) -> float:
    return sum(value for own, value in samples[name] if labels.items() <= own.items())


def test_a_scrape_agrees_with_the_summary_to_the_request(make: Make, scraped: Scraped) -> None:
    log = make.opened(lambda _, second: {"failed": second % 3}, workers=2)
    scraped.write(log)

    samples, summary = samples_of(scraped.get()), Run(log).summary

    assert total(samples, "convload_ended") == 1
    measured = {"step": "conversation.create", "phase": "measure"}
    create = summary.steps["conversation.create"]
    counts = {
        outcome: total(samples, "convload_requests_total", outcome=outcome, **measured)
        for outcome in ("ok", "http_503")
    }
    assert counts == {"ok": create.ok, **create.errors}
    for clock in ("response", "service", "lateness"):
        assert total(samples, f"convload_{clock}_seconds_count", **measured) == create.ok


def test_times_are_in_the_buckets_that_they_belong_to(make: Make, scraped: Scraped) -> None:
    cells = [make.cell([400, 2_000, 70_000, 2_000_000], response_us=[500, 2_498, 100_200, 61_000_000])]
    scraped.write(make.log(make.interval(0, cells, 4)))

    samples = samples_of(scraped.get())

    below = {
        float(labels["le"]): value
        for labels, value in samples["convload_response_seconds_bucket"]
        if labels["phase"] == "measure"
    }
    assert (below[0.0005], below[0.0025], below[0.1], below[0.25], below[60], below[float("inf")]) == (1, 2, 2, 3, 3, 4)
    assert total(samples, "convload_response_seconds_sum") == pytest.approx(61.103198)


def test_whoever_asks_for_version_2_of_the_text_has_native_histograms(make: Make, scraped: Scraped) -> None:
    times = [1_000, 1_000, 1_010, 8_000]
    scraped.write(make.log(make.interval(0, [make.cell(times)], 4)))

    (line,) = (
        line
        for line in scraped.get("application/openmetrics-text; version=2.0.0").splitlines()
        if line.startswith("convload_service_seconds{")
    )

    assert "count:4,sum:0.01101,schema:5" in line
    # 1 ms is in the bucket (2^(-319/32), 2^(-318/32)], which Prometheus calls -318; 8 ms is three octaves higher.
    assert "positive_spans:[-318:97]" in line
    assert line.count(",0") > 80
    assert "positive_spans" not in scraped.get()


def test_an_older_server_is_told_in_its_own_format(make: Make, scraped: Scraped) -> None:
    scraped.write(make.sound(failed=3))

    families = {family.name: family for family in read_plain(scraped.get("text/plain"))}

    assert sum(one.value for one in families["convload_requests"].samples if one.labels["outcome"] == "http_503") == 3
    assert families["convload_response_seconds"].type == "histogram"


def test_a_run_that_has_not_begun_can_be_scraped(scraped: Scraped) -> None:
    assert total(samples_of(scraped.get()), "convload_ended") == 0


def test_the_end_waits_for_a_last_scrape_of_those_who_came_before(make: Make, scraped: Scraped) -> None:
    exposition = scraped.server._exposition
    assert exposition.wait_s() == 0, "nobody ever came"
    scraped.get()
    assert exposition.wait_s() == 0, "the run has not come to an end"
    scraped.write(make.sound())
    assert exposition.wait_s() == 60, "how often it comes is not known"
    exposition._scraped_s.insert(0, exposition._scraped_s[0] - 10)
    assert exposition.wait_s() == pytest.approx(15)
    scraped.get()
    assert exposition.wait_s() == 0, "it has the end"
