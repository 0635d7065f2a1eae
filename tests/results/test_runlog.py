import errno
import os
import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from convload.errors import ExitCode, RunLogError
from convload.results import runlog
from convload.results.runlog import (
    Ended,
    ErrorSample,
    MockLedger,
    Note,
    Record,
    Started,
    WorkerLost,
)
from convload.results.writing import RunLogWriter, begin

if TYPE_CHECKING:
    from tests.run_logs import Make


@pytest.fixture
def records(make: "Make") -> list[Record]:
    sample = ErrorSample(3.5, "conversation.create", "seed_example", "http_503", "no", index=4)
    return [
        make.manifest(),
        Started(1_700_000_000.0, 1),
        make.interval(0, [make.cell([5, 6, 7])], 3, errors=[sample]),
        WorkerLost(0, 2.0, "killed"),
        Note(2.5, "a note", invalidates=True),
        MockLedger(3, 3),
        Ended(3.0, left_open=1),
    ]


def written(folder: Path, records: list[Record]) -> Path:
    path = folder / runlog.FILE_NAME
    writer = RunLogWriter(path)
    for record in records:
        writer.write(record)
    writer.close()
    return path


def test_every_kind_of_record_is_read_back_as_it_was_written(tmp_path: Path, records: list[Record]) -> None:
    path = written(tmp_path, records)

    for place in (path, tmp_path):
        log = runlog.read(place)
        assert [log.manifest, *log.records] == records
        assert log.damage == []


def test_a_log_that_begins_is_empty_or_has_its_whole_first_line(tmp_path: Path, make: "Make") -> None:
    path, manifest = tmp_path / runlog.FILE_NAME, make.manifest(notes=["x" * 100_000])
    path.touch()

    def begin_again_and_again() -> None:
        for _ in range(300):
            begin(path, manifest)

    with ThreadPoolExecutor(1) as other:
        beginning, seen = other.submit(begin_again_and_again), [b""]
        while not beginning.done():
            seen.append(path.read_bytes())
        beginning.result()

    assert {one[-1:] for one in seen} <= {b"", b"\n"}
    assert runlog.read(tmp_path).manifest == manifest


def test_each_record_is_readable_before_the_next_is_written(tmp_path: Path, records: list[Record]) -> None:
    path = tmp_path / runlog.FILE_NAME
    writer = RunLogWriter(path)
    for number, record in enumerate(records, 1):
        writer.write(record)
        assert len(runlog.read(path).records) == number - 1
    writer.close()


def test_a_log_cut_at_any_byte_keeps_all_whole_lines_and_says_what_is_missing(
    tmp_path: Path, records: list[Record]
) -> None:
    path = written(tmp_path, records)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for end in range(first, len(whole) - 1):
        path.write_bytes(whole[:end])
        log = runlog.read(path)
        # A line that lost only its line break is whole.
        complete = whole[: end + (whole[end : end + 1] == b"\n")].count(b"\n")
        assert [log.manifest, *log.records] == records[:complete]
        assert "the run log has no end: the run was cut off" in log.damage


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no run log"),
        (b'{"record":"ended","at_s":1}\n', "the first line must be a manifest"),
        (b'{"record":"mani', "is no run log"),
        (b"\xff\xfe\n", "run.jsonl:1: is no run log"),
        (b'{"record":"unknown"}\n', "run.jsonl:1: is no run log"),
    ],
)
def test_a_file_that_is_no_run_log_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / runlog.FILE_NAME).write_bytes(content)

    with pytest.raises(RunLogError, match=message):
        runlog.read(tmp_path)


GARBAGE = [b'{"record":"note","at_s":"\xff"}', b"\0" * 4096, b'{"record":"unknown"}', b"[" * 5000, b"half a li"]


