"""Facts about this machine and its software, kept beside every result."""

import contextlib
import os
import platform
import resource
from pathlib import Path
from typing import Any

from convload import __version__, cgroups
from convload.cgroups import Cgroups

LIBRARIES = ("locust", "gevent", "httptools", "msgspec", "orjson", "numpy", "uvloop")

SINGLE_THREADED = {"OPENBLAS_NUM_THREADS": "1"}
"""Environment of a process that uses one core.

Without it, importing NumPy starts a thread for each core of the machine, which costs as much processor time as the
import itself; nothing here multiplies matrices large enough to need them.
"""


def versions() -> dict[str, str]:
    """Returns the versions of what takes part in a measurement; a worker's machine may be without some."""
    import importlib.metadata  # noqa: PLC0415 -- slow to import, and few commands tell versions

    found = {"convload": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def facts() -> dict[str, Any]:
    """Returns what tells one machine class from another, and no name or address of this one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    groups = Cgroups()
    limits = {"cgroup_cores": groups.cores(), "cgroup_memory_bytes": groups.memory_limit_bytes()}
    return {key: value for key, value in limits.items() if value is not None} | {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "file_limit_soft": soft,
        "file_limit_hard": hard,
        "ephemeral_ports": _ephemeral_ports(),
    }


def usable_cores(groups: Cgroups | None = None) -> float:
    """Returns how many cores this process may use: those it may run on, or less where a cgroup allows less."""
    allowed = (groups or Cgroups()).cores()
    cores = float(len(os.sched_getaffinity(0)))
    return cores if allowed is None else min(cores, allowed)


def workers_for_all_cores(cores: float | None = None) -> int:
    """Returns how many workers `--workers auto` is: a core each, and one left for the coordinator and the mock."""
    return max(int(usable_cores() if cores is None else cores) - 1, 1)


def text_of(path: str) -> str:
    """Returns what a file of the kernel says, stripped; "" where it cannot be read."""
    return cgroups.text_of(Path(path))


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
