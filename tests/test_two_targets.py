"""Two targets in one run, in turns, with the same payloads."""

import pytest
from tests.conftest import Cli, summary_of

from convload.behaviour import Behaviour
from convload.mock.process import start_mock
from convload.results import runlog
from convload.results.measured import measure

TURNS = ("--warmup", "0s", "--duration", "4s", "--window", "500ms", "--out", "out")


@pytest.mark.parametrize(
    "load",
    [("--rate", "100", "--arrivals", "even"), ("--users", "4", "--think", "constant 10ms")],
    ids=["open", "closed"],
)
@pytest.mark.parametrize("consumers", ["close", "none"])
def test_each_target_gets_its_windows_and_each_request_is_filed_under_the_target_it_went_to(
    cli: Cli, load: tuple[str, ...], consumers: str
) -> None:
    behaviour = Behaviour(auth=consumers != "none")
    with start_mock(behaviour) as a, start_mock(behaviour) as b:
        done = cli("run", "--target", a.url, "--target-b", b.url, "--consumers", consumers, *load, *TURNS)
        received = [mock.stats()["create"]["received"] for mock in (a, b)]
    assert done.code in {0, 3}, done
    log = runlog.read(cli.folder / "out")
    assert [mark.name for mark in log.stages] == ["A 1", "B 1", "B 2", "A 2", "A 3", "B 3", "B 4", "A 4"]
    counted = {
        target: sum(figures.count for name, figures in measure(log).stages.items() if name[0] == target)
        for target in "AB"
    }
    assert list(counted.values()) == received
    assert summary_of(cli.folder / "out")["counts"]["sent"] == sum(received)
    if load[0] == "--rate":
        assert counted == {"A": 200, "B": 200}
