"""Lets several shows follow one run: the terminal, a page, programs that scrape or are told."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from convload.results.progress import Progress
from convload.results.runlog import Record
from convload.run.execution import Steering

EVERY_S = 0.25


class Show:
    """What follows the progress of a run; each does what concerns it."""

    def update(self, progress: Progress, records: Sequence[Record]) -> None:
        """Is called some times a second, in the thread that looks after the run; must not wait."""

    def finish(self) -> None:
        """Is called when the run has ended, before its reports are made."""

    def reported(self, folder: Path) -> None:
        """Is called when the reports are there."""

    def close(self) -> None:
        """Is called last; may wait for who still listens."""


class Watching:
    """Reads the log of a run for all that show it; `steering` decides how it goes on, a person at a page among it."""

    def __init__(
        self,
        progress: Progress,
        shows: Sequence[Show],
        clock: Callable[[], float] = time.monotonic,
        steering: Steering | None = None,
    ) -> None:
        self.steering = steering
        self._progress, self._shows, self._clock = progress, shows, clock
        self._next_s = 0.0

    def update(self, folder: Path) -> None:
        """Tells all, if it is time."""
        if self._clock() >= self._next_s:
            self._next_s = self._clock() + EVERY_S
            records = self._progress.read(folder)
            for show in self._shows:
                show.update(self._progress, records)

    def finish(self, folder: Path) -> None:
        """Tells all how the run has ended."""
        records = self._progress.read(folder)
        for show in self._shows:
            show.update(self._progress, records)
            show.finish()

    def reported(self, folder: Path) -> None:
        """Tells all that the reports are there."""
        for show in self._shows:
            show.reported(folder)

    def close(self) -> None:
        """Lets all end."""
        for show in self._shows:
            show.close()
