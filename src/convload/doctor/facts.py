"""Judges the facts of this machine: each becomes a check with its figure, what it means and what to do."""

from typing import Literal

import msgspec

from convload.plan.needs import files_needed, users_within
from convload.plan.plan import Plan
from convload.results.histogram import short

State = Literal["ok", "warning", "problem", "not known"]

NOT_KNOWN: State = "not known"

PLAN_USERS = Plan().max_in_flight
FEWEST_USERS = 10

FINE_WAKE_MS = 1.0
"""The grain of the timer that serves where there is no timerfd."""

PRECISE_CLOCKS = ("tsc", "kvm-clock", "arch_sys_counter", "hyperv", "xen", "riscv_clocksource")
"""Clock sources that are read without a system call, or nearly so."""

PORTS_SHARE, PORTS_LIMIT = 0.5, 0.9
"""Half of the ports waiting is worth a word; at nine tenths a run is invalid (`ports_share`)."""

MIB, GIB = 2**20, 2**30
LEAST_MEMORY, GOOD_MEMORY = 256 * MIB, GIB
LEAST_DISK, GOOD_DISK = 100 * MIB, GIB

BUSY_SHARE = 0.25
"""Of the cores: what others take of them is missing from a measurement."""


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at. `advice` is empty where nothing is to be done."""

    name: str
    state: State
    figure: str
    meaning: str
    advice: str = ""


def _graded(name: str, state: State, figure: str, meaning: str, advice: str) -> Check:
    """Returns a check, with advice where all is not well."""
    return Check(name, state, figure, meaning, "" if state == "ok" else advice)


def unknown(name: str, meaning: str) -> Check:
    """Returns the check of a fact that this machine does not tell."""
    return Check(name, NOT_KNOWN, "not known", meaning)


def cores(affinity: int, usable: float, workers: int) -> Check:
    """One worker fills one core; coordinator and mock need another."""
    quota = f", {short(usable)} by its cgroup" if usable < affinity else ""
    figure = f"{affinity} core{'s' * (affinity != 1)}{quota}"
    meaning = "a worker fills one core; the coordinator and the embedded mock share what is left"
    advice = f"{workers} workers and a core for the rest need {workers + 1}: take fewer workers"
    advice = advice if workers > 1 else "take a machine with 2 cores or more"
    return _graded("cores", "ok" if usable >= workers + 1 else "warning", figure, meaning, advice)


def open_files(soft: int, hard: int) -> Check:
    """A worker raises its soft limit to what its users need, so the hard one decides. -1 is no limit."""
    figure = f"soft {_limit(soft)}, hard {_limit(hard)}"
    if hard < 0:
        return Check("open files", "ok", figure, "no limit on the users of a worker")
    users = users_within(hard)
    meaning = f"carries {users:,} users a worker; the soft limit is raised as needed"
    state: State = "ok" if users >= PLAN_USERS else "warning" if users >= FEWEST_USERS else "problem"
    needed = files_needed(PLAN_USERS, workers=1)
    advice = f"for {PLAN_USERS:,} users: ulimit -Hn {needed}, or LimitNOFILE={needed} in systemd; or more workers"
    return _graded("open files", state, figure, meaning, advice)


def _limit(value: int) -> str:
    return "unlimited" if value < 0 else f"{value:,}"


def timer(*, precise: bool, p50_ms: float, p99_ms: float) -> Check:
    """How late a process that waits for an instant is woken."""
    kind = "timerfd" if precise else "no timerfd"
    figure = f"{kind}, late by p50 {short(p50_ms)}, p99 {short(p99_ms)} ms"
    meaning = "no request starts more punctually than this"
    if not precise:
        advice = "a kernel with timerfd (Linux 2.6.25) and a C library that has it; until then the grain is 1 ms"
        return Check("timer", "warning", figure, meaning, advice)
    advice = "look for other load, a CPU quota or power saving; a virtual machine may never do better"
    return _graded("timer", "ok" if p99_ms <= FINE_WAKE_MS else "warning", figure, meaning, advice)


def clock(source: str) -> Check:
    """The kernel's clock source, from /sys."""
    meaning = "each request reads the clock several times"
    if not source:
        return unknown("clock", meaning)
    advice = "a slow clock costs CPU time with each reading; tsc or kvm-clock are fast, if the machine offers them"
    return _graded("clock", "ok" if source.startswith(PRECISE_CLOCKS) else "warning", source, meaning, advice)


def ports(local_range: tuple[int, int] | None, waiting: int | None) -> Check:
    """Each connection to one target holds a local port, and for a minute after its end (TIME_WAIT)."""
    meaning = "each connection to one target needs a local port, and keeps it for a minute when it was closed here"
    if local_range is None or waiting is None:
        return unknown("local ports", meaning)
    count = local_range[1] - local_range[0] + 1
    figure = f"{count:,} ({local_range[0]}–{local_range[1]}), {waiting:,} in TIME_WAIT now"
    share = waiting / count
    state: State = "ok" if share <= PORTS_SHARE else "warning" if share <= PORTS_LIMIT else "problem"
    advice = "wait a minute, or widen net.ipv4.ip_local_port_range (sysctl)"
    return _graded("local ports", state, figure, meaning, advice)


def memory(available: int | None) -> Check:
    """What the machine, or the cgroup, still gives."""
    meaning = "a worker takes some 75 MiB and 13 KB a connection"
    if available is None:
        return unknown("memory", meaning)
    state: State = "ok" if available >= GOOD_MEMORY else "warning" if available >= LEAST_MEMORY else "problem"
    return _graded("memory", state, f"{_size(available)} available", meaning, "end what takes it")


def load(one_minute: float | None, usable: float) -> Check:
    """Who else uses the machine now."""
    meaning = "what others take is missing from the load and shows as lateness"
    if one_minute is None:
        return unknown("load average", meaning)
    figure = f"{one_minute:.2f} over the last minute, {usable:g} core{'s' * (usable != 1)}"
    state: State = "ok" if one_minute <= BUSY_SHARE * usable else "warning"
    return _graded("load average", state, figure, meaning, "the machine is busy: end other work and measure again")


def disk(folder: str, free: int | None) -> Check:
    """Where the run folders are made."""
    meaning = "a run log takes some 30 MB an hour and worker; a full disk invalidates a run"
    if free is None:
        return unknown("disk", meaning)
    state: State = "ok" if free >= GOOD_DISK else "warning" if free >= LEAST_DISK else "problem"
    return _graded(
        "disk", state, f"{_size(free)} free for {folder}", meaning, "make room, or name another place with --out"
    )


def software(versions: dict[str, str]) -> Check:
    """What takes part in a measurement."""
    figure = ", ".join(f"{name} {version}" for name, version in versions.items())
    return Check("software", "ok", figure, "figures of other versions do not compare")


def saved(damage: str | None, rate_per_s: float | None, measured: str) -> Check:
    """The ceiling that an earlier `convload doctor` has left."""
    meaning = "what `convload run` compares itself with"
    if damage is not None:
        advice = "it counts as not known; it is replaced when a ceiling is saved"
        return Check("saved ceiling", "warning", f"damaged: {damage}", meaning, advice)
    if rate_per_s is None:
        return Check("saved ceiling", "ok", "none of this machine and software", meaning)
    return Check("saved ceiling", "ok", f"{rate_per_s:,.0f} requests/s, measured {measured[:10]}", meaning)


def _size(count: int) -> str:
    return f"{count / GIB:,.1f} GiB" if count >= GIB else f"{count / MIB:,.0f} MiB"
