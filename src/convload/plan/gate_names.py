"""The names that gates are made of: steps, clocks, statistics, error kinds, units."""

import re
from enum import Enum

import msgspec

from convload.contract.outcomes import MEANINGS, OK, of_status
from convload.contract.steps import CREATE, STEPS
from convload.mistakes import suggest

RESPONSE = "response"
CLOCKS = (RESPONSE, "service", "lateness")
OPERATORS = ("<", "<=", ">", ">=", "==")

_STATUS = re.compile(r"http_([1-5]\d\d)")
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,6})?)")
_STATUS_PATTERN = "http_<status>"


class Quantity(Enum):
    """What a figure is; its value is the unit in which figures of it are computed."""

    TIME = "ms"
    SHARE = "%"
    RATE = "/s"
    COUNT = ""


TIME, SHARE, RATE, COUNT = Quantity.TIME, Quantity.SHARE, Quantity.RATE, Quantity.COUNT


class Unit(msgspec.Struct, frozen=True):
    """A unit as it is written; a figure in it times `scale` is in the unit of its quantity."""

    quantity: Quantity
    scale: float


UNITS = {
    "us": Unit(TIME, 0.001),
    "µs": Unit(TIME, 0.001),
    "ms": Unit(TIME, 1.0),
    "s": Unit(TIME, 1000.0),
    "m": Unit(TIME, 60_000.0),
    "%": Unit(SHARE, 1.0),
    "/s": Unit(RATE, 1.0),
    "/min": Unit(RATE, 1 / 60),
    "": Unit(COUNT, 1.0),
}

QUANTITIES = {"time": (TIME,), "errors": (SHARE, COUNT), "rate": (RATE,), "offered": (RATE,), "unsent": (COUNT,)}
"""What each measure may be held against; the first is meant where only a baseline is named."""

_SHORT = {name.partition(".")[2]: name for name in STEPS}


def resolve_step(words: list[str]) -> tuple[str, list[str]]:
    """Returns the step that words before a statistic name, and what is wrong with them; none means create."""
    name = ".".join(words)
    if not name or name in STEPS:
        return name or CREATE, []
    if name in _SHORT:
        return _SHORT[name], []
    return CREATE, [f"unknown step {name!r}{suggest(name, [*_SHORT, *STEPS])}"]


def shortest(step: str) -> str:
    """Returns the shortest name of a step."""
    return next((short for short, name in _SHORT.items() if name == step), step)


def kind_mistake(kind: str | None) -> str | None:
    """Says what is wrong with an error kind."""
    status = _STATUS.fullmatch(kind or "")
    if status and of_status(int(status[1])) != kind:
        return f"HTTP {status[1]} is counted as {of_status(int(status[1]))!r}"
    kinds = [name for name in MEANINGS if name != OK]
    if status or (kind in kinds and kind != _STATUS_PATTERN):
        return None
    return f"unknown error kind {kind!r}{suggest(kind or '', kinds)}"


def statistic_mistake(word: str) -> str | None:
    """Says what is wrong with a statistic of times."""
    found = _PERCENTILE.fullmatch(word)
    if word == "max" or (found and float(found[1]) > 0):
        return None
    if word == "mean":
        return (
            "a mean has no bound that holds whatever the distribution, and one slow request moves it; "
            "gate a percentile such as p50 or p95"
        )
    if found or re.fullmatch(r"p\d.*", word):
        return f"{word!r}: a percentile lies between p0 and p100, both left out, such as p50, p99 or p99.9"
    return f"unknown statistic {word!r}{suggest(word, ['p50', 'p90', 'p95', 'p99', 'p99.9', 'max', 'errors'])}"
