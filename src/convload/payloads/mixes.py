"""Reads what payloads draw from: pools of values, and mixes, which say how often each variant is drawn."""

import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

import orjson

from convload.mistakes import parse_toml, suggest
from convload.payloads.positions import Mistakes

Mixes = dict[str, dict[str, float]]
"""Weights by variant by mix."""


def read_pool(text: str) -> tuple[tuple[str, ...], Mistakes]:
    """Returns the values of a pool file, and its mistakes by line.

    Blank lines and lines that begin with `#` are skipped; space around a value is dropped. A line that begins
    with a double quote is a JSON string: the way to write line breaks, outer space, or a `#` in front.
    """
    values: list[str] = []
    mistakes: Mistakes = []
    for number, line in enumerate(text.split("\n"), 1):
        value = line.strip()
        if value.startswith('"'):
            try:
                values.append(orjson.loads(value))
            except orjson.JSONDecodeError as error:
                what = f"begins with a quote and is no JSON string: {error.msg}, column {error.colno}"
                mistakes.append((str(number), what))
        elif value and not value.startswith("#"):
            values.append(value)
    if not values and not mistakes:
        mistakes.append(("1", "holds no value"))
    return tuple(values), mistakes


def read_mixes(text: str, names: Mapping[str, str]) -> tuple[Mixes, Mistakes]:
    """Returns the mixes of a TOML file, and its mistakes by line.

    A key of a mix is the name of a variant, or a pattern of files such as `variants/*`; names go first. `names` are
    those of the variants by their files, such as `variants/seed`.
    """
    try:
        tables = parse_toml(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+)", str(error))
        return {}, [(place[1] if place else str(text.count("\n") + 1), str(error))]
    except (RecursionError, ValueError):  # Python's own limits for depth, and for whole numbers
        return {}, [("1", "is nested too deeply, or holds a number of thousands of digits")]
    mistakes = [
        (_line_of(text, mix, key), f"{mix}.{key}: {what}" if key else f"{mix}: {what}")
        for mix, table in tables.items()
        for key, what in _mistakes(table, names)
    ]
    if "default" not in tables:
        mistakes.append(("1", "needs a mix named default"))
    return {} if mistakes else {mix: _expand(table, names) for mix, table in tables.items()}, mistakes


def _mistakes(table: object, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if not isinstance(table, dict):
        yield "", "must be a table of weights, such as [default] with the line minimal = 1"
        return
    for key, weight in table.items():
        if not _is_weight(weight):
            yield key, f"must be a weight, a number from 0 on, not {weight!r}"
        if _is_pattern(key) and not any(fnmatchcase(file, key) for file in names):
            yield key, "matches no file; a pattern is written like variants/* or variants/text_*"
        if not _is_pattern(key) and key not in names.values():
            yield key, f"unknown variant{suggest(key, names.values())}"
    if not any(_is_weight(weight) and weight for weight in table.values()):
        yield "", "needs a weight above 0"


def _is_weight(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _is_pattern(key: str) -> bool:
    return "/" in key or "*" in key


def _expand(table: dict[str, float], names: Mapping[str, str]) -> dict[str, float]:
    weights = {key: weight for key, weight in table.items() if not _is_pattern(key)}
    for pattern in filter(_is_pattern, table):
        for file, name in sorted(names.items()):
            if fnmatchcase(file, pattern):
                weights.setdefault(name, table[pattern])
    return weights


def _line_of(text: str, mix: str, key: str) -> str:
    """Returns the line of a key, or of its table, in TOML that is written one key a line."""
    lines = text.split("\n")
    table = re.compile(rf"""\s*(\[\s*)?["']?{re.escape(mix)}["']?\s*[\]=]""")
    member = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*=""")
    start = next((number for number, line in enumerate(lines, 1) if table.match(line)), 1)
    found = (number for number, line in enumerate(lines[start:], start + 1) if member.match(line))
    return str(next(found, start) if key else start)
