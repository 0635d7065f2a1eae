import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from convload.cli.payloads import payloads
from convload.errors import UsageError
from convload.payloads.builder import Builder
from convload.payloads.catalogue import Catalogue

if TYPE_CHECKING:
    from tests.payloads.conftest import Files


def run(folder: Path, verb: str, *arguments: str) -> Result:
    return CliRunner().invoke(payloads, [verb, "--payloads", str(folder), *arguments])


@pytest.fixture
def own_folder(files: "Files", tmp_path: Path) -> Path:
    for path, text in files.texts.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_list_names_every_variant_with_its_share_and_size(folder: Path, catalogue: Catalogue) -> None:
    result = run(folder, "list")
    rows = {line.split()[0]: line.split() for line in result.stdout.splitlines()[1:]}

    assert result.exit_code == 0
    assert set(rows) == set(catalogue.variants)
    assert rows["minimal"][1:4] == ["ok", "5.00%", "167"]
    assert rows["wrong_order"][1:3] == ["http_400", "-"]
    assert sum(float(row[2].rstrip("%")) for row in rows.values() if row[2] != "-") == pytest.approx(100, abs=0.2)


def test_list_of_a_mix_names_its_variants_only(folder: Path, catalogue: Catalogue) -> None:
    lines = run(folder, "list", "--mix", "text").stdout.splitlines()[1:]

    assert {line.split()[0] for line in lines} == set(catalogue.mixes["text"])


def test_show_raw_prints_the_bytes_that_a_run_sends(folder: Path, catalogue: Catalogue) -> None:
    payload = Builder(catalogue, "text", "a7", 99).build(12345)

    result = run(folder, "show", "--mix", "text", "--account", "a7", "--seed", "99", "--index", "12345", "--raw")

    assert result.stdout_bytes == payload.body
    assert result.stderr == ""


def test_show_prints_readable_json_and_tells_the_rest_on_standard_error(folder: Path, catalogue: Catalogue) -> None:
    payload = Builder(catalogue, seed=1).build_variant("auto_messages", 3)

    result = run(folder, "show", "--variant", "auto_messages", "--index", "3")

    assert json.loads(result.stdout) == json.loads(payload.body)
    assert len(result.stdout.splitlines()) > 20
    assert result.stderr.splitlines()[0].startswith("payload 3: auto_messages, expects ok, ")
    assert result.stderr.splitlines()[1] == payload.headers.decode().strip()


def test_check_says_in_one_line_that_all_is_well(folder: Path, catalogue: Catalogue) -> None:
    result = run(folder, "check", "--samples", "5")

    assert result.exit_code == 0
    counts = f"{len(catalogue.variants)} variants, {len(catalogue.mixes)} mixes"
    assert result.stdout == f"{folder}: {counts}, 5 payloads of each variant: no mistakes\n"


def test_check_tells_all_mistakes(own_folder: Path, files: "Files") -> None:
    files.add("variants/bad.json", ["${x}"])
    (own_folder / "variants/bad.json").write_text(files.texts["variants/bad.json"])
    (own_folder / "mixes.toml").write_text("[default]\nplane = 1\n")

    result = run(own_folder, "check")

    assert isinstance(result.exception, UsageError)
    assert len(result.exception.problems) == 2


def test_check_finds_what_only_many_samples_show(own_folder: Path, files: "Files") -> None:
    rare = [
        files.minimal[0],
        {**files.minimal[1], "body": {"brandId": "${account}", "channelType": "${omit_or:0.995:pick:X}"}},
    ]
    files.add("variants/rare.json", rare)
    (own_folder / "variants/rare.json").write_text(files.texts["variants/rare.json"])

    assert run(own_folder, "check", "--samples", "1").exit_code == 0
    assert "$[1].body.channelType" in str(run(own_folder, "check", "--samples", "3000").exception)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            ["show", "--variant", "seed", "--mix", "text"],
            "--variant and --mix: only one of them can choose the variant",
        ),
        (["show", "--variant", "sed"], "variant 'sed': there is no such variant, did you mean 'seed'?"),
        (["list", "--mix", "txt"], "mix 'txt': there is no such mix, did you mean 'text'?"),
    ],
)
def test_wrong_usage_is_told(folder: Path, arguments: list[str], problem: str) -> None:
    result = run(folder, *arguments)

    assert isinstance(result.exception, UsageError)
    assert result.exception.problems == (problem,)


@pytest.mark.parametrize("verb", ["list", "show", "check"])
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    result = CliRunner().invoke(payloads, [verb, "--help"])

    assert f"convload payloads {verb}" in result.stdout.partition("Example")[2]
