"""Options that several verbs have, and how what is written there is read."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from convload.errors import UsageError

PATH = click.Path(path_type=Path)

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")


def file_option(flag: str, text: str) -> Decorator:
    """Returns the option of a file to be written; --json comes as `json_file`."""
    return click.option(flag, f"{flag[2:].replace('-', '_')}_file", metavar="FILE", type=PATH, help=text)


def parse_percent(text: str, flag: str) -> float:
    """Returns the share of "5%"; raises UsageError if it is none."""
    match = _PERCENT.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{flag}: {text!r} is no percentage; write a number with %, such as 5%")
    return float(match[1]) / 100
