"""The loads of a search in a run that is held open: what the thread of the search hears."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from convload.capacity.steered import SteeredLoads
from convload.capacity.trials import EndedError
from convload.plan.schedule import Stage, StageMark
from convload.results.runlog import FILE_NAME, FORMAT, Interval, Manifest, Record, StageAdded, Started
from convload.results.writing import RunLogWriter

MANIFEST = Manifest(FORMAT, "2026-01-01T00:00:00.000+00:00", {}, {}, {}, "mock")
LOAD = Stage(10, 10, 2, "one")


class Run:
    """Stands for the run: notes what it is told, and its log is written by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.added: list[Stage] = []
        self.finished = False
        self.log = RunLogWriter(folder / FILE_NAME)
        self.write(MANIFEST, Started(0.0, 1, [0.0]))

    def write(self, *records: Record) -> None:
        for record in records:
            self.log.write(record)

    def add(self, stages: Sequence[Stage]) -> None:
        self.added += stages

    def finish(self) -> None:
        self.finished = True

    def replace(self, stages: Sequence[Stage]) -> None:
        raise AssertionError(stages)

    def stop(self, text: str) -> None:
        raise AssertionError(text)

    def note(self, text: str, *, invalidates: bool = False) -> None:
        raise AssertionError(text, invalidates)

    def abort(self, condition: str, text: str) -> None:
        raise AssertionError(condition, text)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """A run that has started."""
    found = Run(tmp_path)
    yield found
    found.log.close()


def interval(to_s: float, *, in_flight: int) -> Interval:
    return Interval(
        0, 0, 0.0, to_s, [], users=1, in_flight=in_flight, built=0, sent=0, recorded=0, cpu_share=0.1, memory_bytes=1
    )


def test_a_load_is_over_when_its_time_has_passed_and_nothing_is_in_flight(run: Run) -> None:
    loads, heard = SteeredLoads(), list[StageMark]()
    asking = threading.Thread(target=lambda: heard.append(loads.hold([LOAD]).mark), daemon=True)
    asking.start()
    while not run.added:
        loads.look(run)
    mark = StageMark("one", 1.0, 2.0, 10, 10)
    run.write(StageAdded(0.5, mark), interval(2.9, in_flight=0))
    loads.look(run)
    run.write(interval(3.1, in_flight=1))
    loads.look(run)
    assert heard == []
    run.write(interval(3.5, in_flight=0))
    loads.look(run)
    asking.join(5)
    assert heard == [mark]


def test_whoever_asks_a_run_that_has_ended_for_a_load_is_told_each_time() -> None:
    loads = SteeredLoads()
    loads.end()
    for _ in range(4):
        with pytest.raises(EndedError):
            loads.hold([LOAD])


def test_a_search_that_has_ended_lets_the_run_end(run: Run) -> None:
    loads = SteeredLoads()
    loads.finish()
    loads.look(run)
    assert run.finished
