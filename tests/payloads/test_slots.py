import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convload.payloads.payload import Variant, bind, random_bits
from convload.payloads.slots import KINDS
from convload.payloads.template import Template, compile_template

POOLS = {
    "words": ("alpha", "be", "gamma", 'q"q', "é", "😀"),
    "names": ("Ada", 'Bo "B"', "Çem\n"),
    "numbers": ("1", "-2.5", "3e7"),
}


def build(payload: Any, count: int = 1, account: str = "77", headers: dict[str, Any] | None = None) -> list[Any]:
    template = compile_template(payload, headers or {}, POOLS)
    assert isinstance(template, Template), template
    make = bind(Variant("v", "d", "ok", "variants/v.json", template), account)
    return [json.loads(make(index, random_bits(3, index)).body) for index in range(count)]


@pytest.mark.parametrize(
    ("slot", "form"),
    [
        ("${account}", "77"),
        ("${seq}", r"\d+"),
        ("${uuid}", r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
        ("${pool:names}", 'Ada|Bo "B"|Çem\n'),
        ("${pick:A|B||C d}", "A|B||C d"),
        ("${pick:only}", "only"),
        ("${int:-3:12}", r"-?\d+"),
        ("${int:5:5}", "5"),
        ("${decimal:0:99:2}", r"\d{1,2}\.\d\d"),
        ("${digits:6}", r"\d{6}"),
        ("${hex:7}", r"[0-9a-f]{7}"),
        ("${hex:512}", r"[0-9a-f]{512}"),
        ("${token:22}", r"[\w-]{22}"),
        ("${text:3:40}", r"[\s\S]{3,40}"),
        ("${text:9:9:names}", r"[\s\S]{9}"),
        ("a ${int:1:9}-${int:1:9} $ {x} } ${seq}", r"a \d-\d \$ \{x\} \} \d+"),
        ("$${pool:names} costs $5", r"\$\{pool:names\} costs \$5"),
    ],
)
def test_a_slot_gives_values_of_its_form(slot: str, form: str) -> None:
    for (value,) in build([slot], 200):
        assert re.fullmatch(form, value)


@pytest.mark.parametrize(
    ("slot", "fits"),
    [
        ("${number:int:-5:5}", lambda value: type(value) is int and -5 <= value <= 5),
        ("${number:seq}", lambda value: type(value) is int),
        ("${number:decimal:1:2:3}", lambda value: type(value) is float and 1 <= value <= 2),
        ("${number:pool:numbers}", lambda value: value in (1, -2.5, 3e7)),
        ("${number:pick:4|50}", lambda value: value in (4, 50)),
        ("${null_or:0.5:pool:names}", lambda value: value is None or value in POOLS["names"]),
        ("${null_or:0.5:number:int:1:3}", lambda value: value is None or value in (1, 2, 3)),
    ],
)
def test_a_whole_string_changes_the_kind_of_its_value(slot: str, fits: Callable[[Any], bool]) -> None:
    values = [value for (value,) in build([slot], 200)]

    assert all(map(fits, values))
    assert len(set(values)) > 1


def test_both_ends_of_a_range_are_drawn_and_nothing_outside() -> None:
    values = Counter(value for (value,) in build(["${number:int:1:6}"], 6000))

    assert set(values) == set(range(1, 7))
    assert all(850 < count < 1150 for count in values.values())


@pytest.mark.parametrize("chance", ["0", "0.25", "1", "1.0"])
def test_a_chance_is_kept(chance: str) -> None:
    payloads = build([{"a": f"${{omit_or:{chance}:seq}}", "b": f"${{null_or:{chance}:seq}}"}], 4000)

    left_out = sum("a" not in one for (one,) in payloads) / 4000
    null = sum(one["b"] is None for (one,) in payloads) / 4000

    assert left_out == pytest.approx(float(chance), abs=0.03 if chance == "0.25" else 0)
    assert null == pytest.approx(float(chance), abs=0.03 if chance == "0.25" else 0)


@pytest.mark.parametrize("fixed", [(), ("b",), ("a",), ("c",), ("a", "c")])
def test_members_that_may_be_left_out_leave_sound_json_in_every_combination(fixed: tuple[str, ...]) -> None:
    source = {key: "x" if key in fixed else "${omit_or:0.5:pick:x}" for key in "abc"}

    built = {tuple(one) for (one,) in build([source], 300)}

    assert len(built) == 2 ** (3 - len(fixed))
    assert all(set(fixed) <= set(keys) and list(keys) == sorted(keys) for keys in built)


def test_an_array_of_objects_without_members_stays_as_it_is() -> None:
    assert build([{}, [], "", [[{}]]]) == [[{}, [], "", [[{}]]]]


def test_the_account_is_escaped_where_it_stands() -> None:
    assert build(["${account}"], account='a"\\b') == [['a"\\b']]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("${pol:names}", "unknown slot 'pol', did you mean 'pool'?"),
        ("${}", "unknown slot ''; allowed: account, decimal, digits, hex, int, pick, pool, seq, text, token, uuid"),
        ("${pool:name}", "${pool:name}: unknown pool 'name', did you mean 'names'?; write ${pool:NAME}"),
        ("${pool}", "${pool}: unknown pool ''; allowed: names, numbers, words; write ${pool:NAME}"),
        ("${int:9:1}", "${int:9:1}: 9 is above 1; write ${int:LOW:HIGH}"),
        ("${int:1}", "${int:1}: takes 2 arguments; write ${int:LOW:HIGH}"),
        (
            "${int:1:a}",
            "${int:1:a}: 'a' is no whole number from -9007199254740992 to 9007199254740992; write ${int:LOW:HIGH}",
        ),
        ("${seq:1}", "${seq:1}: takes no arguments; write ${seq}"),
        ("${digits:18}", "${digits:18}: '18' is no whole number from 1 to 17; write ${digits:LENGTH}"),
        ("${hex:0}", "${hex:0}: '0' is no whole number from 1 to 512; write ${hex:LENGTH}"),
        ("${hex:9999}", "${hex:9999}: '9999' is no whole number from 1 to 512; write ${hex:LENGTH}"),
        (
            "${decimal:0:1:9}",
            "${decimal:0:1:9}: '9' is no whole number from 1 to 3; write ${decimal:LOW:HIGH:PLACES}",
        ),
        (
            "${text:0:9}",
            "${text:0:9}: '0' is no whole number from 1 to 100000; write ${text:MIN:MAX[:POOL]}",
        ),
        (
            "${text:1:9:wrds}",
            "${text:1:9:wrds}: unknown pool 'wrds', did you mean 'words'?; write ${text:MIN:MAX[:POOL]}",
        ),
        ("${number:pool:names}", "${number:pool:names}: 'pool:names' is not always a number"),
        ("${number:uuid}", "${number:uuid}: 'uuid' is not always a number"),
        ("${number:pick:1|٣}", "${number:pick:1|٣}: 'pick:1|٣' is not always a number"),
        ("n ${number:seq}", "${number:seq} has to be a whole value, on its own between the quotes"),
        (
            "${null_or:2:seq}",
            "'2:seq' does not begin with a chance from 0 to 1, such as 0.2:pool:skills",
        ),
        ("${omit_or:0.5:seq}", "${omit_or:...} stands for a member of an object and nothing else"),
        ("open ${seq", "a slot is not closed; write $${ for a plain ${"),
    ],
)
def test_a_wrong_slot_is_told_with_what_is_allowed(text: str, what: str) -> None:
    found = compile_template([text], {}, POOLS)

    assert not isinstance(found, Template)
    assert [(one.path, one.what) for one in found] == [("$[0]", what)]


def test_every_slot_is_explained_to_testers(folder: Path) -> None:
    readme = (folder / "README.md").read_text("utf-8").replace("\\|", "|")

    assert all(f"`${{{kind.usage}}}`" in readme for kind in KINDS.values())
