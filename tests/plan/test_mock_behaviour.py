import math
import typing
from pathlib import Path

import msgspec
import pytest

from convload.mistakes import find_mistakes
from convload.plan.mock_behaviour import EARLIER, FAULT_SHARES, Behaviour, hint_of


def test_without_settings_the_mock_is_true_and_fast() -> None:
    plain = Behaviour()

    assert plain.auth
    assert plain.one_open_conversation
    assert not any(getattr(plain, name) for name in (*FAULT_SHARES, "service_time", *EARLIER[:2]))


def test_every_setting_is_described() -> None:
    for name, hint in typing.get_type_hints(Behaviour, include_extras=True).items():
        assert any(meta.description for meta in hint.__metadata__), name


def test_all_mistakes_are_found_at_once() -> None:
    settings = {"degrade": -1, "reset_share": 1.5, "delayms": 3, "auth": "yes", "http_5xx_status": 404}
    found = {mistake.path for mistake in find_mistakes(settings, Behaviour, "mock")}

    assert found == {"mock.degrade", "mock.reset_share", "mock.delayms", "mock.auth", "mock.http_5xx_status"}


def test_shares_of_faults_cannot_exceed_all_requests() -> None:
    assert not find_mistakes({"reset_share": 0.5, "bad_json_share": 0.5}, Behaviour)
    (mistake,) = find_mistakes({"reset_share": 0.6, "bad_json_share": 0.5}, Behaviour)

    assert "add up to 1.1; at most 1 is allowed" in mistake.what


@pytest.mark.parametrize("name", ["degrade", "usl_sigma", "reset_share", "read_timeout_s"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_no_setting_takes_a_number_that_is_none(name: str, value: float) -> None:
    assert find_mistakes({name: value}, Behaviour)


def test_a_step_that_faults_cannot_meet_is_refused_with_those_they_can() -> None:
    assert not find_mistakes({"fault_steps": "close,send = 0.5"}, Behaviour)
    assert [bool(find_mistakes({"fault_steps": f"send={part}"}, Behaviour)) for part in ("", "2", "-1", "x", "1")] == [
        *[True] * 4,
        False,
    ]
    (mistake,) = find_mistakes({"fault_steps": "create, closing"}, Behaviour, "mock")

    assert mistake.path == "mock.fault_steps"
    assert "'closing' is no step; allowed, divided by commas: create, send, close, app_token" in mistake.what


def test_the_reading_of_requests_is_part_of_it() -> None:
    behaviour = msgspec.convert({"any_order": True, "strict": True, "max_message_chars": 9}, Behaviour)

    assert msgspec.structs.astuple(behaviour.reading) == (True, True, 9)


SERVERS = {"servers": 4, "service_time": "exponential(8ms)"}


def places(settings: dict[str, object]) -> set[str]:
    return {mistake.path for mistake in find_mistakes(settings, Behaviour, "mock")}


def test_settings_of_servers_are_refused_without_them() -> None:
    settings = {"queue": 3, "shed": 503, "usl_sigma": 0.1, "stall_every": "1s"}

    assert places(settings) == {f"mock.{name}" for name in settings}


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({}, set()),
        ({"queue": 0, "shed": 503, "retry_after": "0s"}, set()),
        ({"shed": 503, "retry_after": "2s"}, {"mock.shed", "mock.retry_after"}),
        ({"delay_ms": 3, "lognormal_median_ms": 4}, {"mock.delay_ms", "mock.lognormal_median_ms"}),
        ({"stall_for": "1s"}, {"mock.stall_every"}),
        ({"stall_every": "1s", "stall_for": "1s"}, {"mock.stall_for"}),
        ({"slow_start_factor": 2, "slow_start_for": "0s"}, {"mock.slow_start_for"}),
        ({"service_time": "exponential(8)", "retry_after": "soon", "degrade": -1}, None),
        ({"service_time": ""}, {"mock.service_time"}),
        ({"queue": 5, "retry_after": "1500ms"}, {"mock.retry_after"}),
        ({"queue": 5, "shed": 500}, {"mock.shed"}),
    ],
)
def test_settings_that_contradict_each_other_are_told_all_at_once(
    settings: dict[str, object], wrong: set[str] | None
) -> None:
    expected = {f"mock.{name}" for name in settings} if wrong is None else wrong

    assert places(SERVERS | settings) == expected


