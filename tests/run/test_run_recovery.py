"""A real spike at a mock of known capacity: the run tells when its queue had drained."""

from pathlib import Path

import pytest
from tests.conftest import Cli, summary_of

from convload.mock.process import start_mock
from convload.plan.mock_behaviour import Behaviour

CAPACITY_PER_S, CALM_PER_S, SPIKE_PER_S, SPIKE_S = 200, 40, 440, 1
DRAINS_S = (SPIKE_PER_S - CAPACITY_PER_S) * SPIKE_S / (CAPACITY_PER_S - CALM_PER_S)
"""What waits when the spike ends, over the rate at which it gets less: 1.5 s."""

PLAN = f"""
model = "open"
warmup = "0s"
consumers = "none"
[[stages]]
name = "before"
hold = {CALM_PER_S}
duration = "1s"
[[stages]]
name = "spike"
spike = {SPIKE_PER_S}
duration = "{SPIKE_S}s"
[[stages]]
name = "after"
hold = {CALM_PER_S}
duration = "5s"
"""


def test_a_run_tells_when_the_queue_of_a_spike_has_drained(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "spike.toml").write_text(PLAN)

    with start_mock(Behaviour(auth=False, servers=8, service_time="constant(40ms)")) as mock:
        done = cli("run", "spike.toml", "--target", mock.url, "--out", "out", "--details")

    (found,) = summary_of(tmp_path / "out")["recoveries"]
    assert (found["stage"], found["from_rate"], found["to_rate"]) == ("spike", SPIKE_PER_S, CALM_PER_S), done
    assert found["normal_ms"] == pytest.approx(42, abs=6)
    # Of the second in which the queue runs dry most answers had waited, so the next one is the first normal.
    assert DRAINS_S - 1 <= found["recovered_s"] <= DRAINS_S + 1
    assert found["watched_s"] == 5
    assert "Recovery" in done.out
    assert "Recovery" in (tmp_path / "out" / "summary.md").read_text()
