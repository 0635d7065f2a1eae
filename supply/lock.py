"""Reads requirements.lock, as `make lock` writes it."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements.lock"
OURSELVES = "convload"

_PACKAGE = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)(?: ; (?P<marker>[^\\]+?))? \\?$")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_VIA = re.compile(r"^    # +(?:via )?(\S+)( \(pyproject\.toml(:dev)?\))?$")


class Package(msgspec.Struct, frozen=True):
    """One version of one package; `needed_by` are names, ours among them, and `marker` says where it is installed."""

    name: str
    version: str
    marker: str
    hashes: list[str]
    needed_by: list[str]


class LockError(Exception):
    """A line of the lock is none of those that it is made of."""


def read_lock(text: str) -> list[Package]:
    """Returns the packages in the order of the lock; raises LockError where a line cannot be read."""
    return [_package(block) for block in blocks(text)]


def blocks(text: str) -> Iterator[list[str]]:
    """Yields the lines of each package."""
    block: list[str] = []
    for line in text.splitlines():
        if line and not line.startswith((" ", "#")):
            if block:
                yield block
            block = []
        block.append(line)
    yield block


def _package(block: list[str]) -> Package:
    first = _PACKAGE.match(block[0])
    if first is None:
        raise LockError(f"{block[0]!r} names no package")
    hashes, needed_by = [], []
    for line in block[1:]:
        if found := _HASH.search(line):
            hashes.append(found[1])
        elif line.strip() in {"", "# via"}:
            continue
        elif via := _VIA.match(line):
            needed_by.append(f"{via[1]}{via[3] or ''}")
        else:
            raise LockError(f"{block[0]!r}: {line!r} is neither a hash nor whom it is for")
    return Package(first["name"], first["version"], first["marker"] or "", hashes, needed_by)


def shipped(packages: list[Package]) -> set[str]:
    """Returns the names of what a user of convload installs with it."""
    found: set[str] = {OURSELVES}
    while more := {one.name for one in packages if found & set(one.needed_by)} - found:
        found |= more
    return found
