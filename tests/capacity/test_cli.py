"""`convload capacity` as it is used: whole searches in real processes, which show that its parts are wired together.

How well a search finds what is known is proved in virtual time (`test_search.py`).
"""

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.conftest import COMMAND_TIMEOUT_S, Cli, Done
from tests.report.test_github import outputs_in

from convload.cli import convload
from convload.errors import UsageError
from convload.mock.process import start_mock
from convload.plan.mock_behaviour import Behaviour

PLAN = """
model = "open"
arrivals = "even"
rate = 250
mix = "default"
consumers = "none"
max_in_flight = 3000
timeout = "5s"
gates = ["errors < 1%"]

# A machine that is busy with other tests makes no load that others would trust; what is found is looked at here.
[validity]
cpu_share = 1.0
cpu_seconds_share = 1.0
lateness_p99_ms = 10000.0

[mock]
servers = 10
service_time = "constant(20ms)"
"""
CAPACITY_PER_S = 500
TRIAL = re.compile(r" for +[\d.]+ s ")
KEYS = {"CONVLOAD_CLIENT_ID": "id", "CONVLOAD_CLIENT_SECRET": "secret"}


def start(cli: Cli, *flags: str, **environment: str) -> "subprocess.Popen[str]":
    """Starts a search whose run folder is `out`."""
    (cli.folder / "plan.toml").write_text(PLAN)
    return cli.start("capacity", "plan.toml", "--no-overload", "--out", "out", *flags, environment=environment)


def ended(process: "subprocess.Popen[str]") -> Done:
    out, err = process.communicate(timeout=COMMAND_TIMEOUT_S)
    return Done(process.returncode, out, err)


def told(cli: Cli) -> Any:
    return json.loads((cli.folder / "out" / "capacity.json").read_text())


