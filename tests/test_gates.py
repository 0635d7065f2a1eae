"""Gates from the command line, in short real runs against the embedded mock."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import COMMAND_TIMEOUT_S, Cli, Done, summary_of

SLOW_PLAN = "target = 'mock'\nmodel = 'closed'\nusers = 20\nwarmup = '300ms'\nduration = '1s'\n[mock]\ndelay_ms = {}\n"
COMPARED = "create.service.p50 <= baseline * 1.1"
GATES = ("--gate", COMPARED, "--gate", "errors < 5%")


def start(cli: Cli, name: str, delay_ms: int, *flags: str) -> "subprocess.Popen[str]":
    plan = cli.folder / f"{name}.toml"
    plan.write_text(SLOW_PLAN.format(delay_ms))
    return cli.start("run", str(plan), "--out", name, *flags)


def both(*started: "subprocess.Popen[str]") -> Iterator[Done]:
    """Waits for runs that go on side by side; what they wait for is the mock's delay, not the processor."""
    for process in started:
        out, err = process.communicate(timeout=COMMAND_TIMEOUT_S)
        yield Done(process.returncode, out, err)


def test_fifty_requests_do_not_decide_a_p99_and_the_run_says_how_many_do(cli: Cli) -> None:
    done = cli("run", "--users", "5", "--conversations", "50", "--gate", "create.p99 < 10s", "--out", "out")

    assert done.code == 3, done
    (gate,) = summary_of(cli.folder / "out")["gates"]
    assert (gate["outcome"], gate["samples"], gate["needed"], gate["limit"]) == ("inconclusive", 50, 459, 10.0)
    assert "50 samples; a p99 at 99 % confidence needs at least 459" in done.out
    assert "warning: create.p99 < 10s: to pass it needs at least 459 samples, the plan expects about 50" in done.err
    assert done.out.rstrip().splitlines()[-1].startswith("Inconclusive: create.p99 < 10s is undecided")


def test_a_target_made_a_fifth_slower_fails_against_its_baseline_and_the_same_one_passes(cli: Cli) -> None:
    (base,) = both(start(cli, "base", 80, "--gate", "create.p50 < 10s"))
    saved = cli("baseline", "save", "base", "--out", "baseline.json")
    same, slow = both(
        start(cli, "same", 80, "--baseline", "base", *GATES),
        start(cli, "slow", 96, "--baseline", "baseline.json", *GATES),
    )

    assert (base.code, saved.code, same.code, slow.code) == (0, 0, 0, 1), (base, saved, same, slow)
    gates = {gate["gate"]: gate["outcome"] for gate in summary_of(cli.folder / "slow")["gates"]}
    assert gates == {COMPARED: "fail", "errors < 5%": "pass"}
    assert slow.out.rstrip().splitlines()[-1].startswith(f"Fail: {COMPARED} is broken")
    (cli.folder / "baseline.json").rename(cli.folder / "elsewhere.json")
    judged = cli("gate", "slow", "--json")
    assert judged.code == 1, judged
    assert json.loads(judged.out)["gates"] == summary_of(cli.folder / "slow")["gates"]


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (("--gate", COMPARED), "compares with a baseline; name a run folder or a baseline file with --baseline"),
        (("--gate", COMPARED, "--baseline", "nowhere"), "baseline nowhere: cannot be read"),
        (("--gates-file", "none.txt"), "--gates-file: none.txt: cannot be read"),
        (("--abort-when", "errors > 20%"), "--abort-when: 'errors > 20%': a condition looks at the last seconds"),
    ],
)
def test_what_makes_judging_impossible_is_told_before_the_run(cli: Cli, flags: tuple[str, ...], problem: str) -> None:
    done = cli("run", "--out", "out", *flags)

    assert done.code == 2, done
    assert problem in done.err
    assert not Path(cli.folder / "out").exists()
