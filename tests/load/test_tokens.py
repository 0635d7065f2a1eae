"""The app's token: how it is got, when another one is, and what is said where none is to be had."""

import base64
import json
import time
from collections.abc import Callable

import gevent
import pytest
from tests.conftest import Cli, summary_of
from tests.load.account import Account, Received, Rig, answer
from tests.load.conftest import Script

from convload.errors import TargetError

Serve = Callable[..., Script]

REVOKED = {"kind": "resp", "code": 401, "body": {"title": "Invalid AppJWT", "errorCode": 40102}}
NO_CONSUMER = {"kind": "resp", "code": 401, "body": {"title": "Invalid ConsumerJWS", "errorCode": 40103}}


class Strict(Account):
    """Refuses every app token that is not valid; `valid` is the last one, or what a test says."""

    valid: str | None = None
    refuses_all = False

    def __init__(self, serve: Serve) -> None:
        super().__init__(serve)
        self.first = self._check

    def _check(self, request: Received) -> bytes | None:
        token = request.headers.get("authorization")
        is_valid = not self.refuses_all and token == (self.valid or f"app{self.tokens}")
        return None if request.step == "token.app" or is_valid else answer(401, REVOKED)


def test_a_refused_token_is_replaced_once_for_all_users(serve: Serve) -> None:
    account = Strict(serve)
    rig = Rig(account.url, consumers="none", tokens=True)
    users = [rig.another() for _ in range(20)]
    account.valid = "app2"

    gevent.joinall([gevent.spawn(user.create) for user in users], raise_error=True)
    outcomes = rig.kept.outcomes("conversation.create")
    for user in users:
        user.create()

    assert account.tokens == 2
    assert outcomes == ["http_401"] * 20
    assert rig.kept.outcomes("conversation.create")[20:] == ["ok"] * 20
    assert rig.kept.outcomes("token.app") == ["ok", "ok"]


def test_a_fresh_token_that_is_refused_too_is_the_last_that_is_asked_for(serve: Serve) -> None:
    account = Strict(serve)
    rig = Rig(account.url, consumers="none", tokens=True)
    account.refuses_all = True

    rig.hold(10)

    assert account.tokens == 2
    assert rig.kept.outcomes("conversation.create") == ["http_401"] * 10
    assert rig.notes == ["AppJWT: a fresh one was refused too (error code 40102); no other is asked for"]


def test_a_token_that_worked_and_is_refused_later_is_replaced_too(serve: Serve) -> None:
    account = Strict(serve)
    rig = Rig(account.url, consumers="none", tokens=True)

    for _ in range(3):
        rig.hold(2)
        account.valid = f"app{account.tokens + 1}"
        gevent.sleep(1.05)  # no two are asked for within a second
        rig.hold(2)

    assert account.tokens == 4
    assert rig.kept.outcomes("conversation.create") == ["ok", "ok", "http_401", "ok"] * 3


def test_one_refusal_of_a_fresh_token_that_works_is_not_the_end(serve: Serve) -> None:
    account = Strict(serve)
    rig = Rig(account.url, consumers="none", tokens=True)
    account.refuses_all = True
    rig.hold(2)
    account.refuses_all = False
    rig.hold(1)
    account.valid = "app3"
    gevent.sleep(1.05)

    rig.hold(2)

    assert rig.kept.outcomes("conversation.create") == ["http_401", "http_401", "ok", "http_401", "ok"]


def test_what_a_consumer_is_refused_for_asks_for_no_app_token(serve: Serve) -> None:
    account = Account(serve)
    rig = Rig(account.url)
    account.first = lambda one: answer(401, NO_CONSUMER) if one.headers.get("x-lp-on-behalf") == "consumer1" else None

    rig.hold(3)

    assert rig.kept.outcomes("conversation.create") == ["http_401", "ok", "ok"]
    assert (account.tokens, account.consumers) == (1, 2)


def test_a_consumer_token_that_is_refused_leads_to_a_new_app_token(serve: Serve) -> None:
    account = Strict(serve)
    rig = Rig(account.url)
    account.valid = "app2"

    rig.hold(2)

    assert rig.kept.outcomes("token.consumer") == ["http_401", "ok"]
    assert rig.kept.outcomes("conversation.create") == ["ok"]


