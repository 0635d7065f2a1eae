"""What a report says of failed and of slow requests, and the commands that show their payloads again."""

import html
import shlex

import msgspec
import pytest
from markdown_it import MarkdownIt
from tests.run_logs import Make

from convload.comparison.conclusion import conclude
from convload.payloads.builder import Builder
from convload.payloads.catalogue import Catalogue, default_folder
from convload.report import commands, failures
from convload.report import document as doc
from convload.report.run import render_html, render_markdown
from convload.results.runlog import ErrorSample, RequestSample

SAID_BY = {"retry-after": "3", "x-request-id": "r-1"}


def cells(section: doc.Section) -> list[list[str]]:
    (table,) = (block for block in section.blocks if isinstance(block, doc.Table))
    return [[doc.plain_text(cell) for cell in row] for row in table.for_medium(doc.HTML)[1]]


def test_an_error_kind_has_its_first_and_last_second_and_its_rate_between(make: Make) -> None:
    conclusion = conclude(make.opened(lambda _, second: {"failed": 30 * (20 <= second < 24)}, seconds=40))

    ((_, kind, count, share, first, last, rate, _),) = cells(failures.errors(conclusion))

    assert (kind, count, share) == ("http_503", "120", "3.16 %")
    assert (first, last, rate) == ("20.0", "24.0", "30.0")


def test_answers_that_say_the_same_are_told_once_with_their_number(make: Make) -> None:
    said = ["busy"] * 3 + ["gone"]
    samples = [
        ErrorSample(2.0 + at, "conversation.create", "minimal", "http_503", text, 40 + at, headers=SAID_BY)
        for at, text in enumerate(said)
    ]
    (folded,) = (
        block
        for block in failures.errors(conclude(make.opened(lambda *_: {"failed": 4, "errors": samples}))).blocks
        if isinstance(block, doc.Folded)
    )

    lines = [doc.plain_text(item) for item in folded.items]
    assert [line for line in lines if not line.startswith(("convload", "Headers"))] == [
        "2.0 s, worker 0, payload 40, minimal, and 29 samples more: busy",
        "5.0 s, worker 0, payload 43, minimal, and 9 samples more: gone",
    ]
    assert sum("payloads show" in line for line in lines) == 4


def test_a_failure_shows_the_headers_of_its_answer_on_page_and_in_markdown(make: Make) -> None:
    sample = ErrorSample(2.0, "conversation.create", "minimal", "http_503", "busy", 4, headers=SAID_BY)
    conclusion = conclude(make.opened(lambda *_: {"failed": 1, "errors": [sample]}))

    for page in (
        render_html(conclusion),
        html.unescape(MarkdownIt().enable("table").render(render_markdown(conclusion))),
    ):
        assert "retry-after: 3; x-request-id: r-1" in page


def test_a_shell_reads_the_command_to_send_a_payload_again_as_it_was_meant(make: Make) -> None:
    manifest = make.manifest(mix="$(reboot); 'x", seed=9)
    manifest = msgspec.structs.replace(manifest, target="http://127.0.0.1:1/`id`\n")

    words = shlex.split(commands.send(manifest, 1042).partition(" | ")[0])
    curl = shlex.split(commands.send(manifest, 1042).partition(" | ")[2])

    assert words[:5] == ["convload", "payloads", "show", "--seed", "9"]
    assert words[words.index("--mix") + 1] == "$(reboot); 'x"
    assert words[-3:] == ["--index", "1042", "--raw"]
    assert curl[-1].startswith("http://127.0.0.1:1/`id`\\n/api/account/12345678/messaging/consumer/conversation?v=3")


def test_the_command_names_all_that_decides_what_a_payload_is(make: Make) -> None:
    words = shlex.split(commands.show(make.manifest(seed=7, mix="default"), 5))
    named = dict(zip(words[3::2], words[4::2], strict=True))

    builder = Builder(Catalogue.read(default_folder()), named["--mix"], named["--account"], int(named["--seed"]))
    assert builder.build(int(named["--index"])).index == 5


def test_behind_a_look_up_the_host_is_left_to_whoever_knows_it(make: Make) -> None:
    manifest = make.manifest(target="https://lookup.example", lookup=True)

    assert "https://HOST_OF_ASYNC_MESSAGING/api/account" in commands.send(manifest, 1)


@pytest.mark.parametrize("connection", [True, False])
def test_the_slowest_requests_have_their_times_and_their_payloads(connection: bool, make: Make) -> None:
    one = RequestSample("conversation.create", "minimal", 77, 3.0, 3.1, 3.15, 3.5, connection, 0, "abc", score=0.5)

    section = failures.slowest(conclude(make.opened(lambda *_: {"samples": [one]}, seconds=4)))

    row = cells(section)[0]
    assert row[:5] == ["3.00", "500.00", "400.00", "50.00", "new" if connection else "reused"]
    assert row[-2:] == ["abc", "convload payloads show --seed 7 --mix default --account 12345678 --index 77"]
