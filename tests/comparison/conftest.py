"""Makes batches and run folders out of plain numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench.comparison import Service, write_run

from convload.comparison.batches import Batch
from convload.comparison.sides import ComparedRun, read_run
from convload.results.histogram import Histogram


def batch(times_ms: list[float] | np.ndarray[Any, Any], failed: int = 0, length_s: float = 1.0, **more: Any) -> Batch:
    times_us = (np.asarray(times_ms) * 1000).astype(np.int64)
    return Batch(Histogram.of(times_us), len(times_us), failed, length_s, **more)


def batches(
    seed: int, *, seconds: int = 40, rate: int = 200, scale: float = 1.0, errors: float = 0.0, level: float = 0.02
) -> list[Batch]:
    """Log-normal times around 20 ms whose level differs from second to second."""
    chance = np.random.default_rng(seed)
    made = []
    for _ in range(seconds):
        count = int(chance.poisson(rate))
        failed = int(chance.binomial(count, errors))
        times = 20 * scale * np.exp(chance.normal(0, level) + 0.4 * chance.standard_normal(count - failed))
        made.append(batch(times, failed))
    return made


class MakeRuns:
    """Writes runs below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, seed: int = 1, *, longer: float = 1.0, seconds: int = 30, **plan: Any) -> Path:
        service = Service(rate=200.0, seconds=seconds, level_sigma=0.02)
        return write_run(self.folder / name, service, np.random.default_rng(seed), longer=longer, plan=plan)

    def read(self, name: str, seed: int = 1, **more: Any) -> ComparedRun:
        return read_run(self.write(name, seed, **more))


@pytest.fixture
def runs(tmp_path: Path) -> MakeRuns:
    return MakeRuns(tmp_path)
