"""Runs that stop early or go on as their plan asks: decisions from recorded logs, and short runs against the mock."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.conftest import COMMAND_TIMEOUT_S, Cli, Done, summary_of
from tests.run_logs import Make

from convload.plan.plan import Plan, assemble
from convload.plan.schedule import Stage, StageMark
from convload.results import runlog
from convload.results.run import Run
from convload.results.runlog import (
    FILE_NAME,
    Interval,
    Manifest,
    Note,
    Record,
    RunLog,
    StageAdded,
    Started,
    WorkerLost,
)
from convload.results.writing import RunLogWriter
from convload.run.steering import Judging

STARTED_S = 1000.0


@pytest.fixture
def make() -> Make:
    return Make()


class Recorded:
    """A run whose log is written as time goes on; remembers what was asked of it, and when."""

    def __init__(self, folder: Path, log: RunLog) -> None:
        self.folder = folder
        self.now_s = STARTED_S - 1
        self.asked: list[tuple[float, str]] = []
        self.stages: list[Stage] = []
        self._writer = RunLogWriter(folder / FILE_NAME)
        self._records: list[Record] = [
            log.manifest,
            *(Started(STARTED_S, 1) if isinstance(record, Started) else record for record in log.records),
        ]

    def add(self, stages: Sequence[Stage]) -> None:
        self.stages += stages
        self._ask("add " + ", ".join(f"{stage.to_rate:g}/s for {stage.duration_s:g} s" for stage in stages))

    def finish(self) -> None:
        self._ask("finish")

    def abort(self, condition: str, text: str) -> None:
        self._ask(f"abort {condition}: {text}")

    def replace(self, stages: Sequence[Stage]) -> None:
        self._ask("replace " + ", ".join(f"{stage.to_rate:g}/s for {stage.duration_s:g} s" for stage in stages))

    def stop(self, text: str) -> None:
        self._ask(f"stop {text}")

    def note(self, text: str, *, invalidates: bool = False) -> None:
        self._ask(f"note {text}" + " (invalidates)" * invalidates)

    def _ask(self, what: str) -> None:
        self.asked.append((round(self.now_s - STARTED_S, 1), what))

    def said(self, word: str) -> list[str]:
        return [what for _, what in self.asked if what.startswith(word)]

    def go_on(self, judging: Judging, until_s: float) -> "Recorded":
        while self.now_s < STARTED_S + until_s:
            self.now_s += 0.1
            while self._records and self._is_due(self._records[0]):
                self._writer.write(self._records.pop(0))
            judging.look(self)
        self._writer.close()
        return self

    def _is_due(self, record: Record) -> bool:
        match record:
            case Manifest() | Started():
                return True
            case Interval(to_s=at_s) | WorkerLost(at_s=at_s) | Note(at_s=at_s):
                return STARTED_S + at_s <= self.now_s
        return False


def played(folder: Path, log: RunLog, *, until_s: float | None = None) -> Recorded:
    """Lets a run that was recorded happen again under the eyes of its plan's judging."""
    facts = Run(log).plan
    plan = Plan(
        model="open",
        duration_s=facts.duration_s,
        warmup_s=facts.warmup_s,
        conversations=facts.conversations,
        extend_s=facts.extend_s,
        abort_when=facts.abort_when,
        confidence=facts.confidence,
    )
    recorded = Recorded(folder, log)
    ends_s = max(record.to_s for record in log.records if isinstance(record, Interval))
    return recorded.go_on(Judging(plan, lambda: recorded.now_s), until_s or ends_s)


def test_a_plan_that_asks_for_nothing_is_not_looked_at() -> None:
    assert Judging.of(assemble(None, {}, {})) is None
    assert Judging.of(assemble(None, {}, {"extend": "5s"})) is not None
    assert Judging.of(assemble(None, {}, {"abort_when": ["errors > 20% over 5s"]})) is not None


