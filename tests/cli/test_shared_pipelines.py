"""The action and the component that others include: their own scripts, run as written, and what they keep and tell."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cli.pipelines import ROOT, SHORT, Runner, build_wheel, calls_of, parsed
from tests.conftest import Cli
from tests.report.test_github import outputs_in

from convload.cli.init import lay_out
from convload.report.folder import REPORTS

ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
PAGE = (ROOT / "docs" / "ci.md").read_text()
# What even a busy machine decides within two seconds.
PLAN = """
target = "mock"
rate = 200
gates = ["errors < 50%"]
baseline_gates = ["create.p50 <= baseline * 50 + 1000ms"]
independent = true
[mock]
service_time = "lognormal(20ms, 0.4)"
[validity]
waive = ["late", "hub_delay", "rate_missed", "generator_saturated", "not_steady"]
"""
# Stands for GitHub's own command: one comment of a person is there, and what is written is kept in files.
GH = """#!/bin/sh
case "$*" in
  *--paginate*) [ ! -e comment ] || echo 7 ;;
  *PATCH*) echo updated >> told; cp "${*##*@}" comment ;;
  *) echo made >> told; cp "${*##*@}" comment ;;
esac
"""


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def workspace_of(folder: Path) -> Path:
    workspace = folder / "mine"
    lay_out(workspace, force=False)
    (workspace / "plans" / "gate.toml").write_text(PLAN)
    return workspace


def scripts() -> dict[str, str]:
    return {step["name"]: step["run"] for step in ACTION["runs"]["steps"] if "run" in step}


def with_defaults(step: str, **inputs: str) -> dict[str, str]:
    """Returns the environment of a step, with the action's own defaults."""
    [found] = [one for one in ACTION["runs"]["steps"] if one.get("name") == step]
    known = {name: given["default"] for name, given in ACTION["inputs"].items()} | inputs
    named = {name: re.fullmatch(r"\$\{\{ inputs\.([\w-]+) \}\}", text) for name, text in found["env"].items()}
    return {name: known[match[1]] for name, match in named.items() if match}


def test_the_action_runs_keeps_a_baseline_and_has_one_comment(cli: Cli, runner: Runner) -> None:
    """On the main branch first, then for a pull request, whose run is given what the first one left."""
    workspace, wheel = workspace_of(cli.folder), build_wheel(cli.folder)
    gh = cli.folder / "python" / "bin" / "gh"
    gh.write_text(GH)
    gh.chmod(0o755)
    outputs = cli.folder / "outputs"
    github = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(outputs), "RUNNER_TEMP": str(cli.folder)}
    steps = scripts()

    installed = runner(steps["Install"], workspace, **{"install-from": ""}, INSTALL_FROM=str(wheel))
    first = runner(steps["Run"], workspace, **SHORT, **github, **with_defaults("Run"))
    kept = runner(steps["Keep it as a baseline"], workspace, **with_defaults("Keep it as a baseline"))
    told = with_defaults("Tell the pull request") | {"GITHUB_REPOSITORY": "o/r", "PULL_REQUEST": "3", "GH_TOKEN": "t"}
    comments = [runner(steps["Tell the pull request"], workspace, **github, **told) for _ in range(2)]
    # Of the run that follows only what it is given: what becomes of a baseline is the run's.
    second = runner(
        steps["Run"].replace("convload run", 'echo "$CONVLOAD_BASELINE"'), workspace, **with_defaults("Run")
    )

    assert installed.returncode == first.returncode == kept.returncode == 0, (installed, first, kept)
    assert outputs_in(outputs.read_text())["verdict"] == "pass"
    [baseline] = (workspace / ".convload-baselines" / "main" / "gate").glob("*.json")
    assert kept.stdout.strip() == str(baseline.relative_to(workspace))
    assert [one.returncode for one in comments] == [0, 0], comments
    assert (workspace / "told").read_text().split() == ["made", "updated"]
    assert (workspace / "comment").read_text().startswith("<!-- convload -->\n")
    assert second.stdout.split() == [kept.stdout.strip(), "plans/gate.toml", "--out", "reports/gate"], second


def test_every_input_and_output_of_the_action_is_documented() -> None:
    named = [*ACTION["inputs"], *ACTION["outputs"]]

    assert [name for name in named if f"`{name}`" not in PAGE] == []
    assert all(one.get("description") for one in (*ACTION["inputs"].values(), *ACTION["outputs"].values()))


def test_the_action_pins_what_it_uses_and_puts_no_input_into_a_script() -> None:
    uses = [step["uses"] for step in ACTION["runs"]["steps"] if "uses" in step]

    assert [name for name in uses if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", name)] == []
    assert [name for name, script in scripts().items() if "${{" in script] == []


def component() -> tuple[dict[str, Any], dict[str, Any]]:
    text = (ROOT / "deploy" / "gitlab" / "convload.yml").read_text()
    spec, _ = yaml.safe_load_all(text)
    inputs = spec["spec"]["inputs"]
    filled = re.sub(r"\$\[\[ inputs\.([\w-]+) \]\]", lambda found: str(inputs[found[1]]["default"]), text)
    _, jobs = yaml.safe_load_all(filled)
    return inputs, jobs["convload"]


@pytest.mark.parametrize("branch", ["main", "feature"])
def test_the_component_compares_with_what_it_finds_and_keeps_its_own_branch(tmp_path: Path, branch: str) -> None:
    _, job = component()

    done, calls = calls_of("\n".join(job["script"]), tmp_path, 0, "python", "convload", CI_COMMIT_BRANCH=branch)

    found, run, *saved = (call.removeprefix("convload ").split() for call in calls[1:])
    folder = job["cache"]["paths"][0]
    assert calls[0] == "python -m pip install -r requirements.txt"
    assert found == ["baseline", "find", folder, "--plan", "gate", "--branch", "main"]
    assert run == ["run", "plans/gate.toml", "--out", "reports/gate", "kept.json"]
    kept = ["baseline", "save", "reports/gate", "--to", folder, "--branch", "main", "kept.json"]
    assert saved == ([kept] if branch == "main" else [])
    assert all(parsed(line).command for line in (found[:2], run[:4]))
    assert done == 0
    named = [*job["artifacts"]["paths"], *job["artifacts"]["reports"].values()]
    assert {path.removeprefix("reports/gate").strip("/") for path in named} <= {"", *REPORTS}


def test_the_lines_for_any_system_are_those_of_the_component() -> None:
    _, job = component()
    script = "\n".join(job["script"])
    block = PAGE.partition("## Baselines of a team")[2].partition("```sh\n")[2].partition("```")[0]

    commands = [" ".join(line.split()[:3]) for line in re.findall(r"convload (?:baseline \w+|run) \S+", block)]
    assert commands == ["convload baseline find", "convload run plans/gate.toml", "convload baseline save"]
    assert all(re.search(command.replace("plans/gate.toml", '"?plans/gate.toml'), script) for command in commands)
