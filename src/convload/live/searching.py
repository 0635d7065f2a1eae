"""What a search for the capacity has come to so far, for the terminal."""

from collections import Counter

from convload.results.capacity_result import Trial
from convload.results.histogram import short


class SearchSoFar:
    """Counts trials as they end; the search tells what interval it holds the capacity to be in."""

    def __init__(self) -> None:
        self._verdicts: Counter[str] = Counter()
        self._last: Trial | None = None
        self._interval: tuple[float, float] | None = None

    def note_trial(self, trial: Trial) -> None:
        """Takes note of a trial that has ended."""
        self._verdicts[trial.verdict] += 1
        self._last = trial

    def note_interval(self, low: float, high: float) -> None:
        """Takes note of where the capacity lies, as far as the trials tell."""
        self._interval = low, high

    def rows(self) -> list[tuple[str, str]]:
        """Returns what a terminal shows of it: a word, and what there is to say."""
        number = self._verdicts.total() + 1
        made = ", ".join(f"{count} {verdict}" for verdict, count in self._verdicts.most_common())
        last = f"; the last {short(self._last.rate, 4)}: {self._last.verdict}" if self._last else ""
        found = [("trial", f"{number}{f' ({made}{last})' if made else ''}")]
        if self._interval is not None:
            low, high = (short(bound, 4) for bound in self._interval)
            found.append(("capacity", f"{low} to {high} conversations/s so far"))
        return found
