"""The baselines that a team keeps in a folder: by branch and plan, and of each kind of machine the newest few."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from convload.errors import UsageError
from convload.judging.alike import machine_differences
from convload.judging.baseline import Baseline, load

KEPT = 10
SUFFIX = ".json"

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class Found(msgspec.Struct, frozen=True):
    """The newest baseline of this kind of machine, None where there is none, and what others there are."""

    path: Path | None
    others: list[str] = []


def keep(folder: Path, baseline: Baseline, text: bytes, branch: str, most: int = KEPT) -> Path:
    """Writes a baseline into its place and removes those of its branch, plan and kind of machine beyond the newest.

    Raises:
        UsageError: it cannot be written.
    """
    place = folder / _name(branch) / _name(baseline.identity.plan)
    path = place / f"{_name(baseline.identity.started)}{SUFFIX}"
    machine = _machine_of(baseline)
    try:
        place.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
        alike = [one for one, kept in _kept(place) if not machine_differences(_machine_of(kept), machine)]
        for old in alike[most:]:
            old.unlink()
    except OSError as error:
        raise UsageError(f"--to {path}: cannot be written: {error.strerror}") from error
    return path


def find(folder: Path, branch: str, plan: str, machine: dict[str, Any]) -> Found:
    """Returns the newest baseline of a branch and plan that was made on a machine of this kind."""
    others = []
    for path, kept in _kept(folder / _name(branch) / _name(plan)):
        differences = machine_differences(_machine_of(kept), machine)
        if not differences:
            return Found(path)
        others.append(f"{path}: {', '.join(one.sentence('there', 'here') for one in differences)}")
    return Found(None, others)


def _kept(place: Path) -> Iterator[tuple[Path, Baseline]]:
    """Yields baselines, the newest first: a name is the instant at which its run was started."""
    for path in sorted(place.glob(f"*{SUFFIX}"), reverse=True):
        yield path, load(path)


def _machine_of(baseline: Baseline) -> dict[str, Any]:
    kind = baseline.identity.kind
    return kind.machine if kind else {"processor": baseline.identity.processor, "cores": baseline.identity.cores}


def _name(text: str) -> str:
    """Returns a text as the name of a file; a branch such as `feature/x` is no folder in a folder."""
    return _UNSAFE.sub("-", text).strip(".-") or "none"
