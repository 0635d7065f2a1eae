"""`convload compare` and `convload history` as commands: their output, files and exit codes."""

import json
from pathlib import Path

import numpy as np
import pytest
from bench.comparison import Service, write_run
from tests.conftest import Cli
from tests.report.test_github import outputs_in


def write(cli: Cli, name: str, seed: int, longer: float = 1.0, plan: dict[str, int] | None = None) -> Path:
    service = Service(rate=400.0, seconds=30, level_sigma=0.01)
    return write_run(cli.folder / name, service, np.random.default_rng(seed), longer=longer, plan=plan)


def test_a_regression_is_told_written_and_exits_with_1(cli: Cli) -> None:
    write(cli, "before", 1)
    write(cli, "after", 2, longer=1.25, plan={"seed": 2})

    done = cli("compare", "before", "after", "--json", "c.json", "--markdown", "c.md", "--html", "c.html")

    assert done.code == 1, done
    assert "base conversation.create times_tail_ms" in (cli.folder / "c.html").read_text()
    assert done.out.splitlines()[-1].startswith("Different: regressed: conversation.create p50 +2")
    assert "seeds differ (1 and 2)" in " ".join(done.out.split())
    assert json.loads((cli.folder / "c.json").read_text())["outcome"] == "regressed"
    assert (cli.folder / "c.md").read_text().startswith("# REGRESSED")


def test_github_hears_of_a_regression(cli: Cli) -> None:
    write(cli, "before", 1)
    write(cli, "after", 2, longer=1.25)
    told = {name: cli.folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    github = {"GITHUB_ACTIONS": "true"} | {name: str(path) for name, path in told.items()}

    done = cli("compare", "before", "after", "--markdown", "c.md", environment=github)

    assert done.code == 1, done
    assert done.out.startswith("::error title=convload%3A compare::Different: regressed: conversation.create p50 +2")
    outputs = outputs_in(told["GITHUB_OUTPUT"].read_text())
    assert (outputs["outcome"], outputs["exit_code"]) == ("regressed", "1")
    assert outputs["text"] == done.out.splitlines()[-1]
    assert told["GITHUB_STEP_SUMMARY"].read_text() == (cli.folder / "c.md").read_text()


def test_like_runs_exit_with_0_and_unlike_ones_with_2_unless_forced(cli: Cli) -> None:
    write(cli, "before", 1)
    write(cli, "after", 2)
    write(cli, "other", 3, plan={"users": 9})

    same, refused, forced = (
        cli("compare", "before", "after"),
        cli("compare", "before", "other"),
        cli("compare", "before", "other", "--force"),
    )

    assert same.code == 0, same
    assert refused.code == 2
    assert "convload: other: is unlike the base: plan: `users` is 50 in the base and 9 in the other" in refused.err
    assert forced.code == 0
    assert "Compared by force" in forced.out


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--min-relative", "5"], "--min-relative: '5' is no percentage"),
        (["--min-absolute", "1"], "--min-absolute: '1' is no time"),
        (["--confidence", "100%"], "--confidence: 100% is none"),
    ],
)
def test_a_wrong_flag_exits_with_2_and_says_what_is_allowed(cli: Cli, flags: list[str], told: str) -> None:
    done = cli("compare", "before", "after", *flags)

    assert done.code == 2
    assert told in done.err


def test_a_run_cut_off_in_a_line_exits_with_3_and_no_run_with_2(cli: Cli) -> None:
    write(cli, "before", 1)
    log = write(cli, "after", 2) / "run.jsonl"
    log.write_bytes(log.read_bytes()[:-30])

    cut, missing = cli("compare", "before", "after"), cli("compare", "before", "nowhere")

    assert cut.code == 3
    assert "after: line 33 of the run log was cut off and is left out" in cut.err
    assert missing.code == 2
    assert "nowhere: there is no such folder" in missing.err


def test_the_history_is_told_and_written(cli: Cli) -> None:
    write(cli, "runs/one", 1)
    write(cli, "runs/two", 2)

    done = cli("history", "runs", "--html", "h.html", "--json", "h.json", "--index", "i.html")

    assert "Runs</h1>" in (cli.folder / "i.html").read_text()
    assert done.code == 0, done
    assert "2 runs" in done.out
    assert "needs 10 runs to look for changes, has 2" in done.out
    assert (cli.folder / "h.html").read_text().startswith("<!DOCTYPE html>")
    assert len(json.loads((cli.folder / "h.json").read_text())["points"]) == 2
