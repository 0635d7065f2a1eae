"""Gathers the facts of this machine from the kernel, and has them judged; what it does not tell is not known."""

import math
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil

from convload import machine
from convload.cgroups import Cgroups
from convload.doctor import facts
from convload.doctor.facts import Check
from convload.run import ceiling

WAKE_UPS = 300
"""Enough for a p99: 299 samples."""

WAKE_TIMEOUT_S = 30.0


class WakeUps(msgspec.Struct, frozen=True):
    """What `convload.load.pacing.timer` prints."""

    precise: bool
    lateness_us: list[float]


def look(workers: int, reports: Path) -> list[Check]:
    """Returns all checks of this machine."""
    usable = machine.usable_cores()
    return [
        facts.cores(len(os.sched_getaffinity(0)), usable, workers),
        facts.load(_load_average(), usable),
        facts.open_files(*(_unlimited(limit) for limit in resource.getrlimit(resource.RLIMIT_NOFILE))),
        _timer(WAKE_UPS),
        facts.clock(machine.text_of("/sys/devices/system/clocksource/clocksource0/current_clocksource")),
        facts.ports(
            port_range(machine.text_of("/proc/sys/net/ipv4/ip_local_port_range")),
            time_waits(machine.text_of("/proc/net/sockstat")),
        ),
        facts.memory(_memory()),
        facts.disk(str(reports), _free(reports)),
        facts.software(machine.versions()),
        _saved(workers),
    ]


def port_range(text: str) -> tuple[int, int] | None:
    """Reads /proc/sys/net/ipv4/ip_local_port_range; None where it is none."""
    words = text.split()
    if len(words) != len(("low", "high")) or not all(word.isascii() and word.isdigit() for word in words):
        return None
    return int(words[0]), int(words[1])


def time_waits(text: str) -> int | None:
    """Reads the sockets in TIME_WAIT out of /proc/net/sockstat; None where it does not say."""
    words = next((line.split() for line in text.splitlines() if line.startswith("TCP:")), [])
    follows = words[words.index("tw") + 1 :] if "tw" in words else []
    return int(follows[0]) if follows and follows[0].isdigit() else None


def memory_left(available: int, left: int | None) -> int:
    """Returns the bytes that are left where a cgroup may leave less than the machine has."""
    return available if left is None else min(available, left)


def _memory() -> int | None:
    try:
        available = int(psutil.virtual_memory().available)
    except (OSError, psutil.Error):
        return None
    return memory_left(available, Cgroups().memory_left_bytes())


def _unlimited(limit: int) -> int:
    return -1 if limit == resource.RLIM_INFINITY else limit


def _load_average() -> float | None:
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def _free(folder: Path) -> int | None:
    """Returns the free bytes where a folder is, or would be made."""
    there = next((place for place in (folder, *folder.parents) if place.is_dir()), Path())
    try:
        return shutil.disk_usage(there).free
    except OSError:
        return None


def _timer(count: int) -> Check:
    # In a process of its own: gevent's event loop belongs into none that does something else.
    command = [sys.executable, "-P", "-m", "convload.load.pacing.timer", str(count)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=WAKE_TIMEOUT_S, check=True)  # noqa: S603 -- a list of ours, and no shell
        found = msgspec.json.decode(done.stdout, type=WakeUps)
    except (OSError, subprocess.SubprocessError, ValueError):
        return facts.unknown("timer", "how punctually a waiting process is woken could not be measured")
    late_ms = sorted(late / 1000 for late in found.lateness_us)
    p50_ms, p99_ms = (late_ms[math.ceil(share * len(late_ms)) - 1] for share in (0.5, 0.99))
    return facts.timer(precise=found.precise, p50_ms=p50_ms, p99_ms=p99_ms)


def _saved(workers: int) -> Check:
    try:
        ceiling.read(ceiling.path())
    except ceiling.DamagedError as error:
        return facts.saved(str(error), None, "")
    known = ceiling.known(ceiling.path(), ceiling.here(), workers)
    return facts.saved(None, known.of_workers(workers) if known else None, known.measured if known else "")
