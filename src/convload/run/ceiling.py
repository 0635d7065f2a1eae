"""The saved ceiling of this machine: what `convload doctor` measured last, and `convload run` compares with."""

import hashlib
import math
import os
import platform
from collections.abc import Mapping
from pathlib import Path

import msgspec

from convload import __version__, machine
from convload.mistakes import find_mistakes
from convload.plan.plan import Plan, for_all_cores
from convload.results.runlog import KnownCeiling
from convload.results.summary import NEAR_CEILING

FORMAT = "convload/ceiling/1"
FILE = Path("convload") / "ceiling.json"


class Key(msgspec.Struct, frozen=True):
    """What decides a ceiling, but for the number of workers; `machine` is a hash that names nobody."""

    machine: str
    processor: str
    cores: float
    python: str
    convload: str


class Entry(msgspec.Struct, frozen=True):
    """A ceiling and where it holds."""

    key: Key
    ceiling: KnownCeiling


class Saved(msgspec.Struct, frozen=True):
    """The file: a home folder may be shared by several machines, so it holds an entry of each."""

    format: str
    entries: list[Entry]


class DamagedError(ValueError):
    """The file is there and cannot be read; the text says why."""


def here() -> Key:
    """Returns the key of this machine and its software."""
    facts = machine.facts()
    return Key(_machine_hash(), str(facts["processor"]), machine.usable_cores(), platform.python_version(), __version__)


def path(environment: Mapping[str, str] = os.environ) -> Path:
    """Returns where the ceiling is saved: below `$XDG_CACHE_HOME`, else below `~/.cache`."""
    folder = environment.get("XDG_CACHE_HOME", "")
    # The specification has it that a relative path is to be ignored.
    return (Path(folder) if folder.startswith("/") else Path(environment.get("HOME", "/")) / ".cache") / FILE


def known(file: Path, key: Key, workers: int) -> KnownCeiling | None:
    """Returns the ceiling of that machine, of the nearest number of workers; None where there is none to read."""
    try:
        entries = read(file)
    except DamagedError:
        return None
    own = [entry.ceiling for entry in entries if entry.key == key]
    return min(own, key=lambda ceiling: abs(ceiling.workers - workers), default=None)


def workers_for(plan: Plan, file: Path | None = None, key: Key | None = None, most: int | None = None) -> int:
    """Returns how many workers of this machine a plan needs: what its highest rate asks for, and its cores allow.

    One that does no more than `NEAR_CEILING` of what a worker can keeps the generator out of the times. Where nobody
    has measured that (`convload doctor`), or the load has no rate, all cores but one are taken. To get a token for
    each conversation, or to close it, is a request of its own.
    """
    most = most or for_all_cores(plan)
    measured = known(file or path(), key or here(), most)
    highest = max((max(stage.from_rate, stage.to_rate) for stage in plan.resolved_stages()), default=None)
    if measured is None or highest is None:
        return most
    requests = 2 if plan.consumers in {"fresh", "close"} else 1
    return min(most, math.ceil(requests * highest / (NEAR_CEILING * measured.of_workers(1))))


def read(file: Path) -> list[Entry]:
    """Returns all saved ceilings; none where there is no file.

    Raises:
        DamagedError: it is there and cannot be read, or is of another format.
    """
    try:
        values = msgspec.json.decode(file.read_bytes())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DamagedError(f"{file}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{file}: is no JSON: {error}") from error
    if mistakes := find_mistakes(values, Saved):
        raise DamagedError(f"{file}: {mistakes[0]}")
    saved = msgspec.convert(values, Saved)
    if saved.format != FORMAT:
        raise DamagedError(f"{file}: has format {saved.format!r}; this version reads {FORMAT!r}")
    return saved.entries


def save(file: Path, entry: Entry) -> bool:
    """Puts a ceiling in place of the one of the same machine and number of workers; a damaged file is replaced.

    Returns whether it was kept: one that says only "at least" tells nothing beside a higher one.

    Raises:
        OSError: it cannot be written.
    """
    try:
        entries = read(file)
    except DamagedError:
        entries = []
    same = [one for one in entries if (one.key, one.ceiling.workers) == (entry.key, entry.ceiling.workers)]
    if entry.ceiling.at_least and any(one.ceiling.rate_per_s > entry.ceiling.rate_per_s for one in same):
        return False
    others = [one for one in entries if one not in same]
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(Saved(FORMAT, [*others, entry]))) + b"\n")
    part.replace(file)
    return True


def _machine_hash() -> str:
    try:
        name = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        name = ""
    # The id itself must not leave the machine (machine-id(5)); a hash that only this program makes may.
    return hashlib.sha256(f"convload {name or platform.node()}".encode()).hexdigest()[:16]
