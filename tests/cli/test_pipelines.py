"""The pipelines of `convload init`: their own commands, run as written on a machine without convload."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cli.pipelines import ROOT, SHORT, Runner, build_wheel, calls_of, steps_of
from tests.conftest import Cli, summary_of
from tests.report.test_github import outputs_in

from convload.cli.init import STARTER, files, lay_out
from convload.cli.requirement import parse
from convload.errors import ExitCode
from convload.report.folder import REPORTS

PAGE = ROOT / "docs" / "ci.md"
EXAMPLE = re.compile(r"^## (GitHub Actions|GitLab CI|Jenkins)\n.*?```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXAMPLES = dict(EXAMPLE.findall(PAGE.read_text()))
PLACES = {"GitHub Actions": ".github/workflows/convload.yml", "GitLab CI": ".gitlab-ci.yml", "Jenkins": "Jenkinsfile"}
CALLS = ["pip install -r requirements.txt", "convload run plans/gate.toml --out reports/gate"]
"""What each pipeline calls; that of GitHub is run as it is."""
BUSY = '[validity]\nwaive = ["late", "hub_delay", "rate_missed", "generator_saturated"]\n'


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def workspace_of(cli: Cli, name: str = "mine") -> Path:
    """Lays out a workspace that installs the wheel of this checkout, and whose gate bears a busy machine."""
    done = cli("init", name, "--install-from", str(build_wheel(cli.folder)))
    assert done.code == 0, done
    workspace = cli.folder / name
    plan = workspace / "plans" / "gate.toml"
    plan.write_text(f"independent = true\n{plan.read_text()}\n{BUSY}")
    return workspace


def read_yaml(workspace: Path, system: str) -> Any:
    return yaml.safe_load((workspace / PLACES[system]).read_text())


@pytest.mark.parametrize("system", PLACES)
def test_an_example_of_the_documentation_is_what_a_workspace_has(system: str) -> None:
    assert EXAMPLES[system] == files()[PLACES[system]].decode()
    assert PLACES[system] in STARTER.values()


def test_on_github_a_green_build_passes_and_later_steps_have_its_figures(cli: Cli, runner: Runner) -> None:
    """With the workspace's own users and payloads."""
    workspace = workspace_of(cli, "load tests")
    users = workspace / "locustfiles" / "create_conversation.py"
    users.write_text(users.read_text() + f"\nopen({str(cli.folder / 'mark')!r}, 'w').close()\n")
    (workspace / "payloads" / "mixes.toml").write_text("[default]\nminimal = 1\n")
    job = read_yaml(workspace, "GitHub Actions")["jobs"]["gate"]
    install, gate, after = steps_of(job)
    told = {name: cli.folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    github = {"GITHUB_ACTIONS": "true"} | {name: str(path) for name, path in told.items()}

    assert [install.removeprefix("python -m "), gate] == CALLS
    installed = runner(install, workspace)
    assert installed.returncode == 0, installed
    assert runner.where("convload").is_relative_to(cli.folder / "python")
    secrets_not_set = {"CONVLOAD_CLIENT_ID": "", "CONVLOAD_CLIENT_SECRET": ""}
    done = runner(gate, workspace, **SHORT, **github, **secrets_not_set)

    assert done.returncode == 0, done
    outputs = outputs_in(told["GITHUB_OUTPUT"].read_text())
    summary = summary_of(workspace / outputs["folder"])
    assert (outputs["verdict"], outputs["exit_code"]) == ("pass", "0")
    assert (cli.folder / "mark").exists()
    assert summary["variants"].keys() == {"minimal"}
    assert told["GITHUB_STEP_SUMMARY"].read_text() == (workspace / "reports" / "gate" / "summary.md").read_text()
    assert done.stdout.strip().splitlines()[-1] == outputs["text"] == summary["verdict"]["text"]
    assert (workspace / outputs["report"]).exists()
    # The names that the next step reads exist: GitHub gives nothing for one that does not, and says nothing.
    [using] = [step for step in job["steps"] if step.get("run") == after]
    read = {name: re.findall(r"steps\.gate\.outputs\.(\w+)", text)[0] for name, text in using["env"].items()}
    next_step = runner(after, workspace, **{name: outputs[output] for name, output in read.items()})
    assert next_step.stdout == f"pass, p99 {float(outputs['p99_ms']):g} ms\n"
    kept = [step["with"]["path"] for step in job["steps"] if "upload-artifact" in step.get("uses", "")]
    assert kept == [outputs["folder"]]


@pytest.mark.parametrize("code", [0, 1, 3])
def test_on_gitlab_the_same_run_decides_and_leaves_the_reports_that_are_named(tmp_path: Path, code: int) -> None:
    job = yaml.safe_load(files()[PLACES["GitLab CI"]])["gate"]

    done, calls = calls_of("\n".join(job["script"]), tmp_path, code, "python", "convload")

    assert (done, [call.removeprefix("python -m ") for call in calls]) == (code, CALLS)
    assert job["allow_failure"]["exit_codes"] == ExitCode.INCONCLUSIVE
    assert job["artifacts"]["paths"] == ["reports/gate"]
    assert {path.removeprefix("reports/gate/") for path in job["artifacts"]["reports"].values()} <= REPORTS.keys()


@pytest.mark.parametrize("code", [0, 1, 3])
def test_on_jenkins_the_same_run_decides_and_nothing_is_left_of_the_build_before(tmp_path: Path, code: int) -> None:
    (tmp_path / "reports" / "gate").mkdir(parents=True)
    text = files()[PLACES["Jenkins"]].decode()
    install, gate = (long or short for long, short in re.findall(r"script: '''(.*?)'''|sh '(.*?)'", text, re.DOTALL))

    programs = ".venv/bin/python", ".venv/bin/convload", "python3"
    done, calls = calls_of(f"{install}\n{gate}", tmp_path, code, *programs)

    assert (done, [call.removeprefix("python -m ") for call in calls]) == (code, ["python3 -m venv .venv", *CALLS])
    assert not (tmp_path / "reports" / "gate").exists()
    assert f"if (code == {ExitCode.INCONCLUSIVE:d}) {{ unstable(" in text
    assert re.findall(r"testResults: 'reports/gate/([^']+)'", text)[0] in REPORTS


def test_the_examples_have_the_keys_that_the_systems_know(tmp_path: Path) -> None:
    lay_out(tmp_path / "mine", force=False)
    github = read_yaml(tmp_path / "mine", "GitHub Actions")
    gitlab = read_yaml(tmp_path / "mine", "GitLab CI")

    assert {"name", "jobs", "permissions"} <= {key for key in github if isinstance(key, str)}
    assert all(("run" in step) != ("uses" in step) for step in github["jobs"]["gate"]["steps"])
    assert gitlab["gate"]["artifacts"]["reports"].keys() == {"junit", "metrics"}
    assert gitlab["gate"]["allow_failure"] == {"exit_codes": 3}


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("https://host/c-1.whl", "convload @ https://host/c-1.whl"),
        ("git+https://host/c.git@4f1c", "convload @ git+https://host/c.git@4f1c"),
        ("convload", "convload"),
        ("convload==1.2.3", "convload==1.2.3"),
        ("convload >= 1.2, < 2", "convload >= 1.2, < 2"),
    ],
)
def test_pipelines_install_exactly_what_was_asked_for(tmp_path: Path, written: str, line: str) -> None:
    lay_out(tmp_path, parse(written), force=False)

    lines = (tmp_path / "requirements.txt").read_text().splitlines()
    assert [one for one in lines if not one.startswith("#")] == [f"{line}  # <- INSTALL FROM HERE"]


@pytest.mark.parametrize(
    "written", ["no/such-1.whl", "convload-1-py3-none-any.whl", "file:///x", "-r other", "a b", ""]
)
def test_what_pip_could_not_install_is_refused_and_nothing_is_written(cli: Cli, written: str) -> None:
    done = cli("init", "mine", "--install-from", written)

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("convload: --install-from")
    assert not (cli.folder / "mine").exists()
