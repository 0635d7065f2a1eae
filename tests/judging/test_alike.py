from typing import Any

import msgspec
import pytest
from tests.run_logs import Make

from convload.judging.alike import asides, unlike
from convload.results.runlog import RunLog


def log(
    make: Make, machine: dict[str, Any] | None = None, versions: dict[str, str] | None = None, **plan: Any
) -> RunLog:
    made = make.log(**plan)
    manifest = msgspec.structs.replace(
        made.manifest,
        machine=made.manifest.machine | (machine or {}),
        versions=made.manifest.versions | (versions or {}),
    )
    return msgspec.structs.replace(made, manifest=manifest)


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        ({"users": 8}, "plan: `users` is 4 in the base and 8 in the other"),
        ({"mix": "text"}, "mix: `mix` is default in the base and text in the other"),
        ({"model": "open"}, "model: `model` is closed in the base and open in the other"),
        ({"target": "https://a.example"}, "target: `target` is mock in the base and https://a.example in the other"),
        ({"duration_s": 20.0}, "plan: `duration_s` is 10.0 in the base and 20.0 in the other"),
        ({"mock": {"delay_ms": 3}}, "plan: `mock.delay_ms` is not stated in the base and 3 in the other"),
    ],
)
def test_each_difference_of_the_plan_is_named(make: Make, plan: dict[str, Any], told: str) -> None:
    assert [str(one) for one in unlike(log(make), log(make, **plan))] == [told]


@pytest.mark.parametrize(
    "plan",
    [{"seed": 8}, {"name": "other"}, {"validity": {"waive": ["late"]}}, {"gates": ["p99 < 1s"]}, {"mock": {"seed": 5}}],
)
def test_what_changes_neither_the_load_nor_the_target_is_not_unlike(make: Make, plan: dict[str, Any]) -> None:
    assert unlike(log(make), log(make, **plan)) == []


def test_a_key_that_an_older_version_does_not_know_is_as_good_as_an_empty_one(make: Make) -> None:
    assert unlike(log(make), log(make, lookup=False, stages=[])) == []


def test_machines_of_another_class_are_unlike(make: Make) -> None:
    base = log(make, {"processor": "one", "memory_bytes": 8 * 2**30, "system": "Linux 6.1"})
    other = log(make, {"processor": "two", "cores": 4, "memory_bytes": 16 * 2**30, "system": "Linux 6.2"})

    assert [(one.kind, one.what, one.base, one.new) for one in unlike(base, other)] == [
        ("machine", "processor", "one", "two"),
        ("machine", "cores", "2", "4"),
        ("machine", "memory", "8.0 GiB", "16.0 GiB"),
    ]


def test_a_little_more_memory_is_the_same_class(make: Make) -> None:
    assert unlike(log(make, {"memory_bytes": 8_000_000_000}), log(make, {"memory_bytes": 8_300_000_000})) == []


def test_seeds_versions_and_kernels_are_told_as_asides(make: Make) -> None:
    base = log(make, {"system": "Linux 6.1"}, {"locust": "2.47"})
    other = log(make, {"system": "Linux 6.2"}, {"locust": "2.48"}, seed=9)

    told = asides(base.manifest, other.manifest)

    assert told[0].startswith("the seeds differ (7 and 9)")
    assert told[1:] == [
        "the version of locust differs: 2.47 and 2.48",
        "the system differs: Linux 6.1 and Linux 6.2",
    ]
    assert asides(base.manifest, base.manifest) == []
