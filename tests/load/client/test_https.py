import ssl
from collections.abc import Callable

import pytest
import trustme
from tests.load.conftest import ANSWER, Peer, Script, answers, request

from convload.load.client.connect import probe
from convload.load.client.http import Client, Exchange, Limits
from convload.load.client.origin import Origin, tls_context

Serve = Callable[..., Script]
SHORT = Limits(connect_timeout_s=2.0, timeout_s=0.3)


class TestTls:
    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    def server_context(self, authority: trustme.CA, name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        return context

    def exchange(self, script: Script, ca_pem: str, host: str = "localhost", *, verify: bool = True) -> Exchange:
        origin = Origin(f"https://{host}:{script.port}", tls_context(ca_pem, verify=verify))
        client = Client(origin, Limits(timeout_s=2.0))
        got = [client.exchange(request(origin, b"y" * 100_000)) for _ in range(3)]
        client.close()
        return got[-1]

    def test_a_verified_connection_carries_large_requests_and_answers(
        self, serve: Serve, authority: trustme.CA
    ) -> None:
        big = b"z" * 200_000
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + big
        script = serve(answers(answer), context=self.server_context(authority, "localhost"))

        got = self.exchange(script, authority.cert_pem.bytes().decode())

        assert (got.failure, got.body == big) == ("", True)
        assert script.accepted == 1

    def test_the_server_is_told_the_name(self, serve: Serve, authority: trustme.CA) -> None:
        names: list[str | None] = []
        context = self.server_context(authority, "localhost")
        context.sni_callback = lambda _sock, name, _context: names.append(name)

        self.exchange(serve(answers(ANSWER), context=context), authority.cert_pem.bytes().decode())

        assert names == ["localhost"]

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
    def test_an_unknown_authority_or_another_name_is_tls(self, serve: Serve, authority: trustme.CA, host: str) -> None:
        known = authority if host == "127.0.0.1" else trustme.CA()
        script = serve(answers(ANSWER), context=self.server_context(authority, "localhost"))

        got = self.exchange(script, known.cert_pem.bytes().decode(), host)

        assert got.failure == "tls"
        assert "certificate" in got.detail

    def test_verification_can_be_turned_off(self, serve: Serve, authority: trustme.CA) -> None:
        script = serve(answers(ANSWER), context=self.server_context(authority, "other.example"))

        assert self.exchange(script, "", verify=False).status == 200

    def test_a_server_that_speaks_no_tls_is_tls(self, serve: Serve) -> None:
        def behave(peer: Peer) -> None:
            peer.sock.recv(1000)
            peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        script = serve(behave)
        origin = Origin(script.url.replace("http:", "https:"), tls_context("", verify=True))

        assert getattr(probe(origin, 2.0), "kind", "") == "tls"