def test_a_renewal_that_fails_is_a_note_and_an_error_of_its_step(serve: Serve) -> None:
    account = Strict(serve)
    rig = Rig(account.url, consumers="none", tokens=True)
    account.refuses_all = True
    check = account.first
    account.first = lambda one: answer(503) if one.step == "token.app" else check(one)

    rig.hold(1)

    assert rig.kept.outcomes("token.app") == ["ok", "http_503"]
    assert rig.notes == ["AppJWT: could not be renewed: unavailable: http_503"]


def jwt(**claims: float) -> str:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJh.{part}.c2ln"


@pytest.mark.parametrize("claims", [{"iat": 1000.0, "exp": 1001.0}, {"exp": time.time() + 1.5}])
def test_without_expires_in_the_expiry_of_the_token_itself_counts(serve: Serve, claims: dict[str, float]) -> None:
    account = Account(serve)
    account.first = lambda one: answer(200, {"access_token": jwt(**claims)}) if one.step == "token.app" else None

    Rig(account.url, consumers="none", tokens=True)
    with gevent.Timeout(5):
        while len(account.of("token.app")) < 2:
            gevent.sleep(0.02)


def refused_start(serve: Serve, *answers: bytes | None) -> tuple[str, Account]:
    account = Account(serve)
    left = list(answers)
    account.first = lambda one: (left.pop(0) if len(left) > 1 else left[0]) if one.step == "token.app" else None
    with pytest.raises(TargetError) as caught:
        Rig(account.url, timeout="200ms")
    return str(caught.value), account


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (
            answer(401, {"error": "invalid_client"}),
            "refused: http_401, error code invalid_client; check the credentials",
        ),
        (answer(403), "refused: http_403; check the credentials"),
        (answer(200, {"token": "x.y.z"}), "unreadable answer: contract"),
        (
            answer(302, None, "Location: https://elsewhere/login"),
            "redirected: http_302, Location: https://elsewhere/login",
        ),
    ],
    ids=["401", "403", "unreadable", "redirect"],
)
def test_a_start_without_a_token_says_which_it_was_and_asks_once(serve: Serve, reply: bytes, said: str) -> None:
    message, account = refused_start(serve, reply)

    assert message.startswith(f"AppJWT: {said}")
    assert len(account.of("token.app")) == 1
    assert "x.y.z" not in message


@pytest.mark.parametrize("status", [429, 503])
def test_a_start_that_is_turned_away_once_is_tried_again(serve: Serve, status: int) -> None:
    account = Account(serve)
    account.first = lambda one: (
        answer(status, None, "Retry-After: 0")
        if one.step == "token.app" and len(account.of("token.app")) == 1
        else None
    )
    began_s = time.monotonic()

    rig = Rig(account.url)

    assert rig.kept.outcomes("token.app") == ["rate_limited" if status == 429 else "http_503", "ok"]
    assert time.monotonic() - began_s > (1 if status == 429 else 5)


def test_a_start_that_is_never_answered_ends_and_says_so(serve: Serve) -> None:
    account = Account(serve)
    account.first = lambda one: answer(429) if one.step == "token.app" else None

    with pytest.raises(TargetError, match=r"^AppJWT: rate limited: rate_limited; tried 4 times$"):
        Rig(account.url)


def test_a_run_says_that_its_token_could_not_be_renewed(serve: Serve, cli: Cli) -> None:
    account = Account(serve)
    short = answer(200, {"access_token": "app", "expires_in": 1})
    account.first = lambda one: (
        None if one.step != "token.app" else short if len(account.of("token.app")) == 1 else answer(503)
    )

    load = ("--users", "2", "--think", "constant 100ms", "--duration", "4s", "--warmup", "0s")
    done = cli("run", "--target", account.url, *load, "--out", "out")

    assert "AppJWT: could not be renewed: unavailable: http_503" in done.out
    steps = summary_of(cli.folder / "out")["steps"]
    assert steps["token.app"]["errors"]["http_503"] >= 2
