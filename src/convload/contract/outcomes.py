"""The one table of what can become of a request."""

from functools import cache

OK = "ok"
RATE_LIMITED = "rate_limited"
INVALID_JSON = "invalid_json"
CONTRACT = "contract"
PARTIAL = "partial"

MEANINGS = {
    OK: "answered as the contract says, or refused where the payload was meant to be refused",
    "http_<status>": "answered with this HTTP status",
    RATE_LIMITED: "HTTP 429",
    "connect_refused": "the connection was refused",
    "connect_timeout": "no connection within the connect timeout",
    "dns": "the host name has no address",
    "tls": "the TLS handshake or verification failed",
    "read_timeout": "no whole answer within the request timeout",
    "reset": "the connection ended before a whole answer had come",
    "malformed_http": "the answer is not HTTP, or breaks a limit on its size",
    INVALID_JSON: "a 200 whose body is not JSON",
    CONTRACT: "a 200 that does not answer the request: length, order, reqId, missing conversationId; "
    "or a bad request that was accepted",
    PARTIAL: "a 200 in which an element's code is not OK",
}


@cache
def of_status(status: int) -> str:
    """Returns the error kind of an HTTP status that is not the wanted one."""
    return RATE_LIMITED if status == 429 else f"http_{status}"  # noqa: PLR2004 -- the status code is its own name
