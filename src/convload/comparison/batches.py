"""Cuts what a run measured into batches of consecutive seconds: what comparisons see of it."""

import math
from collections import defaultdict
from itertools import groupby, pairwise
from typing import Literal

import msgspec

from convload.contract.outcomes import OK
from convload.judging.baseline import Piece
from convload.results.histogram import Accumulator, Histogram
from convload.results.run import Run
from convload.results.runlog import MEASURE, Cell, RunLog
from convload.results.window import Window, middle_s

Clock = Literal["response", "service"]

MOST = 300
"""Longer runs are cut into so many batches of several seconds each: neighbouring seconds resemble each other, so finer
ones would cost memory and tell little more."""


FEWEST_BATCHES = 10
"""Fewer seconds, or pairs of windows, say next to nothing of how they vary."""


class Batch(msgspec.Struct, frozen=True):
    """What became of the requests of one step in one stretch of time.

    `times` are of successful requests, in microseconds. `late` counts requests among them that were due in the
    measured time and answered after it: their times count, but they are no part of the rate. Batches are
    compared within a `stratum` (the stage of an open load), as stages differ by plan and not by chance.
    """

    times: Histogram
    ok: int
    failed: int
    length_s: float
    late: int = 0
    stratum: str = ""

    @property
    def count(self) -> int:
        """All requests, successful or not."""
        return self.ok + self.failed


def batches_of(log: RunLog, clock: Clock = "response") -> dict[str, list[Batch]]:
    """Returns the batches of each step in the order of time; all steps of a run have the same stretches.

    A request stands in the second of its result, as everywhere in a run log. A second without results is a batch of
    nothing: a stall belongs to what is measured. Raises RunLogError where plan or histograms cannot be read.
    """
    run = Run(log)
    measured = run.window
    stretches = _stretches(log, measured)
    found: dict[str, dict[int, list[tuple[Cell, bool]]]] = defaultdict(lambda: defaultdict(list))
    for interval in run.results:
        at_s = middle_s(interval)
        place = next((i for i, one in enumerate(stretches) if at_s < one.to_s), len(stretches) - 1)
        for cell in interval.cells:
            if cell.phase == MEASURE:
                found[cell.step][place].append((cell, at_s >= measured.to_s))
    return {
        step: [batch_of(places.get(i, []), one, clock) for i, one in enumerate(stretches)]
        for step, places in found.items()
    }


def pieces_of(log: RunLog) -> dict[str, list[Piece]]:
    """Returns the batches of each step as a baseline keeps them, with the times of both clocks."""
    response, service = batches_of(log, "response"), batches_of(log, "service")
    return {
        step: [_piece(*pair) for pair in zip(batches, service[step], strict=True)] for step, batches in response.items()
    }


def _piece(batch: Batch, of_service: Batch) -> Piece:
    response, service = batch.times.encode(), of_service.times.encode()
    kept = "" if service == response else service
    return Piece(response, kept, batch.ok, batch.failed, batch.late, batch.length_s, batch.stratum)


def batches_of_pieces(pieces: dict[str, list[Piece]], clock: Clock) -> dict[str, list[Batch]]:
    """Returns the batches that were kept; raises RunLogError where a histogram is damaged."""
    return {step: [_kept_batch(piece, clock) for piece in of_step] for step, of_step in pieces.items()}


def _kept_batch(piece: Piece, clock: Clock) -> Batch:
    times = Histogram.decode((piece.service if clock == "service" else "") or piece.response)
    return Batch(times, piece.ok, piece.failed, piece.length_s, piece.late, piece.stratum)


class Stretch(Window, frozen=True):
    """A piece of the measured time."""

    stratum: str = ""


def _stretches(log: RunLog, measured: Window) -> list[Stretch]:
    """Cuts the measured time into batches of whole seconds; none crosses into another stage."""
    parts = [
        (max(mark.starts_s, measured.from_s), min(mark.starts_s + mark.duration_s, measured.to_s), mark.name)
        for mark in log.stages
        if not mark.warmup
    ] or [(measured.from_s, measured.to_s, "")]
    batch_s = max(1, math.ceil(measured.length_s / MOST))
    found = [one for part in parts if part[1] > part[0] for one in _cut(*part, batch_s)]
    return found or [Stretch(measured.from_s, measured.to_s)]


def _cut(from_s: float, to_s: float, stratum: str, batch_s: float) -> list[Stretch]:
    """Cuts a part evenly, into pieces of about `batch_s`: a short last piece would have a rate of its own."""
    pieces = max(1, round((to_s - from_s) / batch_s))
    edges = [from_s + (to_s - from_s) * i / pieces for i in range(pieces + 1)]
    return [Stretch(low, high, stratum) for low, high in pairwise(edges)]


def batch_of(cells: list[tuple[Cell, bool]], stretch: Stretch, clock: Clock) -> Batch:
    """Adds up the cells of a stretch; each comes with whether its requests were answered after the measured time."""
    times, ok, failed, late = Accumulator(), 0, 0, 0
    for cell, is_late in cells:
        late += cell.count if is_late else 0
        if cell.outcome == OK:
            ok += cell.count
            # In the closed model a response is the service and is not stored twice.
            times.add(Histogram.decode((cell.response if clock == "response" else "") or cell.service))
        else:
            failed += cell.count
    return Batch(times.histogram(), ok, failed, stretch.length_s, late, stretch.stratum)


def strata(batches: list[Batch]) -> list[tuple[int, int]]:
    """Returns from which batch up to which, exclusive, each stratum goes."""
    found, start = [], 0
    for _, members in groupby(batch.stratum for batch in batches):
        end = start + len(list(members))
        found.append((start, end))
        start = end
    return found
