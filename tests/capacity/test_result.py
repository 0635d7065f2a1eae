"""What a result says, to programs and to people."""

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from bench.simulated import Objective, Server, SimulatedTarget
from rich.console import Console
from tests.report.test_github import obeyed

from convload.capacity.concurrency import search_concurrency
from convload.capacity.planner import instances
from convload.capacity.result import conclude, conclude_saturation
from convload.capacity.search import search
from convload.capacity.trials import SearchSettings
from convload.errors import ExitCode, RunLogError
from convload.report import html, markdown, terminal
from convload.report.capacity import document, github_report
from convload.results.capacity_result import Bounds, CapacityResult, Trial, Usl, decode, encode, usl


@pytest.fixture(scope="module")
def result() -> CapacityResult:
    target = SimulatedTarget(Server(capacity_per_s=500, servers=8), Objective(p99_ms=160), 3)
    settings = SearchSettings(start_rate=50, max_rate=5_000, min_rate=5, budget_s=120)
    found = conclude(search(target, settings, target.clock), ["create.p99 < 160ms"])
    bounds = found.capacity_per_s
    return msgspec.structs.replace(found, instances=instances(1200, 0.3, bounds.low, bounds.high))


def test_capacity_json_holds_what_it_promises_and_reads_back(result: CapacityResult) -> None:
    told = json.loads(encode(result))

    assert told["format"] == "convload/capacity/1"
    assert told["capacity_per_s"]["low"] < told["capacity_per_s"]["high"]
    assert told["limited_by"] == "target"
    assert {"rate", "outcome"} <= told["trials"][0].keys()
    assert decode(encode(result)) == result


def test_the_charts_have_each_load_once_without_what_could_not_be_generated(result: CapacityResult) -> None:
    trials = [*result.trials, msgspec.structs.replace(result.trials[0], rate=9e6, outcome="generator")]
    text = markdown.render(document(msgspec.structs.replace(result, trials=trials)))

    charts = re.findall(r"```mermaid\nxychart-beta\n.*?\n```", text, re.DOTALL)
    assert len(charts) == 2
    for chart in charts:
        (axis,) = re.findall(r'x-axis "load of a trial" \[(.*)\]', chart)
        loads = [float(load.strip('"').replace(",", "")) for load in axis.split('", ')]
        assert loads == sorted(set(loads))
        assert max(loads) < 9e6
        assert {len(points.split(", ")) for points in re.findall(r'line "\w+" \[(.*)\]', chart)} == {len(loads)}


def test_a_search_of_one_load_has_no_chart(result: CapacityResult) -> None:
    assert "mermaid" not in markdown.render(document(msgspec.structs.replace(result, trials=result.trials[:1])))


@pytest.mark.parametrize(
    ("code", "outcome", "kind"),
    [
        (ExitCode.PASS, "pass", "notice"),
        (ExitCode.GATE_FAILED, "fail", "error"),
        (ExitCode.INCONCLUSIVE, "inconclusive", "warning"),
        (ExitCode.INTERRUPTED, "interrupted", "warning"),
    ],
)
def test_github_is_told_the_answer_and_its_outcome(
    result: CapacityResult, code: ExitCode, outcome: str, kind: str
) -> None:
    told = github_report(msgspec.structs.replace(result, exit_code=code, statement="so\n::error::no"), Path("a/b"))

    assert [obeyed(line) for line in told.annotations] == [(kind, {"title": "convload: capacity"}, "so\\n::error::no")]
    assert (told.outputs["outcome"], told.outputs["exit_code"]) == (outcome, str(int(code)))
    assert told.outputs["text"] == "so\\n::error::no"


def test_github_gets_the_interval_and_nothing_for_a_side_that_is_open(
    result: CapacityResult,
) -> None:
    told = github_report(result, Path("a/b"))
    open_above = msgspec.structs.replace(result, capacity_per_s=Bounds(12.5, None), limited_by="bound")

    assert told.summary == markdown.render(document(result))
    assert float(told.outputs["capacity_low"]) == pytest.approx(result.capacity_per_s.low, rel=1e-5)
    assert float(told.outputs["capacity_high"]) == pytest.approx(result.capacity_per_s.high, rel=1e-5)
    assert (told.outputs["limited_by"], told.outputs["report"]) == ("target", "a/b/report.html")
    outputs = github_report(open_above, Path("a/b")).outputs
    assert (outputs["capacity_low"], outputs["capacity_high"], outputs["limited_by"]) == ("12.5", "", "bound")


def test_another_format_is_refused(result: CapacityResult) -> None:
    with pytest.raises(RunLogError, match="convload/capacity/9"):
        decode(encode(result).replace(b"convload/capacity/1", b"convload/capacity/9"))
    with pytest.raises(RunLogError, match="cannot be read"):
        decode(b"{}")


def test_the_statement_says_how_much_how_sure_and_what_broke(result: CapacityResult) -> None:
    assert result.statement.startswith("The target carries ")
    assert "95 % sure" in result.statement
    assert "broke first, at " in result.statement


