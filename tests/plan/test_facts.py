import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from convload.mistakes import find_mistakes
from convload.plan.facts import ReasonName, ValidityLimits

PAGE = (Path(__file__).parents[2] / "docs" / "validity.md").read_text()


def test_every_reason_is_documented_by_its_name_and_no_other() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == set(get_args(ReasonName))


def test_every_limit_is_documented_with_its_default() -> None:
    limits = msgspec.structs.asdict(ValidityLimits())
    documented = dict(re.findall(r"`(\w+) = ([\d.]+)`", PAGE))

    assert documented == {name: str(value) for name, value in limits.items() if name != "waive"}


def test_limits_survive_the_way_through_a_plan_as_plain_data() -> None:
    limits = ValidityLimits(cpu_share=0.8, waive=["late"])

    assert msgspec.convert(msgspec.to_builtins(limits), ValidityLimits) == limits


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ({"cpu_shares": 0.5}, "$.cpu_shares"),
        ({"cpu_share": 1.1}, "$.cpu_share"),
        ({"waive": ["tardy"]}, "$.waive[0]"),
        ({"hub_delay_intervals": -1}, "$.hub_delay_intervals"),
        ({"trend_significance": 0}, "$.trend_significance"),
    ],
)
def test_a_wrong_limit_is_told_by_its_path(table: dict[str, object], path: str) -> None:
    assert [mistake.path for mistake in find_mistakes(table, ValidityLimits)] == [path]
