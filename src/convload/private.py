"""Reads files that hold secrets: only those that are closed to others than who owns them."""

import os
import stat
from pathlib import Path

from convload.errors import UsageError, why_unread


def read_private(path: Path, named: str, harm: str) -> str:
    """Returns what a file of secrets says; `named` stands before messages, `harm` is what who has read it can do.

    Raises:
        UsageError: it cannot be read, or others can read it as well.
    """
    try:
        with path.open(encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            mode = stat.S_IMODE(status.st_mode)
            if not is_private(mode, is_ours=status.st_uid == os.geteuid()):
                raise UsageError(
                    f"{named}: is open to others than its owner (mode {mode:o}), and who has read it can {harm}; "
                    "`chmod 600 FILE` closes it, and a new one is better"
                )
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{named}: cannot be read: {why_unread(error)}") from None


def is_private(mode: int, *, is_ours: bool) -> bool:
    """Whether a file is closed to others: what an orchestrator mounts is its own, and our group may read it."""
    shared = stat.S_IRWXO | (stat.S_IRWXG if is_ours or mode & stat.S_IWGRP else 0)
    return not mode & shared
