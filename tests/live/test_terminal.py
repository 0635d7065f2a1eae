import contextlib
import fcntl
import io
import os
import re
import struct
import termios
import threading
from pathlib import Path

import numpy as np
import pytest
from tests.run_logs import Make

from convload.live.gates import GateWatch
from convload.live.searching import SearchSoFar
from convload.live.terminal import TerminalShow
from convload.live.watching import Watching
from convload.plan.schedule import StageMark
from convload.results.capacity_result import Trial
from convload.results.histogram import Histogram
from convload.results.progress import Progress
from convload.results.runlog import FILE_NAME, Cell, Interval, Manifest, Note, Record
from convload.results.writing import RunLogWriter

COLOUR = re.compile(r"\x1b\[[0-9;]*(3[0-9]|4[0-9]|9[0-9])m")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def manifest() -> Manifest:
    marks = [StageMark("warm-up", 0.0, 2.0, 100, 100, True), StageMark("hold 100/s", 2.0, 8.0, 100, 100)]
    made = Make.manifest(model="open", max_in_flight=50, duration_s=8.0, gates=["create.p99 < 250ms"])
    return Manifest(**{name: getattr(made, name) for name in made.__struct_fields__} | {"stages": marks})


def interval(n: int, ok: int, failed: int = 0, backlog: int = 0) -> Interval:
    times = Histogram.of(np.full(ok, 2_000)).encode()
    cells = [
        Cell("conversation.create", "minimal", "measure", "ok", ok, times),
        Cell("conversation.create", "minimal", "measure", "http_503", failed, times),
        Cell("conversation.close", "", "measure", "ok", 999, times),
    ]
    return Interval(0, n, float(n), n + 1.0, cells, 7, 3, 0, 0, 0, 0.5, 1, backlog=backlog)


def follow(
    folder: Path, out: io.TextIOBase, steps: list[tuple[float, list[Record]]], search: SearchSoFar | None = None
) -> None:
    clock, gates, more = Clock(), GateWatch(), search.rows if search else list
    watching = Watching(Progress(), [TerminalShow(out, gates, clock, more)], clock)  # type: ignore[arg-type]  # a text stream
    log = RunLogWriter(folder / FILE_NAME)
    log.write(manifest())
    for now_s, records in steps:
        for one in records:
            log.write(one)
        clock.now_s = now_s
        watching.update(folder)
    log.close()
    watching.finish(folder)
    watching.close()


def on_terminal(
    folder: Path, columns: int, steps: list[tuple[float, list[Record]]], search: SearchSoFar | None = None
) -> str:
    """Returns what a terminal of that width is sent."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    sent: list[bytes] = []
    reader = threading.Thread(target=_read_to_the_end, args=(master, sent))
    reader.start()
    with os.fdopen(slave, "w") as out:
        follow(folder, out, steps, search)
    reader.join()
    os.close(master)
    return b"".join(sent).decode()


def _read_to_the_end(master: int, sent: list[bytes]) -> None:
    with contextlib.suppress(OSError):  # which is how a terminal says that nobody writes to it any more
        while data := os.read(master, 4096):
            sent.append(data)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_terminal_there_is_a_plain_dated_line_every_ten_seconds(tmp_path: Path) -> None:
    steps: list[tuple[float, list[Record]]] = [
        (9.0, [interval(n, 98, 2) for n in range(9)]),
        (10.0, []),
        (15.0, [interval(9, 10)]),
        (20.0, []),
    ]
    out = io.StringIO()

    follow(tmp_path, out, steps)

    lines = out.getvalue().splitlines()
    dates = [re.fullmatch(r"convload: (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)  (.*)", line) for line in lines]
    assert [found and found[2] for found in dates] == [
        "9 of 10 s  100 conversations/s  p50 2 ms  p95 2 ms  p99 2 ms  errors 2.00%  users 7",
        "10 of 10 s  10 conversations/s  p50 2 ms  p95 2 ms  p99 2 ms  errors 0.00%  users 7",
    ]


def test_where_nothing_succeeded_there_are_no_percentiles_but_waiting_arrivals(tmp_path: Path) -> None:
    out = io.StringIO()
    follow(tmp_path, out, [(10.0, [interval(0, 0, 3, backlog=40)])])

    assert "p50 –  p95 –  p99 –  errors 100.00%  users 7  waiting 40" in out.getvalue()


STEPS: list[tuple[float, list[Record]]] = [
    (1.0, [interval(0, 98, 2, backlog=4), Note(0.5, "the target sneezed")]),
    (2.0, [interval(1, 90, 10)]),
    (3.0, [interval(2, 100)]),
]


def test_a_terminal_shows_stage_time_left_rates_errors_and_generator(tmp_path: Path) -> None:
    sent = on_terminal(tmp_path, 100, STEPS)

    shown = CONTROL.sub("", sent)
    assert "smoke: hold 100/s" in shown
    assert "3 of 10 s, 7 s left" in shown
    assert "p50 2 ms  p95 2 ms  p99 2 ms" in shown
    assert "http_503 12 (4.00%)" in shown
    assert "waiting 4" in shown
    assert "CPU 50% of a core" in shown
    assert "the target sneezed" in shown
    assert re.search("[▁▂▃▄▅▆▇█]{2}", shown), "the last seconds as bars"


def test_a_terminal_is_left_empty_for_the_report(tmp_path: Path) -> None:
    sent = on_terminal(tmp_path, 100, STEPS)

    assert sent.count("\x1b[1A\x1b[2K") >= 3, "each of its lines is taken away"
    assert sent.rstrip("\r\n").endswith(("\x1b[2K", "\x1b[?25h"))


@pytest.mark.parametrize("columns", [40, 72, 200])
def test_no_line_is_wider_than_the_terminal(columns: int, tmp_path: Path) -> None:
    sent = on_terminal(tmp_path, columns, STEPS)

    assert max(map(len, re.split(r"[\r\n]+", CONTROL.sub("", sent)))) <= columns


def test_no_color_takes_the_colours_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    assert not COLOUR.search(on_terminal(tmp_path, 100, STEPS))


def test_a_dumb_terminal_has_plain_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")

    assert on_terminal(tmp_path, 100, [(10.0, [interval(0, 5)])]).count("\n") == 1


def test_a_line_that_is_still_being_written_waits_for_its_end(tmp_path: Path) -> None:
    path, clock, progress = tmp_path / FILE_NAME, Clock(), Progress()
    log = RunLogWriter(path)
    log.write(interval(0, 5))
    log.close()
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    watching = Watching(progress, [], clock)
    watching.update(tmp_path)
    assert progress.outcomes().total() == 5
    path.write_bytes(whole + whole)
    watching.finish(tmp_path)
    assert progress.outcomes().total() == 10


def test_a_search_shows_its_trial_and_the_interval_so_far(tmp_path: Path) -> None:
    so_far = SearchSoFar()
    so_far.note_trial(Trial(rate=400, duration_s=4.0, outcome="pass"))
    so_far.note_trial(Trial(rate=800, duration_s=4.0, outcome="fail"))
    so_far.note_interval(412.3, 655.9)

    shown = CONTROL.sub("", on_terminal(tmp_path, 100, STEPS, so_far))

    assert "trial     3 (1 pass, 1 fail; the last 800: fail)" in shown
    assert "capacity  412.3 to 655.9 conversations/s so far" in shown
