"""A create that was done although its answer does not say so counts as one error, not as two."""

from collections.abc import Callable

import pytest
from tests.conftest import Cli, summary_of
from tests.load.account import Account, Rig, answer
from tests.load.conftest import Script

Serve = Callable[..., Script]

FAULTS = {
    "500": answer(500),
    "502": answer(502, {"code": 502}),
    "504": answer(504),
    "201": answer(201, []),
    "202": answer(202),
    "302": answer(302, None, "Location: /elsewhere"),
    "409": answer(409),
    "reset": b"",
    "time-out": None,
    "no-json": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno",
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_the_reported_share_of_errors_is_the_injected_one(serve: Serve, fault: bytes | None) -> None:
    account = Account(serve, fault, each=10)
    rig = Rig(account.url, timeout="300ms")

    rig.hold(60)

    outcomes = rig.kept.outcomes("conversation.create")
    assert len(outcomes) == account.created == 60
    assert len([outcome for outcome in outcomes if outcome != "ok"]) == account.faults == 6
    assert set(rig.kept.outcomes("token.consumer")) == {"ok"}
    assert len(account.open) == 6


def test_a_conversation_that_a_failed_answer_names_is_closed(serve: Serve) -> None:
    account = Account(serve, answer(202, {"conversationId": "c5"}), each=5)
    rig = Rig(account.url)

    rig.hold(20)

    assert rig.kept.outcomes("conversation.create").count("http_202") == account.faults == 4
    assert account.open == {}


@pytest.mark.parametrize("consumers", ["fresh", "pool"])
def test_a_consumer_used_once_doubles_no_error_either(serve: Serve, consumers: str) -> None:
    account = Account(serve, answer(504), each=5)
    rig = Rig(account.url, consumers=consumers, pool_size=40 if consumers == "pool" else None)

    rig.hold(40)

    outcomes = rig.kept.outcomes("conversation.create")
    assert (outcomes.count("ok"), outcomes.count("http_504"), len(outcomes)) == (32, 8, 40)


def test_under_a_retry_policy_a_conversation_fails_once(serve: Serve) -> None:
    """The second attempt meets the conversation that the first has opened; the next conversation does not."""
    account = Account(serve, answer(504), each=10)
    rig = Rig(account.url, retry={"policy": "fixed", "first_wait_s": 0.0})

    rig.hold(60)

    outcomes = rig.kept.outcomes("conversation.create")
    assert (outcomes.count("ok"), outcomes.count("http_400"), len(outcomes)) == (54, 6, 60)
    assert rig.kept.outcomes("conversation.create.first").count("http_504") == 6


@pytest.mark.parametrize("status", [401, 403, 404, 413, 415, 429])
def test_a_refusal_that_proves_there_is_no_conversation_keeps_its_consumer(serve: Serve, status: int) -> None:
    account = Account(serve)
    rig = Rig(account.url)
    account.first = lambda request: (
        answer(status) if request.step == "create" and len(account.of("create")) % 2 else None
    )

    rig.hold(10)

    assert rig.kept.outcomes("conversation.create").count("ok") == 5
    assert account.consumers == 1


@pytest.mark.parametrize("load", [("--users", "4", "--conversations", "200"), ("--rate", "40", "--duration", "4s")])
def test_a_whole_run_reports_the_injected_share(serve: Serve, cli: Cli, load: tuple[str, ...]) -> None:
    account = Account(serve, answer(504), each=10)

    cli("run", "--target", account.url, *load, "--warmup", "0s", "--out", "out")

    step = summary_of(cli.folder / "out")["steps"]["conversation.create"]
    assert step["errors"] == {"http_504": account.faults}
    assert step["ok"] == account.created - account.faults > 100
