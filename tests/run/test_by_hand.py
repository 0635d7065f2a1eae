"""Runs that a person changes while they go on, in real processes against the mock."""

from pathlib import Path
from typing import Any

import pytest

from convload.comparison.conclusion import conclude
from convload.plan.plan import Plan, assemble
from convload.plan.schedule import StageMark, cut
from convload.report.run import render_html
from convload.results import runlog
from convload.results.progress import Progress
from convload.results.run import Run
from convload.results.runlog import RunLog
from convload.run.by_hand import ByHand, Wish
from convload.run.execution import Controls, execute

KEYS = {"arrivals": "even", "warmup": "0s", "consumers": "none", "drain": "5s", "max_in_flight": 50}


class Person(ByHand):
    """Asks for one thing after the other, each when the results have come so far."""

    def __init__(self, plan: Plan, *wishes: tuple[float, Wish]) -> None:
        self.progress = Progress()
        super().__init__(plan, self.progress)
        self.left = list(wishes)
        self.refused: list[str] = []

    def look(self, controls: Controls) -> None:
        self.progress.read(controls.folder)
        if self.left and self.progress.elapsed_s >= self.left[0][0]:
            wish = self.left.pop(0)[1]
            self.refused += filter(None, [self.refusal(wish)])
            self.ask(wish)
        super().look(controls)


def run(folder: Path, *wishes: tuple[float, Wish], **keys: Any) -> RunLog:
    plan = assemble(None, {}, KEYS | keys)
    person = Person(plan, *wishes)
    execute(plan, folder / "out", lambda _: None, steering=person)
    assert person.left == []
    assert person.refused == []
    return runlog.read(folder / "out")


def test_a_stage_that_is_ended_gives_way_to_the_next_and_a_minute_more_follows(tmp_path: Path) -> None:
    stages = [{"hold": 40, "duration": "60s", "name": "long"}, {"hold": 80, "duration": "1s", "name": "short"}]
    wishes = (0.5, Wish("extend")), (1.0, Wish("end_stage")), (3.0, Wish("end_stage"))
    log = run(tmp_path, *wishes, stages=stages, workers=2)

    summary, (first, second, third) = Run(log).summary, log.stages
    assert first.duration_s == second.starts_s < 10
    assert (third.name, third.to_rate, third.starts_s) == ("by hand 1: a minute more", 80, second.starts_s + 1)
    assert summary.stages["long"].count == pytest.approx(40 * first.duration_s, abs=2)
    assert summary.stages["short"].count == 80
    assert summary.counts.sent == summary.counts.recorded == summary.counts.offered
    assert summary.ledger is not None
    assert summary.ledger.received == summary.counts.sent
    assert summary.duration_s == pytest.approx(third.starts_s + third.duration_s, abs=0.01)
    assert "extended by 60 s by hand" in summary.notes
    assert "stage 'long' was ended by hand" in "".join(summary.notes)


def test_the_load_of_an_interactive_run_follows_a_persons_hand(tmp_path: Path) -> None:
    changes = (1.0, Wish("load", 100)), (2.0, Wish("load", 20)), (3.0, Wish("end_stage"))
    log = run(tmp_path, *changes, rate=40, duration="60s", interactive=True)

    found = Run(log).summary.stages
    assert list(found) == ["1: 40/s", "by hand 1: 100/s", "by hand 2: 20/s"]
    for stage, rate in zip(found.values(), (40, 100, 20), strict=True):
        assert stage.count == pytest.approx(rate * stage.duration_s, abs=2)
    counts = Run(log).summary.counts
    assert counts.sent == counts.recorded == counts.offered == sum(stage.count for stage in found.values())
    assert [note.text for note in log.records if isinstance(note, runlog.Note) and note.invalidates] == [
        f"the load was changed by hand: {name}; an exploratory run is no evidence" for name in list(found)[1:]
    ]


def test_users_of_an_interactive_run_come_and_go(tmp_path: Path) -> None:
    changes = (1.0, Wish("load", 6)), (2.5, Wish("load", 1)), (4.0, Wish("stop"))
    log = run(tmp_path, *changes, users=2, duration="60s", interactive=True, think="constant 20ms", workers=1)

    users = {mark.name: mark.users for mark in log.stages}
    assert users == {"2 users": 2, "by hand 1: 6 users": 6, "by hand 2: 1 users": 1}
    seen: dict[str, set[int]] = {}
    for one in Run(log).workers[0][:-1]:
        mark = next(mark for mark in reversed(log.stages) if mark.starts_s <= one.from_s + 0.01)
        seen.setdefault(mark.name, set()).add(one.users)
    assert all(users[name] in found for name, found in seen.items())
    assert seen.keys() == users.keys()
    rates = [stage.count / stage.duration_s for stage in Run(log).summary.stages.values()]
    assert rates[1] > rates[0] > rates[2]
    assert {stage.offered_rate for stage in Run(log).summary.stages.values()} == {None}, "users ask, nothing is offered"
    assert Run(log).interrupted
    render_html(conclude(log))


def test_what_cannot_be_done_is_refused_with_the_reason() -> None:
    closed = ByHand(assemble(None, {}, {"users": 2}), Progress())
    assert closed.refusal(Wish("extend")) == "the run has not begun"
    assert closed.refusal(Wish("stop")) == ""

    begun = Person(assemble(None, {}, {"rate": 5}), *())
    begun.progress.started = runlog.Started(0.0, 1)
    begun._clock = lambda: 2.0
    begun.progress.marks = [StageMark("warm-up", 0.0, 5.0, 5, 5, warmup=True), StageMark("hold", 5.0, 30.0, 5, 5)]
    begun.progress.manifest = runlog.Manifest(runlog.FORMAT, "", PLAN, {}, {}, "")
    assert begun.refusal(Wish("end_stage")) == "the warm-up is of its planned length"
    assert begun.refusal(Wish("load", 9)) == "the load can be changed in an interactive run alone: --interactive"
    begun._clock = lambda: 34.5
    assert begun.refusal(Wish("extend")) == "the run is at its end"


PLAN = {
    "name": "x",
    "target": "mock",
    "account": "1",
    "model": "open",
    "workers": 1,
    "warmup_s": 5.0,
    "seed": 1,
    "consumers": "none",
    "duration_s": 30.0,
}


def test_a_cut_keeps_what_was_and_drops_what_was_to_come() -> None:
    marks = [StageMark("a", 0.0, 5.0, 1, 1), StageMark("b", 5.0, 5.0, 1, 1), StageMark("c", 10.0, 5.0, 1, 1)]

    assert [(mark.name, mark.duration_s) for mark in cut(marks, 7.0)] == [("a", 5.0), ("b", 2.0)]


def test_an_interactive_run_has_a_planned_duration_and_one_target() -> None:
    with pytest.raises(Exception, match="interactive: is for a run of a planned duration"):
        assemble(None, {}, {"conversations": 5, "interactive": True})
    assert [stage.name for stage in assemble(None, {}, {"users": 3, "interactive": True}).resolved_stages()] == [
        "warm-up",
        "3 users",
    ]
