"""What the cgroups of this process allow it: cores, memory, and how long a quota held it back; of both versions.

Each controller has a folder for this process's group, with one for each group above it, and each may set a limit. In a
container the names in /proc/self/cgroup may be those of the host: then only the top folder is there, which is its own.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

_TOP = Path("sys/fs/cgroup")
_UNIFIED = ("", "unified")
"""Where version 2 is mounted: alone, or beside the controllers of version 1."""

MICRO, NANO = 1e-6, 1e-9


class Throttled(msgspec.Struct, frozen=True):
    """How often a quota held the processes of a group back since the group is there, and for how long in all."""

    times: int = 0
    seconds: float = 0.0


class Cgroups:
    """The groups of this process, read anew with each question; `root` stands for / in tests."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._top = root / _TOP
        lines = text_of(root / "proc/self/cgroup").splitlines()
        self._paths = {name: path for line in lines for name, path in _groups(line)}

    def cores(self) -> float | None:
        """Returns the cores that quotas and sets of processors leave; None without any such limit."""
        unified = [cpu_quota(text_of(folder / "cpu.max")) for folder in self._folders("")]
        divided = [cpu_quota(" ".join(_both(folder))) for folder in self._folders("cpu")]
        sets = [cpu_count(text_of(folder / "cpuset.cpus.effective")) for folder in self._folders("")]
        sets += [cpu_count(text_of(folder / "cpuset.cpus")) for folder in self._folders("cpuset")]
        return min((found for found in [*unified, *divided, *sets] if found is not None), default=None)

    def memory_limit_bytes(self) -> int | None:
        """Returns the memory that the groups allow; None without a limit."""
        return min((limit for limit, _ in self._memory()), default=None)

    def memory_left_bytes(self) -> int | None:
        """Returns what is left of it."""
        return min((max(limit - used, 0) for limit, used in self._memory()), default=None)

    def throttled(self) -> Throttled:
        """Returns how the quotas held this process back: what its most throttled group says."""
        folders = [*self._folders(""), *self._folders("cpu")]
        return max((_throttled(text_of(folder / "cpu.stat")) for folder in folders), key=lambda one: one.seconds)

    def _folders(self, controller: str) -> list[Path]:
        """Returns the folder of this process and all above it: of a controller of version 1, or "" of version 2."""
        tops = [self._top / name for name in _UNIFIED] if not controller else [self._top / controller]
        own = self._paths.get(controller, "").strip("/")
        chains = ([top / own, *(top / own).parents] for top in tops)
        return [
            folder for top, chain in zip(tops, chains, strict=True) for folder in chain if folder.is_relative_to(top)
        ]

    def _memory(self) -> Iterator[tuple[int, int]]:
        names = [(folder, "memory.max", "memory.current") for folder in self._folders("")]
        names += [(one, "memory.limit_in_bytes", "memory.usage_in_bytes") for one in self._folders("memory")]
        for folder, limit, used in names:
            texts = text_of(folder / limit), text_of(folder / used)
            if all(text.isascii() and text.isdigit() for text in texts) and int(texts[0]) < _NO_LIMIT:
                yield int(texts[0]), int(texts[1])


_NO_LIMIT = 2**62
"""Version 1 writes the highest multiple of a page for none."""


def _groups(line: str) -> Iterator[tuple[str, str]]:
    """Yields controllers and their group out of `4:cpu,cpuacct:/path`; version 2 is the controller ""."""
    number, _, rest = line.partition(":")
    names, _, path = rest.partition(":")
    if number.isdigit():
        yield from ((name, path) for name in names.split(","))


def _both(folder: Path) -> tuple[str, str]:
    return text_of(folder / "cpu.cfs_quota_us"), text_of(folder / "cpu.cfs_period_us")


def cpu_quota(cpu_max: str) -> float | None:
    """Returns the cores that "QUOTA PERIOD" allows, in microseconds; None where there is no limit or no such text."""
    words = cpu_max.split()
    if len(words) != len(("quota", "period")) or not all(word.isascii() and word.isdigit() for word in words):
        return None
    quota_us, period_us = map(int, words)
    return quota_us / period_us if quota_us and period_us else None


def cpu_count(cpus: str) -> float | None:
    """Returns how many processors a list such as "0-3,8" names; None where it names none."""
    count = 0
    for part in filter(None, cpus.split(",")):
        first, _, last = part.partition("-")
        if not (first.isdigit() and (last or first).isdigit()):
            return None
        count += int(last or first) - int(first) + 1
    return float(count) if count > 0 else None


def _throttled(cpu_stat: str) -> Throttled:
    rows = (line.split() for line in cpu_stat.splitlines())
    found = {row[0]: int(row[1]) for row in rows if len(row) == len(("name", "count")) and row[1].isdigit()}
    seconds = MICRO * found.get("throttled_usec", 0) + NANO * found.get("throttled_time", 0)
    return Throttled(found.get("nr_throttled", 0), seconds)


def text_of(path: Path) -> str:
    """Returns what a file of the kernel says, stripped; "" where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
