"""Facts about this machine and its software, kept beside every result."""

import importlib.metadata
import os
import platform
import resource
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
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 -- a line at a time, it is long
            names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
            return next(names, platform.machine())
    except OSError:
        return platform.machine()
