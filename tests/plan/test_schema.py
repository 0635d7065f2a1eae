"""The schema of plan files says what the plan's own checks say."""

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from convload.errors import UsageError
from convload.plan.plan import assemble
from convload.plan.schema import FILE_NAME, schema

PLANS = Path(__file__).parents[2] / "plans"
VALIDATOR = jsonschema.Draft202012Validator(schema())


def test_the_shipped_schema_is_that_of_this_version() -> None:
    assert json.loads((PLANS / FILE_NAME).read_text()) == schema(), (
        "renew it: convload plan schema > plans/" + FILE_NAME
    )


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("path", sorted(PLANS.glob("*.toml")), ids=lambda path: path.stem)
def test_each_shipped_plan_names_the_schema_and_fits_it(path: Path) -> None:
    text = path.read_text()

    assert text.splitlines()[0] == f"#:schema {FILE_NAME}"
    VALIDATOR.validate(tomllib.loads(text))


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ('retry = "fixed"', True),
        ('[retry]\npolicy = "fixed"\nattempts = 3', True),
        ('duration = " 1.5 m"\nwarmup = "0s"', True),
        ('[[stages]]\nramp = [1, 20]\nduration = "3s"', True),
        ("lookup = true\nrate = 3", True),
        ("users = 0", False),
        ("usres = 3", False),
        ("duration = 30", False),
        ('duration = "30"', False),
        ("duration_s = 30", False),
        ('retry = "often"', False),
        ("[mock]\nreset_share = 2", False),
        ("[[stages]]\nhold = 3", False),
        ('[validity]\nwaive = ["unknown"]', False),
    ],
)
def test_what_the_schema_takes_a_plan_takes_too(tmp_path: Path, text: str, fits: bool) -> None:
    (tmp_path / "plan.toml").write_text(text)

    def taken() -> bool:
        try:
            assemble(tmp_path / "plan.toml", {}, {})
        except UsageError:
            return False
        return True

    written: dict[str, Any] = tomllib.loads(text)
    assert (VALIDATOR.is_valid(written), taken()) == (fits, fits)
