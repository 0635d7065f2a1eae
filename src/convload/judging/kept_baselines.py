"""The baselines that a team keeps in a folder: by branch and plan, and of each kind of machine the newest few."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from convload.errors import UsageError
from convload.judging.alike import machine_differences
from convload.judging.baseline import Baseline, load
from convload.judging.calibration import why_not

KEPT = 10
SUFFIX = ".json"

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class Found(msgspec.Struct, frozen=True):
    """The newest baseline of this kind of machine, else one to be judged by ratio, and what others there are.

    `lacks_calibration`: a calibration run of this machine is all that is missing for that.
    """

    path: Path | None
    others: list[str] = []
    lacks_calibration: bool = False


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


def find(folder: Path, branch: str, plan: str, machine: dict[str, Any], known: Baseline | None = None) -> Found:
    """Returns the newest baseline of a branch and plan that was made on a machine of this kind.

    Without one it is the newest that can be judged by ratio, with the calibration run that is `known` of this machine.
    """
    others, by_ratio, lacks = [], None, False
    for path, kept in _kept(folder / _name(branch) / _name(plan)):
        differences = machine_differences(_machine_of(kept), machine)
        if not differences:
            return Found(path)
        why = why_not(kept, machine, known)
        by_ratio = by_ratio or (None if why else path)
        lacks = lacks or (known is None and not why_not(kept, machine, _stand_in(kept, machine)))
        differing = ", ".join(one.sentence("there", "here") for one in differences)
        others.append(f"{path}: {differing}; {why}" if why else f"{path}: {differing}")
    return Found(by_ratio, others, lacks)


def _stand_in(kept: Baseline, machine: dict[str, Any]) -> Baseline | None:
    """Returns its own calibration run as if it had been made here."""
    own = next(iter(kept.calibrations), None)
    if own is None or own.identity.kind is None:
        return None
    kind = msgspec.structs.replace(own.identity.kind, machine=machine)
    return msgspec.structs.replace(own, identity=msgspec.structs.replace(own.identity, kind=kind))


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
