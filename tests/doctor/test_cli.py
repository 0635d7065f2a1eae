"""`convload doctor` as a user runs it, and the run that follows."""

import io
import json
import signal
from pathlib import Path

import pytest
from rich.console import Console
from tests.conftest import Cli, summary_of, wait_for

from convload.cli.doctor import Report, print_report
from convload.doctor.facts import Check
from convload.doctor.search import Ceiling
from convload.doctor.trials import CeilingTrial
from convload.run.ceiling import FILE


def test_machine_ceiling_and_target_are_shown_and_the_next_run_knows_the_ceiling(cli: Cli) -> None:
    saved = cli.folder / "cache" / FILE
    saved.parent.mkdir(parents=True)
    saved.write_text("{")

    done = cli("doctor", "--quick", "--trials", "1", "--seconds", "0.5s", "--json", "--target", "http://127.0.0.1:9")
    run = cli(
        "run", "--rate", "50", "--duration", "1s", "--warmup", "0s", "--consumers", "none", "--out", "out", "--details"
    )

    assert done.code == 4, done
    assert run.code in {0, 3}, run  # a busy machine may be late
    told = json.loads(done.out)
    machine = {check["name"]: check for check in told["machine"]}
    assert {"cores", "open files", "local ports", "memory", "disk"} <= machine.keys()
    assert "late by p50" in machine["timer"]["figure"]
    assert "damaged" in machine["saved ceiling"]["figure"]
    assert told["target"][-1]["figure"] == "Connection refused"
    [trial] = told["ceiling"]["trials"]
    assert trial["rate"] == 4_000.0
    assert trial["cpu_share"] > 0
    generator = summary_of(cli.folder / "out")["generator"]
    if trial["valid"]:  # else the machine is too busy, which must not be told as a ceiling
        assert generator["ceiling_per_s"] == 4_000.0
        assert generator["ceiling_share"] == pytest.approx(generator["requests_per_s"] / 4_000.0, abs=1e-4)
        assert "ceiling at least 4,000 requests/s on 1 worker" in run.out
    else:
        assert (saved.read_text(), generator["ceiling_per_s"]) == ("{", None)
        assert told["ceiling_text"][0].startswith("Ceiling: not found.")


def test_an_interrupted_doctor_is_exit_code_130_and_leaves_nothing(cli: Cli) -> None:
    process = cli.start("doctor", environment={"TMPDIR": str(cli.folder)})
    wait_for(lambda: list(cli.folder.glob("convload-doctor-*/run.jsonl")), "a trial began")
    process.send_signal(signal.SIGINT)

    out, err = process.communicate(timeout=60)

    assert process.returncode == 130, out + err
    assert "Traceback" not in err
    assert list(cli.folder.iterdir()) == []


def test_the_tables_show_each_check_and_trial_and_obey_no_foreign_text(tmp_path: Path) -> None:
    printed = io.StringIO()
    trials = [
        CeilingTrial(2_000.0, valid=True, lateness_p50_ms=0.1),
        CeilingTrial(4_000.0, valid=False, limits=["worker CPU"]),
    ]
    report = Report(
        "convload/doctor/1",
        [Check("cores", "warning", "1 core", "a worker fills one core", "take more")],
        [Check("request", "problem", "[bold]HTTP\x1b[31m 500", "it cannot be used")],
        2,
        Ceiling(trials, *trials),
        ["Ceiling: 2,000 requests/s"],
        str(tmp_path),
    )

    print_report(report, "http://127.0.0.1:9", Console(file=printed, width=110))

    shown = printed.getvalue()
    for text in ("1 core", "→ take more", "Target http://127.0.0.1:9", "2 workers", "4,000", "worker CPU", "Saved in"):
        assert text in shown
    assert "[bold]HTTP\\x1b[31m 500" in shown


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--target", "https://va.example.net"), "'va.example.net' is not this machine"),
        (("--target", "nonsense"), "must be mock, http://HOST[:PORT]"),
        (("--seconds", "0.1s"), "--seconds: '0.1s' must be from 0.5s to 60s"),
        (("--seconds", "soon"), "--seconds: 'soon' is no duration"),
        (("--workers", "0"), "--workers"),
    ],
)
def test_wrong_usage_is_one_message_before_anything_is_measured(cli: Cli, flags: tuple[str, ...], message: str) -> None:
    done = cli("doctor", *flags)

    assert done.code == 2, done
    assert message in done.err
    assert "measuring" not in done.err
    assert "Traceback" not in done.err
