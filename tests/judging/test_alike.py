from typing import Any

import msgspec
import pytest
from tests.run_logs import Make

from convload.judging.alike import PLAN_KEYS, Likeness, RunKind, compare_kinds, run_kind
from convload.plan.plan import Plan

INPUTS = {"payloads/variants/a.json": "a" * 64, "payloads/mixes.toml": "b" * 64, "locustfile": "c" * 64}


def kind(
    make: Make,
    machine: dict[str, Any] | None = None,
    versions: dict[str, str] | None = None,
    inputs: dict[str, str] = INPUTS,
    **plan: Any,
) -> RunKind:
    manifest = make.manifest(**plan)
    changed = msgspec.structs.replace(
        manifest,
        machine=manifest.machine | (machine or {}),
        versions=manifest.versions | (versions or {}),
        inputs=inputs,
    )
    return run_kind(changed)


def unlike(base: RunKind, new: RunKind) -> list[str]:
    return [str(one) for one in compare_kinds(base, new).unlike]


def keys_of(struct: type[msgspec.Struct]) -> list[str]:
    """Returns the keys of a struct with those of the structs in it dotted."""
    found = []
    for field in msgspec.structs.fields(struct):
        inner = isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
        found += [f"{field.name}.{key}" for key in keys_of(field.type)] if inner else [field.name]
    return found


def test_the_table_has_every_key_of_a_plan_and_no_other() -> None:
    assert sorted(PLAN_KEYS) == sorted(keys_of(Plan))


def test_every_key_of_the_table_has_its_reason() -> None:
    assert all(rule.reason and (rule.differing or rule.treatment != "reported") for rule in PLAN_KEYS.values())


@pytest.mark.parametrize(
    ("plan", "named"),
    [
        ({"users": 8}, "plan: `users` is 4 in the base and 8 in the other"),
        ({"mix": "text"}, "mix: `mix` is default in the base and text in the other"),
        ({"model": "open"}, "model: `model` is closed in the base and open in the other"),
        (
            {"target": "http://a.test"},
            "target: `target` is mock in the base and http://a.test in the other: the embedded mock on one side only",
        ),
        ({"payloads": "mine", "inputs": {}}, "plan: `payloads` is not stated in the base and mine in the other"),
        ({"timeout_s": 3.0}, "plan: `timeout_s` is not stated in the base and 3.0 in the other"),
        ({"workers": 2}, "plan: `workers` is 1 in the base and 2 in the other"),
        ({"max_in_flight": 9}, "plan: `max_in_flight` is not stated in the base and 9 in the other"),
        ({"mock": {"servers": 3}}, "plan: `mock.servers` is not stated in the base and 3 in the other"),
    ],
)
def test_each_difference_of_the_plan_is_named(make: Make, plan: dict[str, Any], named: str) -> None:
    assert unlike(kind(make), kind(make, **plan)) == [named]


@pytest.mark.parametrize(
    "plan",
    [{"seed": 8}, {"name": "other"}, {"validity": {"waive": ["late"]}}, {"gates": ["p99 < 1s"]}, {"mock": {"seed": 5}}],
)
def test_what_changes_neither_the_load_nor_the_target_is_not_unlike(make: Make, plan: dict[str, Any]) -> None:
    assert unlike(kind(make), kind(make, **plan)) == []


@pytest.mark.parametrize(
    ("plan", "note"),
    [
        ({"seed": 8}, "the seeds differ (7 and 8)"),
        ({"duration_s": 20.0}, "the lengths differ (10.0 and 20.0)"),
        ({"account": "1"}, "the accounts differ (12345678 and 1)"),
    ],
)
def test_what_is_reported_does_not_make_runs_unlike(make: Make, plan: dict[str, Any], note: str) -> None:
    found = compare_kinds(kind(make), kind(make, **plan))

    assert found.unlike == []
    assert [text for text in found.notes if text.startswith(note)]


def test_another_address_of_the_same_kind_is_reported(make: Make) -> None:
    found = compare_kinds(*(kind(make, target=f"https://{name}.example") for name in "ab"))

    assert found.unlike == []
    assert found.elsewhere
    assert "the addresses of the target differ (https://a.example and https://b.example)" in found.notes[0]


