"""The saved ceiling: kept for later runs, and worth nothing where it does not belong."""

import re
from pathlib import Path

import msgspec
import pytest

from convload.plan.plan import assemble
from convload.results.runlog import KnownCeiling
from convload.run import ceiling
from convload.run.ceiling import DamagedError, Entry, Key, workers_for

KEY = Key("machine", "a processor", 4.0, "3.11.7", "0.1.0")
KNOWN = KnownCeiling(16_000.0, 1, 4.0, "2026-11-23T10:00:00+00:00")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "convload" / "ceiling.json"


def test_what_was_saved_is_known(file: Path) -> None:
    ceiling.save(file, Entry(KEY, KNOWN))

    assert ceiling.known(file, KEY, 1) == KNOWN
    assert msgspec.json.decode(file.read_bytes())["format"] == "convload/ceiling/1"
    assert [path.name for path in file.parent.iterdir()] == ["ceiling.json"]


def test_a_newer_one_replaces_that_of_the_same_machine_and_workers_alone(file: Path) -> None:
    for key, rate, workers in ((KEY, 1.0, 1), (KEY, 2.0, 2), (msgspec.structs.replace(KEY, cores=2.0), 3.0, 1)):
        ceiling.save(file, Entry(key, msgspec.structs.replace(KNOWN, rate_per_s=rate, workers=workers)))
    ceiling.save(file, Entry(KEY, KNOWN))

    assert sorted(entry.ceiling.rate_per_s for entry in ceiling.read(file)) == [2.0, 3.0, 16_000.0]


def test_a_ceiling_that_was_not_reached_replaces_no_higher_one(file: Path) -> None:
    rates = [(16_000.0, False), (4_000.0, True), (20_000.0, True), (9_000.0, False)]
    kept = [
        ceiling.save(file, Entry(KEY, msgspec.structs.replace(KNOWN, rate_per_s=rate, at_least=at_least)))
        for rate, at_least in rates
    ]

    assert kept == [True, False, True, True]
    assert [entry.ceiling.rate_per_s for entry in ceiling.read(file)] == [9_000.0]


def test_the_nearest_number_of_workers_is_taken(file: Path) -> None:
    for workers in (1, 4):
        ceiling.save(file, Entry(KEY, msgspec.structs.replace(KNOWN, workers=workers)))

    assert [getattr(ceiling.known(file, KEY, workers), "workers", None) for workers in (1, 2, 3, 9)] == [1, 1, 4, 4]


@pytest.mark.parametrize("field", Key.__struct_fields__)
def test_a_ceiling_of_another_machine_or_software_is_not_known(file: Path, field: str) -> None:
    other = msgspec.structs.replace(KEY, **{field: 1.0 if field == "cores" else "other"})
    ceiling.save(file, Entry(other, KNOWN))

    assert ceiling.known(file, KEY, 1) is None


def test_without_a_file_nothing_is_known(file: Path) -> None:
    assert ceiling.read(file) == []
    assert ceiling.known(file, KEY, 1) is None


DAMAGED = {
    "no JSON": b'{"format": "convload/cei',
    "no text": b"\xff\xfe",
    "a list": b"[]",
    "another format": b'{"format": "convload/ceiling/9", "entries": []}',
    "a rate of nothing": msgspec.json.encode(
        {"format": ceiling.FORMAT, "entries": [{"key": KEY, "ceiling": msgspec.structs.replace(KNOWN, rate_per_s=0.0)}]}
    ),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_file_is_not_known_is_named_and_can_be_replaced(file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)

    assert ceiling.known(file, KEY, 1) is None
    with pytest.raises(DamagedError, match=r"ceiling\.json"):
        ceiling.read(file)
    ceiling.save(file, Entry(KEY, KNOWN))
    assert ceiling.known(file, KEY, 1) == KNOWN


@pytest.mark.parametrize(
    ("environment", "path"),
    [
        ({"XDG_CACHE_HOME": "/cache", "HOME": "/home/me"}, "/cache/convload/ceiling.json"),
        ({"HOME": "/home/me"}, "/home/me/.cache/convload/ceiling.json"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/home/me"}, "/home/me/.cache/convload/ceiling.json"),
    ],
)
def test_it_is_kept_in_the_cache_folder(environment: dict[str, str], path: str) -> None:
    assert ceiling.path(environment) == Path(path)


def test_the_key_names_its_machine_by_a_hash_alone() -> None:
    assert ceiling.here() == ceiling.here()
    assert re.fullmatch("[0-9a-f]{16}", ceiling.here().machine)


@pytest.mark.parametrize(
    ("measured", "run", "expected"), [(1, 1, 16_000), (1, 3, 48_000), (1, 9, 64_000), (2, 1, 8_000), (8, 4, 16_000)]
)
def test_workers_scale_a_ceiling_up_to_the_cores(measured: int, run: int, expected: float) -> None:
    assert msgspec.structs.replace(KNOWN, workers=measured).of_workers(run) == expected


@pytest.mark.parametrize(
    ("flags", "workers"),
    [
        ({"rate": 10_000, "consumers": "none"}, 1),
        ({"rate": 13_000, "consumers": "none"}, 2),
        ({"rate": 13_000}, 3),
        ({"rate": 500_000}, 7),
        ({"users": 100}, 7),
    ],
)
def test_auto_takes_as_many_workers_as_a_rate_needs(file: Path, flags: dict[str, object], workers: int) -> None:
    ceiling.save(file, Entry(KEY, msgspec.structs.replace(KNOWN, cores=8.0)))

    found = assemble(None, {}, flags | {"workers": "auto"}, lambda plan: workers_for(plan, file, KEY, most=7))

    assert found.workers == workers


def test_auto_takes_all_cores_but_one_where_nothing_was_measured(file: Path) -> None:
    found = assemble(None, {}, {"rate": 10, "workers": "auto"}, lambda plan: workers_for(plan, file, KEY, most=7))

    assert found.workers == 7


def test_a_plan_may_say_auto_and_is_frozen_with_a_number(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('workers = "auto"\nusers = 1\n')

    assert assemble(plan, {}, {}).workers == 1
