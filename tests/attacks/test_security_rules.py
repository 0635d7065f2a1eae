"""ruff's security rules (bandit's) hold in src, and whoever leaves one out says why beside it."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LEFT_OUT = re.compile(r"#\s*(?:ruff:\s*)?noqa(?P<rules>:[^-]*)?(?P<why>--\s*\S.*)?$")


@pytest.fixture(scope="module")
def lint() -> Any:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]


def test_no_security_rule_is_off_for_src(lint: Any) -> None:
    assert lint["select"] == ["ALL"]
    assert [rule for rule in lint["ignore"] if rule.startswith("S")] == []
    assert [pattern for pattern in lint["per-file-ignores"] if pattern.startswith("src")] == []


def test_every_exception_in_src_says_which_rule_and_why() -> None:
    lines = [(path, line) for path in (ROOT / "src").rglob("*.py") for line in path.read_text().splitlines()]
    found = [(path, match) for path, line in lines if (match := LEFT_OUT.search(line))]

    assert len(found) > 10
    assert [(path.name, match[0]) for path, match in found if not (match["rules"] and match["why"])] == []
