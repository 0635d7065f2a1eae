"""How one mock process is started: where it listens and how it behaves."""

from typing import Annotated

import msgspec
from msgspec import Meta

from convload.plan.mock_behaviour import Behaviour


class Serving(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a mock process needs to know; credentials come from its environment.

    With `tls` and no certificate it makes one of its own. `until_stdin_closes` ties it to the life of the
    process that holds the other end of its standard input.
    """

    behaviour: Behaviour = Behaviour()
    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 0
    tls: bool = False
    tls_cert: str | None = None
    tls_key: str | None = None
    until_stdin_closes: bool = False


class Announcement(msgspec.Struct, frozen=True, omit_defaults=True):
    """The one line that a mock prints once it listens. `ca_file` verifies a certificate of its own making."""

    url: str
    pid: int
    ca_file: str | None = None
