"""Two targets in one run, in turns, with the same payloads."""

import json
from contextlib import ExitStack

import pytest
from tests.conftest import COMMAND_TIMEOUT_S, Cli, Done, summary_of

from convload.mock.process import start_mock
from convload.plan.mock_behaviour import Behaviour
from convload.results import runlog
from convload.results.run import Run

TURNS = ("--warmup", "0s", "--duration", "4s", "--window", "500ms", "--out", "out")


@pytest.mark.parametrize(
    ("load", "consumers"),
    [
        (("--rate", "100", "--arrivals", "even"), "close"),
        (("--users", "4", "--think", "constant 10ms"), "none"),
    ],
    ids=["open-close", "closed-none"],
)
def test_each_request_is_filed_under_the_target_it_went_to(cli: Cli, load: tuple[str, ...], consumers: str) -> None:
    behaviour = Behaviour(auth=consumers != "none")
    with start_mock(behaviour) as a, start_mock(behaviour) as b:
        done = cli("run", "--target", a.url, "--target-b", b.url, "--consumers", consumers, *load, *TURNS)
        received = [mock.stats()["create"]["received"] for mock in (a, b)]
    assert done.code in {0, 3}, done
    log = runlog.read(cli.folder / "out")
    assert [mark.name for mark in log.stages] == ["A 1", "B 1", "B 2", "A 2", "A 3", "B 3", "B 4", "A 4"]
    counted = {
        target: sum(figures.count for name, figures in Run(log).stages.items() if name[0] == target) for target in "AB"
    }
    assert list(counted.values()) == received
    assert summary_of(cli.folder / "out")["counts"]["sent"] == sum(received)
    if load[0] == "--rate":
        assert counted == {"A": 200, "B": 200}


PLAN = """
rate = 100
arrivals = "even"
consumers = "none"
warmup = "500ms"
duration = "5s"

[validity]
# A busy machine makes requests late, for both targets alike: that is what pairs are for.
waive = ["late", "rate_missed", "hub_delay", "generator_saturated"]
"""
"""Ten pairs of windows of 250 ms."""

DELAY_MS = 50.0


def test_b_like_a_is_no_slower_and_a_b_that_is_20_percent_slower_regressed(cli: Cli) -> None:
    (cli.folder / "ab.toml").write_text(PLAN)
    with ExitStack() as mocks:
        like, other, slower = (
            mocks.enter_context(
                start_mock(Behaviour(auth=False, service_time=f"constant({DELAY_MS * factor:g}ms)"))
            ).url
            for factor in (1.0, 1.0, 1.2)
        )
        # At the same time, as each takes its seconds and next to nothing of the machine.
        runs = [
            cli.start("run", "ab.toml", "--target", like, "--target-b", b, "--out", out)
            for b, out in ((other, "same"), (slower, "slower"))
        ]
        ended = [(process.communicate(timeout=COMMAND_TIMEOUT_S), process.returncode) for process in runs]
    same, regressed = (Done(code, *said) for said, code in ended)

    assert same.code == 0, same
    assert same.out.splitlines()[-1].startswith("Pass: B is no slower than A beyond noise: create p"), same
    assert regressed.code == 1, regressed
    assert regressed.out.splitlines()[-1].startswith("Fail: B regressed from A: create p"), regressed
    turns = summary_of(cli.folder / "slower")["turns"]
    p50 = next(one for one in turns["differences"] if one["statistic"] == "p50")
    assert (turns["targets"]["B"], turns["pairs"], p50["outcome"]) == (slower, 10, "regressed")
    assert 0.1 < p50["relative"] < 0.3
    _only_whole(cli)


def _only_whole(cli: Cli) -> None:
    """What judges one target refuses a run at two; `gate` without other gates says the same again."""
    again = cli("gate", "slower", "--json")
    assert (again.code, json.loads(again.out)["turns"]["outcome"]) == (1, "regressed")
    for arguments in (("gate", "slower", "--gate", "errors < 1%"), ("baseline", "save", "slower")):
        refused = cli(*arguments)
        assert refused.code == 2, refused
        assert "compares two targets" in refused.err
    compared = cli("compare", "same", "slower")
    assert "of two targets" in compared.err or "two targets in turns" in compared.err, compared


def test_a_run_that_is_too_short_to_compare_is_warned_of_before_it_starts(cli: Cli) -> None:
    with start_mock(Behaviour(auth=False)) as mock:
        urls = ("--target", mock.url, "--target-b", mock.url)
        length = ("--warmup", "0s", "--duration", "1s", "--window", "250ms")
        done = cli("run", *urls, "--consumers", "none", "--rate", "50", *length, "--out", "out")

    assert done.code == 3, done
    assert "warning: A and B cannot be compared: 10 pairs of windows are needed, there are 2" in done.err
