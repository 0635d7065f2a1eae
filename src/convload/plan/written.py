"""A settled plan as the TOML that would give it again, with a remark at each key."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from convload.plan.mock_behaviour import EARLIER
from convload.plan.plan import Plan
from convload.plan.sources import DURATIONS

_TABLES = ("retry", "mock", "validity")


def write_toml(plan: Plan, remarks: Mapping[str, str]) -> str:
    """Returns the text: keys of durations with their unit, tables last, what is not set left out."""
    written = {stored: key for key, stored in DURATIONS.items()}
    values = {key: value for key, value in msgspec.to_builtins(plan).items() if value is not None and value != []}
    lines = [
        f"{written.get(key, key)} = {_value(f'{value:.15g}s' if key in written else value)}  # {remarks[key]}"
        for key, value in values.items()
        if key not in _TABLES and key != "stages"
    ]
    for stage in values.get("stages", []):
        lines += ["", f"[[stages]]  # {remarks['stages']}", *_rows(stage)]
    for key in _TABLES:
        lines += ["", f"[{key}]  # {remarks[key]}", *_rows(values[key])]
    return "\n".join(lines)


def _rows(table: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_value(value)}" for key, value in table.items() if value is not None and key not in EARLIER]


def _value(value: Any) -> str:
    """Returns a value as TOML has it: as JSON does, but for one control character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
