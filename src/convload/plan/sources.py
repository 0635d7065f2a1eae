"""Values of a plan as they were written, in a file, the environment or flags, and what is wrong with each."""

import difflib
import itertools
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from convload.errors import UsageError, why_unread
from convload.mistakes import find_mistakes, in_words, parse_toml, suggest
from convload.plan import retry
from convload.plan.durations import parse_duration_s

ENVIRONMENT_PREFIX = "CONVLOAD_"
FLAGS = "--"

DURATIONS = {
    "duration": "duration_s",
    "warmup": "warmup_s",
    "ramp": "ramp_s",
    "drain": "drain_s",
    "connect_timeout": "connect_timeout_s",
    "timeout": "timeout_s",
    "extend": "extend_s",
    "window": "window_s",
}
"""Keys that are written with their unit ("30s") and kept in seconds."""

SHORTEST_S = 0.001

TABLES = frozenset({"mock", "validity", "stages"})
"""Keys that only a file can have."""

CREDENTIALS = tuple(ENVIRONMENT_PREFIX + name for name in ("CLIENT_ID", "CLIENT_SECRET", "AUTHORIZATION", "ON_BEHALF"))
"""Variables that are no keys: what nobody should write into a plan."""

WORKER_KEY = ENVIRONMENT_PREFIX + "WORKER_KEY"
"""The variable that may hold the key of a run with workers of other machines, which is no key of a plan."""

NEAR = 0.75
"""How alike a variable must be to a known one to be taken for a slip; others may be of another program."""

SEPARATORS = {
    "allow_hosts": ",",
    "source_addresses": ",",
    "tags": ",",
    "gates": ";",
    "baseline_gates": ";",
    "abort_when": ";",
}
"""Keys that are lists, and what stands between two items in a variable; gates have commas of their own."""

REPEATED_FLAGS = {
    "allow_hosts": "--allow-host",
    "source_addresses": "--source-address",
    "gates": "--gate",
    "tags": "--tag",
}
"""Flags that are given once an item."""

_INNER = re.compile(r"(?:\[(\d+)\])?(?:\.(\w+))?")

Types = Mapping[str, Any]
"""The public keys of a plan with their types; those of durations are of the seconds."""


class Source(msgspec.Struct, frozen=True):
    """Values of one origin as they were written. In a `file` types are strict; flags and variables are text."""

    values: dict[str, Any]
    origin: str
    text: str = ""

    @property
    def strict(self) -> bool:
        """Whether `"10"` is no number."""
        return self.origin not in {FLAGS, ENVIRONMENT_PREFIX}

    def name(self, key: str, inner: str = "") -> str:
        """Returns where a key stands, or what is `inner` in it: `plans/smoke.toml:3: users`, `--users`."""
        if self.origin == FLAGS:
            return REPEATED_FLAGS.get(key, f"--{key.replace('_', '-')}")
        if self.origin == ENVIRONMENT_PREFIX:
            return self.origin + key.upper()
        return f"{self.origin}:{_line_of(key, self.text, inner)}: {key}"

    def place(self, key: str, item: str) -> str:
        """Returns where an item of a list stands: by its own line in a file."""
        if not self.strict:
            return self.name(key)
        start = _line_of(key, self.text)
        lines = self.text.splitlines()[start - 1 :]
        written = (item, item.replace("\\", "\\\\").replace('"', '\\"'))
        line = next((n for n, line in enumerate(lines, start) if any(form in line for form in written)), start)
        return f"{self.origin}:{line}: {key}"


def from_file(path: Path) -> Source:
    """Reads a TOML file; raises UsageError where there is none."""
    try:
        text = path.read_text(encoding="utf-8")
        return Source(parse_toml(text), str(path), text)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {why_unread(error)}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: is no TOML: {error}") from error
    except RecursionError as error:
        raise UsageError(f"{path}: is nested too deeply: a plan has tables in a table, and nothing deeper") from error
    except ValueError as error:  # Python's own limit for whole numbers
        raise UsageError(f"{path}: holds a number of more than {sys.get_int_max_str_digits():,} digits") from error


