"""The shipped files, held against schemas that are read by another library than ours."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from convload.contract.requests import MAX_MESSAGE_ELEMENT_CHARS, Reading, check_request
from convload.payloads.builder import Builder
from convload.payloads.catalogue import Catalogue
from convload.payloads.variants import EXPECTATIONS, VariantFile

ACCOUNT = "12345678"

BEYOND_A_SCHEMA = {"other_account", "one_over_limit"}
"""Negative variants whose form is sound: what is wrong depends on the path, or is counted over a whole element."""

SEED_EXAMPLE: list[Any] = [
    {
        "kind": "req",
        "id": "2,",
        "type": "userprofile.SetUserProfile",
        "body": {
            "firstName": "WEB UI USER",
            "lastName": "Test",
            "avatarUrl": "http://avatarurl.com",
            "role": "X",
            "backgndImgUri": "http://something.com",
            "description": "Test Description",
            "privateData": {
                "mobileNum": "1750345346",
                "mail": "test@gmail.com",
                "pushNotificationData": {"serviceName": "Service", "certName": "CertName", "token": "TOKEN"},
            },
        },
    },
    {
        "kind": "req",
        "id": "1,",
        "type": "cm.ConsumerRequestConversation",
        "body": {
            "ttrDefName": "CUSTOM",
            "campaignInfo": {"campaignId": "99999", "engagementId": "888888"},
            "conversationContext": {
                "visitorId": "A3ZTY3Zjk1MDExZTczYTU4",
                "sessionId": "ys2wSqaSRSOJGki7VhEDKQ",
                "interactionContextId": "2",
                "type": "SharkContext",
                "lang": "en-US",
            },
            "channelType": "MESSAGING",
            "brandId": "{accountid}",
            "skillId": "-1",
        },
    },
    {
        "kind": "req",
        "id": "3",
        "type": "ms.PublishEvent",
        "body": {
            "event": {
                "type": "ContentEvent",
                "contentType": "text/plain",
                "message": "Hi from Example Happy Flow - Create & Send",
            }
        },
    },
]


def schema(folder: Path, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "schema" / name).read_text("utf-8"))
    Draft202012Validator.check_schema(loaded)
    return loaded


def bodies(catalogue: Catalogue, name: str, count: int) -> list[bytes]:
    builder = Builder(catalogue, account=ACCOUNT)
    return [builder.build_variant(name, index).body for index in range(count)]


def test_the_seed_variant_is_the_documented_example_byte_for_byte(catalogue: Catalogue) -> None:
    builder = Builder(catalogue, "seed", "{accountid}")
    wanted = json.dumps(SEED_EXAMPLE, separators=(",", ":")).encode()

    assert [builder.build(index).body for index in (0, 1, 2**40)] == [wanted] * 3
    assert builder.build(0).reply_ids == ("2,", "1,", "3")


def test_every_variant_file_fits_the_schema_that_editors_use(folder: Path) -> None:
    validator = Draft202012Validator(schema(folder, "variant.json"))

    for path in [*folder.glob("variants/*.json"), *folder.glob("negative/*.json")]:
        document = json.loads(path.read_text("utf-8"))
        assert not [error.message for error in validator.iter_errors(document)], path.name
        assert (path.parent / document["$schema"]).resolve() == (folder / "schema/variant.json").resolve()


def test_the_example_of_the_readme_is_a_variant(folder: Path, catalogue: Catalogue) -> None:
    example = (folder / "README.md").read_text("utf-8").partition("```json\n")[2].partition("```")[0]
    files = {**catalogue.files, "variants/example.json": example}

    assert Builder(Catalogue.from_files(files)).build_variant("example", 8).reply_ids == ("1,", "2,", "3")


def test_the_schema_for_editors_knows_what_the_reader_knows(folder: Path) -> None:
    variant = schema(folder, "variant.json")
    expect = Draft202012Validator(variant["properties"]["expect"])
    fields = {field.encode_name for field in msgspec.structs.fields(VariantFile)}

    assert set(variant["properties"]) == fields
    assert all(expect.is_valid(one) for one in EXPECTATIONS)
    assert not any(map(expect.is_valid, ("http_200", "http_39", "OK", "timeout")))


def test_every_payload_that_should_be_accepted_fits_the_schema_of_the_request(
    folder: Path, catalogue: Catalogue
) -> None:
    validator = Draft202012Validator(schema(folder, "create_request.json"))

    for name, variant in catalogue.variants.items():
        if variant.expect == "ok":
            for body in bodies(catalogue, name, 25):
                assert not [error.message for error in validator.iter_errors(json.loads(body))], name


def test_every_payload_that_should_be_refused_breaks_the_schema_or_a_rule_beyond_it(
    folder: Path, catalogue: Catalogue
) -> None:
    validator = Draft202012Validator(schema(folder, "create_request.json"))

    for name, variant in catalogue.variants.items():
        if variant.expect != "ok":
            for body in bodies(catalogue, name, 25):
                assert validator.is_valid(json.loads(body)) == (name in BEYOND_A_SCHEMA), name


def test_every_payload_keeps_the_contract_as_its_variant_says(catalogue: Catalogue) -> None:
    builder = Builder(catalogue, account=ACCOUNT)

    for name, variant in catalogue.variants.items():
        for index in range(300):
            payload = builder.build_variant(name, index)
            checked = check_request(payload.body, ACCOUNT)
            assert bool(checked.mistakes) == (variant.expect != "ok"), (name, index, checked.mistakes)
            if variant.expect == "ok":
                assert payload.reply_ids == tuple(str(element.id) for element in checked.elements)


def test_every_payload_that_should_be_accepted_passes_a_strict_reading_too(catalogue: Catalogue) -> None:
    for name, variant in catalogue.variants.items():
        if variant.expect == "ok":
            for body in bodies(catalogue, name, 50):
                assert not check_request(body, ACCOUNT, Reading(strict=True)).mistakes, name


@pytest.mark.parametrize(
    ("name", "chars"),
    [
        ("text_limit", MAX_MESSAGE_ELEMENT_CHARS),
        ("text_limit_world", MAX_MESSAGE_ELEMENT_CHARS),
        ("one_over_limit", MAX_MESSAGE_ELEMENT_CHARS + 1),
    ],
)
def test_a_message_at_the_limit_has_exactly_that_many_characters(catalogue: Catalogue, name: str, chars: int) -> None:
    for body in bodies(catalogue, name, 200):
        element = bytes(msgspec.json.decode(body, type=list[msgspec.Raw])[2])
        assert len(element.decode()) == chars


def test_the_default_mix_is_varied_and_holds_no_request_that_should_be_refused(catalogue: Catalogue) -> None:
    mix = catalogue.mixes["default"]

    assert all(catalogue.variants[name].expect == "ok" for name in mix)
    assert set(mix) == {name for name, variant in catalogue.variants.items() if variant.expect == "ok"}
    assert max(mix.values()) < 0.3 * sum(mix.values())


def test_the_mixes_of_all_and_of_negatives_hold_all_of_them(catalogue: Catalogue) -> None:
    negatives = {name for name, variant in catalogue.variants.items() if variant.expect != "ok"}

    assert set(catalogue.mixes["all"]) == set(catalogue.variants)
    assert set(catalogue.mixes["negative"]) == negatives
    assert set(catalogue.mixes["valid"]) == set(catalogue.variants) - negatives


def test_automatic_messages_bring_their_header(catalogue: Catalogue) -> None:
    headers = Builder(catalogue).build_variant("auto_messages", 3).headers
    name, _, value = headers.decode("ascii").partition(": ")

    assert name == "Client-Properties"
    assert value.endswith("\r\n")
    assert "AUTO_MESSAGES" in json.loads(value)["features"]


def test_messages_are_in_many_scripts_and_hold_what_json_escapes(catalogue: Catalogue) -> None:
    text = b"".join(bodies(catalogue, "text_multilingual", 400) + bodies(catalogue, "text_escaped", 200)).decode()

    assert all(
        sample in text
        for sample in ("é", "я", "ا", "ש", "न", "あ", "한", "的", "ไ", "🙂", '\\"', "\\n", "\\\\", "\\u00")
    )
