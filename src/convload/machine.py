"""Facts about this machine and its software, kept beside every result."""

import contextlib
import importlib.metadata
import os
import platform
import resource
from pathlib import Path
from typing import Any

from convload import __version__

LIBRARIES = ("locust", "gevent", "httptools", "msgspec", "orjson", "numpy", "uvloop")

SINGLE_THREADED = {"OPENBLAS_NUM_THREADS": "1"}
"""Environment of a process that uses one core.

Without it, importing NumPy starts a thread for each core of the machine, which costs as much processor time as the
import itself; nothing here multiplies matrices large enough to need them.
"""


def versions() -> dict[str, str]:
    """Returns the versions of what takes part in a measurement; a worker's machine may be without some."""
    found = {"convload": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def facts() -> dict[str, Any]:
    """Returns what tells one machine class from another, and no name or address of this one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "file_limit_soft": soft,
        "file_limit_hard": hard,
        "ephemeral_ports": _ephemeral_ports(),
    }


def usable_cores() -> float:
    """Returns how many cores this process may use: those it may run on, or less where a cgroup has a quota."""
    cores = float(len(os.sched_getaffinity(0)))
    version_1 = " ".join(text_of(f"/sys/fs/cgroup/cpu/cpu.cfs_{name}_us") for name in ("quota", "period"))
    texts = [*(text_of(f"{folder}/cpu.max") for folder in cgroup_folders()), version_1]
    return min([cores, *(quota for quota in map(cgroup_quota, texts) if quota is not None)])


def cgroup_folders() -> list[Path]:
    """Returns the folders of this process's cgroup and of all above it, each of which may set a limit."""
    root = Path("/sys/fs/cgroup")
    lines = text_of("/proc/self/cgroup").splitlines()
    own = next((line.removeprefix("0::").strip("/") for line in lines if line.startswith("0::")), "")
    folder = root / own
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(root))]


def cgroup_quota(cpu_max: str) -> float | None:
    """Returns the cores that "QUOTA PERIOD" allows, in microseconds; None where there is no limit or no such text."""
    words = cpu_max.split()
    if len(words) != len(("quota", "period")) or not all(word.isascii() and word.isdigit() for word in words):
        return None
    quota_us, period_us = map(int, words)
    return quota_us / period_us if quota_us and period_us else None


def text_of(path: str) -> str:
    """Returns what a file of the kernel says, stripped; "" where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _ephemeral_ports() -> int:
    """Returns how many local ports outgoing connections can have."""
    try:
        low, high = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return 28_000
    return int(high) - int(low) + 1


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 -- a line at a time, it is long
            names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
            return next(names, platform.machine())
    except OSError:
        return platform.machine()
