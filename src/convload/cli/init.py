"""`convload init`: a workspace with plans, payloads, locustfiles and pipelines of one's own."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import click
import msgspec

from convload import bundled
from convload.cli.options import PATH
from convload.cli.requirement import LOCAL, Requirement, own_requirement, parse
from convload.errors import UsageError

EPILOG = """\b
Examples:
  convload init load-tests && cd load-tests && convload run plans/gate.toml
  convload init load-tests --install-from dist/convload-0.1.0-py3-none-any.whl
"""


_STARTER = Path(__file__).parent / "starter"

# Dotted names would be obeyed where they are kept.
STARTER = {
    "README.md": "README.md",
    "requirements.txt": "requirements.txt",
    "gitignore": ".gitignore",
    "github.yml": ".github/workflows/convload.yml",
    "gitlab.yml": ".gitlab-ci.yml",
    "Jenkinsfile": "Jenkinsfile",
}
"""Files that are for workspaces alone: the name they are kept by, and where they go."""

_REQUIREMENTS = "requirements.txt"
_BUNDLED = {"locustfiles": "*.py", "payloads": "**/*", "plans": "*.*", "reports": "README.md"}
_LOCUSTFILE = 'locustfile = "locustfiles/create_conversation.py"\n'

_IMAGE_NAME = re.compile(r"[a-z0-9][\w.:/-]*(@sha256:[0-9a-f]{64})?")

_NO_CONTENT = {".git"}
"""A new repository with nothing in it is an empty folder."""


class Written(msgspec.Struct, frozen=True):
    """What was done, as paths within the workspace, in order."""

    created: list[str]
    replaced: list[str]
    """Had another content before."""


KUBERNETES = "kubernetes"
_IMAGE = b"convload:local"


def kubernetes_files(image: str) -> dict[str, bytes]:
    """Returns the manifests of a run on a cluster, by their paths in a workspace, with the image that they start.

    Raises:
        UsageError: it is no name of an image, or the bundled folder is missing.
    """
    if not _IMAGE_NAME.fullmatch(image):
        raise UsageError(
            f"--kubernetes: {image!r} is no name of an image; write REGISTRY/NAME:TAG or NAME@sha256:DIGEST"
        )
    paths = sorted(bundled.folder(f"deploy/{KUBERNETES}").iterdir())
    return {f"{KUBERNETES}/{path.name}": _read(path).replace(_IMAGE, image.encode()) for path in paths}


def files(requirement: Requirement | None = None) -> dict[str, bytes]:
    """Returns the files of a workspace by their paths in it; without a requirement for this very convload.

    Raises:
        UsageError: a bundled folder is missing or cannot be read.
    """
    found = {place: _read(_STARTER / name) for name, place in STARTER.items()}
    requirement = requirement or own_requirement()
    found[_REQUIREMENTS] = found[_REQUIREMENTS].replace(b"@CONVLOAD@", requirement.marked)
    found |= requirement.files
    for name, pattern in _BUNDLED.items():
        folder = bundled.folder(name)
        paths = [path for path in sorted(folder.glob(pattern)) if path.is_file() and "__pycache__" not in path.parts]
        found |= {f"{name}/{path.relative_to(folder).as_posix()}": _read(path) for path in paths}
    return {
        place: _with_own_users(text) if place.endswith(".toml") and place.startswith("plans/") else text
        for place, text in found.items()
    }


def lay_out(
    folder: Path, requirement: Requirement | None = None, *, force: bool, more: Mapping[str, bytes] | None = None
) -> Written:
    """Writes a workspace into a folder; `force` lets it have content and replaces what differs.

    Raises:
        UsageError: the folder is not empty, or something cannot be written; with `force` what was there and is no
            part of a workspace is left alone.
    """
    wanted, occupied = files(requirement) | dict(more or {}), _has_content(folder)
    before = {place: _content(folder / place) for place in wanted}
    if occupied and not force:
        raise UsageError(
            f"{folder}: is there already and not empty; name a new folder, or give --force to add what is missing and "
            "replace what differs"
        )
    for place, content in wanted.items():
        if before[place] != content:
            _write(folder / place, content)
    return Written(
        created=[place for place in wanted if before[place] is None],
        replaced=[place for place in wanted if before[place] not in (None, wanted[place])],
    )


def _with_own_users(plan: bytes) -> bytes:
    """Makes a plan use the locustfile of the workspace: behind the comment that a plan starts with."""
    lines = plan.decode().splitlines(keepends=True)
    at = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "".join([*lines[:at], _LOCUSTFILE, *lines[at:]]).encode()


def _has_content(folder: Path) -> bool:
    try:
        return any(path.name not in _NO_CONTENT for path in folder.iterdir())
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read: {error.strerror}") from error


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


def _read(path: Path) -> bytes:
    content = _content(path)
    if content is None:
        raise UsageError(f"{path}: this file belongs to convload and is not there; install it again")
    return content


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error


@click.command(epilog=EPILOG)
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--force", is_flag=True, help="Also into a folder with content; names each file that it replaces.")
@click.option("--install-from", metavar="WHEEL|URL|PACKAGE", help="What the pipelines install; a wheel comes along.")
@click.option("--kubernetes", "image", metavar="IMAGE", help="Also write kubernetes/, whose jobs start this image.")
def init(folder: Path, force: bool, install_from: str | None, image: str | None) -> None:
    """Write a workspace into DIR: locustfiles/, payloads/, plans/, reports/ and pipelines for CI systems.

    It works as it is, against the embedded mock; its README says what to change first. The pipelines install what
    --install-from names, else the convload that wrote them from where it came from.
    """
    requirement = own_requirement() if install_from is None else parse(install_from)
    more = {} if image is None else kubernetes_files(image)
    for line in _describe(folder, lay_out(folder, requirement, force=force, more=more), requirement):
        click.echo(line)


def _describe(folder: Path, written: Written, requirement: Requirement) -> list[str]:
    tops = sorted({place.split("/")[0] + "/" * ("/" in place) for place in written.created})
    replaced = [f"convload: {folder / place}: replaced; its content differed" for place in written.replaced]
    created = f"convload: {folder}: {len(written.created)} files written: {', '.join(tops)}" if tops else ""
    if not written.created and not written.replaced:
        created = f"convload: {folder}: everything is there already"
    if requirement.line.startswith(LOCAL):
        where = f"{folder / _REQUIREMENTS}: the pipelines install convload from {requirement.line.removeprefix(LOCAL)}"
        replaced.append(f"convload: {where}, which only this machine has; change that line, or give --install-from")
    next_step = f"convload: try it: cd {shlex.quote(str(folder))} && convload run plans/gate.toml"
    return [*replaced, *([created] if created else []), next_step]