def from_environment(environment: Mapping[str, str], types: Types) -> Source:
    """Takes every key but the tables, lists divided; raises UsageError for tables and what looks misspelt."""
    if problems := list(_misspelt(environment, types)):
        raise UsageError(*problems)
    values: dict[str, Any] = {}
    for key in types:
        text = environment.get(ENVIRONMENT_PREFIX + key.upper())
        if text is None or key in TABLES:
            continue
        separator = SEPARATORS.get(key)
        values[key] = text
        if separator:
            values[key] = [part.strip() for part in text.split(separator) if part.strip() or key == "allow_hosts"]
    return Source(values, ENVIRONMENT_PREFIX)


def _misspelt(environment: Mapping[str, str], types: Types) -> Iterator[str]:
    known = [ENVIRONMENT_PREFIX + key.upper() for key in types if key not in TABLES] + [*CREDENTIALS, WORKER_KEY]
    for name in sorted(name for name in environment if name.startswith(ENVIRONMENT_PREFIX) and name not in known):
        key = name.removeprefix(ENVIRONMENT_PREFIX)
        if key.lower() in TABLES:
            yield f"{name}: {key.lower()} has its place in a plan file alone"
        elif near := difflib.get_close_matches(key, [one.removeprefix(ENVIRONMENT_PREFIX) for one in known], 1, NEAR):
            yield f"{name}: unknown variable, did you mean {ENVIRONMENT_PREFIX}{near[0]}?"


def check(source: Source, types: Types) -> Iterator[tuple[str, str]]:
    """Yields (key, `.inner: what is wrong`) for each mistake of one source."""
    for key, value in source.values.items():
        if key not in types:
            yield key, f": unknown key{suggest(key, types)}"
        elif key in DURATIONS:
            yield from ((key, f": {what}") for what in _duration_mistakes(value, types[key]))
        elif key == "retry":
            yield from ((key, what) for what in retry.mistakes_in(value))
        elif source.strict:
            yield from ((key, f"{m.path[1:]}: {m.what}") for m in find_mistakes(value, types[key]))
        else:
            yield from ((key, f": {what}") for what in _text_mistakes(value, types[key]))


def canonical(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Returns values by the names of a plan's fields, durations in seconds."""
    values = {}
    for key, value in raw.items():
        if key in DURATIONS:
            try:
                values[DURATIONS[key]] = parse_duration_s(str(value))
            except ValueError:
                continue  # told by check
        else:
            values[key] = value
    return values


def _text_mistakes(value: object, wanted: Any) -> Iterator[str]:
    try:
        msgspec.convert(value, wanted, strict=False)
    except msgspec.ValidationError as error:
        what = in_words(str(error).partition(" - at `$")[0], wanted)
        yield what if repr(value) in what else f"{value!r}: {what}"


def _duration_mistakes(value: object, wanted: Any) -> Iterator[str]:
    try:
        seconds = parse_duration_s(str(value))
    except ValueError as error:
        yield str(error)
        return
    if 0 < seconds < SHORTEST_S:
        yield f"{value!r} is shorter than 1ms, the shortest time that a plan knows"
    for mistake in find_mistakes(seconds, wanted):
        yield f"{mistake.what} (in seconds)"


def _line_of(key: str, text: str, inner: str = "") -> int:
    """Returns the line of a key; of a part of a table, written `.servers` or `[1].rate`, its own where it has one."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines, 1) if _begins_with(key, line)]
    position, name = _INNER.match(inner).groups(default="")  # type: ignore[union-attr]  # it matches nothing, too
    if not starts:
        return 1
    start = starts[min(int(position or 0), len(starts) - 1)]
    table = itertools.takewhile(lambda line: not line.lstrip().startswith("["), lines[start:])
    own = (number for number, line in enumerate(table, start + 1) if _begins_with(name, line))
    return next(own, start) if name else start


def _begins_with(key: str, line: str) -> bool:
    return re.match(rf"\s*\[*{re.escape(key)}\b", line) is not None
