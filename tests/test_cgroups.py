"""What cgroups allow a process, from trees of files as the kernel shows them, of both versions."""

from pathlib import Path

import pytest

from convload.cgroups import Cgroups, Throttled, cpu_count, cpu_quota
from convload.machine import usable_cores, workers_for_all_cores

V1_MEMBERSHIP = "9:name=systemd:/\n4:memory:/docker/a\n3:cpuset:/docker/a\n2:cpu,cpuacct:/docker/a\n0::/\n"
NO_LIMIT_OF_V1 = str(2**63 - 4096)


def tree(root: Path, files: dict[str, str]) -> Cgroups:
    """Writes files below a root; `membership` is /proc/self/cgroup."""
    for name, text in files.items():
        path = root / ("proc/self/cgroup" if name == "membership" else f"sys/fs/cgroup/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Cgroups(root)


CORES = {
    "none": ({}, None),
    "version 2": ({"membership": "0::/pod\n", "pod/cpu.max": "150000 100000"}, 1.5),
    "version 2, a group above": (
        {"membership": "0::/pod/one\n", "pod/one/cpu.max": "max 100000", "pod/cpu.max": "50000 100000"},
        0.5,
    ),
    "version 2, named as the host does": ({"membership": "0::/kubepods/x\n", "cpu.max": "200000 100000"}, 2.0),
    "version 2, a set": ({"membership": "0::/\n", "cpuset.cpus.effective": "0-1,4"}, 3.0),
    "version 2, the smaller": ({"cpuset.cpus.effective": "0-3", "cpu.max": "350000 100000"}, 3.5),
    "version 1": (
        {
            "membership": V1_MEMBERSHIP,
            "cpu/docker/a/cpu.cfs_quota_us": "250000",
            "cpu/docker/a/cpu.cfs_period_us": "100000",
            "cpuset/docker/a/cpuset.cpus": "0-7",
        },
        2.5,
    ),
    "version 1 without a quota": ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
    "version 1, a set": ({"membership": V1_MEMBERSHIP, "cpuset/docker/a/cpuset.cpus": "3"}, 1.0),
    "both": ({"membership": V1_MEMBERSHIP, "unified/cpu.max": "max 100000", "cpuset/cpuset.cpus": "0-1"}, 2.0),
}


@pytest.mark.parametrize(("files", "cores"), CORES.values(), ids=CORES.keys())
def test_quotas_and_sets_of_processors_count_as_cores(
    tmp_path: Path, files: dict[str, str], cores: float | None
) -> None:
    assert tree(tmp_path, files).cores() == cores


MEMORY = {
    "none": ({}, None, None),
    "version 2": ({"membership": "0::/p\n", "p/memory.max": "900", "p/memory.current": "200"}, 900, 700),
    "version 2 without a limit": ({"memory.max": "max", "memory.current": "200"}, None, None),
    "version 2, used up": ({"memory.max": "900", "memory.current": "950"}, 900, 0),
    "version 1": (
        {
            "membership": V1_MEMBERSHIP,
            "memory/docker/a/memory.limit_in_bytes": "900",
            "memory/docker/a/memory.usage_in_bytes": "300",
            "memory/memory.limit_in_bytes": NO_LIMIT_OF_V1,
            "memory/memory.usage_in_bytes": "10",
        },
        900,
        600,
    ),
}


@pytest.mark.parametrize(("files", "limit", "left"), MEMORY.values(), ids=MEMORY.keys())
def test_a_limit_of_memory_is_read_with_what_is_left(
    tmp_path: Path, files: dict[str, str], limit: int | None, left: int | None
) -> None:
    groups = tree(tmp_path, files)

    assert (groups.memory_limit_bytes(), groups.memory_left_bytes()) == (limit, left)


@pytest.mark.parametrize(
    ("files", "throttled"),
    [
        ({}, Throttled()),
        ({"cpu.stat": "usage_usec 5\nnr_periods 9\nnr_throttled 4\nthrottled_usec 250000\n"}, Throttled(4, 0.25)),
        (
            {"membership": V1_MEMBERSHIP, "cpu/docker/a/cpu.stat": "nr_throttled 2\nthrottled_time 500000000"},
            Throttled(2, 0.5),
        ),
        ({"cpu.stat": "nr_throttled many\n\n"}, Throttled()),
    ],
)
def test_how_long_a_quota_held_the_process_back_is_read(
    tmp_path: Path, files: dict[str, str], throttled: Throttled
) -> None:
    assert tree(tmp_path, files).throttled() == throttled


@pytest.mark.parametrize(
    ("text", "quota"),
    [
        ("150000 100000", 1.5),
        ("max 100000", None),
        ("-1 100000", None),
        ("", None),
        ("100000 0", None),
        ("1 2 3", None),
    ],
)
def test_a_quota_of_cores_is_read(text: str, quota: float | None) -> None:
    assert cpu_quota(text) == quota


@pytest.mark.parametrize(("text", "count"), [("0", 1.0), ("0-3,8", 5.0), ("", None), ("a-b", None), ("3-1", None)])
def test_a_list_of_processors_is_counted(text: str, count: float | None) -> None:
    assert cpu_count(text) == count


def test_automatic_workers_are_what_the_groups_allow_but_one(tmp_path: Path) -> None:
    half = tree(tmp_path, {"cpu.max": "50000 100000"})

    assert usable_cores(half) == 0.5
    assert [workers_for_all_cores(cores) for cores in (0.5, 1.0, 2.0, 3.9, 8.0)] == [1, 1, 1, 2, 7]


def test_this_machine_has_a_core_by_its_own_groups() -> None:
    assert usable_cores() > 0
