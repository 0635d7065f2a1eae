import asyncio
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from tests.conftest import wait_for

from convload.mock.access import AppCredentials
from convload.mock.api import Api
from convload.mock.messages import Reply, Request, Traffic
from convload.mock.process import start_mock
from convload.mock.waiting_line import Counts, Station, Timekeeper, Visit, WaitingLine, station_of
from convload.plan.mock_behaviour import Behaviour

ACCOUNT = "12345678"
CREATE = f"/api/account/{ACCOUNT}/messaging/consumer/conversation?v=3"
DOMAIN = f"/api/account/{ACCOUNT}/service/idp/baseURI.json?version=1.0"
BODY = [
    {"kind": "req", "id": "1,", "type": "userprofile.SetUserProfile", "body": {}},
    {"kind": "req", "id": "2,", "type": "cm.ConsumerRequestConversation", "body": {"brandId": ACCOUNT}},
]

Serve = Callable[..., Any]
Connect = Callable[[Any], Any]
Message = Callable[..., bytes]


class VirtualLine:
    """A waiting line whose time the test sets."""

    def __init__(self, line: WaitingLine) -> None:
        self.line = line
        self.counts: Counts = line.counts
        self.now_s = 0.0

    def enter(self, service_s: float) -> Visit | None:
        return self.line.arrive(self.now_s, service_s)


class Queueing:
    """The endpoints of a mock with servers, in virtual time."""

    def __init__(self, **settings: Any) -> None:
        behaviour = Behaviour(auth=False, **settings)
        self.line = VirtualLine(WaitingLine(station_of(behaviour), 0.0))
        self._api = Api(behaviour, AppCredentials(), Traffic(), lambda: 1_700_000_000.0, self.line)

    def ask(self, method: str, target: str, body: Any = b"") -> Reply:
        return self._api.respond(
            Request(
                method.encode(),
                target.encode(),
                {b"host": b"m"},
                body if isinstance(body, bytes) else json.dumps(body).encode(),
            )
        )

    def create(self) -> Reply:
        return self.ask("POST", CREATE, BODY)

    def read(self, target: str) -> Any:
        return json.loads(self.ask("GET", target).body)


def visit_of(reply: Reply) -> Visit:
    assert reply.visit is not None
    return reply.visit


def test_a_create_is_answered_when_the_servers_are_done_with_it() -> None:
    mock = Queueing(servers=1, service_time="constant(20ms)")
    visits = [visit_of(mock.create()) for _ in range(3)]
    mock.line.line.advance(1.0)

    assert [visit.done_s for visit in visits] == pytest.approx([0.02, 0.04, 0.06])


def test_the_other_calls_do_not_queue() -> None:
    mock = Queueing(servers=1, service_time="constant(20ms)", queue=0)
    mock.create()

    assert mock.ask("GET", DOMAIN).visit is None
    assert mock.ask("GET", DOMAIN).status == 200


@pytest.mark.parametrize("shed", [429, 503])
def test_a_full_queue_sheds_at_once_and_says_when_to_come_again(shed: int) -> None:
    mock = Queueing(servers=1, service_time="constant(20ms)", queue=1, shed=shed, retry_after="3s")
    replies = [mock.create() for _ in range(3)]

    assert [reply.status for reply in replies] == [200, 200, shed]
    assert (replies[2].visit, replies[2].delay_s) == (None, 0)
    assert replies[2].headers == b"Retry-After: 3\r\n"
    assert json.loads(replies[2].body)["body"]["errorCode"] == shed * 100


def test_what_is_shed_creates_nothing_and_is_counted() -> None:
    mock = Queueing(servers=2, service_time="constant(20ms)", queue=1)
    for _ in range(5):
        mock.create()
    stats = mock.read("/__mock__/stats")

    assert stats["create"] == {"received": 5, "accepted": 3, "by_status": {"200": 3, "429": 2}}
    assert stats["conversations"]["opened"] == 3
    assert stats["servers"] == {
        "in_service": 2,
        "queued": 1,
        "in_service_max": 2,
        "queued_max": 1,
        "served": 0,
        "shed": 2,
        "waited_s": 0.0,
        "in_service_s": 0.0,
    }
    assert mock.read("/__mock__/ledger")["accepted"]["create"] == 3


def test_without_a_retry_after_there_is_no_such_header() -> None:
    mock = Queueing(servers=1, service_time="constant(20ms)", queue=0, retry_after="0s")

    assert [mock.create().headers for _ in range(2)] == [b"", b""]


def test_a_refused_create_takes_its_time_too() -> None:
    mock = Queueing(servers=1, service_time="constant(20ms)", http_5xx_share=0.5, seed=3)
    replies = [mock.create() for _ in range(20)]
    mock.line.line.advance(10.0)

    assert {reply.status for reply in replies} == {200, 502}
    assert visit_of(replies[-1]).done_s == pytest.approx(0.4)