def test_a_behaviour_made_in_code_is_held_to_the_same_rules() -> None:
    with pytest.raises(ValueError, match=r"\.service_time: is needed with servers") as caught:
        Behaviour(servers=2, delay_ms=3)
    assert ".delay_ms: " in str(caught.value)

    with pytest.raises(ValueError, match=r"\.service_time: 'fast' is no service time"):
        Behaviour(servers=2, service_time="fast")


# What an earlier version wrote

EARLIER_FORMS: list[tuple[dict[str, float], str]] = [
    ({"delay_ms": 20}, "constant(20ms)"),
    ({"delay_ms": 0.0375}, "constant(0.0375ms)"),
    ({"lognormal_median_ms": 20.0, "lognormal_sigma": 0.4}, "lognormal(20ms, 0.4)"),
    ({"lognormal_median_ms": 20.0}, "lognormal(20ms, 0.5)"),
    ({"delay_ms": 5, "lognormal_median_ms": 12.3, "lognormal_sigma": 1}, "5ms + lognormal(12.3ms, 1)"),
    ({"lognormal_sigma": 0.4}, ""),
    ({}, ""),
]


@pytest.mark.parametrize(("written", "text"), EARLIER_FORMS)
def test_delays_of_an_earlier_version_are_a_service_time(written: dict[str, float], text: str) -> None:
    assert msgspec.convert(written, Behaviour).service_time == text
    assert not text or text in hint_of(written)


@pytest.mark.parametrize("text", [text for _, text in EARLIER_FORMS])
def test_a_behaviour_is_recorded_with_the_keys_of_an_earlier_version_and_read_again(text: str) -> None:
    behaviour = Behaviour(service_time=text)
    recorded = msgspec.to_builtins(behaviour)

    assert set(EARLIER) <= recorded.keys()
    assert msgspec.convert({name: recorded[name] for name in EARLIER}, Behaviour) == behaviour
    assert msgspec.convert(recorded, Behaviour) == behaviour


def test_a_file_of_times_cannot_be_said_in_the_keys_of_an_earlier_version(tmp_path: Path) -> None:
    path = tmp_path / "constant_times.txt"
    path.write_text("3\n5\n")
    behaviour = Behaviour(service_time=f"empirical({path})")

    assert (behaviour.delay_ms, behaviour.lognormal_median_ms) == (0, 0)


@pytest.mark.parametrize(
    "settings",
    [
        {"delay_ms": 3, "service_time": "constant(4ms)"},
        {"lognormal_median_ms": 3, "service_time": "exponential(4ms)"},
        {"delay_ms": 3, "servers": 2, "service_time": "constant(3ms)"},
        {"lognormal_median_ms": 40, "lognormal_sigma": 1, "delay_cap_ms": 100},
    ],
)
def test_an_earlier_key_that_says_something_else_is_refused(settings: dict[str, object]) -> None:
    (mistake,) = find_mistakes(settings, Behaviour, "mock")

    assert mistake.path.removeprefix("mock.") in EARLIER


def test_the_hint_says_what_to_write_in_a_plan_and_as_flags() -> None:
    written = {"lognormal_median_ms": 20.0, "lognormal_sigma": 0.4}

    assert hint_of(written) == (
        'lognormal_median_ms, lognormal_sigma: read for one more version; write service_time = "lognormal(20ms, 0.4)"'
    )
    assert hint_of(written, as_flags=True).startswith("--lognormal-median-ms, --lognormal-sigma: read")
    assert hint_of(written, as_flags=True).endswith("write --service-time 'lognormal(20ms, 0.4)'")
    assert hint_of({"servers": 3}) == ""
