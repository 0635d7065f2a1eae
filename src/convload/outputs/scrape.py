"""Shows the progress of a run to Prometheus: counts, rates and times as OpenMetrics."""

import time
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

from convload.outputs.exponential import SCALE, exponential
from convload.outputs.openmetrics import CLOCKS_SAID, Family, Sample, metric_of
from convload.results.histogram import Histogram
from convload.results.progress import CLOCKS, Kind, Progress, Tally, offered_rate_of, rate_of

DEFAULT_ADDRESS = "127.0.0.1:9464"
"""The port that OpenTelemetry's exporters for Prometheus have, too."""

BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Of the classic buckets, for servers that know no native ones."""

LAST_S = 5.0
"""What a rate is of: a scrape each few seconds is to show what goes on now."""

LONGEST_WAIT_S, PATIENCE = 60.0, 1.5
"""The end waits for a last scrape, by what there was between the two before it; who never came is not awaited."""


class Exposition:
    """What a scrape is told; it comes in other threads than the run's."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._scraped_s: list[float] = []
        self.told_the_end = False

    def app(self) -> Any:
        """Returns what answers scrapes, by ASGI."""
        from prometheus_client.asgi import make_asgi_app  # noqa: PLC0415 -- slow to import, and asked for by few
        from prometheus_client.exposition import choose_encoder  # noqa: PLC0415 -- loaded where it is asked for

        registries = [SimpleNamespace(collect=partial(self._metrics, native=knows)) for knows in (False, True)]
        plain, native = map(make_asgi_app, registries)

        async def answer(scope: Any, receive: Any, send: Any) -> None:
            asked = next((value.decode("latin-1") for key, value in scope["headers"] if key == b"accept"), "")
            # Only version 2 of the text has a way to write native histograms.
            await (native if "version=2" in choose_encoder(asked)[1] else plain)(scope, receive, send)

        return answer

    def families(self) -> list[Family]:
        """Returns all there is to tell now."""
        with self._progress.lock:
            self._scraped_s = [*self._scraped_s[-1:], time.monotonic()]
            self.told_the_end = self._progress.ended
            return list(_families(self._progress))

    def _metrics(self, *, native: bool) -> list[Any]:
        metrics = {family.name: metric_of(family) for family in self.families() if family.samples}
        if native:
            with self._progress.lock:
                found = list(_times(self._progress.tallies))
            for name, labels, times in found:
                metrics[name].add_sample(name, labels, None, native_histogram=_native(times))
        return list(metrics.values())

    def wait_s(self) -> float:
        """Returns how long the end should wait for a last scrape."""
        if self.told_the_end or not (self._scraped_s and self._progress.ended):
            return 0.0
        between_s = self._scraped_s[-1] - self._scraped_s[0] if self._scraped_s[1:] else LONGEST_WAIT_S
        return min(PATIENCE * between_s, LONGEST_WAIT_S)


def _families(progress: Progress) -> Iterator[Family]:
    yield Family("convload_run", "info", "What is run.", [("_info", _labels(progress), 1.0)])
    yield Family("convload_ended", "gauge", "1 when all results are in.", [("", {}, float(progress.ended))])
    yield Family("convload_elapsed_seconds", "gauge", "Time of the run.", [("", {}, progress.elapsed_s)], "seconds")
    yield Family("convload_requests", "counter", "Requests by how they ended.", list(_counts(progress.tallies)))
    recent = progress.last(LAST_S)
    singles = {
        "create_rate": (rate_of(recent), "Create requests that ended, per second."),
        "create_ok_rate": (rate_of(recent, outcome="ok"), "Create requests that succeeded, per second."),
        "create_offered_rate": (offered_rate_of(recent), "Arrivals that came due, per second; 0 in a closed load."),
        "in_flight": (progress.sum_of_latest("in_flight"), "Requests that wait for their answer."),
        "backlog": (progress.sum_of_latest("backlog"), "Arrivals that are due and not sent."),
        "users": (progress.sum_of_latest("users"), "Users that take part."),
    }
    for name, (value, text) in singles.items():
        yield Family(f"convload_{name}", "gauge", text, [("", {}, float(value))])
    yield from _generator(progress)
    for clock in CLOCKS:
        samples = [
            sample
            for name, labels, times in _times(progress.tallies)
            if name == f"convload_{clock}_seconds"
            for sample in _buckets(labels, times)
        ]
        text = f"{CLOCKS_SAID[clock]}, of requests that succeeded."
        yield Family(f"convload_{clock}_seconds", "histogram", text, samples, "seconds")


def _labels(progress: Progress) -> dict[str, str]:
    manifest = progress.manifest
    if manifest is None:
        return {}
    return {
        "plan": str(manifest.plan.get("name", "")),
        "target": manifest.target,
        "started": manifest.started,
        "version": manifest.versions.get("convload", ""),
    }


def _counts(tallies: dict[Kind, Tally]) -> Iterator[Sample]:
    for kind, tally in tallies.items():
        for outcome, count in tally.outcomes.items():
            yield "_total", kind_labels(kind) | {"outcome": outcome}, float(count)


def kind_labels(kind: Kind) -> dict[str, str]:
    """Returns what tells one kind of requests from all others."""
    return dict(zip(("step", "variant", "target", "phase"), kind, strict=True))


def _generator(progress: Progress) -> Iterator[Family]:
    known = {
        "cpu_ratio": ("cpu_share", 1.0, "CPU time of a worker over wall time.", "ratio"),
        "loop_delay_seconds": ("hub_delay_ms", 1000.0, "The longest that a worker's event loop was late.", "seconds"),
        "memory_bytes": ("memory_bytes", 1.0, "Memory of a worker.", "bytes"),
    }
    for name, (field, per_unit, text, unit) in known.items():
        samples: list[Sample] = [
            ("", {"worker": str(worker)}, getattr(one, field) / per_unit) for worker, one in progress.latest.items()
        ]
        yield Family(f"convload_worker_{name}", "gauge", text, samples, unit)


def _times(tallies: dict[Kind, Tally]) -> Iterator[tuple[str, dict[str, str], Histogram]]:
    """Yields the times of each kind; lateness only where something was due."""
    for kind, tally in tallies.items():
        for clock, times in tally.times.items():
            if times.count:
                yield f"convload_{clock}_seconds", kind_labels(kind), times


def _buckets(labels: dict[str, str], times: Histogram) -> Iterator[Sample]:
    for bound_s in BOUNDS_S:
        yield "_bucket", labels | {"le": f"{float(bound_s)}"}, float(times.count - times.above(bound_s * 1e6))
    yield "_bucket", labels | {"le": "+Inf"}, float(times.count)
    yield "_count", labels, float(times.count)
    yield "_sum", labels, times.sum_us / 1e6


def _native(times: Histogram) -> Any:
    """Returns it as Prometheus writes it: runs of buckets, and each count as what it differs from the one before."""
    from prometheus_client.samples import BucketSpan, NativeHistogram  # noqa: PLC0415 -- as above

    buckets = exponential(times)
    deltas = [now - before for before, now in zip([0, *buckets.counts], buckets.counts, strict=False)]
    # Prometheus numbers a bucket by its upper bound, OpenTelemetry by its lower one.
    spans = [BucketSpan(buckets.offset + 1, len(deltas))] if deltas else None
    return NativeHistogram(times.count, times.sum_us / 1e6, SCALE, 1e-9, buckets.zeros, spans, None, deltas or None)
