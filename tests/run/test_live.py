import io
from pathlib import Path

import numpy as np

from convload.results.histogram import Histogram
from convload.results.runlog import FILE_NAME, Cell, Interval
from convload.results.writing import RunLogWriter
from convload.run.live import Live


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def interval(n: int, ok: int, failed: int = 0, backlog: int = 0) -> Interval:
    times = Histogram.of(np.full(ok, 2_000)).encode()
    cells = [
        Cell("conversation.create", "minimal", "measure", "ok", ok, times),
        Cell("conversation.create", "minimal", "measure", "http_503", failed, times),
        Cell("conversation.close", "", "measure", "ok", 999, times),
    ]
    return Interval(0, n, float(n), n + 1.0, cells, 7, 3, 0, 0, 0, 0.5, 1, backlog=backlog)


def follow(folder: Path, out: io.StringIO, steps: list[tuple[float, list[Interval]]]) -> str:
    clock = Clock()
    live = Live(out, clock)
    log = RunLogWriter(folder / FILE_NAME)
    for now_s, intervals in steps:
        for one in intervals:
            log.write(one)
        clock.now_s = now_s
        live.update(folder)
    log.close()
    live.close()
    return out.getvalue()


def test_without_a_terminal_there_is_a_plain_line_every_ten_seconds(tmp_path: Path) -> None:
    steps = [(9.0, [interval(n, 98, 2) for n in range(9)]), (10.0, []), (15.0, [interval(9, 10)]), (20.0, [])]

    printed = follow(tmp_path, io.StringIO(), steps)

    assert printed == (
        "convload: 9 s  100 conversations/s  p50 2.00 ms  p99 2.00 ms  errors 2.00%  users 7\n"
        "convload: 10 s  10 conversations/s  p50 2.00 ms  p99 2.00 ms  errors 0.00%  users 7\n"
    )


def test_a_terminal_has_one_line_that_renews_itself(tmp_path: Path) -> None:
    printed = follow(tmp_path, Terminal(), [(1.0, [interval(0, 5)]), (2.0, [interval(1, 6)])])

    assert printed.count("\r") == 3
    assert "\n" not in printed
    assert printed.endswith("\r\x1b[K")


def test_a_line_that_is_still_being_written_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    clock, out = Clock(), io.StringIO()
    live = Live(out, clock)
    log = RunLogWriter(path)
    log.write(interval(0, 5))
    log.close()
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    clock.now_s = 10.0
    live.update(tmp_path)
    path.write_bytes(whole + whole)
    clock.now_s = 20.0
    live.update(tmp_path)

    assert out.getvalue().count("5 conversations/s") == 2


def test_where_nothing_succeeded_there_are_no_percentiles_but_waiting_arrivals(tmp_path: Path) -> None:
    printed = follow(tmp_path, io.StringIO(), [(10.0, [interval(0, 0, 3, backlog=40)])])

    assert "p50 –  p99 –  errors 100.00%  users 7  waiting 40" in printed
