"""Network addresses as people write them: HOST:PORT, an IPv6 address in brackets, and where a service is."""

import re
from urllib.parse import SplitResult, urlsplit

from convload.errors import UsageError

HIGHEST_PORT = 65535

_NOT_IN_ORIGINS = re.compile(r"[\s\\@?#\x00-\x1f]")
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


def split_origin(url: str) -> SplitResult | None:
    """Returns the parts of `http(s)://HOST[:PORT]`, None with a path, a user, or a port that is none."""
    if _NOT_IN_ORIGINS.search(url):
        return None
    try:
        parts = urlsplit(url)
        is_origin = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # of brackets, and of ports
        return None
    return parts if is_origin and not parts.path.strip("/") else None


def write_address(host: str, port: int) -> str:
    """Writes host and port as `parse_address` reads them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
