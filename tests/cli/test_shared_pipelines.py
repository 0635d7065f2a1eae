"""The action and the component that others include: their own scripts, run as written, and what they keep and tell."""

import json
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
    verdict = outputs_in(outputs.read_text())
    # Of a run of a branch, which finds what was kept.
    comparing = {"BASELINE": kept.stdout.strip(), **with_defaults("Compare with the baseline")}
    compared = runner(steps["Compare with the baseline"], workspace, **comparing, **github)
    told = with_defaults("Tell the pull request") | {"GITHUB_REPOSITORY": "o/r", "PULL_REQUEST": "3", "GH_TOKEN": "t"}
    told["ARTIFACT_URL"] = "https://github.example/o/r/artifacts/5"
    comments = [runner(steps["Tell the pull request"], workspace, **github, **told) for _ in range(2)]
    # Of the run that follows only what it is given: what becomes of a baseline is the run's.
    second = runner(
        steps["Run"].replace("convload run", 'echo "$CONVLOAD_BASELINE"'), workspace, **github, **with_defaults("Run")
    )

    assert installed.returncode == first.returncode == kept.returncode == 0, (installed, first, kept)
    assert (verdict["verdict"], verdict["baseline"]) == ("pass", "")
    [file] = (workspace / ".convload-baselines" / "main" / "gate").glob("*.json")
    assert kept.stdout.strip() == str(file.relative_to(workspace))
    assert compared.returncode == 0, compared
    assert [one.returncode for one in comments] == [0, 0], comments
    assert (workspace / "told").read_text().split() == ["made", "updated"]
    comment = (workspace / "comment").read_text()
    assert comment.startswith("<!-- convload: gate -->\n### convload gate: pass\n")
    assert "### Against the base, beyond noise\n" in comment
    assert comment.endswith("[The whole report](https://github.example/o/r/artifacts/5)\n")
    assert second.stdout.split() == [kept.stdout.strip(), "plans/gate.toml", "--out", "reports/gate"], second


@pytest.mark.parametrize(("branch", "code"), [("main", 0), ("3/merge", 3)])
def test_where_the_machine_has_changed_only_the_branch_itself_goes_on(tmp_path: Path, branch: str, code: int) -> None:
    script = scripts()["Run"].replace("convload baseline find", "false-find")
    find = tmp_path / "false-find"
    find.write_text("#!/bin/sh\nexit 3\n")
    find.chmod(0o755)
    outputs = {"GITHUB_OUTPUT": str(tmp_path / "outputs"), "GITHUB_REF_NAME": branch}

    done, calls = calls_of(f"touch calls; {script}", tmp_path, 0, "convload", **with_defaults("Run"), **outputs)

    assert done == code
    assert calls == (["convload run plans/gate.toml --out reports/gate"] if code == 0 else [])


def test_calibration_runs_are_made_where_they_are_asked_for(tmp_path: Path) -> None:
    steps, environment = (
        scripts(),
        with_defaults("Run", calibrate="true") | {"GITHUB_OUTPUT": str(tmp_path / "outputs")},
    )

    for step in ("Run", "Keep it as a baseline"):
        _, calls = calls_of(steps[step], tmp_path, 0, "convload", **environment)

    assert [" ".join(call.split()[1:3]) for call in calls] == [
        "baseline find",
        "run plans/gate.toml",
        "baseline calibrate",
        "baseline save",
    ]
    assert calls[0].endswith("--branch main --calibrate")


def test_a_comment_that_cannot_be_written_is_told_and_fails_nothing(tmp_path: Path) -> None:
    told = {"OUT": ".", "RUNNER_TEMP": str(tmp_path), "GITHUB_REPOSITORY": "o/r", "PULL_REQUEST": "3"}
    (tmp_path / "pr-comment.md").write_text("<!-- convload: gate -->\ntext\n")
    script = scripts()["Tell the pull request"].replace("gh api", "echo called >> calls; false")

    done, calls = calls_of(script, tmp_path, 0, "convload", **told)

    assert (done, calls) == (0, ["called"])


def test_every_input_and_output_of_the_action_is_documented() -> None:
    named = [*ACTION["inputs"], *ACTION["outputs"]]

    assert [name for name in named if f"`{name}`" not in PAGE] == []
    assert all(one.get("description") for one in (*ACTION["inputs"].values(), *ACTION["outputs"].values()))


