"""`convload capacity` as it is used: whole searches in real processes against mocks whose capacity is known.

The searches go on side by side, because each takes most of its budget and next to none of the machine.
"""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
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
max_in_flight = 400
timeout = "5s"
gates = ["errors < 1%"]

# A machine that is busy with other tests makes no load that others would trust; what is found is looked at here.
[validity]
cpu_share = 1.0
cpu_seconds_share = 1.0
lateness_p99_ms = 1000.0

[mock]
servers = {servers}
service_time = "constant(20ms)"
"""
CAPACITY_PER_S = 500
TRIAL = re.compile(r" for +[\d.]+ s ")
KEYS = {"CONVLOAD_CLIENT_ID": "id", "CONVLOAD_CLIENT_SECRET": "secret"}
SEARCHES = {
    "sharp": ("--budget", "25s", "--need", "1200/s", "--headroom", "30%"),
    "floor": ("--budget", "20s", "--objective", "create.p50 < 1ms", "--start", "20", "--least", "20"),
    "bound": ("--budget", "20s", "--objective", "create.p50 < 1s", "--start", "40", "--most", "80"),
    "profile": ("--budget", "4s", "--start", "50", "--profile", "day.csv", "--peak-to-mean", "2"),
    "closed": ("--budget", "60s", "--model", "closed", "--start", "2", "--most", "32"),
    "bad": ("--budget", "10s"),
    "ctrl-c": ("--budget", "60s"),
    "ctrl-c-closed": ("--budget", "60s", "--model", "closed"),
}


class Searches:
    """Commands that go on side by side, by name; the run folder of each has that name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cli = Cli(folder)
        (folder / "ten.toml").write_text(PLAN.format(servers=10))
        (folder / "four.toml").write_text(PLAN.format(servers=4))
        (folder / "bad.toml").write_text(PLAN.format(servers=4) + "http_5xx_share = 1.0\n")
        (folder / "day.csv").write_text("hour,conversations\n09:00,36000\n10:00,72000\n")
        self.started: dict[str, subprocess.Popen[str]] = {}
        for name, flags in SEARCHES.items():
            plan = "bad.toml" if name == "bad" else "four.toml" if "closed" in name else "ten.toml"
            github = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": "output"} if name == "floor" else {}
            self.started[name] = self.cli.start(
                "capacity", plan, "--no-overload", "--out", name, *flags, environment=github
            )

    def ended(self, name: str) -> Done:
        process = self.started[name]
        out, err = process.communicate(timeout=COMMAND_TIMEOUT_S)
        return Done(process.returncode, out, err)

    def told(self, name: str) -> Any:
        return json.loads((self.folder / name / "capacity.json").read_text())


@pytest.fixture(scope="module")
def searches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searches]:
    found = Searches(tmp_path_factory.mktemp("searches"))
    yield found
    found.cli.end()