def test_every_report_has_the_answer_the_trials_and_the_instances(result: CapacityResult) -> None:
    out = StringIO()
    terminal.show(document(result), Console(file=out, width=200))

    assert out.getvalue().splitlines()[-1] == result.statement
    for text in (out.getvalue(), markdown.render(document(result))):
        assert "headroom" in text
        assert text.count("undecided") + text.count("pass") + text.count("fail") >= len(result.trials)


def test_a_failure_that_later_trials_contradict_is_shown_as_overruled(result: CapacityResult) -> None:
    trials = [msgspec.structs.replace(result.trials[0], outcome="fail", overruled=True), *result.trials[1:]]
    text = markdown.render(document(msgspec.structs.replace(result, trials=trials)))
    assert text.count("fail, overruled") == 1


class Closed:
    """A closed target that follows the scalability law exactly."""

    def __init__(self, sigma: float, kappa: float) -> None:
        self.sigma, self.kappa, self.now_s = sigma, kappa, 0.0

    def clock(self) -> float:
        return self.now_s

    def cool_down(self, at_most_s: float) -> bool:
        self.now_s += min(1.0, at_most_s)
        return True

    def trial(self, rate: float, duration_s: float) -> Trial:
        self.now_s += duration_s
        done = usl(rate, 1000, self.sigma, self.kappa)
        return Trial(rate=rate, duration_s=duration_s, outcome="pass", goodput_per_s=done)


def closed(**changes: Any) -> SearchSettings:
    return SearchSettings(
        **({"start_rate": 1, "min_rate": 1, "max_rate": 1000, "budget_s": 180, "width": 0.05} | changes)
    )


def test_the_concurrency_at_which_throughput_stops_growing_is_found() -> None:
    target = Closed(0.05, 0.001)
    highest = max(usl(n, 1000, 0.05, 0.001) for n in range(1, 200))
    truth = next(n for n in range(1, 200) if usl(n, 1000, 0.05, 0.001) >= 0.95 * highest)

    found = search_concurrency(target, closed(), target.clock)

    assert found.limited_by == "target"
    assert found.low_users is not None
    assert found.high_users is not None
    assert found.low_users <= truth <= found.high_users * 1.05
    assert found.high_users - found.low_users <= 8
    assert target.now_s <= 180
    assert found.usl.sigma is not None
    assert found.usl.sigma.value == pytest.approx(0.05, rel=1e-3)


def test_a_fit_that_was_refused_is_a_reason_and_no_chart(result: CapacityResult) -> None:
    refused = msgspec.structs.replace(result, usl=Usl(points=[], refused="it explains nothing"))
    page, text = html.render(document(refused)), markdown.render(document(refused))

    assert "Not fitted: it explains nothing." in text
    assert 'data-chart="usl"' not in page
    assert 'data-chart="residuals"' not in page
    assert "peak at" not in text


def test_the_trials_of_a_closed_search_are_named_by_their_users() -> None:
    target, settings = Closed(0.05, 0.001), closed()
    found = conclude_saturation(search_concurrency(target, settings, target.clock), ["errors < 1%"], settings, 20.0)

    text = markdown.render(document(found))

    assert "| at s | users | for s |" in text
    assert re.search(r"\| 16 \| \d+ \| pass \|", text)
    assert "offered rate" not in html.render(document(found))


def test_throughput_that_still_grows_at_the_bound_is_told() -> None:
    target = Closed(0.0, 0.0)

    found = search_concurrency(target, closed(max_rate=64), target.clock)

    assert found.limited_by == "bound"
    assert found.high_users is None
    assert "still grew at 64 users" in found.text


def test_throughput_at_one_number_of_users_is_not_said_to_grow() -> None:
    target = Closed(0.0, 0.0)

    found = search_concurrency(target, closed(budget_s=2.5), target.clock)

    assert "Throughput at 1 user is " in found.text


def test_no_success_at_any_number_of_users_is_a_failure_without_bounds() -> None:
    class Refused(Closed):
        def trial(self, rate: float, duration_s: float) -> Trial:
            return msgspec.structs.replace(super().trial(rate, duration_s), goodput_per_s=0.0, outcome="fail")

    target, settings = Refused(0.0, 0.0), closed(max_rate=32)
    result = conclude_saturation(search_concurrency(target, settings, target.clock), [], settings, 20.0)

    assert result.exit_code is ExitCode.GATE_FAILED
    assert result.statement == "No create succeeded with any number of users."
    assert (result.capacity_per_s.low or 0.0) >= 0
    assert result.capacity_per_s.high is None


def test_throughput_that_rises_by_chance_alone_has_stopped_growing() -> None:
    class Few(Closed):
        """Twenty a second from two users on, in trials that hold some sixty of them."""

        random = np.random.default_rng(5)

        def trial(self, rate: float, duration_s: float) -> Trial:
            done = self.random.poisson(min(10 * rate, 20) * duration_s) / duration_s
            return msgspec.structs.replace(super().trial(rate, duration_s), goodput_per_s=done)

    targets = [Few(0.0, 0.0) for _ in range(40)]
    found = [search_concurrency(one, closed(max_rate=64, budget_s=600), one.clock) for one in targets]

    assert sum(one.limited_by == "target" for one in found) >= 38
