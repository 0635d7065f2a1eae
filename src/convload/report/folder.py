"""Turns the run log of a run folder into its reports."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from convload.comparison.conclusion import Conclusion, conclude
from convload.errors import UsageError
from convload.report import errors_jsonl, html, intervals_csv, junit, markdown, metrics_txt, summary_json
from convload.results import runlog

REPORTS: dict[str, Callable[[Conclusion], str]] = {
    "summary.json": summary_json.render,
    "summary.md": markdown.render,
    "junit.xml": junit.render,
    "metrics.txt": metrics_txt.render,
    "intervals.csv": intervals_csv.render,
    "errors.jsonl": errors_jsonl.render,
    "report.html": html.render,
}


def write_all(folder: Path) -> Conclusion:
    """Reads the run log in a folder, writes every report beside it, and returns what they say.

    Raises:
        RunLogError: there is no run log, or it cannot be read.
        UsageError: a report cannot be written; those before it in `REPORTS` are whole.
    """
    conclusion = conclude(runlog.read(folder / runlog.FILE_NAME))
    for name, render in REPORTS.items():
        write_text(folder / name, render(conclusion))
    return conclusion


def write_text(path: Path, text: str) -> None:
    """Replaces a file at once, so that a reader sees the old report or the new one, never a half."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8", newline="")
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
