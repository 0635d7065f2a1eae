from typing import Annotated, Any

import msgspec
import pytest

from convload.mistakes import find_mistakes, suggest


class Cat(msgspec.Struct, tag_field="kind", tag="cat"):
    lives: Annotated[int, msgspec.Meta(ge=1)]


class Dog(msgspec.Struct, tag_field="kind", tag="dog"):
    name: str


class House(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    street_name: str
    pets: list[Cat | Dog] = []
    rooms: dict[str, int | str] = {}
    owner: Dog | None = None
    size: Annotated[float, msgspec.Meta(gt=0)] | None = None

    def __post_init__(self) -> None:
        if self.size is not None and len(self.pets) > self.size:
            raise ValueError("too many pets for its size")


def told(value: Any) -> list[str]:
    return [str(one) for one in find_mistakes(value, House)]


def test_a_sound_value_has_none() -> None:
    assert (
        told({"streetName": "a", "pets": [{"kind": "cat", "lives": 9}], "rooms": {"x": 1}, "owner": None, "size": 2})
        == []
    )


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ([], "$: Expected `object`, got `array`"),
        ({}, "$.streetName: is missing"),
        ({"streetName": 1}, "$.streetName: Expected `str`, got `int`"),
        ({"streetName": "a", "stretName": "b"}, "$.stretName: unknown key, did you mean 'streetName'?"),
        ({"streetName": "a", "zzz": 1}, "$.zzz: unknown key; allowed: owner, pets, rooms, size, streetName"),
        ({"streetName": "a", "pets": {}}, "$.pets: Expected `array`, got `object`"),
        (
            {"streetName": "a", "pets": [{"kind": "cat", "lives": 0}]},
            "$.pets[0].lives: must be a whole number of at least 1",
        ),
        ({"streetName": "a", "pets": [{"kind": "cow"}]}, "$.pets[0].kind: Invalid value 'cow'"),
        ({"streetName": "a", "owner": {"kind": "cat", "name": "x"}}, "$.owner.kind: must be 'dog'"),
        ({"streetName": "a", "rooms": {"x": 1, "y": []}}, "$.rooms.y: Expected `int | str`, got `array`"),
        ({"streetName": "a", "size": 0}, "$.size: must be a number above 0"),
        ({"streetName": "a", "size": 0.5, "pets": [{"kind": "dog", "name": "x"}]}, "$: too many pets for its size"),
    ],
)
def test_a_mistake_has_its_path_and_says_what_is_allowed(value: Any, wanted: str) -> None:
    assert told(value) == [wanted]


def test_all_mistakes_are_told_in_the_order_of_the_value() -> None:
    value = {"b": 1, "a": 2, "pets": [{"kind": "dog"}, {"kind": "cat", "lives": "9"}, 5], "size": "x"}

    assert [one.partition(":")[0] for one in told(value)] == [
        "$.b",
        "$.a",
        "$.streetName",
        "$.pets[0].name",
        "$.pets[1].lives",
        "$.pets[2]",
        "$.size",
    ]


def test_a_suggestion_is_the_nearest_name_or_all_of_them() -> None:
    assert suggest("nmae", ["name", "age"]) == ", did you mean 'name'?"
    assert suggest("xyz", ["name", "age"]) == "; allowed: age, name"
