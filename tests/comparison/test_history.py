from pathlib import Path

import pytest
from tests.comparison.conftest import MakeRuns

from convload.comparison.history import find_runs, follow
from convload.errors import UsageError
from convload.report import html
from convload.report.history import document
from convload.results import runlog


def at_day(folder: Path, day: int) -> Path:
    path = folder / runlog.FILE_NAME
    path.write_text(path.read_text().replace("2026-01-02T", f"2026-01-{day:02}T"))
    return folder


def series_of(runs: MakeRuns, days: int, step_at: int) -> None:
    for day in range(1, days + 1):
        longer = 1.0 if day < step_at else 1.2
        at_day(runs.write(f"sub/run-{days - day:02}", day, seconds=6, longer=longer), day)


def test_a_change_is_marked_at_the_first_run_of_the_new_level_in_the_order_of_time(runs: MakeRuns) -> None:
    series_of(runs, 12, step_at=7)

    told = follow(runs.folder)

    assert [point.started[8:10] for point in told.points] == [f"{day:02}" for day in range(1, 13)]
    by_name = {one.name: one for one in told.series}
    assert list(by_name) == ["p50", "p95", "p99", "errors", "rate", "gate errors <= 1%"]
    assert [(one.at, one.confirmed) for one in by_name["p50"].changes] == [(6, True)]
    assert by_name["rate"].changes == []
    assert by_name["p50"].levels[0] == pytest.approx(20, rel=0.05)
    assert by_name["p50"].levels[-1] == pytest.approx(24, rel=0.05)


def test_a_short_history_says_that_it_cannot_look_for_changes(runs: MakeRuns) -> None:
    series_of(runs, 4, step_at=3)

    assert {one.note for one in follow(runs.folder).series} == {"needs 10 runs to look for changes, has 4"}


def test_what_a_run_warns_of_goes_along_with_the_history(runs: MakeRuns) -> None:
    series_of(runs, 2, step_at=9)
    log = runs.folder / "sub" / "run-00" / runlog.FILE_NAME
    log.write_text(log.read_text().replace('"notes":[]', '"notes":["<all can read it>"]', 1))

    told = follow(runs.folder)

    assert [point.warnings for point in told.points] == [[], ["<all can read it>"]]
    assert "Warning of 1 of 2 runs, last sub/run-00: &lt;all can read it&gt;" in html.render(document(told))


def test_what_is_left_out_is_told_with_its_reason(runs: MakeRuns) -> None:
    series_of(runs, 3, step_at=9)
    at_day(runs.write("other", 5, seconds=6, users=9), 1)
    cut = at_day(runs.write("cut", 6, seconds=6), 2) / runlog.FILE_NAME
    cut.write_bytes(cut.read_bytes()[:-9])
    broken = runs.folder / "broken"
    broken.mkdir()
    (broken / runlog.FILE_NAME).write_text("nonsense\n")
    (runs.folder / "latest").symlink_to("sub/run-00")

    told = follow(runs.folder)

    assert len(told.points) == 3
    reasons = {Path(one.folder).name: one.reasons for one in told.left_out}
    assert set(reasons) == {"other", "cut", "broken"}
    assert reasons["other"] == ["unlike the newest run: plan: `users` is 9, not 50"]
    assert reasons["cut"][-1] == "the run log has no end: the run was cut off"
    assert "is no run log" in reasons["broken"][0]


def test_a_folder_without_any_run_to_follow_is_refused_with_the_reasons(runs: MakeRuns) -> None:
    broken = runs.folder / "broken"
    broken.mkdir()
    (broken / runlog.FILE_NAME).write_text("nonsense\n")

    with pytest.raises(UsageError) as caught:
        follow(runs.folder)

    assert "has no run below it that can be followed" in caught.value.problems[0]
    assert "is no run log" in caught.value.problems[1]
    with pytest.raises(UsageError, match="there is no such folder"):
        find_runs(runs.folder / "nowhere")
