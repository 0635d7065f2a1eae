"""The few exceptions of convload and the one table of exit codes."""

from collections.abc import Callable
from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """What the shell is told. The numbers are public: pipelines branch on them."""

    PASS = 0
    """Every gate passed."""
    GATE_FAILED = 1
    """The run is valid and at least one gate failed."""
    USAGE = 2
    """A flag, plan, payload file, folder or limit of this machine makes the run impossible."""
    INCONCLUSIVE = 3
    """The run cannot support a verdict; the reasons are in the summary."""
    TARGET_UNUSABLE = 4
    """The target could not be used at set-up: unreachable, TLS, or credentials refused."""
    INTERNAL = 70
    """Something that nobody foresaw went wrong in convload itself (EX_SOFTWARE); no verdict follows."""
    INTERRUPTED = 130
    """Stopped by a person; what was measured is kept."""


class ConvloadError(Exception):
    """A failed set-up, told to the user without a traceback.

    Args:
        problems: one line each: what is wrong, where, and what is allowed.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class UsageError(ConvloadError):
    """Wrong usage or configuration; nothing was started."""


class TargetError(ConvloadError):
    """The target could not be used at set-up."""

    exit_code = ExitCode.TARGET_UNUSABLE


class RunLogError(ConvloadError):
    """A run folder that cannot be read or supports no statement."""

    exit_code = ExitCode.INCONCLUSIVE


class MissingRunError(RunLogError):
    """What was named is no run folder: a wrong path, and no run that proves nothing."""

    exit_code = ExitCode.USAGE


class SetupFailedError(ConvloadError):
    """A child process could not set up its part; `exit_code` is what it would have ended with."""

    def __init__(self, exit_code: ExitCode, *problems: str) -> None:
        super().__init__(*problems)
        self.exit_code = exit_code


def why_unread(error: OSError | UnicodeDecodeError) -> str:
    """Returns why a file cannot be read, for a message that names the file itself."""
    if isinstance(error, UnicodeDecodeError):
        line = error.object.count(b"\n", 0, error.start) + 1
        return f"it is no UTF-8 text, from line {line} on"
    return error.strerror or str(error)


def gathered(*parts: Callable[[], Any]) -> list[Any]:
    """Returns what the parts return.

    Raises:
        UsageError: what all of those that failed say is wrong.
    """
    found, problems = [], list[str]()
    for part in parts:
        try:
            found.append(part())
        except UsageError as error:
            problems += error.problems
    if problems:
        raise UsageError(*problems)
    return found
