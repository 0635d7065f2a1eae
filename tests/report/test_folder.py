import json
import re
import resource
import shutil
from pathlib import Path

import pytest

from convload.errors import RunLogError, UsageError
from convload.report.folder import REPORTS, write_all


def test_a_run_log_is_enough_to_write_every_report(run_folder: Path) -> None:
    conclusion = write_all(run_folder)

    assert {path.name for path in run_folder.iterdir()} == {"run.jsonl", *REPORTS}
    assert conclusion.verdict.outcome == "fail"


def test_another_run_lies_over_the_charts_of_a_page_and_changes_nothing_else(run_folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(run_folder / "run.jsonl", other)
    write_all(run_folder)
    alone = {path.name: path.read_bytes() for path in run_folder.glob("*.*")}

    write_all(run_folder, other)

    page = (run_folder / "report.html").read_text()
    (embedded,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    data = json.loads(embedded)
    assert data["other"]["name"].endswith("other")
    assert data["other"]["columns"] == data["columns"]
    assert {path.name for path in run_folder.glob("*.*") if path.read_bytes() != alone[path.name]} == {"report.html"}


def test_writing_again_gives_the_same_bytes_and_leaves_the_run_log_alone(run_folder: Path) -> None:
    write_all(run_folder)
    first = {path.name: path.read_bytes() for path in run_folder.iterdir()}
    write_all(run_folder)

    assert {path.name: path.read_bytes() for path in run_folder.iterdir()} == first


def test_a_folder_without_a_run_log_is_one_clear_message(tmp_path: Path) -> None:
    with pytest.raises(RunLogError, match=r"run\.jsonl: cannot be read"):
        write_all(tmp_path)


def test_a_report_that_cannot_be_replaced_is_named(run_folder: Path) -> None:
    (run_folder / "junit.xml").mkdir()

    with pytest.raises(UsageError, match=r"junit\.xml: cannot be written: Is a directory"):
        write_all(run_folder)

    assert not list(run_folder.glob(".*"))


def test_a_full_disk_is_one_message_and_keeps_the_old_report_whole(run_folder: Path) -> None:
    write_all(run_folder)
    before = (run_folder / "report.html").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(UsageError, match=r"report\.html: cannot be written: File too large"):
            write_all(run_folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert (run_folder / "report.html").read_bytes() == before
    assert not list(run_folder.glob(".*"))
