"""Locustfiles of a tester's own: what they may say, and what is said about them."""

import time
from collections import Counter

import pytest
from tests.conftest import Cli, intervals_of

HEAD = "from convload import ConversationUser, task\n\n\n"
FOREIGN = """
from locust import HttpUser, task


class Other(HttpUser):
    @task
    def go(self):
        self.client.get("/")
"""


def of_class(name: str, line: str, task: str = "self.end_conversation(self.create_conversation())") -> str:
    return f"class {name}(ConversationUser):\n    {line}\n\n    @task\n    def go(self):\n        {task}\n\n\n"


def run(cli: Cli, text: str, *arguments: str) -> tuple[int, str, str]:
    (cli.folder / "mine.py").write_text(text)
    done = cli("run", "--locustfile", "mine.py", "--out", "out", *arguments)
    return done.code, done.out, done.err


def test_a_class_and_a_call_may_have_a_mix_or_a_variant_of_their_own(cli: Cli) -> None:
    text = (
        HEAD
        + of_class("Minimal", "mix = 'minimal'")
        + of_class("Skilled", "weight = 1", "self.end_conversation(self.create_conversation(variant='skill'))")
        + of_class("Mixed", "weight = 1", "self.end_conversation(self.create_conversation(mix='minimal'))")
    )

    code, out, err = run(cli, text, "--users", "4", "--conversations", "40")

    assert code == 0, out + err
    variants: Counter[str] = Counter()
    for interval in intervals_of(cli.folder / "out"):
        variants.update({cell.variant: cell.count for cell in interval.cells if cell.step == "conversation.create"})
    assert variants.keys() == {"minimal", "skill"}
    assert variants.total() == 40


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FOREIGN, "mine.py: defines Other, of which none holds conversations; subclass convload.ConversationUser"),
        (HEAD + of_class("Mine", "mix = 'defualt'"), "mix 'defualt': there is no such mix"),
    ],
    ids=["foreign", "mix"],
)
def test_a_file_that_can_hold_no_conversation_is_one_message(cli: Cli, text: str, message: str) -> None:
    code, _, err = run(cli, text, "--rate", "5", "--duration", "30s")

    assert code == 2
    assert err.splitlines()[-1].startswith(f"convload: {message}")
    assert "Traceback" not in err
    assert not (cli.folder / "out").exists()


@pytest.mark.parametrize("load", [("--rate", "5", "--duration", "30s"), ("--users", "4", "--duration", "30s")])
def test_an_on_start_that_raises_calls_the_run_off_at_once(cli: Cli, load: tuple[str, ...]) -> None:
    text = HEAD + of_class("Mine", "def on_start(self):\n        raise RuntimeError('no database')")
    began_s = time.monotonic()

    code, _, err = run(cli, text, *load)

    assert code == 2
    assert err.splitlines()[-1] == "convload: mine.py:6: RuntimeError: no database, in on_start of Mine"
    assert "Traceback" not in err
    assert time.monotonic() - began_s < 25


def test_an_on_start_that_raises_later_is_a_note(cli: Cli) -> None:
    text = HEAD + of_class(
        "Mine", "def on_start(self):\n        if self.session.built:\n            raise RuntimeError('no')"
    )

    code, out, err = run(cli, text, "--users", "2", "--ramp", "2s", "--duration", "4s")

    assert code == 3, out + err
    assert "a task raised RuntimeError: no (1 times)" in out
