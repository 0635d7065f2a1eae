"""What must be true of a soak when it is over: its counts reconcile, with the loss that the log itself names."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from convload.contract.steps import CREATE
from convload.errors import ExitCode
from convload.results.run import Run
from convload.results.runlog import Interval, RunLog, WorkerLost

MEGA = 1_000_000
SETTLED_SHARE = 0.25
"""Of the time that a process was seen: by then it has what it needs."""
MOST_GROWTH_BYTES = 50 * MEGA
"""From then on; as much as the reports of a run allow a worker before they say that it grows."""
EDGES = 4
"""Arrivals of an even load that may fall on either side of the instant at which a share is handed over, two a kill."""
REPORTS = ("report.html", "summary.json", "summary.md", "junit.xml")

Memory = dict[str, list[tuple[float, int]]]
Figures = dict[str, int | float | str]


@dataclass(frozen=True)
class Seen:
    """What is left of a soak: log, files of the run folder, exit codes, the mock's counts, memory, processes, words."""

    log: RunLog
    files: set[str]
    code: int
    joined_codes: list[int]
    stats: Any
    memory: Memory
    left_over: list[int]
    words: str


def judge(seen: Seen, *, due: int, kills: int) -> tuple[Figures, list[str]]:
    """Returns the figures of a soak, and what is wrong with it."""
    run, lost = Run(seen.log), [record for record in seen.log.records if isinstance(record, WorkerLost)]
    unknown, received = sum(one.arrivals for one in lost), seen.stats["create"]["received"]
    counts, ends = run.counts, [parts[-1] for parts in run.workers.values()]
    waiting = sum(one.backlog for one in ends if not one.last)
    figures: Figures = {
        "due by plan": due,
        "due by the log": counts.offered - waiting,
        "unsent": counts.unsent,
        "sent": counts.sent,
        "recorded": counts.recorded,
        "received by the mock": received,
        "unknown by the log": unknown,
        "workers lost": len(lost),
        "workers killed": kills,
        "exit code": seen.code,
        **{f"memory of {name}, MB": text for name, text in _grown(seen.memory)},
    }
    problems = [*_ends(seen, len(lost), kills), *_intervals(run), *_refused(seen.stats)]
    if abs(counts.offered - waiting + unknown - due) > EDGES * kills:
        problems.append(f"{due} arrivals by plan, but {counts.offered - waiting} and {unknown} unknown by the log")
    if not counts.sent <= received <= counts.sent + unknown:
        problems.append(f"{counts.sent} sent and {unknown} unknown, but {received} received: lost or fired twice")
    in_flight = sum(one.in_flight for one in ends if not one.last)
    if not counts.recorded <= counts.sent <= counts.recorded + in_flight:
        problems.append(
            f"{counts.sent} sent, {counts.recorded} recorded, {in_flight} in flight of those that were lost"
        )
    if (held := run.outcomes[CREATE].total()) != counts.recorded:
        problems.append(f"{counts.recorded} recorded, but the intervals hold {held}")
    if failed := {kind: count for kind, count in run.outcomes[CREATE].items() if kind != "ok"}:
        problems.append(f"creates failed: {failed}")
    return figures, problems + list(_memory(seen.memory))


def _ends(seen: Seen, lost: int, kills: int) -> Iterator[str]:
    expected = {ExitCode.INCONCLUSIVE} if kills else {ExitCode.PASS, ExitCode.INCONCLUSIVE}
    if seen.code not in expected:
        yield f"exit code {seen.code}, expected {sorted(map(int, expected))}"
    if any(seen.joined_codes):
        yield f"workers that joined ended with {seen.joined_codes}"
    if lost != kills:
        yield f"{kills} workers were killed, but {lost} lost"
    if missing := [name for name in REPORTS if name not in seen.files]:
        yield f"no {', '.join(missing)}"
    if seen.log.damage:
        yield f"the log is damaged: {seen.log.damage}"
    if seen.left_over:
        yield f"processes are left: {seen.left_over}"
    if "Traceback" in seen.words:
        yield "a traceback was shown"


def _intervals(run: Run) -> Iterator[str]:
    lost = {record.worker for record in run.log.records if isinstance(record, WorkerLost)}
    for worker, parts in run.workers.items():
        if [part.n for part in parts] != list(range(len(parts))):
            yield f"worker {worker}: intervals are missing, or came twice"
        if parts[-1].last == (worker in lost):
            yield f"worker {worker}: its last interval came though it was lost, or is missing"
        if worker not in lost:
            yield from _whole(parts[-1])


def _whole(end: Interval) -> Iterator[str]:
    if not end.offered - end.unsent == end.built == end.sent == end.recorded:
        yield f"worker {end.worker}: {end.offered} due, {end.unsent} unsent, {end.sent} sent, {end.recorded} recorded"


def _refused(stats: Any) -> Iterator[str]:
    """Yields what the mock turned away: a consumer whose conversation is open is one that was fired twice."""
    for name in ("app_token", "consumer_token", "create", "close", "other"):
        if (tally := stats[name])["received"] != tally["accepted"]:
            yield f"{name}: {tally['received']} received, {tally['accepted']} accepted: {tally['by_status']}"


def _spans(memory: Memory) -> Iterator[tuple[str, int, int]]:
    """Yields the most that a process had when it had settled, and ever after."""
    for name, samples in memory.items():
        settled_s = samples[0][0] + SETTLED_SHARE * (samples[-1][0] - samples[0][0])
        early = max(size for at_s, size in samples if at_s <= settled_s)
        yield name, early, max(size for _, size in samples)


def _grown(memory: Memory) -> Iterator[tuple[str, str]]:
    for name, early, most in _spans(memory):
        yield name, f"{early / MEGA:.1f}, later at most {most / MEGA:.1f}"


def _memory(memory: Memory) -> Iterator[str]:
    for name, early, most in _spans(memory):
        if most - early > MOST_GROWTH_BYTES:
            yield f"memory of {name} grew from {early / MEGA:.1f} to {most / MEGA:.1f} MB"