def test_a_service_time_is_the_same_however_a_version_wrote_it(make: Make) -> None:
    earlier = {"lognormal_median_ms": 20.0, "lognormal_sigma": 0.4, "delay_cap_ms": 60000.0, "service_time": ""}
    base, new = (kind(make, mock=mock) for mock in (earlier, {"service_time": "lognormal(20ms, 0.4)"}))

    assert unlike(base, new) == []
    assert unlike(kind(make), new)[0].startswith("plan: `mock.service_time` is not stated in the base")


def test_an_outside_target_is_told_in_one_line_without_the_mock(make: Make) -> None:
    base = kind(make, mock={"delay_ms": 3, "servers": 2, "queue": 4})

    assert len(unlike(base, kind(make, target="http://127.0.0.1:1", mock={"queue": 5}))) == 1


def test_a_key_that_an_older_version_does_not_know_is_as_good_as_its_default(make: Make) -> None:
    known: dict[str, Any] = {
        "lookup": False,
        "stages": [],
        "timeout_s": Plan().timeout_s,
        "retry": {"policy": "none", "attempts": 4},
    }

    assert unlike(kind(make), kind(make, **known)) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("payloads/variants/a.json", "payloads: the content of variants/a.json is sha256 aaaaaaaaaaaa… in the base"),
        ("payloads/pools/new.txt", "payloads: the content of pools/new.txt is missing in the base"),
    ],
)
def test_other_payloads_under_the_same_path_are_unlike(make: Make, name: str, said: str) -> None:
    (found,) = unlike(kind(make), kind(make, inputs=INPUTS | {name: "d" * 64}))

    assert found.startswith(said)
    assert found.endswith("and sha256 dddddddddddd… in the other")


def test_many_files_that_differ_are_one_line(make: Make) -> None:
    changed = dict.fromkeys(INPUTS, "e" * 64)

    assert "mixes.toml, the first of 2 files," in unlike(kind(make), kind(make, inputs=changed))[0]


def test_a_changed_locustfile_is_unlike_unless_it_came_with_convload(make: Make) -> None:
    changed = INPUTS | {"locustfile": "d" * 64}
    base, new = (
        [kind(make, inputs=inputs, locustfile=path) for path in (None, "l.py")] for inputs in (INPUTS, changed)
    )

    assert unlike(base[0], new[0]) == []
    assert unlike(base[1], new[1])[0].startswith("locustfile: the content of locustfile is sha256 c")


def test_the_same_files_under_another_path_are_alike(make: Make) -> None:
    assert unlike(kind(make, payloads="here"), kind(make, payloads="there")) == []


@pytest.mark.parametrize(
    ("base", "new", "said"),
    [({}, INPUTS, "the base does not say"), (INPUTS, {}, "the other run does not say"), ({}, {}, "neither run says")],
)
def test_runs_without_hashes_say_that_payloads_cannot_be_known(
    make: Make, base: dict[str, str], new: dict[str, str], said: str
) -> None:
    found = compare_kinds(kind(make, inputs=base), kind(make, inputs=new))

    assert found.unlike == []
    assert said in found.notes[0]


def test_machines_of_another_class_are_unlike(make: Make) -> None:
    base = kind(make, {"processor": "one", "memory_bytes": 8 * 2**30, "system": "Linux 6.1"})
    other = kind(make, {"processor": "two", "cores": 4, "memory_bytes": 16 * 2**30, "system": "Linux 6.2"})

    assert [(one.kind, one.what, one.base, one.new) for one in compare_kinds(base, other).unlike] == [
        ("machine", "processor", "one", "two"),
        ("machine", "cores", "2", "4"),
        ("machine", "memory", "8.0 GiB", "16.0 GiB"),
    ]


def test_a_little_more_memory_is_the_same_class(make: Make) -> None:
    assert unlike(kind(make, {"memory_bytes": 8_000_000_000}), kind(make, {"memory_bytes": 8_300_000_000})) == []


def test_seeds_versions_and_kernels_are_notes(make: Make) -> None:
    base = kind(make, {"system": "Linux 6.1"}, {"locust": "2.47"})
    other = kind(make, {"system": "Linux 6.2"}, {"locust": "2.48"}, seed=9)

    notes = compare_kinds(base, other).notes

    assert notes[0].startswith("the seeds differ (7 and 9)")
    assert notes[1:] == [
        "the version of locust differs: 2.47 and 2.48",
        "the system differs: Linux 6.1 and Linux 6.2",
    ]
    assert compare_kinds(base, base) == Likeness([], [])
