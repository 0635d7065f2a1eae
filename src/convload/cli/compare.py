"""`convload compare`: says whether something new is slower, faster, or no different."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from convload.cli.ending import show, tell_ci
from convload.cli.options import PATH, Decorator, file_option, parse_percent
from convload.comparison import compare as comparing
from convload.comparison.batches import Clock
from convload.comparison.compare import Comparison
from convload.comparison.outcomes import Minimum
from convload.comparison.sides import Compared, ComparedRun, read_side
from convload.errors import UsageError
from convload.report import markdown, pr_comment, terminal
from convload.report.comparison import document, github_report, page
from convload.report.data_files import render_json
from convload.report.folder import write_text

EPILOG = """\b
Examples:
  convload compare reports/before reports/after
  convload compare before-1 after-1 --base before-2 --base before-3 --base before-4 \\
      --new after-2 --new after-3 --new after-4          repeated runs: knows how runs vary, too
  convload compare runs/before runs/after                folders of run folders
  convload compare reports/before reports/after --html comparison.html --markdown comparison.md

\b
Exit codes: 0 nothing regressed, 1 regressed, 2 wrong usage, unreadable or unlike runs,
3 nothing can be told, or a run is no evidence (interrupted, aborted, cut off, not valid).
"""

_MILLISECONDS = re.compile(r"(\d+(?:\.\d+)?)\s*(us|µs|ms|s)")
_IN_MS = {"us": 0.001, "µs": 0.001, "ms": 1.0, "s": 1000.0}


def minimum_options(relative: str, absolute: str) -> Decorator:
    """Returns --min-relative and --min-absolute with these texts, for `minimum_of`."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        of_base = click.option("--min-relative", metavar="P%", default="5%", show_default=True, help=relative)
        of_time = click.option("--min-absolute", metavar="TIME", default="0.2ms", show_default=True, help=absolute)
        return of_base(of_time(command))

    return add


def minimum_of(min_relative: str, min_absolute: str) -> Minimum:
    """Returns the smallest difference that counts; raises UsageError where one of them is none."""
    relative, match = parse_percent(min_relative, "--min-relative"), _MILLISECONDS.fullmatch(min_absolute.strip())
    if match is None:
        raise UsageError(f"--min-absolute: {min_absolute!r} is no time; write a number with us, ms or s, such as 0.5ms")
    return Minimum(relative=relative, absolute_ms=float(match[1]) * _IN_MS[match[2]])


@click.command(epilog=EPILOG)
@click.argument("base", type=PATH)
@click.argument("new", type=PATH)
@click.option("--base", "more_base", metavar="DIR", multiple=True, type=PATH, help="One more run of the base.")
@click.option("--new", "more_new", metavar="DIR", multiple=True, type=PATH, help="One more new run.")
@minimum_options(
    "Smallest difference that counts, of the base.",
    "Smallest difference of a time that counts; both must be reached.",
)
@click.option("--confidence", metavar="P%", help="Of all statistics together.  [default: 99%, of repeated runs 95%]")
@click.option(
    "--clock",
    type=click.Choice(["response", "service"]),
    default="response",
    show_default=True,
    help="Which times: from due, or from sent.",
)
@click.option(
    "--force", is_flag=True, help="Compare unlike runs, and runs that are no evidence; what differs is shown."
)
@file_option("--json", "Write the comparison there as JSON.")
@file_option("--markdown", "Write it there as Markdown.")
@file_option("--html", "Write a page with charts.")
@file_option(
    "--pr-comment", "Write it there as a comment for a pull request, with the gates of NEW where that is one run."
)
def compare(
    base: Path,
    new: Path,
    more_base: tuple[Path, ...],
    more_new: tuple[Path, ...],
    min_relative: str,
    min_absolute: str,
    confidence: str | None,
    clock: Clock,
    json_file: Path | None,
    markdown_file: Path | None,
    pr_comment_file: Path | None,
    html_file: Path | None,
    *,
    force: bool,
) -> int:
    """Compare two runs, or repeated runs of two sides: improved, regressed, no difference beyond noise, cannot tell.

    BASE and NEW are run folders, or folders of run folders: then all runs in one are repeated runs of its side. A
    file of `convload baseline save` stands for its run.
    """
    minimum = minimum_of(min_relative, min_absolute)
    level = None if confidence is None else parse_confidence(confidence)
    sides = [read_side([first, *more]) for first, more in ((base, more_base), (new, more_new))]
    found = comparing.compare(sides[0], sides[1], confidence=level, minimum=minimum, clock=clock, force=force)
    text = markdown.render(document(found))
    comment = _comment(found, sides[1], text)
    for path, made in ((json_file, render_json(found)), (markdown_file, text), (pr_comment_file, comment)):
        if path is not None:
            write_text(path, made)
    if html_file is not None:
        write_text(html_file, page(found, *([one.steps for one in side] for side in sides)))
    tell_ci(lambda: github_report(found))
    show(lambda console: terminal.show(document(found), console))
    return int(found.exit_code)


def _comment(found: Comparison, new: list[Compared], text: str) -> str:
    """Returns the comment: that of the new run, with its gates, where it is one run."""
    if len(new) == 1 and isinstance(new[0], ComparedRun):
        return pr_comment.render(new[0].conclusion, found)
    return pr_comment.with_marker("compare", text)


def parse_confidence(text: str) -> float:
    """Returns the confidence of "99%": at least 50 % and below 100 %."""
    value = parse_percent(text, "--confidence")
    if not 0.5 <= value < 1:  # noqa: PLR2004 -- as likely as not
        raise UsageError(f"--confidence: {text} is none; write at least 50% and less than 100%")
    return value
