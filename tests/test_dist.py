"""What is released: the same bytes from the same files, by workflows that run only what they name exactly."""

import re
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from supply.dist import build, build_again, sum_of
from supply.lock import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("src/convload/cli/starter/*")]


def jobs_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())["jobs"]
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return build(ROOT, tmp_path_factory.mktemp("built"))


def test_an_sdist_elsewhere_builds_to_the_same_bytes_as_the_checkout(built: tuple[Path, Path], tmp_path: Path) -> None:
    second = build_again(built[1], tmp_path / "elsewhere")

    assert [sum_of(path) for path in second] == [sum_of(path) for path in built]
    assert {path.stat().st_ino for path in second}.isdisjoint(path.stat().st_ino for path in built)


def test_the_sdist_has_what_the_make_targets_need_and_nothing_made(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {"Makefile", "requirements.lock", "pyproject.toml", "tests/conftest.py", "supply/dist.py"} <= names
    assert [name for name in names if re.search(r"__pycache__|\.pyc$|^dist/|^\.venv/|^reports/.+/", name)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_pins_each_action_and_may_only_read_unless_it_says_so(path: Path) -> None:
    text = path.read_text()
    uses = re.findall(r"uses: (\S+)(.*)", text)

    assert [name for name, _ in uses if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", name)] == []
    assert [name for name, remark in uses if not re.fullmatch(r" # v\d+\.\d+\.\d+", remark)] == []
    assert yaml.safe_load(text)["permissions"] in ({}, {"contents": "read"})
    assert all("timeout-minutes" in job for job in jobs_of(path).values())


def test_only_a_tag_is_published_and_no_job_that_builds_may_publish() -> None:
    build_job, publish = jobs_of(ROOT / ".github" / "workflows" / "release.yml").values()

    assert publish["if"] == "${{ github.ref_type == 'tag' }}"
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["environment"] == "pypi"
    assert "pypi-publish" not in str(build_job)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_what_a_workflow_runs_is_there(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    scripts = "\n".join(step["run"] for job in jobs_of(path).values() for step in job["steps"] if "run" in step)
    targets = {target for line in re.findall(r"^make (.*)$", scripts, re.MULTILINE) for target in line.split()}
    modules = re.findall(r"python -m (supply\.\w+)", scripts)

    assert [target for target in targets if f"\n{target}: " not in makefile] == []
    assert [name for name in modules if not (ROOT / f"{name.replace('.', '/')}.py").exists()] == []
    assert targets or modules


def test_nothing_says_that_convload_is_on_a_package_index() -> None:
    claims = re.compile(
        r"pip install(?: -\S+)* convload\b|pypi\.org/project/convload|uvx convload|pipx install convload"
    )

    assert [path.name for path in PAGES if claims.search(path.read_text())] == []
