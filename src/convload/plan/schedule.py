"""The intended starts of an open load: pure, seeded, computed in vectors, shared among workers without a word.

A plan's stages make a rate r(t), linear within each stage. Its integral R(t) counts the arrivals due by t, and its
inverse turns counts into times; within a stage that is the root of a quadratic.

- even: arrival k of the whole run is due at R⁻¹(k); worker w of W takes every k ≡ w (mod W).
- poisson: worker w draws its own unit-rate Poisson process and is due at R⁻¹(W · sum): a Poisson process of rate r/W
  by the time-change theorem (Çinlar, "Introduction to Stochastic Processes", §4.7), and W independent ones add up to
  one of rate r (superposition).
- replay: the recorded times, dealt out like the even ones.

Each arrival has an *origin*, the worker that it was dealt to, and a *number* there. Who fires it follows from the
losses of workers so far:

    arrival 7 of worker 1, due at 31.2 s         owner 1
    Loss(1, from 20 s, survivors 0, 2, 3)        7 = 2·3 + 1: owner 2, number 2
    Loss(2, from 30 s, survivors 0, 3)           2 = 1·2 + 0: owner 0, number 1

A loss gives what its worker owned from an instant on to the survivors in turn, by number; the quotient is the number
that counts for the next loss. So each arrival has one owner at any time, and the survivors of each loss get even parts.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

BLOCK = 8192
"""Arrivals computed at once: enough to make NumPy cheap, few enough to be ready in a fraction of a millisecond."""

_LEG_SHIFT = 32
"""There are fewer workers than this many bits count."""

_DRAWS_OF_CLASSES = 1 << 63
"""Sets their streams apart from those of gaps."""

TARGETS = ("A", "B")
WINDOW_ORDER = "ABBA"
"""The order in which two targets take turns: a drift that is linear over a group of four hits both alike."""

SHORTEST_WINDOW_S = 0.25
"""Of a turn, so that few requests reach into the next one."""

FEWEST_WINDOWS = 20
"""Of a run that compares two targets: ten pairs; fewer say next to nothing of how pairs vary."""

Arrivals = Literal["even", "poisson"]


class Stage(msgspec.Struct, frozen=True):
    """A part of the load: the rate goes linearly from `from_rate` to `to_rate` within `duration_s`.

    `target` is A or B where two targets are compared in turns. In the closed model a stage has `users` and no rate;
    only an interactive run has such.
    """

    from_rate: float
    to_rate: float
    duration_s: float
    name: str = ""
    warmup: bool = False
    target: str = ""
    users: int = 0


class RateProfile:
    """The rate over time that stages make one after the other, and its integral."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.stages = tuple(stages)
        durations = np.array([stage.duration_s for stage in stages])
        self._from = np.array([stage.from_rate for stage in stages])
        self._slope = np.array([(stage.to_rate - stage.from_rate) / stage.duration_s for stage in stages])
        counts = durations * np.array([(stage.from_rate + stage.to_rate) / 2 for stage in stages])
        self.starts_s: Times = np.concatenate([[0.0], np.cumsum(durations)])
        self._counts: Times = np.concatenate([[0.0], np.cumsum(counts)])

    @property
    def ends_s(self) -> float:
        """When the last stage ends."""
        return float(self.starts_s[-1])

    @property
    def total(self) -> float:
        """How many arrivals the whole profile means."""
        return float(self._counts[-1])

    def due_s(self, counts: Times) -> Times:
        """Returns when the integral of the rate reaches each of `counts`, which must be below `total`.

        Within a stage a·t²/2 + b·t = c. The root is taken as 2c / (b + √(b² + 2ac)), which loses no digits where
        the slope a is small or zero.
        """
        stage = np.minimum(np.searchsorted(self._counts, counts, side="right") - 1, len(self.stages) - 1)
        left = counts - self._counts[stage]
        rate = self._from[stage]
        root = np.sqrt(np.maximum(rate * rate + 2 * self._slope[stage] * left, 0.0))
        divisor = rate + root
        within = np.divide(2 * left, divisor, out=np.zeros_like(left), where=divisor > 0)
        times: Times = self.starts_s[stage] + within
        return times


def blocks(
    profile: RateProfile, arrivals: Arrivals, seed: int, worker: int = 0, workers: int = 1, leg: int = 0
) -> Iterator[Times]:
    """Yields the times of one worker's arrivals in seconds from the profile's start, in rising order, block by block.

    Profiles that follow one another in a run are its legs; each draws its own Poisson arrivals. Where two targets are
    compared in turns both windows of a pair have the same arrivals, so that their difference is that of the targets.
    """
    if not profile.stages:
        return  # what was to come was cut, and nothing took its place
    if profile.stages[0].target:
        firsts = RateProfile([msgspec.structs.replace(stage, target="") for stage in profile.stages[::2]])
        yield from _both_of_each_pair(profile, firsts, blocks(firsts, arrivals, seed, worker, workers, leg))
        return
    stream = worker + (leg << _LEG_SHIFT)
    counted = (
        _even_counts(profile.total, worker, workers)
        if arrivals == "even"
        else _poisson_counts(profile.total, seed, stream, workers)
    )
    for counts in counted:
        if len(counts):
            yield profile.due_s(counts)


