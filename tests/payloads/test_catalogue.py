import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from convload import bundled
from convload.errors import UsageError
from convload.payloads.builder import Builder
from convload.payloads.catalogue import Catalogue, default_folder

if TYPE_CHECKING:
    from tests.payloads.conftest import Files


def test_a_variant_is_added_by_adding_a_file(files: "Files") -> None:
    files.add("variants/new.json", [*files.minimal[:1], {**files.minimal[1], "id": "${seq}"}])

    catalogue = files.read()

    assert list(catalogue.variants) == ["new", "plain"]
    assert catalogue.mixes["default"] == {"new": 1, "plain": 1}
    assert Builder(catalogue).build_variant("new", 4).reply_ids == ("1,", "4")


def test_the_files_of_a_catalogue_make_the_same_catalogue_elsewhere(folder: Path, catalogue: Catalogue) -> None:
    sent = json.loads(json.dumps(catalogue.files))

    there = Builder(Catalogue.from_files(sent))
    here = Builder(catalogue)

    assert [there.build(index) for index in range(500)] == [here.build(index) for index in range(500)]
    assert set(sent) == {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.parent.name in ("variants", "negative", "pools") or path.name == "mixes.toml"
    } - {"variants", "negative", "pools"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"description": "x",\n "payload": [}', "2:14: unexpected character, expected a JSON value"),
        ("", "1:1: Input is a zero-length, empty document"),
        ("[1]", "1: $: must be an object with a description and a payload"),
        ("[" * 5000 + "]" * 5000, "1:1026: depth limit exceeded"),
        ('{"description": "d", "payload": ' + "[" * 600 + "]" * 600 + "}", "1: is nested too deeply"),
    ],
)
def test_a_file_that_is_no_variant_is_told_with_line_and_column(files: "Files", text: str, problem: str) -> None:
    files.texts["variants/broken.json"] = text

    assert files.problems() == [f"payloads/variants/broken.json:{problem}"]


@pytest.mark.parametrize(
    ("metadata", "line", "what"),
    [
        ({"describtion": "x"}, 3, "describtion: unknown key, did you mean 'description'?"),
        ({"payloads": 1}, 3, "payloads: unknown key, did you mean 'payload'?"),
        ({"description": ""}, 2, "description: must not be empty"),
        (
            {"name": "two words"},
            3,
            "name: must be letters, digits, ., - and _, 64 of them at most, a letter or digit first",
        ),
        ({"expect": 400}, 3, "expect: Expected `str`, got `int`"),
        ({"expect": "http_400"}, 3, "expect: is 'http_400'; here it must be 'ok'; others go into negative/"),
        ({"headers": {"A": 1}}, 4, "headers.A: Expected `str | object | array`, got `int`"),
        ({"headers": {"Host": "x"}}, 4, "headers.Host: is set by the client and cannot be set by a variant"),
    ],
)
def test_wrong_metadata_is_told_with_its_line(
    files: "Files", metadata: dict[str, object], line: int, what: str
) -> None:
    files.add("variants/plain.json", files.minimal, **metadata)

    assert files.problems() == [f"payloads/variants/plain.json:{line}: {what}"]


def test_missing_metadata_is_told(files: "Files") -> None:
    files.texts["variants/plain.json"] = "{}"

    assert files.problems() == [
        "payloads/variants/plain.json:1: payload: is missing",
        "payloads/variants/plain.json:1: description: is missing",
    ]


@pytest.mark.parametrize("expect", ["ok", "http_200", "http_429", "http_600", "broken", None])
def test_a_negative_variant_says_which_error_it_meets(files: "Files", expect: str | None) -> None:
    files.add("negative/bad.json", [], **({"expect": expect} if expect else {}))

    (problem,) = files.problems()

    assert problem.endswith(
        f"expect: is {expect or 'ok'!r}; here it must be an error such as 'http_400' or 'rate_limited'"
    )


@pytest.mark.parametrize("expect", ["http_400", "http_413", "http_503", "rate_limited"])
def test_any_error_status_may_be_expected(files: "Files", expect: str) -> None:
    files.add("negative/bad.json", [], expect=expect)

    assert files.problems() == []
    assert Builder(files.read()).build_variant("bad", 0).expect == expect


