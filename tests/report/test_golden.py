import io
from collections.abc import Callable

import pytest
from rich.console import Console

from convload.comparison.conclusion import Conclusion
from convload.report import html
from convload.report.folder import REPORTS
from convload.report.run import print_run
from convload.results.runlog import Record


def without_assets(page: str) -> str:
    """Shortens a page by what is a file of its own, and by the hashes that follow from it."""
    style, scripts = html.assets()
    for text in (style, *scripts):
        page = page.replace(html.content_hash(text).strip("'"), "sha256-…").replace(text, "…")
    return page


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_as_it_was(name: str, conclusion: Conclusion, golden: Callable[[str, str], None]) -> None:
    golden(name, without_assets(REPORTS[name](conclusion)))


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_of_an_open_run_is_as_it_was(
    name: str,
    opened: list[Record],
    golden: Callable[[str, str], None],
    conclude_records: Callable[..., Conclusion],
) -> None:
    golden(f"open-{name}", without_assets(REPORTS[name](conclude_records(opened))))


@pytest.mark.parametrize("name", ["failing", "passing", "silent", "opened"])
def test_the_terminal_shows_what_it_showed(
    name: str,
    request: pytest.FixtureRequest,
    golden: Callable[[str, str], None],
    conclude_records: Callable[..., Conclusion],
) -> None:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    print_run(conclude_records(request.getfixturevalue(name)), console)

    assert isinstance(console.file, io.StringIO)
    golden(f"terminal-{name}.txt", console.file.getvalue())
