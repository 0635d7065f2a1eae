"""Measures the pages of reports: how large they are, how long they take to make, and to open in a browser.

python -m bench.report_pages [NAME]      a run of 10 minutes with three steps, and one of 2 hours, both made up
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tests.browser import browser

from convload.comparison.conclusion import conclude
from convload.plan.schedule import StageMark
from convload.report.run import render_html
from convload.results.histogram import Histogram
from convload.results.runlog import FORMAT, Cell, Ended, Interval, Manifest, Record, RunLog, Started

RATE_PER_S = 100
WARMUP_S = 10
STEPS = {"conversation.create": 20_000.0, "conversation.close": 9_000.0, "token.consumer": 6_000.0}
"""Medians in microseconds."""

VARIANTS = ("minimal", "seed_example", "with_sdes", "long_message", "with_context", "with_skill")
RUNS = {"10 minutes": (600, 2, 6), "2 hours": (7200, 1, 2)}
"""Seconds, workers, variants."""
OPENED = """(() => {
  const [navigation] = performance.getEntriesByType("navigation");
  return [navigation.loadEventEnd, Number(document.documentElement.dataset.chartsDrawn)];
})()"""


def main() -> None:
    """Prints a line a run."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, browser(Path(folder)) as chromium:
        for name in sys.argv[1:] or RUNS:
            log = made_up(*RUNS[name])
            begun_s = time.perf_counter()
            conclusion = conclude(log)
            concluded_s = time.perf_counter()
            page = render_html(conclusion)
            rendered_s = time.perf_counter()
            opened = []
            for _ in range(3):
                chromium.open(page)
                opened.append(chromium.until(f"{OPENED}[0] > 0 && {OPENED}"))
            loaded_ms, charts = sorted(opened)[1]
            print(
                f"{name}: {len(page) / 1000:.0f} KB, {charts} charts, opens in {loaded_ms / 1000:.2f} s (median of 3); "
                f"concluded in {concluded_s - begun_s:.1f} s, rendered in {rendered_s - concluded_s:.1f} s",
                flush=True,
            )


def made_up(seconds: int, workers: int, variants: int) -> RunLog:
    """Returns the log of an open run of so many seconds."""
    stages = [
        StageMark("warm-up", 0.0, WARMUP_S, RATE_PER_S, RATE_PER_S, warmup=True),
        StageMark("hold", WARMUP_S, seconds - WARMUP_S, RATE_PER_S, RATE_PER_S),
    ]
    plan = {"name": "made up", "model": "open", "users": 500, "workers": workers, "warmup_s": float(WARMUP_S)}
    plan |= {"duration_s": float(seconds - WARMUP_S), "account": "12345678", "seed": 1, "mix": "default"}
    plan |= {"target": "http://127.0.0.1:1", "consumers": "none", "gates": ["create.p99 < 100ms", "errors < 1%"]}
    manifest = Manifest(FORMAT, "2026-01-02T03:04:05Z", plan, {}, {}, "http://127.0.0.1:1", stages=stages)
    return RunLog(
        manifest, [Started(0.0, workers), *_records(seconds, workers, VARIANTS[:variants]), Ended(float(seconds))], []
    )


def _records(seconds: int, workers: int, variants: tuple[str, ...]) -> Iterator[Record]:
    random = np.random.default_rng(1)
    for second in range(seconds):
        for worker in range(workers):
            done = (second + 1) * RATE_PER_S // workers
            yield Interval(
                worker=worker,
                n=second,
                from_s=float(second),
                to_s=float(second + 1),
                cells=list(_cells(random, second, RATE_PER_S // workers, variants)),
                users=40,
                in_flight=int(random.integers(1, 9)),
                built=done,
                sent=done,
                recorded=done,
                cpu_share=float(random.uniform(0.3, 0.5)),
                memory_bytes=80_000_000,
                last=second == seconds - 1,
                offered=done,
                files_free=900,
            )


def _cells(random: np.random.Generator, second: int, count: int, variants: tuple[str, ...]) -> Iterator[Cell]:
    phase, stage = ("warmup", "warm-up") if second < WARMUP_S else ("measure", "hold")
    for step, median_us in STEPS.items():
        parts = variants if step == "conversation.create" else ("",)
        for at, variant in enumerate(parts):
            many = count // len(parts) + (at < count % len(parts))
            service = (median_us * np.exp(0.4 * random.standard_normal(many))).astype(np.int64)
            late = random.integers(20, 400, many)
            clocks = [Histogram.of(one).encode() for one in (service, service + late, late)]
            yield Cell(step, variant, phase, "ok", many, clocks[0], clocks[1], clocks[2], stage)


if __name__ == "__main__":
    main()