def wait_for_trial(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """Waits until a search has told of a trial (it ends by its budget, if it does not); returns its child processes."""
    assert process.stderr is not None
    assert next((line for line in process.stderr if TRIAL.search(line)), None), "it ended without a trial"
    children: list[psutil.Process] = psutil.Process(process.pid).children(recursive=True)
    return children


@pytest.mark.parametrize("name", ["ctrl-c", "ctrl-c-closed"])
def test_ctrl_c_ends_a_search_with_what_it_has_and_leaves_no_process(searches: Searches, name: str) -> None:
    children = wait_for_trial(searches.started[name])
    searches.started[name].send_signal(signal.SIGINT)
    done = searches.ended(name)
    assert done.code == 130, done
    assert "Traceback" not in done.err
    assert len(searches.told(name)["trials"]) >= 1
    assert (searches.folder / name / "capacity.md").read_text().startswith("# Capacity")
    assert "</html>" in (searches.folder / name / "report.html").read_text()
    assert [child for child in children if child.is_running()] == []


def test_a_target_that_ends_in_the_middle_ends_the_search_with_what_it_has(cli: Cli) -> None:
    """Stands here because the searches of the others go on meanwhile."""
    (cli.folder / "ten.toml").write_text(PLAN.partition("[mock]")[0])
    with start_mock(Behaviour(auth=False)) as mock:
        flags = (
            "--target",
            mock.url,
            "--objective",
            "errors < 20%",
            "--budget",
            "14s",
            "--no-overload",
            "--out",
            "out",
        )
        search = cli.start("capacity", "ten.toml", *flags, environment=KEYS)
        wait_for_trial(search)
        mock.process.kill()
        _, err = search.communicate(timeout=COMMAND_TIMEOUT_S)
    told = json.loads((cli.folder / "out" / "capacity.json").read_text())
    assert search.returncode in {0, 1, 3}, err
    assert "Traceback" not in err
    assert told["trials"][0]["outcome"] == "pass"
    assert told["trials"][-1]["outcome"] == "fail"


def test_the_interval_holds_the_capacity_and_the_instances_for_a_need_follow(
    searches: Searches,
) -> None:
    done, told = searches.ended("sharp"), searches.told("sharp")
    assert done.code == 0, done
    bounds = told["capacity_per_s"]
    assert bounds["low"] <= 1.02 * CAPACITY_PER_S
    assert bounds["high"] >= 0.98 * CAPACITY_PER_S
    assert bounds["low"] > CAPACITY_PER_S / 3
    assert bounds["high"] < CAPACITY_PER_S * 3
    assert told["statement"] in done.out
    assert told["instances"]["most"] == pytest.approx(1200 / (0.7 * bounds["low"]), abs=1)
    assert told["instances"]["need_per_s"] == 1200


def test_no_more_is_answered_in_a_trial_than_was_asked(searches: Searches) -> None:
    searches.ended("sharp")
    for trial in searches.told("sharp")["trials"]:
        assert trial["goodput_per_s"] <= 1.1 * min(trial["rate"], CAPACITY_PER_S)


def test_an_objective_that_no_rate_meets_fails_with_a_statement(searches: Searches) -> None:
    done = searches.ended("floor")
    assert done.code == 1, done
    assert done.out.startswith("::error title=convload%3A capacity::No rate from 20/s up meets the objective: ")
    outputs = outputs_in((searches.folder / "output").read_text())
    assert (outputs["outcome"], outputs["exit_code"], outputs["limited_by"]) == ("fail", "1", "target")
    assert (outputs["capacity_low"], outputs["capacity_high"], outputs["report"]) == ("", "20", "floor/report.html")
    assert "No rate from 20/s up meets the objective: create.p50 < 1ms broke first" in done.out


def test_an_objective_that_never_breaks_is_told_up_to_the_highest_rate(searches: Searches) -> None:
    done = searches.ended("bound")
    assert done.code == 0, done
    assert "at least" in done.out
    assert "never failed up to the highest rate asked for, 80/s" in done.out


def test_a_profile_of_a_day_tells_what_is_needed(searches: Searches) -> None:
    done = searches.ended("profile")
    assert done.code in {0, 3}, done
    told = searches.told("profile")
    assert told["peak"]["required_per_s"] == pytest.approx(40)
    assert told["generator_need"]["rate_per_s"] == pytest.approx(40)


def test_the_closed_search_finds_about_as_many_users_as_there_are_servers(searches: Searches) -> None:
    done, told = searches.ended("closed"), searches.told("closed")
    assert done.code == 0, done
    found = told["saturation"]
    # Four users leave the servers idle for the time that an answer is on its way; throughput within 5 % counts as flat.
    assert found["low_users"] <= 4 <= found["high_users"] <= 8
    assert found["highest_per_s"] == pytest.approx(200, rel=0.08)


def test_a_target_that_answers_nothing_well_is_told_in_one_message(searches: Searches) -> None:
    done = searches.ended("bad")
    assert done.code == 4, done
    assert len([line for line in done.err.splitlines() if "no create succeeds" in line]) == 1
    assert "Traceback" not in done.err


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
        (["--profile", "bad.csv"], ["line 2", "line 3"]),
        (["--peak-to-mean", "2"], ["--peak-to-mean"]),
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