def wait_for_trial(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """Waits until a search has told of a trial (it ends by its budget, if it does not); returns its child processes."""
    assert process.stderr is not None
    assert next((line for line in process.stderr if TRIAL.search(line)), None), "it ended without a trial"
    children: list[psutil.Process] = psutil.Process(process.pid).children(recursive=True)
    return children


@pytest.mark.parametrize("model", ["open", "closed"])
def test_ctrl_c_ends_a_search_with_what_it_has_and_leaves_no_process(cli: Cli, model: str) -> None:
    process = start(cli, "--model", model, "--budget", "60s")
    children = wait_for_trial(process)
    process.send_signal(signal.SIGINT)
    done = ended(process)
    assert done.code == 130, done
    assert "Traceback" not in done.err
    assert len(told(cli)["trials"]) >= 1
    assert (cli.folder / "out" / "capacity.md").read_text().startswith("# Capacity")
    assert "</html>" in (cli.folder / "out" / "report.html").read_text()
    assert [child for child in children if child.is_running()] == []


def test_a_target_that_ends_in_the_middle_ends_the_search_with_what_it_has(cli: Cli) -> None:
    with start_mock(Behaviour(auth=False)) as mock:
        flags = ("--target", mock.url, "--objective", "errors < 20%", "--budget", "7s")
        search = start(cli, *flags, **KEYS)
        wait_for_trial(search)
        mock.process.kill()
        done = ended(search)
    assert done.code in {0, 1, 3}, done
    assert "Traceback" not in done.err
    assert told(cli)["trials"][0]["outcome"] == "pass"
    assert told(cli)["trials"][-1]["outcome"] == "fail"


def test_the_interval_holds_the_capacity_and_the_instances_for_a_need_follow(cli: Cli) -> None:
    done = ended(start(cli, "--budget", "18s", "--start", "200", "--need", "1200/s", "--headroom", "30%"))
    assert done.code == 0, done
    found = told(cli)
    bounds = found["capacity_per_s"]
    assert CAPACITY_PER_S / 3 < bounds["low"] <= 1.02 * CAPACITY_PER_S
    assert 0.9 * CAPACITY_PER_S <= bounds["high"] < 3 * CAPACITY_PER_S
    assert found["statement"] in done.out
    assert found["instances"]["most"] == pytest.approx(1200 / (0.7 * bounds["low"]), abs=1)
    assert found["instances"]["need_per_s"] == 1200
    for trial in found["trials"]:
        assert trial["goodput_per_s"] <= 1.1 * min(trial["rate"], CAPACITY_PER_S)


def test_an_objective_that_no_rate_meets_fails_with_a_statement(cli: Cli) -> None:
    flags = ("--budget", "20s", "--objective", "create.p50 < 1ms", "--start", "20", "--least", "20")
    done = ended(start(cli, *flags, GITHUB_ACTIONS="true", GITHUB_OUTPUT="output"))
    assert done.code == 1, done
    assert done.out.startswith("::error title=convload%3A capacity::No rate from 20/s up meets the objective: ")
    outputs = outputs_in((cli.folder / "output").read_text())
    assert (outputs["outcome"], outputs["exit_code"], outputs["limited_by"]) == ("fail", "1", "target")
    assert (outputs["capacity_low"], outputs["capacity_high"], outputs["report"]) == ("", "20", "out/report.html")
    assert "No rate from 20/s up meets the objective: create.p50 < 1ms broke first" in done.out


def test_an_objective_that_never_breaks_is_told_with_what_a_day_needs(cli: Cli) -> None:
    (cli.folder / "day.csv").write_text("hour,conversations\n09:00,36000\n10:00,72000\n")
    flags = ("--budget", "20s", "--objective", "create.p50 < 1s", "--start", "40", "--most", "80")
    done = ended(start(cli, *flags, "--profile", "day.csv", "--peak-to-mean", "2", "--warm-target", "2s"))
    assert done.code == 0, done
    assert told(cli)["warmed_s"] == 2
    assert '"name":"2 warming the target"' in (cli.folder / "out" / "run.jsonl").read_text()
    assert "at least" in done.out
    assert "never failed up to the highest rate asked for, 80/s" in done.out
    assert told(cli)["peak"]["required_per_s"] == pytest.approx(40)
    assert told(cli)["generator_need"]["rate_per_s"] == pytest.approx(40)


@pytest.mark.parametrize(
    ("flags", "messages"),
    [
        (["--budget", "1s"], ["too short"]),
        (["--start", "0", "--most", "x", "--budget", "soon"], ["--start: '0'", "--most: 'x'", "--budget: "]),
        (["--start", "9", "--most", "3", "--least", "12"], ["must rise"]),
        (
            ["--objective", "create.p99 < baseline * 1.1", "--objective", "errors <= 100%", "--need", "0"],
            ["compares with no baseline", "no load breaks it", "--need"],
        ),
        (["--objective", "create.p99 < 1s over every 5s"], ["not of windows"]),
        (["--objective", "nonsense", "--objective", "create[nobody].p99 < 1s"], ["--objective: 'nonsense'", "nobody"]),
        (["--need", "5", "--profile", "day.csv"], ["--need, --profile"]),
        (["--profile", "gone.csv"], ["--profile gone.csv"]),
        (["--profile", "bad.csv"], ["bad.csv:2", "bad.csv:3"]),
        (["--peak-to-mean", "2"], ["--peak-to-mean"]),
        (["--warm-target", "soon"], ["--warm-target"]),
        (["--source-address", ""], ["--source-address: "]),
        (["--headroom", "100%", "--need", "5"], ["headroom"]),
        (["--out", "full"], ["not empty"]),
    ],
)
def test_wrong_flags_are_told_all_at_once_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], messages: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.csv").write_text("hour,conversations\nnine\n10:00,-1\n")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(UsageError) as raised:
        convload.main(["capacity", *flags], standalone_mode=False)
    assert [message for message in messages if message not in str(raised.value)] == []
    assert {path.name for path in tmp_path.iterdir()} == {"bad.csv", "full"}


def test_wrong_flags_end_with_2_and_no_traceback(cli: Cli) -> None:
    done = cli("capacity", "--start", "0", "--profile", "gone.csv")
    assert done.code == 2, done
    assert len(done.err.splitlines()) == 2, done
    assert list(cli.folder.iterdir()) == []
