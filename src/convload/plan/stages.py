"""The stages of an open load as a plan writes them, and recorded start times to replay."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from convload.errors import UsageError
from convload.plan.durations import parse_duration_s
from convload.plan.schedule import FEWEST_WINDOWS, SHORTEST_WINDOW_S, WINDOW_ORDER, Stage, Times

Rate = Annotated[float, Meta(ge=0, le=1_000_000)]
"""Arrivals per second."""

WARMUP = "warm-up"
USUAL_WINDOW_S = 5.0
KINDS = ("hold", "ramp", "steps", "spike", "pause")


class StageSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[[stages]]` table: exactly one of hold, ramp, steps, spike, pause; `duration` is of each step."""

    duration: str
    name: str = ""
    hold: Rate | None = None
    ramp: tuple[Rate, Rate] | None = None
    steps: Annotated[list[Rate], Meta(min_length=2)] | None = None
    spike: Rate | None = None
    pause: bool | None = None

    def __post_init__(self) -> None:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(
                f"a stage is exactly one of {', '.join(KINDS)}; this one is {' and '.join(given) or 'none'}"
            )
        if parse_duration_s(self.duration) <= 0:
            raise ValueError("the duration of a stage must be above 0")

    @property
    def rates(self) -> list[tuple[float, float]]:
        """The rate at the start and at the end of each part."""
        if self.steps is not None:
            return [(rate, rate) for rate in self.steps]
        if self.ramp is not None:
            return [self.ramp]
        rate = self.hold or self.spike or 0.0
        return [(rate, rate)]


def resolve(specs: Sequence[StageSpec], warmup_s: float) -> list[Stage]:
    """Returns the stages one after the other, the warm-up first, at the rate that the first stage begins with."""
    stages = [stage for position, spec in enumerate(specs, 1) for stage in _parts(position, spec)]
    if warmup_s:
        rate = next((stage.from_rate for stage in stages if stage.from_rate), stages[0].to_rate)
        stages.insert(0, Stage(rate, rate, warmup_s, WARMUP, warmup=True))
    return stages


def _parts(position: int, spec: StageSpec) -> Iterator[Stage]:
    duration_s = parse_duration_s(spec.duration)
    for start, end in spec.rates:
        written = f"{start:,.7g}" if start == end else f"{start:,.7g} to {end:,.7g}"
        name = spec.name or f"{position}: {'pause' if spec.pause else written + '/s'}"
        yield Stage(start, end, duration_s, f"{name} at {written}/s" if spec.steps and spec.name else name)


def window_s(duration_s: float) -> float:
    """Returns how long a turn is where nobody says: 5 s, or as short as it takes for ten pairs and may be."""
    return max(SHORTEST_WINDOW_S, min(USUAL_WINDOW_S, duration_s / FEWEST_WINDOWS))


def alternating_windows(rate: float, warmup_s: float, duration_s: float, window_s: float) -> list[Stage]:
    """Returns a load that goes to two targets in turns: windows A B B A, pair by pair, as many as come near `window_s`.

    A drift that is linear over a group of four hits both alike. The warm-up is for both, half of it each.
    """
    most = int(duration_s / SHORTEST_WINDOW_S / len(WINDOW_ORDER))
    groups = max(1, min(round(duration_s / window_s / len(WINDOW_ORDER)), most))
    length_s = duration_s / (groups * len(WINDOW_ORDER))
    stages = [Stage(rate, rate, warmup_s / 2, f"{WARMUP} {target}", warmup=True, target=target) for target in "AB"]
    stages = stages if warmup_s else []
    seen = dict.fromkeys(WINDOW_ORDER, 0)
    for target in WINDOW_ORDER * groups:
        seen[target] += 1
        stages.append(Stage(rate, rate, length_s, f"{target} {seen[target]}", target=target))
    return stages


class Replay(msgspec.Struct, frozen=True):
    """Recorded starts: seconds from the first one, rising, and the variant of each, "" for one of the mix."""

    times_s: Times
    variants: list[str]


MOST_S = 1e12
"""Of a recorded start in seconds: no clock counts further, and differences are exact to a millisecond."""


def parse_replay(text: str, where: str) -> Replay:
    """Reads recorded starts: one a line, in seconds or as ISO 8601, and behind a comma or space perhaps a variant.

    Blank lines and lines that start with # are left out. Raises UsageError with every other line that is none.
    """
    found: list[tuple[float, str]] = []
    problems = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.replace(",", " ").split()
        if not words or words[0].startswith("#"):
            continue
        try:
            found.append((_instant_s(words[0]), words[1] if len(words) > 1 else ""))
        except ValueError:
            problems.append(f"{where}:{number}: {words[0][:40]!r} is neither seconds nor an ISO 8601 time")
    if problems or not found:
        raise UsageError(*problems or [f"{where}: holds no start time"])
    found.sort(key=lambda start: start[0])
    times_s = np.array([start for start, _ in found]) - found[0][0]
    return Replay(times_s, [variant for _, variant in found])


def _instant_s(word: str) -> float:
    try:
        seconds = float(word)
    except ValueError:
        return datetime.fromisoformat(word).timestamp()
    if not abs(seconds) < MOST_S:
        raise ValueError(word)
    return seconds
