"""What the pipelines of a workspace install: one line for pip, and perhaps a wheel beside it."""

import json
import re
from importlib import metadata
from pathlib import Path

import msgspec

from convload import __version__
from convload.errors import UsageError

LOCAL = "convload @ file://"
WHEELS = "wheels"
"""The folder of a workspace for a wheel that is on no index."""

_MARK = "  # <- INSTALL FROM HERE"
_PACKAGE = re.compile(r"[A-Za-z0-9][\w.-]*(\[[\w,-]+\])?(\s*[=~<>!]=?=?\s*[\w.*+!,<>=~ -]+)?")
_URL = re.compile(r"(https?|(git|hg)\+\w+)://\S+")
_WHEEL_NAME = re.compile(r"convload-[^-]+-\w+-\w+-\w+\.whl")


class Requirement(msgspec.Struct, frozen=True):
    """A line of requirements.txt, and the files of the workspace that it needs."""

    line: str
    files: dict[str, bytes] = {}

    @property
    def marked(self) -> bytes:
        """The line so that nobody overlooks which one it is."""
        return (self.line + _MARK).encode()


def parse(written: str) -> Requirement:
    """Returns the requirement of what a user names: a wheel of this machine, a URL, or a package of an index.

    Raises:
        UsageError: it is none of these.
    """
    path = Path(written)
    if path.suffix == ".whl" and "://" not in written:
        return _of_wheel(path)
    if _URL.fullmatch(written):
        return Requirement(f"convload @ {written}")
    if _PACKAGE.fullmatch(written):
        return Requirement(written)
    raise UsageError(f"--install-from: {written!r} is no wheel, no http(s):// or git+https:// URL and no NAME==VERSION")


def _of_wheel(path: Path) -> Requirement:
    """Takes the wheel into the workspace: a path of this machine would mean nothing to another."""
    if not _WHEEL_NAME.fullmatch(path.name):
        raise UsageError(f"--install-from: {path}: is no wheel of convload by its name (convload-VERSION-….whl)")
    try:
        return Requirement(f"./{WHEELS}/{path.name}", {f"{WHEELS}/{path.name}": path.read_bytes()})
    except OSError as error:
        raise UsageError(f"--install-from: {path}: cannot be read: {error.strerror}") from error


def own_requirement() -> Requirement:
    """Returns what pip installs this very convload by."""
    try:
        return Requirement(of_note(metadata.distribution("convload").read_text("direct_url.json")))
    except metadata.PackageNotFoundError:
        return Requirement(of_note(None))


def of_note(direct_url: str | None) -> str:
    """Returns what pip installs a convload by, from what pip noted of where it came from (PEP 610).

    Without a note it came from an index, under its version.
    """
    if not direct_url:
        return f"convload=={__version__}"
    source = json.loads(direct_url)
    where = source["url"]
    if vcs := source.get("vcs_info"):
        where = f"{vcs['vcs']}+{where}@{vcs['commit_id']}"
    folder = source.get("subdirectory")
    return f"convload @ {where}" + (f"#subdirectory={folder}" if folder else "")
