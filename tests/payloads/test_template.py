import json
import re
import struct
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convload.payloads.payload import Payload, Variant, bind, random_bits
from convload.payloads.template import Template, compile_template

Predicate = Callable[[Any], bool]
Case = tuple[Any, Predicate]
"""A value of a variant file, and whether a built value is what it stands for."""

POOL = ("plain", 'quote " backslash \\ line\nend', "\u2028 \x00 \x7f é 漢 😀 \u202e")
POOLS = {"words": POOL, "p": POOL}
ANY_POOL_VALUE = "|".join(map(re.escape, POOL))

SLOTS = st.sampled_from(
    [
        ("${account}", re.escape('1"2')),
        ("${seq}", r"\d+"),
        ("${uuid}", r"[0-9a-f-]{36}"),
        ("${pool:p}", ANY_POOL_VALUE),
        ("${pick:a|\u2603\n}", "a|\u2603\n"),
        ("${int:-9:99}", r"-?\d+"),
        ("${text:1:60}", r"[\s\S]{1,60}"),
        ("${hex:3}", "[0-9a-f]{3}"),
    ]
)


@st.composite
def strings(draw: st.DrawFn) -> Case:
    source, form = "", ""
    for _ in range(draw(st.integers(0, 3))):
        plain = draw(st.text().filter(lambda text: not text.endswith("$")))
        slot, slot_form = draw(SLOTS)
        source += plain.replace("${", "$${") + slot
        form += f"{re.escape(plain)}(?:{slot_form})"
    end = draw(st.text())
    pattern = re.compile(form + re.escape(end))
    return source + end.replace("${", "$${"), lambda built: isinstance(built, str) and bool(pattern.fullmatch(built))


def scalars() -> st.SearchStrategy[Case]:
    values = (
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    )
    return values.map(lambda value: (value, lambda built: built == value and type(built) is type(value)))


def kinds() -> st.SearchStrategy[Case]:
    return st.sampled_from(
        [
            ("${number:int:1:5}", lambda built: built in range(1, 6)),
            ("${null_or:0.5:pool:p}", lambda built: built is None or built in POOL),
        ]
    )


def arrays(inner: st.SearchStrategy[Case]) -> st.SearchStrategy[Case]:
    def fits(items: list[Case]) -> Predicate:
        return lambda built: (
            isinstance(built, list)
            and len(built) == len(items)
            and all(item_fits(one) for (_, item_fits), one in zip(items, built, strict=True))
        )

    return st.lists(inner, max_size=4).map(lambda items: ([source for source, _ in items], fits(items)))


def objects(inner: st.SearchStrategy[Case]) -> st.SearchStrategy[Case]:
    keys = st.text().filter(lambda key: "${" not in key)
    optional = st.just(("${omit_or:0.5:pool:p}", None))

    def fits(members: Mapping[str, tuple[Any, Predicate | None]]) -> Predicate:
        def check(built: Any) -> bool:
            wanted = [key for key in members if key in built or members[key][1] is not None]
            return list(built) == wanted and all((members[key][1] or POOL.__contains__)(built[key]) for key in built)

        return check

    return st.dictionaries(keys, inner | optional, max_size=4).map(
        lambda members: ({key: source for key, (source, _) in members.items()}, fits(members))
    )


VALUES = st.recursive(strings() | scalars() | kinds(), lambda inner: arrays(inner) | objects(inner), max_leaves=12)


def make(payload: Any, headers: dict[str, Any] | None = None, account: str = '1"2') -> Callable[[int], Payload]:
    template = compile_template(payload, headers or {}, POOLS)
    assert isinstance(template, Template), template
    build = bind(Variant("v", "d", "ok", "variants/v.json", template), account)
    return lambda index: build(index, random_bits(11, index))


@given(arrays(VALUES), st.integers(0, 2**64 - 1))
def test_any_json_with_slots_builds_the_json_it_stands_for(case: Case, index: int) -> None:
    source, fits = case

    assert fits(json.loads(make(source)(index).body))


@given(arrays(VALUES), st.integers(0, 2**64 - 1))
def test_two_compilations_build_the_same_bytes(case: Case, index: int) -> None:
    source, _ = case

    assert make(source)(index) == make(json.loads(json.dumps(source)))(index)


@given(st.text(), st.text())
def test_any_text_survives_in_a_payload_and_in_a_header(text: str, account: str) -> None:
    plain = text.replace("${", "$${")
    payload = make([plain, "${account}"], {"X-Json": [plain, "${account}"]}, account)(0)

    assert json.loads(payload.body) == [text, account]
    assert payload.headers.startswith(b"X-Json: [")
    assert re.fullmatch(rb"[ -~]*\r\n", payload.headers)
    assert json.loads(payload.headers.decode("ascii").partition(": ")[2]) == [text, account]


def test_what_never_changes_is_written_compactly_and_in_the_order_of_the_file() -> None:
    source = [{"b": 1, "a": [True, None, 1.5, "é"]}, {}]

    assert make(source)(0).body == '[{"b":1,"a":[true,null,1.5,"é"]},{}]'.encode()


