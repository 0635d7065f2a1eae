"""Times as people write them: durations with their unit, and think times."""

import re
from typing import Literal

import msgspec

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
LONGEST_S = 1e12
"""Beyond it no time is meant, and far beyond it is no number."""

PATTERN = r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)"
_DURATION = re.compile(PATTERN)


def parse_duration_s(text: str) -> float:
    """Returns the seconds of "500ms", "30s", "5m" or "1h"; raises ValueError where it is none."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no duration; write a number with ms, s, m or h, such as 30s")
    seconds = float(match[1]) * _UNITS_S[match[2]]
    if seconds > LONGEST_S:
        raise ValueError(f"{text[:40]!r} is longer than anything lasts; write at most {LONGEST_S:g} s")
    return seconds


def parse_whole_seconds(text: str) -> int:
    """Returns the seconds of a duration without a fraction ("1s", "2m"); raises ValueError where it is none."""
    seconds = parse_duration_s(text)
    if seconds != int(seconds):
        raise ValueError(f"{text!r} is no whole number of seconds; only these can be told, such as 1s")
    return int(seconds)


class Think(msgspec.Struct, frozen=True):
    """How long a user waits between two conversations: `kind` of distribution and its parameters in seconds."""

    kind: Literal["constant", "uniform", "exponential"]
    low_s: float
    high_s: float


def parse_think(text: str) -> Think | None:
    """Returns the think time of "none" (None), "uniform 1s 3s", "exponential 2s" …; raises ValueError for no such."""
    kind, *durations = text.split() or [""]
    if (kind, durations) == ("none", []):
        return None
    if len(durations) != {"constant": 1, "uniform": 2, "exponential": 1}.get(kind):
        raise ValueError(f"{text!r} is no think time; write none, constant 1s, uniform 1s 3s or exponential 2s")
    seconds = [parse_duration_s(duration) for duration in durations]
    return msgspec.convert({"kind": kind, "low_s": seconds[0], "high_s": seconds[-1]}, Think)
