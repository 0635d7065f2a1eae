"""Finds the data folders that come with convload: payloads, plans, locustfiles."""

import os
import sys
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


def find_plan(name: str) -> Path:
    """Returns the plan file of that path, else that of `plans/` here or the bundled one of that name ("smoke").

    Raises:
        UsageError: there is none.
    """
    path, plans = Path(name), folder("plans")
    own = Path(plans.name, path.with_suffix(".toml").name)
    is_name = path.parent == Path()
    for file in (path, own) if is_name else (path,):
        if os.path.isfile(file):  # noqa: PTH113 -- Path's own raises where a folder may not be looked into
            return file
    shipped = plans / own.name
    if shipped.is_file() and (is_name or path.parent == own.parent):
        if not is_name:
            sys.stderr.write(f"convload: note: {name} is not here; the bundled plan of that name is taken\n")
        return shipped
    known = ", ".join(sorted(plan.stem for plan in plans.glob("*.toml")))
    raise UsageError(f"plan {name!r}: is no file that can be read, and no bundled plan of that name; bundled: {known}")
