"""What OpenTelemetry is sent, as a collector reads it: by the protocol's own messages."""

import gzip
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from tests.conftest import wait_for
from tests.run_logs import Make

from convload.errors import UsageError
from convload.live.pushing import Pushing
from convload.results.progress import Progress
from convload.results.run import Run
from convload.results.runlog import FILE_NAME, RunLog
from convload.results.writing import RunLogWriter


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes what is posted."""

    taken: list[tuple[str, ExportMetricsServiceRequest]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.taken.append((self.path, ExportMetricsServiceRequest.FromString(body)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base's name
        pass


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Collector]]:
    taking = type("Taking", (Collector,), {"taken": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), taking)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "60000")
    yield taking
    server.shutdown()
    server.server_close()


def progress_of(log: RunLog, folder: Path) -> Progress:
    writer = RunLogWriter(folder / FILE_NAME)
    for record in [log.manifest, *log.records]:
        writer.write(record)
    writer.close()
    found = Progress()
    found.read(folder)
    return found


def metrics_of(request: ExportMetricsServiceRequest) -> dict[str, Metric]:
    return {metric.name: metric for metric in request.resource_metrics[0].scope_metrics[0].metrics}


def test_the_last_push_agrees_with_the_summary_to_the_request(
    make: Make, tmp_path: Path, collector: type[Collector]
) -> None:
    log = make.opened(lambda _, second: {"failed": second % 3, "service_us": 4_000}, workers=2)
    pushing = Pushing(progress_of(log, tmp_path))
    pushing.finish()
    pushing.close()

    ((path, request),) = collector.taken
    create = Run(log).summary.steps["conversation.create"]
    metrics = metrics_of(request)
    assert path == "/v1/metrics"
    resource = {one.key: one.value.string_value for one in request.resource_metrics[0].resource.attributes}
    assert (resource["service.name"], resource["deployment.environment"]) == ("convload", "test")
    counts = {}
    for point in metrics["convload.requests"].sum.data_points:
        labels = {one.key: one.value.string_value for one in point.attributes}
        if (labels["step"], labels["phase"]) == ("conversation.create", "measure"):
            counts[labels["outcome"]] = point.as_int
    assert counts == {"ok": create.ok, **create.errors}
    (measured,) = (
        point
        for point in metrics["convload.service.duration"].exponential_histogram.data_points
        if any(one.value.string_value == "measure" for one in point.attributes)
    )
    assert (measured.count, measured.scale) == (create.ok, 5)
    lowest_s = 2 ** (measured.positive.offset / 32)
    assert lowest_s < 0.004 <= lowest_s * 2 ** (1 / 32)
    assert list(measured.positive.bucket_counts) == [create.ok]


def test_metrics_go_out_at_the_interval_of_the_environment(
    make: Make, tmp_path: Path, collector: type[Collector], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "50")
    pushing = Pushing(progress_of(make.sound(), tmp_path))

    wait_for(lambda: len(collector.taken) >= 3, "three pushes")

    pushing.close()


@pytest.mark.filterwarnings("ignore")
def test_a_collector_that_is_away_costs_a_warning_and_no_run(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    pushing = Pushing(progress_of(make.sound(), tmp_path))
    pushing.close()

    assert capsys.readouterr().err.splitlines() == [
        "convload: warning: --otlp: nobody takes the metrics; the run goes on"
    ]


def test_an_interval_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "soon")
    with pytest.raises(UsageError, match="OTEL_METRIC_EXPORT_INTERVAL: 'soon'"):
        Pushing(Progress())
