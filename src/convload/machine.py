"""Facts about this machine and its software, kept beside every result."""

import importlib.metadata
import os
import platform
import resource
from pathlib import Path
from typing import Any

from convload import __version__

LIBRARIES = ("locust", "gevent", "httptools", "msgspec", "orjson", "numpy", "uvloop")


def versions() -> dict[str, str]:
    """Returns the versions of what takes part in a measurement."""
    found = {"convload": __version__, "python": platform.python_version()}
    return found | {name: importlib.metadata.version(name) for name in LIBRARIES}


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
