"""Tells OpenTelemetry how far a run has come: counts, gauges and exponential histograms, cumulative since its start.

The SDK's instruments take one measurement at a time; what is known here is already counted. So the data points are made
here, and the SDK's exporter sends them as its `OTEL_*` variables say.
"""

import logging
from collections.abc import Iterator
from typing import Any

from convload import __version__
from convload.errors import UsageError
from convload.outputs.exponential import SCALE, exponential
from convload.outputs.openmetrics import CLOCKS_SAID
from convload.outputs.scrape import LAST_S, kind_labels
from convload.results.histogram import Histogram
from convload.results.progress import CLOCKS, Progress, offered_rate_of, rate_of

NS = 1_000_000_000


class Otlp:
    """Makes and sends what there is to tell.

    Raises:
        UsageError: the extra `convload[otel]` is not installed, or a variable is none.
    """

    def __init__(self) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415 -- as below
            from opentelemetry.sdk.metrics import export  # noqa: PLC0415 -- an extra
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 -- as above
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415 -- as above
        except ImportError as error:
            raise UsageError("--otlp: needs OpenTelemetry: pip install 'convload[otel]'") from error
        self._sdk = export
        self._resource_of = Resource.create
        self._scope = InstrumentationScope("convload", __version__)
        try:
            self._exporter = OTLPMetricExporter()
        except ValueError as error:
            raise UsageError(f"--otlp: {error}") from error
        # Of a collector that is away we warn in a line; the library does in one for each time that it tries again.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)

    def send(self, progress: Progress, now_ns: int) -> bool:
        """Sends all that is known now; says whether it was taken."""
        with progress.lock:
            data = self._data(progress, now_ns)
        result = self._exporter.export(data)
        return bool(result == self._sdk.MetricExportResult.SUCCESS)

    def close(self) -> None:
        """Ends the connection."""
        self._exporter.shutdown()

    def _data(self, progress: Progress, now_ns: int) -> Any:
        since_ns = int((progress.started.at_unix_s if progress.started else 0.0) * NS)
        manifest = progress.manifest
        known = {"service.name": "convload", "service.version": __version__}
        if manifest:
            known |= {"convload.plan": str(manifest.plan.get("name", "")), "convload.target": manifest.target}
        resource = self._resource_of(known)
        metrics = list(self._metrics(progress, since_ns, now_ns))
        scoped = self._sdk.ScopeMetrics(self._scope, metrics, "")
        return self._sdk.MetricsData([self._sdk.ResourceMetrics(resource, [scoped], "")])

    def _metrics(self, progress: Progress, since_ns: int, now_ns: int) -> Iterator[Any]:
        sdk, cumulative = self._sdk, self._sdk.AggregationTemporality.CUMULATIVE
        counts = [
            sdk.NumberDataPoint(kind_labels(kind) | {"outcome": outcome}, since_ns, now_ns, count)
            for kind, tally in progress.tallies.items()
            for outcome, count in tally.outcomes.items()
        ]
        if counts:
            total = sdk.Sum(counts, cumulative, True)
            yield sdk.Metric("convload.requests", "Requests by how they ended.", "{request}", total)
        for clock in CLOCKS:
            points = [
                self._histogram(kind_labels(kind), times, since_ns, now_ns)
                for kind, tally in progress.tallies.items()
                if (times := tally.times[clock]).count
            ]
            if points:
                data, said = sdk.ExponentialHistogram(points, cumulative), CLOCKS_SAID[clock]
                yield sdk.Metric(f"convload.{clock}.duration", f"{said}, of requests that succeeded.", "s", data)
        for name, unit, value in _gauges(progress):
            yield sdk.Metric(name, "", unit, sdk.Gauge([sdk.NumberDataPoint({}, since_ns, now_ns, value)]))

    def _histogram(self, labels: dict[str, str], times: Histogram, since_ns: int, now_ns: int) -> Any:
        buckets, sdk = exponential(times), self._sdk
        return sdk.ExponentialHistogramDataPoint(
            attributes=labels,
            start_time_unix_nano=since_ns,
            time_unix_nano=now_ns,
            count=times.count,
            sum=times.sum_us / 1e6,
            scale=SCALE,
            zero_count=buckets.zeros,
            positive=sdk.Buckets(buckets.offset, buckets.counts),
            negative=sdk.Buckets(0, []),
            flags=0,
            min=times.min_us / 1e6,
            max=times.max_us / 1e6,
        )


def _gauges(progress: Progress) -> Iterator[tuple[str, str, float]]:
    recent = progress.last(LAST_S)
    yield "convload.create.rate", "{request}/s", rate_of(recent)
    yield "convload.create.offered_rate", "{request}/s", offered_rate_of(recent)
    yield "convload.in_flight", "{request}", progress.sum_of_latest("in_flight")
    yield "convload.backlog", "{request}", progress.sum_of_latest("backlog")
    yield "convload.users", "{user}", progress.sum_of_latest("users")
    yield "convload.worker.cpu_ratio", "1", max((one.cpu_share for one in progress.latest.values()), default=0.0)
