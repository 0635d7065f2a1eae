"""`convload init`: it writes all that is needed and loses nothing of anybody; test_pipelines.py runs what it writes."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder
from tests.conftest import Cli

from convload import __version__
from convload.cli.init import STARTER, files, lay_out
from convload.cli.requirement import of_note
from convload.payloads.catalogue import survey_folder

ROOT = Path(__file__).parents[2]


def contents_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_workspace_holds_all_plans_payloads_and_pipelines(tmp_path: Path) -> None:
    written = lay_out(tmp_path / "a" / "b", force=False)

    workspace = tmp_path / "a" / "b"
    assert contents_of(workspace) == files()
    assert set(written.created) == files().keys()
    assert written.replaced == []
    assert {".github/workflows/convload.yml", ".gitlab-ci.yml", "Jenkinsfile", "README.md"} <= files().keys()
    assert {path.name for path in (workspace / "plans").iterdir()} == {path.name for path in (ROOT / "plans").iterdir()}
    _, mistakes = survey_folder(workspace / "payloads")
    assert mistakes == []
    for plan in (workspace / "plans").glob("*.toml"):
        assert tomllib.loads(plan.read_text())["locustfile"] == "locustfiles/create_conversation.py"


def test_a_folder_with_content_is_refused_and_left_as_it_is(cli: Cli) -> None:
    (cli.folder / "mine").mkdir()
    (cli.folder / "mine" / "notes.txt").write_text("keep")

    done = cli("init", "mine")

    assert done.code == 2
    assert done.err.startswith("convload: mine: is there already and not empty")
    assert contents_of(cli.folder / "mine") == {"notes.txt": b"keep"}


def test_a_new_repository_counts_as_empty(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()

    assert lay_out(tmp_path, force=False).created


def test_force_names_each_file_that_it_replaces_and_leaves_all_others(cli: Cli) -> None:
    workspace = cli.folder / "mine"
    lay_out(workspace, force=False)
    (workspace / "plans" / "gate.toml").write_text("users = 3\n")
    (workspace / "plans" / "own.toml").write_text("users = 4\n")
    (workspace / "payloads" / "mixes.toml").unlink()
    before = (workspace / "README.md").stat().st_mtime_ns

    done = cli("init", "mine", "--force")

    assert done.code == 0, done
    named = [line for line in done.out.splitlines() if "replaced" in line]
    assert named == ["convload: mine/plans/gate.toml: replaced; its content differed"]
    assert "1 files written: payloads/" in done.out
    assert contents_of(workspace) == files() | {"plans/own.toml": b"users = 4\n"}
    assert (workspace / "README.md").stat().st_mtime_ns == before
    assert "everything is there already" in cli("init", "mine", "--force").out


@pytest.mark.parametrize(
    ("noted", "wanted"),
    [
        (None, f"convload=={__version__}"),
        ('{"url": "file:///srv/convload", "dir_info": {"editable": true}}', "convload @ file:///srv/convload"),
        (
            '{"url": "https://host/c.git", "vcs_info": {"vcs": "git", "commit_id": "4f1c"}, "subdirectory": "x"}',
            "convload @ git+https://host/c.git@4f1c#subdirectory=x",
        ),
        ('{"url": "file:///w/c-1.whl", "archive_info": {}}', "convload @ file:///w/c-1.whl"),
    ],
)
def test_pipelines_install_convload_from_where_it_came_from(noted: str | None, wanted: str) -> None:
    assert of_note(noted) == wanted


def test_pip_takes_the_requirement_of_a_workspace(tmp_path: Path) -> None:
    lay_out(tmp_path, force=False)
    offline = ("--dry-run", "--no-index", "--no-deps", "--no-build-isolation", "--ignore-installed")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *offline, "-r", "requirements.txt"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 0, done
    assert f"Would install convload-{__version__}" in done.stdout


@pytest.mark.parametrize("arguments", [["file"], ["file", "--force"], ["file/below"]])
def test_where_no_folder_can_be_there_is_one_message(cli: Cli, arguments: list[str]) -> None:
    (cli.folder / "file").write_text("x")

    done = cli("init", *arguments)

    assert done.code == 2
    assert "Not a directory" in done.err
    assert "Traceback" not in done.err
    assert (cli.folder / "file").read_text() == "x"


def test_the_wheel_carries_all_that_a_workspace_needs(tmp_path: Path) -> None:
    [wheel] = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])

    packed = set(zipfile.ZipFile(wheel).namelist())
    starter = {place: f"convload/cli/starter/{name}" for name, place in STARTER.items()}
    assert {starter.get(place, f"convload/bundled/{place}") for place in files()} - packed == set()
