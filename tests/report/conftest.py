"""A deterministic run log with everything in it that a report has to bear, and golden files.

After a wanted change of a report, refresh the golden files and look at the difference:

    CONVLOAD_REFRESH_GOLDEN=1 pytest tests/report
"""

import math
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.report.open_sample import OpenSample

from convload.comparison.conclusion import Conclusion, conclude
from convload.results import runlog
from convload.results.histogram import Histogram
from convload.results.runlog import (
    Cell,
    Ended,
    ErrorSample,
    Interval,
    Manifest,
    MockLedger,
    Note,
    Record,
    Started,
)
from convload.results.writing import RunLogWriter

GOLDEN = Path(__file__).parent / "golden"

HOSTILE = (
    "<script>alert('x')</script></title><img src=x onerror=alert(1)> | pipe \\| `code` ``` **bold** _it_ "
    "[a](http://x.example) @all & &amp; ]]> \x1b[31mred\x1b[0m \x1b]0;title\x07 \x00\x08\x0b\x7f\x9b\ufffe "
    "\u202eback\u2028line\r\nline \U0001f600 [/bold red] {{ 7*7 }}"
)
"""What a target may answer to break a report: HTML, Markdown, XML, terminal, template and console markup."""

VARIANTS = {"seed_example": 0.4, "minimal": 0.3, "with_sdes": 0.2, "long_message|`odd`": 0.1}
WARMUP_S = 3


class Sample:
    """Writes a run of two workers second by second; the same arguments give the same bytes."""

    def __init__(self, seconds: int = 12, rate: int = 60, *, failing: bool = True) -> None:
        self._random = random.Random(1)
        self.seconds, self.rate, self.failing = seconds, rate, failing
        self.done = [0, 0]

    def manifest(self, **plan: Any) -> Manifest:
        return Manifest(
            format=runlog.FORMAT,
            started="2026-01-02T03:04:05Z",
            plan={
                "name": "smoke",
                "target": "mock",
                "account": "12345678",
                "model": "closed",
                "users": 20,
                "workers": 2,
                "duration_s": float(self.seconds - WARMUP_S),
                "conversations": None,
                "warmup_s": float(WARMUP_S),
                "seed": 7,
                "mix": "default",
                "consumers": "close",
                "mock": {"service_time": "lognormal 12ms", "workers": 8},
            }
            | plan,
            versions={"convload": "0.1.0", "python": "3.12.3", "locust": "2.47.1"},
            machine={"cores": 2, "cpu": "a processor", "kernel": "6.8.0", "timer": "timerfd"},
            target="http://127.0.0.1:8080",
        )

    def records(self) -> Iterator[Record]:
        yield self.manifest()
        yield Started(1_767_323_045.0, 2)
        for second in range(self.seconds):
            for worker in (0, 1):
                yield self._interval(second, worker)
        if self.failing:
            yield Note(float(self.seconds), f"the target said {HOSTILE}")
        yield MockLedger(sum(self.done), sum(self.done) - 5)
        yield Ended(float(self.seconds), left_open=3)

    def _interval(self, second: int, worker: int) -> Interval:
        failed = self._failures(second)
        cells = [
            *(self._cell("ok", round(self.rate * share / 2), second, variant) for variant, share in VARIANTS.items()),
            *(self._cell(kind, count, second, "minimal") for kind, count in failed.items()),
            self._cell("ok", self.rate // 2, second, step="conversation.close"),
            self._cell("ok", self.rate // 4, second, step="token.consumer"),
        ]
        self.done[worker] += sum(cell.count for cell in cells if cell.step == "conversation.create")
        done = self.done[worker]
        return Interval(
            worker=worker,
            n=second,
            from_s=float(second),
            to_s=float(second + 1),
            cells=cells,
            users=10,
            in_flight=self._random.randint(2, 9),
            built=done,
            sent=done,
            recorded=done,
            cpu_share=round(self._random.uniform(0.3, 0.5), 3),
            memory_bytes=80_000_000 + 100_000 * second,
            errors=[self._sample(kind, second, worker) for kind in failed],
            last=second == self.seconds - 1,
        )

    def _failures(self, second: int) -> dict[str, int]:
        if not self.failing or second < WARMUP_S:
            return {}
        storm = self.seconds * 0.55 <= second < self.seconds * 0.75
        kinds = {"http_503": self.rate // 12, "rate_limited": self.rate // 20, "read_timeout": 2} if storm else {}
        return kinds | ({"contract": 1} if second % 5 == 0 else {})

    def _sample(self, kind: str, second: int, worker: int) -> ErrorSample:
        detail = {"http_503": '503: {"error":"overloaded"}', "contract": HOSTILE}.get(kind, "")
        return ErrorSample(second + 0.5, "conversation.create", "minimal", kind, detail, self.done[worker], worker)

    def _cell(
        self, outcome: str, count: int, second: int, variant: str = "", step: str = "conversation.create"
    ) -> Cell:
        hill = 0.8 * math.exp(-(((second / self.seconds - 0.66) / 0.09) ** 2))
        middle_us = 11_000 * (3.0 if second < 1 else 1 + hill) * (1 if variant else 0.5)
        middle_us *= 20 if outcome == "read_timeout" else 1
        times = [int(middle_us * math.exp(self._random.gauss(0, 0.28))) for _ in range(count)]
        times[0] *= 5 if second == self.seconds - 4 else 1
        phase = "warmup" if second < WARMUP_S else "measure"
        return Cell(step, variant, phase, outcome, count, Histogram.of(np.array(times)).encode())


def conclusion_of(records: list[Record], *damage: str) -> Conclusion:
    manifest, *others = records
    assert isinstance(manifest, Manifest)
    return conclude(runlog.RunLog(manifest, others, list(damage)))


@pytest.fixture
def failing() -> list[Record]:
    """Errors of many kinds, hostile text, two workers, a warm-up: fails its gate."""
    return list(Sample().records())


@pytest.fixture
def passing() -> list[Record]:
    """The same without an error: passes."""
    return list(Sample(failing=False).records())


@pytest.fixture
def opened() -> list[Record]:
    """An open run of two stages whose target froze for a while: arrivals waited, so it supports no verdict."""
    return list(OpenSample().records())


@pytest.fixture
def silent() -> list[Record]:
    """A run that measured nothing at all: supports no verdict."""
    sample = Sample()
    sample.seconds = 0
    return [msgspec.structs.replace(sample.manifest(), notes=["no timerfd"]), Started(0.0, 2), Ended(0.0)]


@pytest.fixture
def conclusion(failing: list[Record]) -> Conclusion:
    return conclusion_of(failing)


@pytest.fixture
def conclude_records() -> Callable[..., Conclusion]:
    return conclusion_of


@pytest.fixture
def run_folder(tmp_path: Path, failing: list[Record]) -> Path:
    writer = RunLogWriter(tmp_path / runlog.FILE_NAME)
    for record in failing:
        writer.write(record)
    writer.close()
    return tmp_path


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compares text with a golden file, or writes it when asked to."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("CONVLOAD_REFRESH_GOLDEN"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
        assert text == path.read_text(encoding="utf-8")

    return compare