def test_a_wrong_slot_is_told_with_file_line_and_path(files: "Files") -> None:
    files.add("variants/plain.json", [files.minimal[0], {"body": {"skillId": "${pool:skils}"}}])

    (problem,) = files.problems()

    assert problem == (
        "payloads/variants/plain.json:12: $[1].body.skillId: ${pool:skils}: unknown pool 'skils', "
        "did you mean 'skills'?; write ${pool:NAME}"
    )


def test_a_member_that_stands_twice_is_told(files: "Files") -> None:
    files.texts["variants/plain.json"] = files.texts["variants/plain.json"].replace('"kind"', '"id": "0",\n"kind"')

    assert [problem.rpartition("json:")[2] for problem in files.problems()] == [
        "7: $[0].id: stands twice",
        "14: $[1].id: stands twice",
    ]


def test_samples_of_a_variant_must_keep_the_contract(files: "Files") -> None:
    files.add(
        "variants/plain.json", [files.minimal[0], {**files.minimal[1], "body": {"brandId": "${int:12345678:12345679}"}}]
    )

    (problem,) = files.problems()

    assert problem.startswith("payloads/variants/plain.json:15: $[1].body.brandId: is not the account of the path")
    assert problem.endswith(")")


def test_samples_of_a_negative_variant_must_break_the_contract(files: "Files") -> None:
    files.add("negative/fine.json", files.minimal, expect="http_400")

    assert files.problems() == [
        "payloads/negative/fine.json:4: payload: is a sound request (payload 0), but is meant to meet 'http_400'"
    ]


def test_a_name_that_is_taken_is_told(files: "Files") -> None:
    files.add("variants/zzz.json", files.minimal, name="plain")

    assert files.problems() == [
        "payloads/variants/zzz.json:1: name: 'plain' is the name of variants/plain.json already"
    ]


def test_all_mistakes_of_all_files_are_told_at_once(files: "Files") -> None:
    files.texts["pools/skills.txt"] = '"open\n'
    files.texts["mixes.toml"] = "[default]\nplane = 1\n"
    files.add("variants/a.json", ["${x}", "${y}"])
    files.add("negative/b.json", [], expect="nothing")

    with pytest.raises(UsageError) as error:
        files.read()

    assert [problem.partition(": ")[0] for problem in error.value.problems] == [
        "payloads/pools/skills.txt:1",
        "payloads/negative/b.json:3",
        "payloads/variants/a.json:4",
        "payloads/variants/a.json:5",
        "payloads/mixes.toml:2",
    ]


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such folder, or no variants/ in it"):
        Catalogue.read(tmp_path / "nothing")


def test_files_that_cannot_be_read_are_told_beside_other_mistakes(files: "Files", tmp_path: Path) -> None:
    for path, text in files.texts.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "pools/latin.txt").write_bytes("café\n".encode("latin-1"))
    (tmp_path / "pools/skills.txt").write_bytes("café\n".encode("latin-1"))
    (tmp_path / "variants/.#lock.json").symlink_to("nowhere")
    (tmp_path / "variants/notes.txt~").write_text("left alone")
    (tmp_path / "variants/gone.json").symlink_to("nowhere")

    with pytest.raises(UsageError) as error:
        Catalogue.read(tmp_path)

    latin, skills, gone = error.value.problems  # and nothing of the slots that draw from `skills`
    assert "pools/latin.txt: cannot be read: it is no UTF-8 text, from line 1 on" in latin
    assert "pools/skills.txt: cannot be read" in skills
    assert "variants/gone.json: cannot be read" in gone


def test_a_byte_order_mark_is_no_mistake(files: "Files", tmp_path: Path) -> None:
    for path, text in files.texts.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text, "utf-8-sig")

    assert list(Catalogue.read(tmp_path).variants) == ["plain"]


def test_a_folder_of_the_workspace_goes_before_the_bundled_one(tmp_path: Path) -> None:
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        assert default_folder() == bundled.folder("payloads")
        (tmp_path / "payloads/variants").mkdir(parents=True)
        assert default_folder() == Path("payloads")
    finally:
        os.chdir(before)


def test_a_bundled_folder_that_is_not_there_is_told_with_the_places_looked_at() -> None:
    with pytest.raises(UsageError, match=r"nothing: no such bundled folder; looked at .*bundled/nothing and .*nothing"):
        bundled.folder("nothing")
