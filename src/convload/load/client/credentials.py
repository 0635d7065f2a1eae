"""Who we are to the target: from the environment or a file, never from a flag, never shown."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

from convload.contract.answers import Answer
from convload.errors import UsageError
from convload.load.client.redaction import known
from convload.mistakes import parse_toml
from convload.private import read_private

CLIENT_ID = "CONVLOAD_CLIENT_ID"
CLIENT_SECRET = "CONVLOAD_CLIENT_SECRET"  # noqa: S105 -- the name of a variable
FIXED_AUTHORIZATION = "CONVLOAD_AUTHORIZATION"
FIXED_ON_BEHALF = "CONVLOAD_ON_BEHALF"

SECRETS = (CLIENT_ID, CLIENT_SECRET, FIXED_AUTHORIZATION, FIXED_ON_BEHALF)
"""Variables that no process is given by its environment, which others of the same user can read, but by a pipe."""


class Credentials:
    """The client id and secret of the connector's app install; shows neither."""

    __slots__ = ("client_id", "client_secret")

    def __init__(self, client_id: str, client_secret: str) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        known.know(client_id, client_secret)

    def __repr__(self) -> str:
        return "Credentials(…)"

    def form(self) -> bytes:
        """Returns the form body of the AppJWT call."""
        return urlencode({"client_id": self.client_id, "client_secret": self.client_secret}).encode()


def read(path: str | None, environment: Mapping[str, str] = os.environ) -> Credentials:
    """Returns the credentials of a TOML file with client_id and client_secret, or of the environment.

    Raises:
        UsageError: they are not there.
    """
    if path is not None:
        return _from_file(Path(path))
    found = environment.get(CLIENT_ID), environment.get(CLIENT_SECRET)
    if not all(found):
        raise UsageError(
            f"credentials: set {CLIENT_ID} and {CLIENT_SECRET}, or credentials_file in the plan; "
            "without tokens run with consumers = 'none'"
        )
    return Credentials(str(found[0]), str(found[1]))


def _from_file(path: Path) -> Credentials:
    text = read_private(path, f"credentials_file {path}", "act as this connector")
    try:
        values = parse_toml(text)
        return Credentials(str(values["client_id"]), str(values["client_secret"]))
    except (ValueError, KeyError, RecursionError):
        # The text of the error may quote the file, so it is dropped.
        raise UsageError(f"credentials_file {path}: must be TOML with the keys client_id and client_secret") from None


def explain(answer: Answer) -> str:
    """Says why there is no token, in words for who has to put it right; never what was answered."""
    outcome = answer.outcome
    kind = next((kind for pattern, kind in _KINDS if pattern.fullmatch(outcome)), "unreachable")
    said = ", ".join(filter(None, (f"{kind}: {outcome}", answer.detail)))
    return known.redact(f"{said}; check the credentials" if kind == "refused" else said)


_KINDS = [
    (re.compile("rate_limited"), "rate limited"),
    (re.compile(r"http_3\d\d"), "redirected"),
    (re.compile(r"http_4\d\d"), "refused"),
    (re.compile(r"http_\d+"), "unavailable"),
    (re.compile("invalid_json|contract|malformed_http"), "unreadable answer"),
]
"""What no pattern fits is about the connection."""
