"""Network addresses as people write them: HOST:PORT, an IPv6 address in brackets."""

import re

from convload.errors import UsageError

HIGHEST_PORT = 65535

_ADDRESS = re.compile(r"(?:\[(?P<ipv6>[^\[\]]*:[^\[\]]*)\]|(?P<host>[^:\[\]]+)):(?P<port>[0-9]{1,5})")


def parse_address(text: str, where: str, *, lowest_port: int = 1) -> tuple[str, int]:
    """Returns host and port of HOST:PORT; an IPv6 address stands in brackets, and is returned without them.

    Raises:
        UsageError: it is none.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or not lowest_port <= int(match["port"]) <= HIGHEST_PORT:
        raise UsageError(
            f"{where}: {text!r} must be HOST:PORT, a name, IPv4 address or [IPv6 address], and a port up to "
            f"{HIGHEST_PORT}"
        )
    return match["ipv6"] or match["host"], int(match["port"])


def write_address(host: str, port: int) -> str:
    """Writes host and port as `parse_address` reads them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
