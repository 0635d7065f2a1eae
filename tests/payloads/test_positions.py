import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from convload.payloads.positions import Positions

TEXT = """{
  "a": 1,
  "b": [
    {"c": "x, \\"]}", "d": [
      true, null]},
    -1.5e3
  ]
}
"""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc\n\"'[]{}:,\\", min_size=1), inner, max_size=4)
    ),
    max_leaves=12,
)


def test_each_value_has_the_line_it_stands_on() -> None:
    positions = Positions(TEXT)

    lines = {path: positions.line_of(path) for path in ("$", "$.a", "$.b", "$.b[0].c", "$.b[0].d[1]", "$.b[1]")}

    assert lines == {"$": 1, "$.a": 2, "$.b": 3, "$.b[0].c": 4, "$.b[0].d[1]": 5, "$.b[1]": 6}


def test_what_is_missing_is_told_at_the_line_of_what_is_around_it() -> None:
    positions = Positions(TEXT)

    assert positions.line_of("$.b[0].nothing.here") == 4
    assert positions.line_of("$.nothing") == 1


def test_members_that_stand_twice_are_found() -> None:
    assert Positions('{"a": {"b": 1, "b": 2}, "a": 3}').repeated == ["$.a.b", "$.a"]
    assert Positions(TEXT).repeated == []


@given(JSON)
def test_every_value_of_any_json_is_found_with_one_value_a_line(value: Any) -> None:
    text = json.dumps(value, indent=1)
    positions = Positions(text)
    lines = text.split("\n")

    for path, leaf in _leaves(value, "$"):
        assert lines[positions.line_of(path) - 1].rstrip(",").endswith(json.dumps(leaf))


def _leaves(value: Any, path: str) -> list[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, f"{path}.{key}")]
    if isinstance(value, list) and value:
        return [leaf for position, inner in enumerate(value) for leaf in _leaves(inner, f"{path}[{position}]")]
    return [(path, value)]