def _both_of_each_pair(profile: RateProfile, firsts: RateProfile, arrivals: Iterator[Times]) -> Iterator[Times]:
    """Yields the arrivals of the first window of each pair, and then the same in the second one."""
    known: Times = np.empty(0)
    for pair, ends_s in enumerate(firsts.starts_s[1:]):
        while not len(known) or known[-1] < ends_s:
            if (more := next(arrivals, None)) is None:
                break
            known = np.concatenate([known, more])
        count = int(np.searchsorted(known, ends_s))
        within, known = known[:count] - firsts.starts_s[pair], known[count:]
        for starts_s in profile.starts_s[2 * pair : 2 * pair + 2] if count else ():
            yield within + starts_s


def _even_counts(total: float, worker: int, workers: int) -> Iterator[Times]:
    # A sum of stage counts may miss a whole number by a rounding error; 15,000 arrivals must not become 15,001.
    last = int(np.ceil(total - 1e-6 * max(1.0, total * 1e-6)))
    numbers = range(worker, last, workers)
    for start in range(0, len(numbers), BLOCK):
        yield np.array(numbers[start : start + BLOCK], dtype=np.float64)


def _poisson_counts(total: float, seed: int, stream: int, workers: int) -> Iterator[Times]:
    """Draws exponential gaps by inversion from a counter-based generator, whose bits are the same everywhere."""
    source = _source(seed, stream)
    reached = 0.0
    while reached < total:
        counts = reached + np.cumsum(-np.log1p(-_uniform(source, BLOCK))) * workers
        reached = float(counts[-1])
        yield counts[counts < total]


def _source(seed: int, stream: int) -> np.random.Philox:
    return np.random.Philox(key=np.array([seed, stream], dtype=np.uint64))


def _uniform(source: np.random.Philox, count: int) -> npt.NDArray[np.float64]:
    return (source.random_raw(count) >> np.uint64(11)).astype(np.float64) * 2.0**-53


class ClassDraw:
    """Says which user class each arrival that was dealt to a worker is for, by the weights of the classes.

    A draw for each, from a stream of its own: arrivals are due when they would be without classes, whoever fires one
    knows its class, and the shares hold at any rate and from the first arrival on, but for the chance of the draw.
    """

    def __init__(self, weights: Sequence[float], seed: int, worker: int, leg: int = 0) -> None:
        self._source = _source(seed, worker + (leg << _LEG_SHIFT) + _DRAWS_OF_CLASSES)
        self._edges = np.cumsum(weights)[:-1] / sum(weights)

    def next(self, count: int) -> Numbers:
        """Returns the positions of the classes of the next arrivals."""
        return np.searchsorted(self._edges, _uniform(self._source, count), side="right")


class Loss(msgspec.Struct, frozen=True):
    """From `from_s` on the survivors fire what would be a worker's."""

    worker: int
    from_s: float
    survivors: list[int]


def owners(origin: int, numbers: Numbers, times_s: Times, losses: Sequence[Loss]) -> Numbers:
    """Returns which worker fires each of some arrivals of one origin."""
    found = np.full(len(times_s), origin)
    for loss in losses:
        passed = (found == loss.worker) & (times_s >= loss.from_s)
        found[passed] = np.array(loss.survivors)[numbers[passed] % len(loss.survivors)]
        numbers = np.where(passed, numbers // len(loss.survivors), numbers)
    return found


class StageMark(msgspec.Struct, frozen=True):
    """A stage as it was run: the rate goes linearly from `from_rate` to `to_rate` per second.

    Where two targets are compared in turns each window is a stage, in the closed model too, and `target` is A or B.
    Beside them only interactive runs have stages in the closed model: of so many `users`.
    """

    name: str
    starts_s: float
    duration_s: float
    from_rate: float
    to_rate: float
    warmup: bool = False
    target: str = ""
    users: int = 0


def cut(stages: Sequence[StageMark], at_s: float) -> list[StageMark]:
    """Returns what is left of stages that end at an instant, whatever was to follow."""
    return [
        msgspec.structs.replace(mark, duration_s=min(mark.duration_s, at_s - mark.starts_s))
        for mark in stages
        if mark.starts_s < at_s
    ]
