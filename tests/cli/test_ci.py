"""What pipelines rely on: the examples of docs/ci.md work, a pipe gets plain text, GitHub is told, exit codes hold."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import COMMAND, Cli, clean_environment, summary_of
from tests.report.conftest import Sample
from tests.report.test_github import outputs_in

from convload.cli.init import STARTER, files, lay_out
from convload.results.runlog import FILE_NAME
from convload.results.writing import RunLogWriter

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "ci.md"
EXAMPLE = re.compile(r"^## (GitHub Actions|GitLab CI|Jenkins)\n.*?```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXAMPLES = dict(EXAMPLE.findall(PAGE.read_text()))
PLACES = {"GitHub Actions": ".github/workflows/convload.yml", "GitLab CI": ".gitlab-ci.yml", "Jenkins": "Jenkinsfile"}
# Short, yet enough for every percentile that the plan's gates ask for.
SHORT = {"CONVLOAD_DURATION": "2s", "CONVLOAD_WARMUP": "500ms"}


def scripts_of(system: str) -> list[str]:
    """Returns the shell scripts of an example, in order."""
    text = EXAMPLES[system]
    if system == "GitHub Actions":
        return re.findall(r"^\s+(?:- )?run: (.+)$", text, re.MULTILINE)
    if system == "GitLab CI":
        return [
            "\n".join(re.findall(r"^    - (.+)$", text.partition("script:\n")[2].partition("\n  #")[0], re.MULTILINE))
        ]
    found = re.findall(r"sh\((?:[^']*?)script: '''(.*?)'''|sh '(.*?)'", text, re.DOTALL)
    return [long or short for long, short in found]


def new_workspace(parent: Path) -> Path:
    """Lays out a workspace whose gate bears a busy machine."""
    workspace = parent / "workspace"
    lay_out(workspace, force=False)
    allow_busy_machine(workspace)
    return workspace


def allow_busy_machine(workspace: Path) -> None:
    """Makes the gate bear a busy machine, which makes a run late and its examples not wrong, and a run of seconds."""
    plan = workspace / "plans" / "gate.toml"
    waived = '[validity]\nwaive = ["late", "hub_delay", "rate_missed", "generator_saturated"]\n'
    plan.write_text(f"independent = true\n{plan.read_text()}\n{waived}")


def run_script(script: str, folder: Path, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Runs a script as a CI system does: by a shell that stops at the first failure, `convload` on its path."""
    shims = folder.parent / "bin"
    shims.mkdir(exist_ok=True)
    (shims / "convload").write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    (shims / "convload").chmod(0o755)
    path = f"{shims}:{os.environ['PATH']}"
    return subprocess.run(
        ["/usr/bin/env", "bash", "-e", "-o", "pipefail", "-c", script],
        cwd=folder,
        env=clean_environment() | {"PATH": path} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("system", PLACES)
def test_an_example_of_the_documentation_is_what_a_workspace_has(system: str) -> None:
    assert EXAMPLES[system] == files()[PLACES[system]].decode()
    assert PLACES[system] in STARTER.values()


@pytest.mark.parametrize("system", PLACES)
def test_each_command_of_an_example_is_one_that_is_tried_here_or_installs_convload(system: str) -> None:
    scripts = "\n".join(scripts_of(system))

    assert scripts.count("pip install -r requirements.txt") == 1
    assert scripts.count("convload run plans/gate.toml --out reports/gate") == 1
    assert "reports/gate" in EXAMPLES[system].replace("--out reports/gate", "")


def test_a_new_workspace_runs_as_it_is_with_its_own_users_and_payloads(cli: Cli) -> None:
    """Written by `convload init`, run by the example for GitHub; what that tells later steps is looked at too."""
    tmp_path, workspace = cli.folder, cli.folder / "load tests"
    assert "cd 'load tests' && convload run plans/gate.toml" in cli("init", "load tests").out
    allow_busy_machine(workspace)
    users = workspace / "locustfiles" / "create_conversation.py"
    users.write_text(users.read_text() + f"\nopen({str(tmp_path / 'mark')!r}, 'w').close()\n")
    (workspace / "payloads" / "mixes.toml").write_text("[default]\nminimal = 1\n")
    told = {name: tmp_path / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    _, gate, after = scripts_of("GitHub Actions")

    secrets_not_set = {"CONVLOAD_CLIENT_ID": "", "CONVLOAD_CLIENT_SECRET": ""}
    github = {"GITHUB_ACTIONS": "true"} | {name: str(path) for name, path in told.items()}

    done = run_script(gate, workspace, SHORT | github | secrets_not_set)

    assert done.returncode == 0, done
    outputs = outputs_in(told["GITHUB_OUTPUT"].read_text())
    summary = summary_of(workspace / outputs["folder"])
    assert (outputs["verdict"], outputs["exit_code"]) == ("pass", "0")
    assert (tmp_path / "mark").exists()
    assert summary["variants"].keys() == {"minimal"}
    assert told["GITHUB_STEP_SUMMARY"].read_text() == (workspace / "reports" / "gate" / "summary.md").read_text()
    assert done.stdout.strip().splitlines()[-1] == outputs["text"] == summary["verdict"]["text"]
    assert (workspace / outputs["report"]).exists()
    assert_plain(done.stdout + done.stderr)
    # The names that the next step reads exist: GitHub gives nothing for one that does not, and says nothing.
    used = re.findall(r"(\w+): \$\{\{ steps\.gate\.outputs\.(\w+) \}\}", EXAMPLES["GitHub Actions"])
    assert len(used) == 2
    next_step = run_script(after, workspace, {name: outputs[output] for name, output in used})
    assert next_step.stdout == f"pass, p99 {float(outputs['p99_ms']):g} ms\n"


def test_the_examples_for_gitlab_and_jenkins_leave_the_reports_that_they_name(tmp_path: Path) -> None:
    workspace = new_workspace(tmp_path)
    [gitlab], [_, jenkins] = scripts_of("GitLab CI"), scripts_of("Jenkins")
    install, gate = gitlab.split("\n")
    assert install == "python -m pip install -r requirements.txt"
    assert gate in jenkins
    (workspace / "reports" / "gate").mkdir()
    (workspace / "reports" / "gate" / "left.txt").write_text("of the build before")

    done = run_script(jenkins, workspace, SHORT)

    assert done.returncode == 0, done
    named = {path for system in PLACES for path in re.findall(r"reports/gate/[\w.]+\w", EXAMPLES[system])}
    assert named == {"reports/gate/junit.xml", "reports/gate/metrics.txt"}
    assert all((workspace / path).exists() for path in named)
    assert not (workspace / "reports" / "gate" / "left.txt").exists()


def test_the_examples_are_yaml_with_the_keys_that_the_systems_know() -> None:
    yaml = pytest.importorskip("yaml")
    github = yaml.safe_load(EXAMPLES["GitHub Actions"])
    gitlab = yaml.safe_load(EXAMPLES["GitLab CI"])

    assert {"name", "jobs", "permissions"} <= {key for key in github if isinstance(key, str)}
    steps = github["jobs"]["gate"]["steps"]
    assert all(("run" in step) != ("uses" in step) for step in steps)
    assert [step["run"] for step in steps if "run" in step] == scripts_of("GitHub Actions")
    assert "\n".join(gitlab["gate"]["script"]) == scripts_of("GitLab CI")[0]
    assert gitlab["gate"]["artifacts"]["reports"].keys() == {"junit", "metrics"}
    assert gitlab["gate"]["allow_failure"] == {"exit_codes": 3}


def test_exit_zero_makes_a_failed_gate_0_and_github_is_still_informed(cli: Cli) -> None:
    (cli.folder / "plan.toml").write_text("users = 2\nconversations = 100\n[mock]\nhttp_5xx_share = 0.5\n")
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(cli.folder / "output")}

    done = cli("run", "plan.toml", "--out", "out", "--exit-zero", environment=environment)

    assert done.code == 0, done
    assert summary_of(cli.folder / "out")["verdict"]["exit_code"] == 1
    assert outputs_in((cli.folder / "output").read_text())["exit_code"] == "1"
    errors = [line for line in done.out.splitlines() if line.startswith("::error ")]
    assert [line.partition("::")[2].partition("::")[0] for line in errors] == ["error title=convload%3A errors <= 1%25"]
    assert done.out.strip().splitlines()[-1].startswith("Fail: ")


def test_judging_again_takes_exit_zero_and_baseline_gates(cli: Cli) -> None:
    write_run(cli.folder / "base", failing=False)
    write_run(cli.folder / "new", gates=["errors < 1%"], baseline_gates=["create.p50 <= baseline * 1.1"])
    output = cli.folder / "output"
    github = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(output)}

    plain = cli("gate", "new", "--baseline", "base", "--details")
    lenient = cli("gate", "new", "--baseline", "base", "--exit-zero", environment=github)
    as_json = cli("gate", "new", "--exit-zero", "--json", environment=github)

    assert plain.code == 1, plain
    assert "create.p50 <= baseline * 1.1 holds: " in " ".join(plain.out.split())
    assert lenient.code == 0, lenient
    assert lenient.out.startswith("::error title=convload%3A errors < 1%25::")
    assert outputs_in(output.read_text())["folder"] == "new"
    assert [gate["gate"] for gate in json.loads(as_json.out)["gates"]] == ["errors < 1%"]


