"""Whether a target can be used, asked of real servers on this machine."""

import socket
from collections.abc import Iterator

import pytest
from tests.conftest import clean_environment

from convload.doctor.facts import Check
from convload.doctor.target import certificate, examine
from convload.errors import UsageError
from convload.mock.process import MockProcess, start_mock
from convload.plan.mock_behaviour import Behaviour
from convload.plan.plan import Plan

SECRET = {"CONVLOAD_CLIENT_ID": "app", "CONVLOAD_CLIENT_SECRET": "hush"}
DAY_S = 86_400


@pytest.fixture(scope="module")
def plain() -> Iterator[MockProcess]:
    with start_mock(Behaviour(), env=clean_environment() | SECRET) as mock:
        yield mock


@pytest.fixture(scope="module")
def secure() -> Iterator[MockProcess]:
    with start_mock(Behaviour(), env=clean_environment() | SECRET, tls=True) as mock:
        yield mock


def states(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.state for check in checks}


def figure(checks: list[Check], name: str) -> str:
    return next(check.figure for check in checks if check.name == name)


def test_a_usable_target_is_asked_step_by_step_and_nothing_is_created(plain: MockProcess) -> None:
    checks = examine(Plan(target=plain.url), SECRET)

    assert states(checks) == {
        "name look-up": "ok",
        "TCP connect": "ok",
        "request": "ok",
        "credentials": "ok",
        "app token": "ok",
    }
    assert plain.stats()["create"]["received"] == 0
    assert "hush" not in str(checks)


def test_the_domain_look_up_is_the_request_where_the_plan_has_one(plain: MockProcess) -> None:
    before = plain.stats()["domain"]["received"]

    checks = examine(Plan(target=plain.url, lookup=True), SECRET)

    assert set(states(checks).values()) == {"ok"}
    assert figure(checks, "request").endswith("HTTP 200")
    assert plain.stats()["domain"]["received"] == before + 1


def test_each_source_address_of_the_target_s_family_is_tried(plain: MockProcess) -> None:
    checks = examine(Plan(target=plain.url, source_addresses=["127.0.0.3", "::1", "127.0.0.2"], lookup=True), SECRET)

    connects = {check.name: check.state for check in checks if check.name.startswith("TCP connect")}
    assert connects == {
        "TCP connect from 127.0.0.3": "ok",
        "TCP connect from ::1": "warning",
        "TCP connect from 127.0.0.2": "ok",
    }
    assert states(checks)["app token"] == "ok"


def test_the_requests_come_from_the_first_source_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        examine(Plan(target=url, source_addresses=["127.0.0.2"], timeout_s=0.05), {})
        server.settimeout(5)

        peers = [server.accept() for _ in ("the connection", "the request")]

    assert [address for _, (address, _) in peers] == ["127.0.0.2"] * 2
    for sock, _ in peers:
        sock.close()


@pytest.mark.parametrize("source", ["192.0.2.1", "nonsense"])
def test_a_source_address_of_another_machine_is_a_problem(plain: MockProcess, source: str) -> None:
    checks = examine(Plan(target=plain.url, source_addresses=[source]), {})

    assert (checks[-1].name, checks[-1].state) == ("TCP connect", "problem")
    assert f"{source} is no address of this machine" in checks[-1].figure


def test_tls_is_told_with_its_version_and_the_days_of_the_certificate(secure: MockProcess) -> None:
    checks = examine(Plan(target=secure.url, ca_file=secure.ca_file), {})

    assert (states(checks)["TLS handshake"], states(checks)["request"]) == ("ok", "ok")
    assert "TLSv1.3" in figure(checks, "TLS handshake")
    assert "more day" in figure(checks, "certificate")


def test_a_certificate_of_an_unknown_authority_is_a_problem_if_verified(secure: MockProcess) -> None:
    strict = examine(Plan(target=secure.url), {})
    lax = examine(Plan(target=secure.url, verify_tls=False), {})

    assert (strict[-1].name, strict[-1].state) == ("TLS handshake", "problem")
    assert "certificate" in strict[-1].figure
    assert states(lax)["certificate"] == "not known"
    assert states(lax)["request"] == "ok"
    assert (lax[0].name, lax[0].state) == ("protection", "warning")
    assert "certificates are not checked" in lax[0].meaning


def test_plain_text_where_tls_is_expected_is_a_problem(plain: MockProcess) -> None:
    checks = examine(Plan(target=plain.url.replace("http:", "https:"), connect_timeout_s=2.0), {})

    assert (checks[-1].name, checks[-1].state) == ("TLS handshake", "problem")


def test_a_refused_port_is_a_problem_and_ends_the_list() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    checks = examine(Plan(target=f"http://127.0.0.1:{port}"), {})

    assert states(checks) == {"name look-up": "ok", "TCP connect": "problem"}
    assert "refused" in checks[-1].figure


def test_a_name_without_an_address_is_a_problem() -> None:
    [only] = examine(Plan(target=f"http://{'x' * 70}.invalid", allow_hosts=["*.invalid"]), {})

    assert (only.name, only.state) == ("name look-up", "problem")


def test_a_target_that_never_answers_is_a_problem() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = f"http://127.0.0.1:{server.getsockname()[1]}"

        checks = examine(Plan(target=target, timeout_s=0.3), {})

    assert (checks[-1].name, checks[-1].state) == ("request", "problem")
    assert checks[-1].figure == "no answer within the time allowed"


def test_refused_credentials_are_a_problem_and_not_shown(plain: MockProcess) -> None:
    checks = examine(Plan(target=plain.url), SECRET | {"CONVLOAD_CLIENT_SECRET": "wrong-one"})

    assert (checks[-1].name, checks[-1].state) == ("app token", "problem")
    assert "refused" in checks[-1].figure
    assert "wrong-one" not in str(checks)


def test_without_credentials_it_is_said_which_variables_are_not_set(plain: MockProcess) -> None:
    checks = examine(Plan(target=plain.url), {"CONVLOAD_CLIENT_ID": "app"})

    assert states(checks)["credentials"] == "warning"
    assert figure(checks, "credentials") == "CONVLOAD_CLIENT_ID is set, CONVLOAD_CLIENT_SECRET is not set"
    assert "app token" not in states(checks)


def test_a_missing_ca_file_is_wrong_usage(secure: MockProcess) -> None:
    with pytest.raises(UsageError, match="ca_file: nowhere"):
        examine(Plan(target=secure.url, ca_file="nowhere.pem"), {})


@pytest.mark.parametrize(("days", "state"), [(400, "ok"), (14, "ok"), (13, "warning"), (1, "warning")])
def test_a_certificate_that_ends_soon_is_warned_of(days: int, state: str) -> None:
    ends_s = 1_767_225_600  # 2026-01-01T00:00:00Z
    check = certificate({"notAfter": "Jan  1 00:00:00 2026 GMT"}, ends_s - days * DAY_S)

    assert (check.state, check.figure) == (state, f"valid for {days} more day{'s' * (days != 1)}")
