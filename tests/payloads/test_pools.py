from pathlib import Path

from convload.payloads.pools import read_pool


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
