"""What is said of a machine, by its figures."""

import pytest

from convload.doctor import facts
from convload.doctor.facts import Check
from convload.doctor.machine_checks import memory_left, port_range, time_waits

GIB, MIB = 2**30, 2**20

JUDGED = {
    "cores": (facts.cores(4, 4.0, 2), "ok", "4 cores"),
    "one core": (facts.cores(1, 1.0, 1), "warning", "1 core"),
    "quota": (facts.cores(4, 1.5, 2), "warning", "4 cores, 1.5 by its cgroup"),
    "files": (facts.open_files(1024, 524_288), "ok", "soft 1,024, hard 524,288"),
    "files without limit": (facts.open_files(1024, -1), "ok", "soft 1,024, hard unlimited"),
    "few files": (facts.open_files(1024, 1024), "warning", "soft 1,024, hard 1,024"),
    "no files": (facts.open_files(64, 270), "problem", "soft 64, hard 270"),
    "timer": (facts.timer(precise=True, p50_ms=0.05, p99_ms=0.1), "ok", "timerfd, late by p50 0.05, p99 0.1 ms"),
    "late timer": (facts.timer(precise=True, p50_ms=0.05, p99_ms=4.0), "warning", "p99 4 ms"),
    "no timerfd": (facts.timer(precise=False, p50_ms=0.5, p99_ms=0.9), "warning", "no timerfd"),
    "clock": (facts.clock("kvm-clock"), "ok", "kvm-clock"),
    "slow clock": (facts.clock("acpi_pm"), "warning", "acpi_pm"),
    "no clock": (facts.clock(""), "not known", "not known"),
    "ports": (facts.ports((32768, 60999), 100), "ok", "28,232 (32768–60999), 100 in TIME_WAIT now"),
    "ports waiting": (facts.ports((32768, 60999), 20_000), "warning", "20,000 in TIME_WAIT"),
    "no ports": (facts.ports((32768, 60999), 28_000), "problem", "28,000 in TIME_WAIT"),
    "ports not told": (facts.ports(None, 5), "not known", "not known"),
    "memory": (facts.memory(8 * GIB), "ok", "8.0 GiB available"),
    "little memory": (facts.memory(512 * MIB), "warning", "512 MiB available"),
    "no memory": (facts.memory(64 * MIB), "problem", "64 MiB available"),
    "load": (facts.load(0.2, 2.0), "ok", "0.20 over the last minute, 2 cores"),
    "busy": (facts.load(1.9, 2.0), "warning", "1.90 over the last minute"),
    "load not told": (facts.load(None, 2.0), "not known", "not known"),
    "disk": (facts.disk("reports", 50 * GIB), "ok", "50.0 GiB free for reports"),
    "full disk": (facts.disk("reports", MIB), "problem", "1 MiB free for reports"),
    "saved": (facts.saved(None, 16_000.0, "2026-11-23T10:00:00+00:00"), "ok", "16,000 requests/s, measured 2026-11-23"),
    "damaged": (facts.saved("x: is no JSON", None, ""), "warning", "damaged: x: is no JSON"),
}


@pytest.mark.parametrize(("check", "state", "figure"), JUDGED.values(), ids=JUDGED.keys())
def test_a_fact_is_judged_and_told_with_its_figure(check: Check, state: str, figure: str) -> None:
    assert check.state == state
    assert figure in check.figure
    assert check.meaning
    assert bool(check.advice) == (state in {"warning", "problem"})


def test_the_users_that_a_file_limit_carries_are_told() -> None:
    assert "carries 384 users a worker" in facts.open_files(1024, 1024).meaning


@pytest.mark.parametrize(("text", "found"), [("32768\t60999", (32768, 60999)), ("", None), ("a b", None), ("1", None)])
def test_the_range_of_local_ports_is_read(text: str, found: tuple[int, int] | None) -> None:
    assert port_range(text) == found


SOCKSTAT = "sockets: used 290\nTCP: inuse 20 orphan 0 tw 1868 alloc 25 mem 3\nUDP: inuse 2 mem 1\n"


@pytest.mark.parametrize(("text", "found"), [(SOCKSTAT, 1868), ("", None), ("TCP: inuse 20", None), ("TCP: tw", None)])
def test_the_sockets_in_time_wait_are_read(text: str, found: int | None) -> None:
    assert time_waits(text) == found


@pytest.mark.parametrize(("of_cgroup", "left"), [(None, 1000), (700, 700), (5000, 1000), (0, 0)])
def test_a_cgroup_may_leave_less_memory_than_the_machine_has(of_cgroup: int | None, left: int) -> None:
    assert memory_left(1000, of_cgroup) == left
