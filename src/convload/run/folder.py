"""The folder of one run: makes it, and takes it back where nothing was measured."""

import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from convload.errors import UsageError
from convload.plan.plan import Plan
from convload.results.runlog import FILE_NAME, Started

LATEST = "latest"


def new_folder(plan: Plan, out: Path | None) -> Path:
    """Makes the run folder: exactly `out`, else `reports/<UTC time>-<plan>`, to which `reports/latest` points.

    Raises:
        UsageError: it is there already and not empty, or cannot be made.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder = out or Path("reports") / f"{stamp}-{plan.name}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"--out {folder}: is there already and not empty; name a new folder")
        (folder / FILE_NAME).touch(exist_ok=False)
        if out is None:
            _point_latest_to(folder)
    except OSError as error:
        raise UsageError(f"--out {folder}: cannot be written: {error.strerror}") from error
    return folder


def _point_latest_to(folder: Path) -> None:
    link, fresh = folder.parent / LATEST, folder.parent / f".{LATEST}-{os.getpid()}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(folder.name)
    fresh.replace(link)


def remove_unless_started(folder: Path) -> None:
    """Takes back a folder that a failed set-up leaves with nothing measured in it."""
    if has_started(folder) or any(path.name != FILE_NAME for path in folder.iterdir()):
        return
    (folder / FILE_NAME).unlink(missing_ok=True)
    latest = folder.parent / LATEST
    if latest.is_symlink() and latest.readlink() == Path(folder.name):
        latest.unlink()
    folder.rmdir()


def has_started(folder: Path) -> bool:
    """Says whether the workers of a run were told to begin."""
    return started_unix_s(folder) is not None


def started_unix_s(folder: Path) -> float | None:
    """Returns the instant from which a run's seconds count, None where the workers were not told to begin."""
    with (folder / FILE_NAME).open("rb") as log:
        line = next((line for line in log if line.startswith(b'{"record":"started"') and line.endswith(b"\n")), None)
    return None if line is None else msgspec.json.decode(line, type=Started).at_unix_s
