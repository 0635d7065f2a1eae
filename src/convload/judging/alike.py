"""Says in what two runs are unlike: a difference in speed means something only between runs of the same kind."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from convload.results.measured import plan_facts
from convload.results.runlog import Manifest, RunLog

_UNCOMPARED = frozenset(
    {
        "name",
        "seed",
        "mock.seed",
        "allow_hosts",
        "ca_file",
        "credentials_file",
        "validity",
        "gates",
        "abort_when",
        "baseline",
    }
)
"""Keys of a plan that change neither the load nor what is loaded: names, permissions, secrets, how it is judged."""

_KINDS = {"model": "model", "mix": "mix", "target": "target"}

_MEMORY_TOLERANCE = 0.1
"""Machines of one class differ a little in the memory that the kernel leaves over."""


class Unlikeness(msgspec.Struct, frozen=True):
    """One thing in which a run differs from the base: `kind` is plan, model, mix, target or machine."""

    kind: str
    what: str
    base: str
    new: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what} is {self.base} in the base and {self.new} in the other"


def unlike(base: RunLog, new: RunLog) -> list[Unlikeness]:
    """Returns all that makes two runs unlike; seeds and versions do not, see `asides`.

    Raises:
        RunLogError: a manifest's plan cannot be read.
    """
    plan_facts(base), plan_facts(new)
    return [
        *_differences(_flat(base.manifest.plan), _flat(new.manifest.plan)),
        *_machines(base.manifest.machine, new.manifest.machine),
    ]


def asides(base: Manifest, new: Manifest) -> list[str]:
    """Returns differences that do not make runs unlike and that a reader should know."""
    notes = []
    if base.plan.get("seed") != new.plan.get("seed"):
        seeds = f"{_shown(base.plan.get('seed'))} and {_shown(new.plan.get('seed'))}"
        notes.append(f"the seeds differ ({seeds}): the runs sent other payloads of the same kind, which is not unlike")
    named = {
        **{f"version of {name}": (base.versions.get(name), new.versions.get(name)) for name in _names(base, new)},
        "system": (base.machine.get("system"), new.machine.get("system")),
    }
    for what, (one, other) in named.items():
        if one != other:
            notes.append(f"the {what} differs: {_shown(one)} and {_shown(other)}")
    return notes


def _names(base: Manifest, new: Manifest) -> list[str]:
    return sorted({*base.versions, *new.versions})


def _differences(base: dict[str, Any], new: dict[str, Any]) -> Iterator[Unlikeness]:
    for key in sorted({*base, *new}):
        one, other = base.get(key), new.get(key)
        # A key that one version does not know yet is as good as one that is empty.
        if one != other and (one or other):
            yield Unlikeness(_KINDS.get(key, "plan"), f"`{key}`", _shown(one), _shown(other))


def _flat(plan: dict[str, Any]) -> dict[str, Any]:
    """Returns the plan with the keys of its tables dotted, without what is not compared."""
    found: dict[str, Any] = {}
    for key, value in plan.items():
        if key in _UNCOMPARED or (key == "mock" and plan.get("target") != "mock"):
            continue
        if isinstance(value, dict) and key != "mix":
            found.update({f"{key}.{inner}": item for inner, item in value.items()})
        else:
            found[key] = value
    return {key: value for key, value in found.items() if key not in _UNCOMPARED}


def _machines(base: dict[str, Any], new: dict[str, Any]) -> Iterator[Unlikeness]:
    """Yields what puts two machines into different classes: operating system, processor, cores and memory."""
    of_base, of_new = _class(base), _class(new)
    for what, one in of_base.items():
        other = of_new[what]
        if one != other:
            yield Unlikeness("machine", what, _shown(one), _shown(other))
    memory = [size for size in (machine.get("memory_bytes") for machine in (base, new)) if isinstance(size, int)]
    if len(memory) == len((base, new)) and max(memory) > min(memory) * (1 + _MEMORY_TOLERANCE):
        yield Unlikeness("machine", "memory", *(f"{size / 2**30:.1f} GiB" for size in memory))


def _class(machine: dict[str, Any]) -> dict[str, Any]:
    return {
        "operating system": str(machine.get("system", "")).split(" ")[0],
        "processor": machine.get("processor"),
        "cores": machine.get("cores"),
    }


def _shown(value: Any) -> str:
    return "not stated" if value is None else value if isinstance(value, str) else json.dumps(value)
