"""Source addresses: connections leave from those that were named, in turns, and from no other."""

from collections.abc import Callable, Iterator

import pytest
from tests.load.account import Account, Rig
from tests.load.conftest import ANSWER, SHORT, Peer, Script, exchange_once, request

from convload.errors import UsageError
from convload.load.client.http import Client
from convload.load.client.origin import Origin
from convload.load.client.sources import sources

Serve = Callable[..., Script]


@pytest.fixture(autouse=True)
def none_is_left() -> Iterator[None]:
    yield
    sources.use([])


def leaving_from(serve: Serve, count: int, *addresses: str) -> list[str]:
    """Opens so many connections and returns where they came from."""
    seen: list[str] = []

    def behave(peer: Peer) -> None:
        peer.read_request()
        seen.append(peer.sock.getpeername()[0])
        peer.send(ANSWER)

    sources.use(addresses)
    origin = Origin(serve(behave).url)
    clients = [Client(origin, SHORT) for _ in range(count)]
    assert [client.exchange(request(origin)).failure for client in clients] == [""] * count
    for client in clients:
        client.close()
    return seen


def test_connections_leave_from_the_addresses_in_turns(serve: Serve) -> None:
    assert leaving_from(serve, 4, "127.0.0.2", "127.0.0.3") == ["127.0.0.2", "127.0.0.3"] * 2


def test_without_any_the_routes_choose(serve: Serve) -> None:
    assert leaving_from(serve, 2) == ["127.0.0.1"] * 2


def test_a_goal_of_another_family_is_not_reached_from_elsewhere(serve: Serve) -> None:
    sources.use(["::1"])

    assert exchange_once(serve(lambda peer: peer.send(ANSWER))).failure == "dns"


@pytest.mark.parametrize("address", ["192.0.2.1", "nonsense", "127.0.0.1:80"])
def test_what_is_no_address_of_this_machine_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match=f"source_addresses: '{address}' is no address of this machine"):
        sources.use([address])


def test_a_target_is_opened_from_the_addresses_of_the_plan(serve: Serve) -> None:
    account = Account(serve)
    rig = Rig(account.url, source_addresses=["127.0.0.2"])
    rig.hold(1)

    assert account.sources == {"127.0.0.2"}
    rig.consumer.leave()