def test_only_reporting_does_not_hide_wrong_usage_and_github_annotates_it(cli: Cli) -> None:
    done = cli("run", "--users", "none", "--exit-zero", environment={"GITHUB_ACTIONS": "true"})

    assert done.code == 2
    assert done.out.startswith("::error title=convload::--users: ")
    assert done.err.startswith("convload: --users: ")


@pytest.mark.parametrize("environment", [{}, {"TERM": "xterm-256color"}, {"NO_COLOR": "1", "TERM": "xterm-256color"}])
def test_a_pipe_gets_no_control_character_and_the_verdict_last(cli: Cli, environment: dict[str, str]) -> None:
    write_run(cli.folder / "run")

    done = cli("report", "run", environment=environment)

    assert_plain(done.out + done.err)
    assert done.out.splitlines()[-1] == summary_of(cli.folder / "run")["verdict"]["text"]


@pytest.mark.parametrize(("wish", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_no_color_turns_colours_off_on_a_terminal(tmp_path: Path, wish: dict[str, str], coloured: bool) -> None:
    write_run(tmp_path / "run")
    ours, theirs = pty.openpty()
    environment = clean_environment() | {"TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)

    with subprocess.Popen(
        [sys.executable, "-m", "convload.cli", "report", "run"],
        cwd=tmp_path,
        env=environment | wish,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
    ) as process:
        os.close(theirs)
        shown = read_all(ours)

    assert process.returncode == 0
    assert b"Fail: " in shown
    assert bool(re.search(rb"\x1b\[(?:\d+;)*[349]\d[;m]", shown)) == coloured


def test_a_reader_that_leaves_early_changes_no_exit_code(cli: Cli) -> None:
    write_run(cli.folder / "run")
    process = cli.start("report", "run")
    assert process.stdout is not None
    process.stdout.close()

    _, err = process.communicate(timeout=60)

    assert (process.returncode, err) == (0, "")
    assert (cli.folder / "run" / "junit.xml").exists()


def test_output_to_a_full_disk_is_one_message_and_changes_no_exit_code(cli: Cli) -> None:
    write_run(cli.folder / "run")

    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "report", "run"],
            cwd=cli.folder,
            env=clean_environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )

    assert (done.returncode, done.stderr) == (
        0,
        "convload: standard output: No space left on device; the verdict stands\n",
    )


def write_run(folder: Path, *, failing: bool = True, **plan: Any) -> None:
    folder.mkdir()
    log = RunLogWriter(folder / FILE_NAME)
    _, *records = (sample := Sample(failing=failing)).records()
    for record in (sample.manifest(independent=True, **plan), *records):
        log.write(record)
    log.close()


def assert_plain(text: str) -> None:
    assert [c for c in text if ord(c) < 32 and c != "\n"] == []
    assert "\x7f" not in text


def read_all(terminal: int) -> bytes:
    """Reads what comes on a terminal until nobody holds its other end."""
    parts = []
    try:
        while part := os.read(terminal, 65536):
            parts.append(part)
    except OSError:
        pass  # Linux tells the end so
    finally:
        os.close(terminal)
    return b"".join(parts)
