"""TLS for the mock: a certificate of its own, or one that is given."""

import ipaddress
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from convload.errors import UsageError
from convload.mock.serving import Serving


class ServerTls(msgspec.Struct, frozen=True):
    """How the server does TLS, and the file that clients verify it with where the mock has made it."""

    context: ssl.SSLContext | None = None
    ca_file: str | None = None


@contextmanager
def server_tls(serving: Serving) -> Iterator[ServerTls]:
    """Yields what is asked for; the file with the certificate authority goes when the context ends.

    Raises:
        UsageError: a certificate that cannot be used.
    """
    if serving.tls_cert is not None:
        yield ServerTls(_load(serving.tls_cert, serving.tls_key))
    elif serving.tls_key is not None:
        raise UsageError("tls key: needs a tls certificate beside it")
    elif serving.tls:
        with tempfile.NamedTemporaryFile(prefix="convload-mock-ca-", suffix=".pem") as file:
            yield ServerTls(_make(serving.host, file.name), file.name)
    else:
        yield ServerTls()


def _load(cert: str, key: str | None) -> ssl.SSLContext:
    context = _new_context()
    try:
        context.load_cert_chain(cert, key)
    except OSError as error:  # ssl.SSLError is one, too
        beside = f" with key {key}" if key else ""
        raise UsageError(f"tls certificate {cert}{beside}: {error.strerror or error}; PEM files are needed") from error
    return context


def _make(host: str, ca_file: str) -> ssl.SSLContext:
    import trustme  # noqa: PLC0415 -- slow to import and needed for TLS only

    authority = trustme.CA()
    authority.cert_pem.write_to_path(ca_file)
    names = dict.fromkeys(["localhost", "127.0.0.1", "::1", *([] if _is_unspecified(host) else [host])])
    context = _new_context()
    authority.issue_cert(*names).configure_cert(context)
    return context


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _is_unspecified(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
