"""The open model end to end: arrivals that do not wait, and times that count from when they were due."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from tests.conftest import Cli, intervals_of, summary_of, wait_for

from convload.mock.process import start_mock
from convload.plan.mock_behaviour import Behaviour


def plan_file(cli: Cli, text: str) -> str:
    path = cli.folder / "plan.toml"
    path.write_text(text)
    return str(path)


def variants_of(folder: Path) -> dict[str, int]:
    return {name: row["count"] for name, row in summary_of(folder)["variants"].items()}


@pytest.mark.parametrize(("workers", "consumers"), [("1", "fresh"), ("2", "close")])
def test_even_arrivals_are_sent_to_the_last_one_also_while_minting_consumers(
    cli: Cli, workers: str, consumers: str
) -> None:
    done = cli(
        *("run", "--rate", "200", "--arrivals", "even", "--duration", "3s", "--warmup", "1s"),
        *("--workers", workers, "--consumers", consumers, "--out", "out"),
    )

    summary = summary_of(cli.folder / "out")
    assert summary["model"] == "open", done
    assert summary["steps"]["conversation.create"]["count"] == 600
    assert summary["ledger"]["accepted"] == summary["counts"]["recorded"] == 800
    assert summary["counts"]["sent"] == summary["counts"]["offered"] == 800
    assert summary["unsent"] == summary["left_open"] == 0
    assert "timerfd" not in done.out
    assert summary["offered_rate"] == pytest.approx(200)
    assert [stage["count"] for stage in summary["stages"].values()][-1] == 600


def test_a_frozen_target_shows_in_the_response_as_arithmetic_says(cli: Cli) -> None:
    """Few users, so that most arrivals of the freeze wait: just these a tool that times from the send never sees."""
    rate, duration_s = 200, 8
    with start_mock(Behaviour(auth=False)) as mock:
        process = cli.start(
            *("run", "--target", mock.url, "--rate", str(rate), "--arrivals", "even", "--duration", f"{duration_s}s"),
            *("--warmup", "1s", "--consumers", "none", "--max-in-flight", "5", "--out", "out"),
        )
        wait_for(lambda: len(intervals_of(cli.folder / "out")) >= 3, "three seconds of the run")
        os.kill(mock.pid, signal.SIGSTOP)
        frozen_s = time.monotonic()
        try:
            threading.Event().wait(1.0)
        finally:
            os.kill(mock.pid, signal.SIGCONT)
            frozen_s = time.monotonic() - frozen_s
        process.communicate(timeout=60)

    create = summary_of(cli.folder / "out")["steps"]["conversation.create"]
    share = frozen_s / duration_s
    # An arrival that is due u into a freeze of f is answered f − u after it was due: uniform on 0 to f.
    expected_ms = {p: 1000 * frozen_s * (1 - (100 - p) / 100 / share) for p in (95, 99)}
    assert create["count"] == rate * duration_s
    # Signals reach a process when its turn comes: a busy machine moves both ends of the freeze by some hundredths.
    assert create["response_ms"]["p95"] == pytest.approx(expected_ms[95], rel=0.2)
    assert create["response_ms"]["p99"] == pytest.approx(expected_ms[99], rel=0.2)
    assert create["response_ms"]["max"] == pytest.approx(1000 * frozen_s, rel=0.2)
    assert create["service_ms"]["p95"] < 50
    assert (
        create["service_ms"]["p99"] < 250
    )  # a busy machine makes some a little slow; the freeze took four times as long


def test_what_nobody_sends_in_time_is_unsent_and_the_run_says_so(cli: Cli) -> None:
    plan = plan_file(
        cli,
        "rate = 50\narrivals = 'even'\nduration = '2s'\nwarmup = '0s'\ndrain = '1s'\nmax_in_flight = 5\n"
        "consumers = 'none'\n[mock]\nservice_time = 'constant(1500ms)'\n",
    )

    done = cli("run", plan, "--out", "out")

    assert done.code in {1, 3}, done
    summary = summary_of(cli.folder / "out")
    assert summary["unsent"] > 50
    assert summary["unsent"] + summary["counts"]["sent"] == 100
    assert any("unsent" in reason or "never sent" in reason for reason in summary["validity"]["reasons"])


def test_recorded_starts_are_fired_again_with_their_variants(cli: Cli) -> None:
    starts = "".join(f"{1000 + k * 0.01:.3f},{'seed' if k % 4 == 0 else 'minimal'}\n" for k in range(100))
    (cli.folder / "starts.txt").write_text(starts)

    done = cli("run", "--replay", "starts.txt", "--consumers", "none", "--out", "out")

    assert "Traceback" not in done.err, done
    assert variants_of(cli.folder / "out") == {"seed": 25, "minimal": 75}
    assert summary_of(cli.folder / "out")["ledger"]["accepted"] == 100


def test_stages_have_figures_of_their_own(cli: Cli) -> None:
    plan = plan_file(
        cli,
        "arrivals = 'even'\nwarmup = '1s'\nconsumers = 'none'\n"
        "[[stages]]\nname = 'calm'\nhold = 50\nduration = '2s'\n"
        "[[stages]]\nname = 'rush'\nramp = [50, 250]\nduration = '2s'\n",
    )

    cli("run", plan, "--out", "out")

    stages = summary_of(cli.folder / "out")["stages"]
    assert {name: stage["count"] for name, stage in stages.items() if name != "warm-up"} == {"calm": 100, "rush": 300}


def test_an_end_between_two_seconds_leaves_the_achieved_rate_exact(cli: Cli) -> None:
    plan = plan_file(cli, "consumers = 'none'\n[mock]\nservice_time = 'constant(1500ms)'\n")
    times = ("--warmup", "300ms", "--duration", "2400ms")
    done = cli("run", plan, "--rate", "40", "--arrivals", "even", *times, "--out", "out")

    assert done.code in {0, 3}, done
    assert summary_of(cli.folder / "out")["achieved_rate"] == pytest.approx(40, rel=0.02)
