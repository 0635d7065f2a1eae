"""What a result says, to programs and to people."""

import json
from io import StringIO

import msgspec
import pytest
from bench.simulated import Objective, Server, SimulatedTarget
from rich.console import Console

from convload.capacity import markdown
from convload.capacity.concurrency import search_concurrency
from convload.capacity.planner import instances
from convload.capacity.result import CapacityResult, conclude, decode, encode
from convload.capacity.scalability import usl
from convload.capacity.search import search
from convload.capacity.text import print_capacity
from convload.capacity.trials import SearchSettings, Trial
from convload.errors import RunLogError


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
    print_capacity(result, Console(file=out, width=200))

    assert out.getvalue().splitlines()[-1] == result.statement
    for text in (out.getvalue(), markdown.render(result)):
        assert "headroom" in text
        assert text.count("undecided") + text.count("pass") + text.count("fail") >= len(result.trials)


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


def closed(**changes: float) -> SearchSettings:
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


def test_throughput_that_still_grows_at_the_bound_is_told() -> None:
    target = Closed(0.0, 0.0)

    found = search_concurrency(target, closed(max_rate=64), target.clock)

    assert found.limited_by == "bound"
    assert found.high_users is None
    assert "still grew at 64 users" in found.text