@pytest.mark.parametrize("garbage", GARBAGE, ids=["no UTF-8", "zeros", "unknown", "too deep", "half"])
def test_a_line_that_is_no_record_is_named_and_the_rest_is_read(
    tmp_path: Path, records: list[Record], garbage: bytes
) -> None:
    path = written(tmp_path, records)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:2], garbage, *lines[2:]]))

    log = runlog.read(path)

    assert [log.manifest, *log.records] == records
    assert log.damage == ["line 3 of the run log is no record and is left out"]


def test_a_removed_log_is_written_anew_and_nothing_is_lost(tmp_path: Path, records: list[Record]) -> None:
    path, told = tmp_path / "run" / runlog.FILE_NAME, list[str]()
    path.parent.mkdir()
    writer = RunLogWriter(path, told.append)
    for record in records[:3]:
        writer.write(record)
    path.unlink()
    path.parent.rmdir()
    for record in records[3:]:
        writer.write(record)
    writer.close()

    log = runlog.read(path)

    [note] = [record for record in log.records if isinstance(record, Note) and "removed or replaced" in record.text]
    assert [log.manifest, *(record for record in log.records if record != note)] == records
    assert (log.damage, told, note.invalidates) == ([], [note.text], False)


@pytest.mark.parametrize("content", [b"", b"another file's words\n", b"x" * 100_000])
def test_of_a_log_that_was_overwritten_all_but_intervals_is_kept(
    tmp_path: Path, records: list[Record], content: bytes
) -> None:
    path = tmp_path / runlog.FILE_NAME
    writer = RunLogWriter(path)
    for record in records[:3]:
        writer.write(record)
    path.write_bytes(content)
    for record in records[3:]:
        writer.write(record)
    writer.close()

    log = runlog.read(path)

    [note] = [record for record in log.records if isinstance(record, Note) and "cut or overwritten" in record.text]
    kept = [record for record in records if not isinstance(record, runlog.Interval)]
    assert [log.manifest, *(record for record in log.records if record != note)] == kept
    assert note.invalidates


def test_two_writers_of_a_log_go_on_together_when_it_was_removed(tmp_path: Path, records: list[Record]) -> None:
    path = written(tmp_path, records[:1])
    one, other = RunLogWriter(path), RunLogWriter(path)
    path.unlink()
    one.write(records[1])
    other.write(records[2])
    one.write(records[6])
    one.close()
    other.close()

    log = runlog.read(path)

    assert [record for record in log.records if not isinstance(record, Note)] == [records[1], records[2], records[6]]


def test_who_follows_a_log_outlives_its_removal_and_its_garbage(tmp_path: Path, records: list[Record]) -> None:
    path = written(tmp_path, records[:2])
    growing = runlog.GrowingLog(path)

    assert growing.read() == records[:2]
    with path.open("ab") as log:
        log.write(b"garbage\n" + msgspec.json.encode(records[2]) + b"\n")
    assert growing.read() == [records[2]]
    path.unlink()
    assert growing.read() == []


def test_another_format_version_is_refused_by_name(tmp_path: Path, make: "Make") -> None:
    (tmp_path / runlog.FILE_NAME).write_bytes(
        msgspec.json.encode(make.manifest()).replace(b"convload/run/2", b"convload/run/9") + b"\n"
    )

    with pytest.raises(RunLogError, match="has format 'convload/run/9'; this version reads 'convload/run/2'"):
        runlog.read(tmp_path)


def test_a_missing_file_is_one_clear_message(tmp_path: Path) -> None:
    with pytest.raises(RunLogError, match=r"run\.jsonl: cannot be read: No such file") as missing:
        runlog.read(tmp_path / runlog.FILE_NAME)

    assert missing.value.exit_code == ExitCode.USAGE


def test_a_disk_that_takes_half_a_line_is_an_error_and_the_log_keeps_whole_lines(tmp_path: Path, make: "Make") -> None:
    path = written(tmp_path, [make.manifest()])
    writer = RunLogWriter(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, hard))
    try:
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            writer.write(Note(1.0, "longer than ten bytes"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    writer.write(Ended(2.0))
    writer.close()

    log = runlog.read(path)

    assert log.records == [Ended(2.0)]
    assert log.damage == []