def test_a_variant_may_draw_more_than_one_digest_holds() -> None:
    drawn = json.loads(make(["${hex:512}", "${hex:512}"] + ["${int:1:9}"] * 40)(5).body)

    assert drawn[0] != drawn[1]
    assert len(set(re.findall("..", drawn[0] + drawn[1]))) > 150


def test_slots_draw_independently_of_each_other() -> None:
    built = [tuple(json.loads(make(["${number:int:0:1}"] * 2)(index).body)) for index in range(400)]

    assert all(70 < built.count(pair) < 130 for pair in [(0, 0), (0, 1), (1, 0), (1, 1)])


def test_header_values_are_text_with_slots_or_json_in_ascii() -> None:
    headers = {"X-Agent": "load/${int:5:5} ${pick:x}", "Client-Properties": {"a": ["${pool:p}", 1, None], "é": 2}}

    payload = make([], headers)(0)
    agent, properties, end = payload.headers.split(b"\r\n")

    assert agent == b"X-Agent: load/5 x"
    assert json.loads(properties.partition(b": ")[2])["é"] == 2
    assert end == b""


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("X-A", "a\r\nX-B: c", "a header is printable ASCII without line breaks; a JSON value is escaped for you"),
        ("X-A", "né", "a header is printable ASCII without line breaks; a JSON value is escaped for you"),
        ("X A", "a", "is no header name: letters, digits and hyphens are allowed"),
        ("X-A:", "a", "is no header name: letters, digits and hyphens are allowed"),
        ("", "a", "is no header name: letters, digits and hyphens are allowed"),
        ("Host", "a", "is set by the client and cannot be set by a variant"),
        ("content-LENGTH", "1", "is set by the client and cannot be set by a variant"),
        ("User-Agent", "a", "is set by the client and cannot be set by a variant"),
        ("Authorization", "a", "holds credentials and cannot be set by a variant"),
        ("x-lp-on-behalf", "a", "holds credentials and cannot be set by a variant"),
        ("Transfer-Encoding", "chunked", "concerns the connection and cannot be set by a variant"),
        ("Connection", "close", "concerns the connection and cannot be set by a variant"),
    ],
)
def test_a_header_that_must_not_be_sent_is_told(name: str, value: str, what: str) -> None:
    found = compile_template([], {name: value}, POOLS)

    assert not isinstance(found, Template)
    assert [str(one) for one in found] == [f"headers.{name}: {what}"]


def test_a_header_may_not_stand_twice_in_another_case() -> None:
    found = compile_template([], {"X-A": "1", "x-a": "2"}, POOLS)

    assert not isinstance(found, Template)
    assert [str(one) for one in found] == ["headers.x-a: stands twice"]


def test_all_mistakes_of_a_variant_are_told_with_their_paths() -> None:
    payload = [{"a": "${x} ${pool:y}", "b": [{"c": "${int:2:1}"}], "${seq}": 1}]

    found = compile_template(payload, {"Host": "${z}"}, POOLS)

    assert not isinstance(found, Template)
    assert [one.path for one in found] == [
        "$[0].a",
        "$[0].a",
        "$[0].b[0].c",
        "$[0].${seq}",
        "headers.Host",
        "headers.Host",
    ]


@pytest.mark.parametrize(
    ("ids", "wanted"),
    [
        (["2,", "1,"], ("2,", "1,")),
        ([1, 2], ("1", "2")),
        (["a${seq}", "${number:seq}"], ("a9", "9")),
        (["x", "${number:int:3:3}", "q\"\n'"], ("x", "3", "q\"\n'")),
        (['${pick:é"\\}', "1"], ('é"\\', "1")),
    ],
)
def test_reply_ids_are_what_the_answer_echoes(ids: list[Any], wanted: tuple[str, ...]) -> None:
    assert make([{"id": one} for one in ids])(9).reply_ids == wanted


@pytest.mark.parametrize("payload", [{}, "text", [], [{"id": "1"}, {}], [{"id": None}], [{"id": True}], [1, 2]])
def test_a_request_with_elements_that_have_no_id_expects_none(payload: Any) -> None:
    assert make(payload)(0).reply_ids == ()


@pytest.mark.parametrize("slot", ["${null_or:0.1:seq}", "${omit_or:0.1:seq}"])
def test_an_id_must_always_be_there(slot: str) -> None:
    found = compile_template([{"id": slot}], {}, POOLS)

    assert not isinstance(found, Template)
    assert [str(one) for one in found] == ["$[0].id: an id must always be there"]


def test_the_bits_of_a_payload_are_those_of_blake2b_over_seed_and_index() -> None:
    # The reference value was computed with b2sum over the 16 bytes; it may never change.
    assert random_bits(7, 42).hex().startswith(REFERENCE)
    assert random_bits(7, 42) != random_bits(42, 7)
    assert len(random_bits(0, 2**64 - 1)) == struct.calcsize("16I")


REFERENCE = "d7b80a8dd676a0f82a0fd49a8637d0c2"