def test_the_action_pins_what_it_uses_and_puts_no_input_into_a_script() -> None:
    uses = [step["uses"] for step in ACTION["runs"]["steps"] if "uses" in step]

    assert [name for name in uses if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", name)] == []
    assert [name for name, script in scripts().items() if "${{" in script] == []


def component(**given: str) -> tuple[dict[str, Any], dict[str, Any]]:
    text = (ROOT / "deploy" / "gitlab" / "convload.yml").read_text()
    spec, _ = yaml.safe_load_all(text)
    inputs = spec["spec"]["inputs"]
    filled = re.sub(
        r"\$\[\[ inputs\.([\w-]+) \]\]", lambda found: given.get(found[1], str(inputs[found[1]]["default"])), text
    )
    _, jobs = yaml.safe_load_all(filled)
    return inputs, jobs["convload"]


@pytest.mark.parametrize("branch", ["main", "feature"])
def test_the_component_compares_with_what_it_finds_and_keeps_its_own_branch(tmp_path: Path, branch: str) -> None:
    _, job = component()

    done, calls = calls_of("\n".join(job["script"]), tmp_path, 0, "python", "convload", CI_COMMIT_BRANCH=branch)

    found, run, *saved = (call.removeprefix("convload ").split() for call in calls[1:])
    folder = job["cache"]["paths"][0]
    assert calls[0] == "python -m pip install -r requirements.txt"
    assert found == ["baseline", "find", folder, "--plan", "plans/gate.toml", "--branch", "main"]
    assert run == ["run", "plans/gate.toml", "--out", "reports/gate", "kept.json"]
    kept = ["baseline", "save", "reports/gate", "--to", folder, "--branch", "main", "kept.json"]
    assert saved == ([kept] if branch == "main" else [])
    assert all(parsed(line).command for line in (found[:2], run[:4]))
    assert done == 0
    named = [*job["artifacts"]["paths"], *job["artifacts"]["reports"].values()]
    assert {path.removeprefix("reports/gate").strip("/") for path in named} <= {"", *REPORTS}


def test_the_component_makes_calibration_runs_where_they_are_asked_for(tmp_path: Path) -> None:
    _, job = component(calibrate="true")

    done, calls = calls_of("\n".join(job["script"]), tmp_path, 0, "python", "convload", CI_COMMIT_BRANCH="main")

    assert done == 0
    assert calls[1].split()[1:3] == ["baseline", "find"]
    assert calls[1].endswith("--branch main --calibrate")
    assert [" ".join(call.split()[1:3]) for call in calls[-2:]] == ["baseline calibrate", "baseline save"]


class Notes(BaseHTTPRequestHandler):
    """The notes of one merge request, a page of one at a time, as GitLab keeps them."""

    server: "NotesServer"

    def do_GET(self) -> None:
        page = int(self.path.rpartition("page=")[2])
        self._answer([{"id": at, "body": body} for at, body in self.server.bodies.items()][page - 1 : page])

    def do_POST(self) -> None:
        self._write(len(self.server.bodies) + 1)

    def do_PUT(self) -> None:
        self._write(int(self.path.rpartition("/")[2]))

    def _write(self, note: int) -> None:
        assert self.headers["PRIVATE-TOKEN"] == "t"
        self.server.bodies[note] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]
        self._answer({"id": note})

    def _answer(self, what: object) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(what).encode())

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class NotesServer(ThreadingHTTPServer):
    bodies: dict[int, str]


@pytest.fixture
def notes() -> Iterator[NotesServer]:
    with NotesServer(("127.0.0.1", 0), Notes) as server:
        server.bodies = {1: "a person's"}
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_merge_request_of_gitlab_has_one_note_that_the_newest_run_replaces(
    tmp_path: Path, notes: NotesServer
) -> None:
    _, job = component()
    (tmp_path / "reports" / "gate").mkdir(parents=True)
    comment = tmp_path / "reports" / "gate" / "pr-comment.md"
    (tmp_path / "python").symlink_to(sys.executable)
    gitlab = {
        "CI_API_V4_URL": f"http://127.0.0.1:{notes.server_port}/api/v4",
        "CI_JOB_URL": "https://gitlab.example/-/jobs/9",
    }
    gitlab |= {"CI_MERGE_REQUEST_IID": "3", "CI_PROJECT_ID": "7", "GITLAB_NOTES_TOKEN": "t"}

    for text in ("first", "second"):
        comment.write_text(f"<!-- convload: gate -->\n{text}\n")
        done, calls = calls_of("\n".join(job["after_script"]), tmp_path, 0, "convload", **gitlab)
        assert done == 0

    assert list(notes.bodies) == [1, 2]
    assert notes.bodies[2] == (
        "<!-- convload: gate -->\nsecond\n\n"
        "[The whole report](https://gitlab.example/-/jobs/9/artifacts/file/reports/gate/report.html)\n"
    )
    compared = calls[-1].removeprefix("convload ").split()
    assert compared[:3] == ["compare", "kept.json", "reports/gate"]
    assert Path("reports/gate/pr-comment.md") in parsed(compared).params.values()


def test_the_lines_that_compare_and_comment_run_as_they_are_written(tmp_path: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    [comparing] = [block for block in blocks if "convload compare" in block]
    [commenting] = [block for block in blocks if "gh api" in block]
    (tmp_path / "reports" / "gate").mkdir(parents=True)
    (tmp_path / "reports" / "gate" / "pr-comment.md").write_text("<!-- convload: gate -->\ntext\n")
    gh = tmp_path / "gh"
    gh.write_text(GH.replace("${*##*@}", "reports/gate/pr-comment.md"))
    gh.chmod(0o755)
    system = {"CONVLOAD_BASELINE": "kept.json", "GITHUB_REPOSITORY": "o/r", "PR": "3"}

    done, [call] = calls_of(f"{comparing}\n{commenting}\n{commenting}", tmp_path, 0, "convload", **system)

    assert done == 0
    assert parsed(call.split()[1:-1]).params["base"] == Path("kept.json")
    assert (tmp_path / "told").read_text().split() == ["made", "updated"]


def test_the_lines_for_any_system_are_those_of_the_component() -> None:
    _, job = component()
    script = "\n".join(job["script"])
    block = PAGE.partition("## Baselines of a team")[2].partition("```sh\n")[2].partition("```")[0]

    commands = [" ".join(line.split()[:3]) for line in re.findall(r"convload (?:baseline \w+|run) \S+", block)]
    assert commands == ["convload baseline find", "convload run plans/gate.toml", "convload baseline save"]
    assert all(re.search(command.replace("plans/gate.toml", '"?plans/gate.toml'), script) for command in commands)
