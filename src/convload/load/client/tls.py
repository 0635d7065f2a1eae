"""TLS between bytes and bytes, so that the one read and write path of the client serves both schemes."""

import ssl

READ_BYTES = 65536


class TlsFailed(Exception):  # noqa: N818 -- it is turned into the outcome `tls` or `reset` by the client
    """The handshake, the verification or a record failed."""


class TlsLayer:
    """One TLS session over memory buffers; the caller moves the bytes.

    Args:
        context: the process's shared context.
        host: the name for SNI and for the verification of the certificate.
    """

    __slots__ = ("_incoming", "_outgoing", "_session", "ended")

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self.ended = False

    def shake_hands(self) -> bool:
        """Goes on with the handshake; False when it needs to hear from the peer first."""
        try:
            self._session.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise TlsFailed(_reason(error)) from error
        return True

    def received(self, data: bytes) -> None:
        """Takes bytes from the peer; none means that it has closed."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def to_send(self) -> bytes:
        """Returns what must go to the peer."""
        return self._outgoing.read()

    def encrypt(self, data: bytes) -> bytes:
        """Returns the records that carry `data`."""
        self._session.write(data)
        return self._outgoing.read()

    def decrypt(self) -> bytes:
        """Returns what the received records carry; sets `ended` when the peer has said goodbye."""
        parts = []
        try:
            while self._incoming.pending or self._session.pending():
                part = self._session.read(READ_BYTES)
                if not part:
                    self.ended = True
                    break
                parts.append(part)
        except ssl.SSLWantReadError:
            pass  # the rest of a record is still on its way
        except ssl.SSLZeroReturnError:
            self.ended = True
        except ssl.SSLError as error:
            raise TlsFailed(_reason(error)) from error
        return b"".join(parts)


def _reason(error: ssl.SSLError) -> str:
    return getattr(error, "verify_message", "") or error.reason or str(error)
