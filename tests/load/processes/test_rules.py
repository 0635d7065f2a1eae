"""What a worker lets itself be told: targets, code and variables that it was not started for are refused in words."""

from pathlib import Path

import msgspec
import pytest

from convload import bundled
from convload.errors import UsageError
from convload.load.processes.rules import ANY, Rules, sha256_of
from convload.plan.plan import Plan

OWN = "print('of a tester')"
BUNDLED = (bundled.folder("locustfiles") / "create_conversation.py").read_text("utf-8")
PLAN = Plan()
EVIL = "https://evil.example.net"


def of_flags(*hosts: str, code: tuple[str, ...] = (), **environment: str) -> Rules:
    return Rules.of_flags(hosts, code, environment, unverified=False)


def applied(rules: Rules, target: str = "http://127.0.0.1:8080", locustfile: str = BUNDLED, plan: Plan = PLAN) -> Plan:
    return rules.apply(plan, [target], locustfile, [])


def test_loopback_and_the_bundled_locustfile_need_no_permission() -> None:
    assert applied(of_flags()).allow_hosts == []


@pytest.mark.parametrize("target", [EVIL, "file:///etc/passwd", "http://127.0.0.1@evil.example.net", "", "http://[::1"])
def test_another_target_is_refused_whatever_the_plan_allows(target: str) -> None:
    plan = msgspec.structs.replace(PLAN, allow_hosts=["*.example.net"])

    with pytest.raises(UsageError, match="it is not to fire at"):
        applied(of_flags(), target, plan=plan)


def test_a_look_up_is_held_to_the_hosts_of_the_worker() -> None:
    plan = msgspec.structs.replace(PLAN, allow_hosts=["*"])

    assert applied(of_flags("evil.example.net"), EVIL, plan=plan).allow_hosts == ["evil.example.net"]
    assert applied(of_flags(CONVLOAD_ALLOW_HOSTS="a.example.net, *.example.net"), EVIL, plan=plan).allow_hosts == [
        "a.example.net",
        "*.example.net",
    ]


def test_a_worker_fires_from_its_own_addresses_and_not_those_of_the_plan() -> None:
    plan = msgspec.structs.replace(PLAN, source_addresses=["127.0.0.2"])
    named = Rules.of_flags((), (), {}, unverified=False, source_addresses=["127.0.0.3"])

    assert applied(named, plan=plan).source_addresses == ["127.0.0.3"]
    assert applied(of_flags(), plan=plan).source_addresses == []
    assert applied(Rules.of_run(plan, BUNDLED, ""), plan=plan).source_addresses == ["127.0.0.2"]


def test_a_locustfile_runs_if_it_is_named_by_its_sum_or_any_may() -> None:
    with pytest.raises(UsageError, match=f"--allow-code {sha256_of(OWN)}"):
        applied(of_flags(code=(sha256_of("another"),)), locustfile=OWN)

    for code in (sha256_of(OWN), sha256_of(OWN).upper(), ANY):
        applied(of_flags(code=(code,)), locustfile=OWN)


def test_what_is_no_sum_is_refused() -> None:
    with pytest.raises(UsageError, match="must be the SHA-256 of a locustfile"):
        of_flags(code=("10.0.0.5:5557",))


def test_certificates_go_unchecked_only_where_the_worker_says_so() -> None:
    plan = msgspec.structs.replace(PLAN, verify_tls=False)

    with pytest.raises(UsageError, match="--allow-unverified-tls"):
        applied(of_flags(), plan=plan)
    applied(Rules.of_flags([], [], {}, unverified=True), plan=plan)


def test_whom_to_trust_is_not_for_the_run_to_say(tmp_path: Path) -> None:
    plan = msgspec.structs.replace(PLAN, ca_file="theirs.pem")
    (tmp_path / "ours.pem").write_text("ours")
    own = Rules.of_flags([], [], {"CONVLOAD_CA_FILE": str(tmp_path / "ours.pem")}, unverified=False)

    with pytest.raises(UsageError, match="--ca-file FILE"):
        applied(of_flags(), plan=plan)
    applied(own, plan=plan)
    assert own.ca_pem == "ours"


def test_no_variable_but_credentials_is_taken() -> None:
    with pytest.raises(UsageError, match="LD_PRELOAD"):
        of_flags().apply(PLAN, [], BUNDLED, ["CONVLOAD_CLIENT_ID", "LD_PRELOAD"])


def test_the_workers_of_a_run_do_what_its_plan_says() -> None:
    plan = msgspec.structs.replace(PLAN, allow_hosts=["*.example.net"], verify_tls=False)

    assert applied(Rules.of_run(plan, OWN, ""), EVIL, OWN, plan) == plan
