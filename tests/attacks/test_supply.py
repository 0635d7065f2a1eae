"""The bill of materials says all that is installed; an audit that could not be made does not look like a clean one."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from supply.lock import LOCK, ROOT, LockError, read_lock
from supply.sbom import describe

Audit = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def bill() -> Any:
    return describe(LOCK.read_text())


def test_every_line_of_the_lock_is_in_the_bill_with_its_hashes(bill: Any) -> None:
    pinned = re.findall(r"^([^ #=]+)==([^ ;]+)", LOCK.read_text(), re.MULTILINE)
    libraries = [one for one in bill["components"] if one["purl"].startswith("pkg:pypi/")]

    assert [(one["name"], one["version"]) for one in libraries] == pinned
    assert sum(len(one["hashes"]) for one in libraries) == LOCK.read_text().count("--hash=sha256:")
    assert all(one["hashes"] for one in libraries)


def test_what_only_development_needs_is_no_part_of_what_is_shipped(bill: Any) -> None:
    scopes = {one["name"]: one["scope"] for one in bill["components"]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = [re.split("[<>=]", line)[0] for line in project["project"]["dependencies"]]

    assert {scopes[name] for name in [*needed, "pyzmq", "flask", "uplot"]} == {"required"}
    assert {scopes[name] for name in ["pytest-xdist", "mypy", "ruff", "hypothesis", "ast-serialize"]} == {"excluded"}


def test_every_reference_of_the_bill_leads_to_one_component(bill: Any) -> None:
    references = [one["bom-ref"] for one in [*bill["components"], bill["metadata"]["component"]]]
    graph = {one["ref"]: one["dependsOn"] for one in bill["dependencies"]}
    reached, more = set(), {bill["metadata"]["component"]["bom-ref"]}
    while more:
        reached |= more
        more = {child for one in more for child in graph[one]} - reached

    assert len(set(references)) == len(references)
    assert reached == set(references) == graph.keys()


def test_the_same_lock_gives_the_same_bill(bill: Any) -> None:
    assert describe(LOCK.read_text()) == bill
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", bill["serialNumber"])
    assert describe(LOCK.read_text().replace("click==8", "click==9"))["serialNumber"] != bill["serialNumber"]


@pytest.mark.parametrize("line", ["click>=8.2", "-e .", "click==8.5.1 \\\n    --hash=md5:abc"])
def test_a_lock_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(LockError):
        read_lock(line)


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    """Runs the audit with a program that answers as pip-audit does."""

    def run(answer: str) -> subprocess.CompletedProcess[str]:
        program = tmp_path / "pip-audit"
        program.write_text(f"#!{sys.executable}\nprint({answer!r})\n")
        program.chmod(0o700)
        command = [sys.executable, "-m", "supply.audit", str(program)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    return run


SOUND = {"name": "click", "version": "8.5.1", "vulns": []}
BROKEN = {"name": "flask", "version": "1.0", "vulns": [{"id": "CVE-2026-1", "fix_versions": ["1.1"]}]}
SKIPPED = {"name": "attrs", "skip_reason": "Dependency not found on PyPI and could not be audited: attrs (1)"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([SOUND], 0, "0 known vulnerabilities in 1 packages"),
        ([SOUND, BROKEN], 1, "flask 1.0: CVE-2026-1, mended in: 1.1"),
        ([SKIPPED, SKIPPED], 0, "not audited: the index serves no advisories for any of 2 packages"),
        ([SOUND, SKIPPED], 0, "1 packages; the index serves no advisories for 1"),
    ],
)
def test_an_audit_says_how_much_it_could_see(audit: Audit, packages: Any, code: int, said: str) -> None:
    done = audit(json.dumps({"dependencies": packages, "fixes": []}))

    assert (done.returncode, said in done.stdout) == (code, True), done.stdout


def test_an_audit_that_could_not_be_made_says_so_and_does_not_fail(audit: Audit, tmp_path: Path) -> None:
    missing = [sys.executable, "-m", "supply.audit", str(tmp_path / "nowhere")]
    found = [audit("ERROR: no network"), subprocess.run(missing, cwd=ROOT, capture_output=True, text=True, check=False)]

    assert [(one.returncode, one.stdout.startswith("not audited: ")) for one in found] == [(0, True)] * 2
