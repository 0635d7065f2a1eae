"""Finds the data folders that come with convload: payloads, plans, locustfiles."""

from pathlib import Path

from convload.errors import UsageError

_PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """Returns a bundled folder: inside an installed wheel, or at the top of a checkout.

    Raises:
        UsageError: neither is there.
    """
    places = (_PACKAGE / "bundled" / name, _PACKAGE.parent.parent / name)
    for place in places:
        if place.is_dir():
            return place
    raise UsageError(f"{name}: no such bundled folder; looked at {places[0]} and {places[1]}")