def test_a_create_that_stalls_takes_its_time_at_the_servers_and_is_not_answered(
    serve: Serve, wire: Connect, message: Message
) -> None:
    mock = serve(auth=False, servers=1, service_time="constant(20ms)", done_stall_share=1.0)
    connection = wire(mock).send(message("POST", CREATE, BODY))
    wait_for(lambda: mock.stats()["servers"]["served"], "the create is served")
    connection.sock.settimeout(0.2)
    with pytest.raises(TimeoutError):
        connection.rest()


def test_request_k_takes_the_same_time_in_every_run_of_a_seed() -> None:
    def times(seed: int) -> list[float]:
        mock = Queueing(servers=1, service_time="exponential(20ms)", seed=seed)
        return [visit_of(mock.create()).service_s for _ in range(50)]

    assert times(1) == times(1)
    assert times(1) != times(2)


def test_without_servers_there_are_no_counts_of_them(desk: Callable[..., Any]) -> None:
    assert "servers" not in desk().stats()


def test_the_truth_is_served_with_what_is_expected_at_a_rate() -> None:
    mock = Queueing(servers=1, service_time="constant(20ms)")

    assert mock.read("/__mock__/truth")["capacity_per_s"] == 50
    assert mock.read("/__mock__/truth")["at_rate"] is None
    assert mock.read("/__mock__/truth?rate=25.0")["at_rate"]["wait_ms"]["mean"] == pytest.approx(10)
    assert mock.read("/__mock__/stats")["other"]["received"] == 0


@pytest.mark.parametrize("rate", ["0", "-1", "many", "1e3", "99999999999", ""])
def test_a_rate_that_is_none_is_refused(rate: str) -> None:
    reply = Queueing(servers=1, service_time="constant(20ms)").ask("GET", f"/__mock__/truth?rate={rate}")

    assert (reply.status, rate) == (200 if rate == "" else 400, rate)  # an empty value is no value in a query


# Over the wire


def test_answers_come_in_order_and_at_their_times(serve: Serve, wire: Connect, message: Message) -> None:
    mock = serve(auth=False, servers=2, service_time="constant(60ms)", queue=2)
    connection, start_s = wire(mock), time.monotonic()
    connection.send(message("POST", CREATE, BODY) * 5)
    statuses = connection.statuses(5)
    took_s = time.monotonic() - start_s

    assert statuses == [200, 200, 200, 200, 429]
    assert took_s >= 0.12
    assert mock.stats()["servers"]["served"] == 4


def test_a_client_that_hangs_up_keeps_its_place(serve: Serve, wire: Connect, message: Message) -> None:
    mock = serve(auth=False, servers=1, service_time="constant(150ms)")
    staying, leaving = wire(mock), wire(mock)
    leaving.send(message("POST", CREATE, BODY))
    wait_for(lambda: mock.stats()["create"]["received"], "the create arrives")
    start_s = time.monotonic()
    leaving.sock.close()
    staying.send(message("POST", CREATE, BODY))

    assert staying.answer()[0] == 200
    assert time.monotonic() - start_s > 0.15
    assert mock.stats()["servers"]["served"] == 2


def test_a_long_queue_does_not_hold_up_the_end(wire: Connect, message: Message) -> None:
    with start_mock(Behaviour(auth=False, servers=1, service_time="constant(60s)")) as mock:
        connection = wire(mock).send(message("POST", CREATE, BODY))
        wait_for(lambda: mock.stats()["servers"]["in_service"], "the create is served")
        start_s = time.monotonic()

        assert mock.stop() == 0
        assert time.monotonic() - start_s < 4
        assert connection.rest() == b""


def test_the_process_tells_its_truth(serve: Serve) -> None:
    truth = serve(auth=False, servers=2, service_time="constant(60ms)", queue=2).truth(20.0)

    assert truth["model"] == "M/D/2/4"
    assert truth["at_rate"]["rate_per_s"] == 20


@pytest.mark.parametrize("kernel", [True, False])
def test_the_timekeeper_lets_each_leave_soon_after_it_is_due(kernel: bool) -> None:
    async def run() -> list[float]:
        loop = asyncio.get_running_loop()
        keeper = Timekeeper(WaitingLine(Station(servers=1), time.monotonic()), loop, kernel=kernel)
        late_s: list[float] = []
        ended = asyncio.Event()

        def leave(visit: Visit) -> None:
            late_s.append(time.monotonic() - visit.done_s)
            if len(late_s) == 50:
                ended.set()

        for _ in range(50):
            visit = keeper.enter(0.002)
            assert visit is not None
            visit.on_done = partial(leave, visit)
        await asyncio.wait_for(ended.wait(), 10)
        keeper.close()
        return late_s

    late_s = asyncio.run(run())

    assert min(late_s) >= -1e-6
    assert sorted(late_s)[25] < (0.01 if kernel else 0.02), "what a busy machine adds is in it"
