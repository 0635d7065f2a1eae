"""Text as the runner of GitHub Actions reads it: its commands, and text in which it finds none."""

import re
from collections.abc import Mapping
from typing import TextIO

from convload.report.document import visible

_COMMAND = re.compile(r"^(\s*):(?=:)|##(?=\[)", re.MULTILINE)


def is_here(environment: Mapping[str, str]) -> bool:
    """Says whether this is a step of GitHub Actions."""
    return environment.get("GITHUB_ACTIONS") == "true"


def problem(text: str) -> str:
    """Returns the annotation of a run that could not be set up."""
    return command("error", "convload", text)


def defused(text: str) -> str:
    """Returns text in which the runner finds no command: a backslash breaks the start of what would be one."""
    return _COMMAND.sub(lambda found: f"{found[1]}:\\" if found[1] is not None else "##\\", text)


class Defused:
    """A text stream in which no line is a command. It must be given whole lines, as rich does."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        """Writes lines."""
        return self._out.write(defused(text))

    def flush(self) -> None:
        """Passes on what was written."""
        self._out.flush()

    def isatty(self) -> bool:
        """Says what the stream beneath is."""
        return self._out.isatty()

    def fileno(self) -> int:
        """Returns the descriptor beneath."""
        return self._out.fileno()


def command(kind: str, title: str, text: str) -> str:
    """Returns an annotation of a kind: error, warning or notice."""
    shown = _data(visible(title)).replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={shown}::{_data(visible(text))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