def test_what_judging_needs_is_loaded_before_the_run_and_not_just_before_its_end() -> None:
    code = (
        "import sys; from convload.plan.plan import assemble; from convload.run.steering import Judging; "
        "Judging(assemble(None, {}, {'extend': '5s', 'gates': ['errors < 1%']})); "
        "sys.exit('scipy.special' not in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], timeout=60, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_undecided_run_goes_on_part_by_part_ahead_of_its_end_until_it_is_decided(make: Make, tmp_path: Path) -> None:
    log = make.opened(rate=40, seconds=30, duration_s=6.0, gates=["errors < 1%"], extend_s=20.0)
    run = played(tmp_path, log)

    # 618 samples without an error decide it; after 16 s less than that many are known, after 21.5 s 760.
    assert run.said("add") == ["add 40/s for 5 s"] * 3
    times_s = [at_s for at_s, what in run.asked if what.startswith("add")]
    assert times_s == pytest.approx([6.5, 11.5, 16.5], abs=0.11)
    assert [stage.name for stage in run.stages] == ["extension 1", "extension 2", "extension 3"]
    notes = run.said("note")
    assert notes[0] == "note extended by 5 s: undecided: errors < 1% needs about 619 samples, it has 160"
    assert notes[3:] == ["note the extension ended after 15 of up to 20 s: every gate is decided"]


@pytest.mark.parametrize(
    ("gates", "failed", "stays_undecided"),
    [
        (["errors < 50%"], 0, False),
        (["errors < 1%", "create.p50 < 1us"], 0, False),
        (["errors{stage=hold} < 1%"], 0, False),
        ([], 0, False),
        (["errors < 1%"], 0, True),
    ],
    ids=["decided", "failed", "a stage that is over", "the built-in gate", "undecided"],
)
def test_only_what_is_undecided_and_has_not_failed_goes_on(
    make: Make, tmp_path: Path, gates: list[str], failed: int, stays_undecided: bool
) -> None:
    log = make.opened(lambda *_: {"failed": failed}, rate=20, seconds=10, gates=gates, extend_s=4.0)

    assert bool(played(tmp_path, log).said("add")) is stays_undecided


@pytest.mark.parametrize("waive", [[], ["worker_lost", "noted"]])
@pytest.mark.parametrize("record", [WorkerLost(0, 5.0, "killed"), Note(5.0, "broken", invalidates=True)])
def test_a_run_without_a_verdict_is_not_made_longer_unless_that_is_waived(
    make: Make, tmp_path: Path, record: Record, waive: list[str]
) -> None:
    log = make.opened(rate=20, seconds=10, gates=["errors < 1%"], extend_s=4.0, validity={"waive": waive})
    log.records.insert(7, record)

    assert bool(played(tmp_path, log).said("add")) is bool(waive)


def test_a_run_in_which_a_step_never_succeeded_is_not_made_longer(make: Make, tmp_path: Path) -> None:
    log = make.opened(rate=40, seconds=30, duration_s=6.0, gates=["errors < 1%"], extend_s=20.0)
    closes = make.cell([1000] * 20, "http_500", step="conversation.close", variant="")
    records = [
        msgspec.structs.replace(record, cells=[*record.cells, closes]) if isinstance(record, Interval) else record
        for record in log.records
    ]

    run = played(tmp_path, msgspec.structs.replace(log, records=records))

    assert run.asked == []


def test_an_extension_is_at_the_rate_of_the_last_stage_that_is_no_pause(make: Make, tmp_path: Path) -> None:
    stages = [
        StageMark("warm-up", 0.0, 2.0, 20, 20, warmup=True),
        StageMark("up", 2.0, 6.0, 20, 30),
        StageMark("rest", 8.0, 2.0, 0, 0),
    ]
    log = make.opened(rate=20, seconds=10, stages=stages, gates=["errors < 1%"], extend_s=3.0)

    assert played(tmp_path, log).said("add") == ["add 30/s for 3 s"]


def test_a_hopeless_run_is_aborted_once_with_its_figures(make: Make, tmp_path: Path) -> None:
    def storm(_: int, second: int) -> dict[str, int]:
        return {"failed": 60} if second >= 5 else {}

    log = make.opened(storm, seconds=20, abort_when=["errors > 20% over 3s"], gates=["errors < 1%"], extend_s=8.0)
    run = played(tmp_path, log, until_s=21)

    ((at_s, what),) = run.asked
    assert 7 <= at_s <= 8.2
    assert what.startswith("abort errors > 20% over 3s: errors > 20% over 3s holds: 120 of 300")


def test_the_fall_of_the_rate_behind_the_end_of_the_load_aborts_nothing(make: Make, tmp_path: Path) -> None:
    def draining(_: int, second: int) -> dict[str, Any]:
        return {"sent": 1000, "offered": 1000} if second >= 10 else {}

    facts: dict[str, Any] = {"seconds": 16, "abort_when": ["rate < 60/s over 2s"]}
    planned = make.opened(draining, duration_s=8.0, **facts)
    replay = make.opened(draining, duration_s=None, replay="starts.txt", **facts)
    for name, log in {"planned": planned, "replay": replay}.items():
        (tmp_path / name).mkdir()
        assert played(tmp_path / name, log).asked == []


def test_a_run_by_count_is_not_aborted_for_its_rate_when_all_are_begun(make: Make, tmp_path: Path) -> None:
    parts = [make.interval(n, [make.cell([900] * 100)] if n < 5 else [], 100 * min(n + 1, 5)) for n in range(12)]
    facts: dict[str, Any] = {"duration_s": None, "warmup_s": 0.0, "abort_when": ["rate < 60/s over 2s"]}
    for name, conversations in {"all": 500, "stalled": 900}.items():
        (tmp_path / name).mkdir()
        run = played(tmp_path / name, make.log(*parts, conversations=conversations, **facts))
        assert len(run.said("abort")) == (name == "stalled")


# -- real runs --

PLAN = """
target = 'mock'
consumers = 'none'
independent = true
warmup = '0s'
arrivals = 'even'
{keys}
[validity]
waive = ['late', 'generator_saturated', 'hub_delay', 'not_steady', 'rate_missed']
[mock]
{mock}
"""
"""What a busy machine does to the load is not what is looked at here."""


Runs = dict[str, Done]


def start(
    cli: Cli, name: str, keys: str, *flags: str, mock: str = "service_time = 'constant(1ms)'"
) -> "subprocess.Popen[str]":
    plan = cli.folder / f"{name}.toml"
    plan.write_text(PLAN.format(keys=keys, mock=mock))
    return cli.start("run", str(plan), "--out", name, *flags)


def ended(process: "subprocess.Popen[str]") -> Done:
    out, err = process.communicate(timeout=COMMAND_TIMEOUT_S)
    return Done(process.returncode, out, err)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("steered")


@pytest.fixture(scope="module")
def runs(folder: Path) -> Iterator[Runs]:
    """Runs side by side: what they wait for is time, not the processor."""
    cli = Cli(folder)
    used_up = "duration = '2s'\nextend = '2s'\ngates = ['create.p99.9 < 10s']\nusers = 3"
    hopeless = "rate = 50\nduration = '60s'\nextend = '60s'\nabort_when = ['errors > 20% over 1s']"
    compared = ("--baseline", "decided", "--gate", "create.p50 <= baseline * 1.5 + 5s", "--extend", "2s")
    going = {
        "decided": start(cli, "decided", "rate = 60\nduration = '3500ms'\nextend = '8s'\ngates = ['errors < 50%']"),
        "undecided": start(cli, "undecided", "rate = 200\nduration = '3s'\nextend = '8s'\ngates = ['errors < 1%']"),
        "used_up": start(cli, "used_up", used_up, mock="service_time = 'constant(50ms)'"),
    }
    done = {"decided": ended(going.pop("decided"))}
    going["compared"] = start(cli, "compared", "rate = 60\nduration = '2s'", *compared)
    going["hopeless"] = start(cli, "hopeless", hopeless, mock="http_5xx_share = 1.0")
    yield done | {name: ended(process) for name, process in going.items()}
    cli.end()


def test_a_run_goes_on_until_its_gate_is_decided_and_then_ends(runs: Runs, folder: Path) -> None:
    assert runs["undecided"].code == 0, runs["undecided"]
    summary = summary_of(folder / "undecided")
    assert summary["duration_s"] in {7.0, 9.0, 11.0}  # 619 samples are there after 4 s; a slow machine tells them later
    assert summary["counts"]["offered"] == summary["counts"]["recorded"] == 200 * summary["duration_s"]
    assert [gate["outcome"] for gate in summary["gates"]] == ["pass"]
    first, *_, why = summary["notes"]
    assert first.startswith("extended by 2 s: undecided: errors < 1% needs about 619 samples")
    assert why == f"the extension ended after {summary['duration_s'] - 3:g} of up to 8 s: every gate is decided"
    assert f"Note: {why}" in " ".join(runs["undecided"].out.split())
    stages = [mark.name for mark in runlog.read(folder / "undecided").stages]
    assert stages[:3] == ["1: 200/s", "extension 1", "extension 2"]


def test_a_run_whose_gate_is_decided_is_as_long_as_planned(runs: Runs, folder: Path) -> None:
    assert runs["decided"].code == 0, runs["decided"]
    summary = summary_of(folder / "decided")
    assert summary["duration_s"] == 3.5
    assert summary["notes"] == []


def test_a_closed_run_uses_up_a_short_extension_and_ends_inconclusive(runs: Runs, folder: Path) -> None:
    done = runs["used_up"]
    assert done.code == 3, done
    assert done.out.rstrip().splitlines()[-1].startswith("Inconclusive: create.p99.9 < 10s is undecided")
    summary = summary_of(folder / "used_up")
    (note,) = summary["notes"]
    assert note.startswith("extended by 2 s: undecided: create.p99.9 < 10s needs about 6,")
    assert summary["duration_s"] == pytest.approx(4.0, abs=0.2)
    assert not [record for record in runlog.read(folder / "used_up").records if isinstance(record, StageAdded)]


def test_a_hopeless_run_is_over_within_seconds_and_its_last_line_says_why(runs: Runs, folder: Path) -> None:
    done, summary = runs["hopeless"], summary_of(folder / "hopeless")
    assert done.code == 1, done
    assert summary["aborted"]["condition"] == "errors > 20% over 1s"
    assert summary["aborted"]["at_s"] < 10
    assert summary["duration_s"] < 10
    last = " ".join(done.out.split("\n\n")[-1].split())
    assert f"Fail: stopped early at {summary['aborted']['at_s']:.1f} s by abort_when: errors > 20% over 1s" in last


def test_a_gate_against_a_baseline_is_decided_in_an_extension(runs: Runs, folder: Path) -> None:
    assert runs["compared"].code == 0, runs["compared"]
    summary = summary_of(folder / "compared")
    assert summary["duration_s"] == 4.0
    assert summary["gates"][0]["outcome"] == "pass"
    assert summary["notes"][0].startswith("extended by 2 s: undecided: create.p50 <= baseline * 1.5 + 5s")
