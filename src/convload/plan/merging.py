"""Sources of a plan laid one over the other: the newer wins, and it is known where each value came from."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from convload.plan import retry
from convload.plan.sources import DURATIONS, Source, canonical

_ARRIVALS = ("rate", "stages", "replay")

_OTHER_ENDS = {
    "conversations": ("model", "duration_s", "warmup_s", *_ARRIVALS),
    "users": ("model", *_ARRIVALS),
    "duration": ("conversations", "stages", "replay"),
    "rate": ("model", "conversations", *_ARRIVALS),
    "stages": ("model", "conversations", "duration_s", *_ARRIVALS),
    "replay": ("model", "conversations", "duration_s", "warmup_s", *_ARRIVALS),
    "gates": ("gates_file", "baseline_gates"),
    "gates_file": ("gates", "baseline_gates"),
    "baseline_gates": ("gates", "gates_file"),
}
"""What a key makes void that an older source has: `--conversations 100` on a plan with a time means a hundred in all,
none of them lost to the plan's warm-up."""


class Merged(msgspec.Struct, frozen=True):
    """Values by the names of a plan's fields, and where each was written."""

    values: dict[str, Any]
    origins: dict[str, str]


def merge(sources: Sequence[Source]) -> Merged:
    """Lays sources one over the other, the strongest last."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for source in sources:
        written = canonical(source.values)
        if "retry" in written:
            written["retry"] = retry.merged(values.get("retry"), written["retry"])
        values = _without_other_ends(values, source.values) | written
        origins |= {DURATIONS.get(key, key): source.name(key).removesuffix(f": {key}") for key in source.values}
    return Merged(values, {key: origin for key, origin in origins.items() if key in values})


def _without_other_ends(values: dict[str, Any], newer: Mapping[str, Any]) -> dict[str, Any]:
    dropped = {key for end, others in _OTHER_ENDS.items() if end in newer for key in others}
    return {key: value for key, value in values.items() if key not in dropped}
