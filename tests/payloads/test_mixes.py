from pathlib import Path

import pytest

from convload.payloads.mixes import read_mixes, read_pool

NAMES = {"variants/a": "a", "variants/b": "bee", "variants/text_1": "text_1", "negative/n": "n"}


def test_weights_go_by_name_or_by_a_pattern_of_files() -> None:
    mixes, mistakes = read_mixes('[default]\nbee = 2\n[more]\n"variants/*" = 1\n"negative/*" = 0.5\n', NAMES)

    assert not mistakes
    assert mixes == {"default": {"bee": 2}, "more": {"a": 1, "bee": 1, "text_1": 1, "n": 0.5}}


def test_a_name_goes_before_a_pattern_and_a_weight_of_0_leaves_a_variant_out() -> None:
    mixes, _ = read_mixes('[default]\n"*" = 1\na = 0\ntext_1 = 5\n', NAMES)

    assert mixes["default"] == {"a": 0, "text_1": 5, "bee": 1, "n": 1}


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("[default]\na = 1\nbe = 1\n", "3", "default.be: unknown variant, did you mean 'bee'?"),
        ("[default]\na = -1\nbee = 1\n", "2", "default.a: must be a weight, a number from 0 on, not -1"),
        ("[default]\nbee = 1\na = true\n", "3", "default.a: must be a weight, a number from 0 on, not True"),
        ("[default]\nbee = 1\na = inf\n", "3", "default.a: must be a weight, a number from 0 on, not inf"),
        ("[default]\na = 0\n", "1", "default: needs a weight above 0"),
        ("default = 3\n", "1", "default: must be a table of weights, such as [default] with the line minimal = 1"),
        (
            '[default]\na = 1\n\n[x]\n"text/*" = 1\n',
            "5",
            "x.text/*: matches no file; a pattern is written like variants/* or variants/text_*",
        ),
        ("[other]\na = 1\n", "1", "needs a mix named default"),
        ("\n[default\n", "2", "Expected ']' at the end of a table declaration (at line 2, column 9)"),
    ],
)
def test_a_mistake_has_its_line_and_says_what_is_allowed(text: str, place: str, what: str) -> None:
    mixes, mistakes = read_mixes(text, NAMES)

    assert mistakes == [(place, what)]
    assert mixes == {}


def test_the_same_key_in_another_mix_has_the_line_of_its_own_mix() -> None:
    _, mistakes = read_mixes("[default]\na = 1\nx = 1\n[second]\nx = 1\n", NAMES)

    assert [place for place, _ in mistakes] == ["3", "5"]


def test_one_value_a_line_without_blank_lines_comments_and_space_around() -> None:
    assert read_pool("# names\n\nAda\r\n  Björn Ek \n#x\n\u200f\n") == (("Ada", "Björn Ek", "\u200f"), [])


def test_a_line_that_begins_with_a_quote_is_a_json_string() -> None:
    assert read_pool('"# not a comment"\n" a\\nb\\t\\"c\\" "\n""\n') == (("# not a comment", ' a\nb\t"c" ', ""), [])


def test_line_separators_inside_a_value_do_not_end_it() -> None:
    assert read_pool("a\u2028b\nc\x0cd\n") == (("a\u2028b", "c\x0cd"), [])


def test_every_broken_json_string_is_told_by_its_line() -> None:
    values, mistakes = read_pool('ok\n"open\n"half \\ud83d"\n')

    assert values == ("ok",)
    assert [place for place, _ in mistakes] == ["2", "3"]
    assert all("no JSON string" in what for _, what in mistakes)


def test_a_pool_without_values_is_a_mistake() -> None:
    assert read_pool("# nothing\n\n") == ((), [("1", "holds no value")])


def test_shipped_pools_repeat_no_value(folder: Path) -> None:
    for path in sorted((folder / "pools").glob("*.txt")):
        values, mistakes = read_pool(path.read_text("utf-8"))

        assert not mistakes
        assert len(values) == len(set(values)), path.name


def test_shipped_pools_are_large_enough_for_variety(folder: Path) -> None:
    least = {"first_names": 200, "last_names": 200, "messages": 250, "words": 500, "skills": 100, "campaigns": 100}

    sizes = {name: len(read_pool((folder / "pools" / f"{name}.txt").read_text("utf-8"))[0]) for name in least}

    assert all(sizes[name] >= size for name, size in least.items()), sizes
