"""Turns the run log of a run folder into its reports."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from convload.comparison.conclusion import Conclusion, conclude
from convload.errors import UsageError
from convload.report import data_files, junit, metrics_txt, pr_comment, run
from convload.results import runlog

PAGE = "report.html"

REPORTS: dict[str, Callable[[Conclusion], str]] = {
    "summary.json": data_files.summary_json,
    "summary.md": run.render_markdown,
    "pr-comment.md": pr_comment.render,
    "junit.xml": junit.render,
    "metrics.txt": metrics_txt.render,
    "intervals.csv": data_files.intervals_csv,
    "errors.jsonl": data_files.errors_jsonl,
    PAGE: run.render_html,
}


def write_all(folder: Path, other: Path | None = None) -> Conclusion:
    """Reads the run log in a folder, writes every report beside it, and returns what they say.

    The charts of the `other` run lie over its own in its page.

    Raises:
        RunLogError: there is no run log, or it cannot be read.
        UsageError: a report cannot be written; those before it in `REPORTS` are whole.
    """
    conclusion = conclude(runlog.read(folder / runlog.FILE_NAME))
    beside = conclude(runlog.read(other)) if other else None
    for name, render in REPORTS.items():
        text = run.render_html(conclusion, beside, str(other)) if name == PAGE and beside else render(conclusion)
        write_text(folder / name, text)
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
