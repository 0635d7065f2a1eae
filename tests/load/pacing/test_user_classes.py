"""The shares of user classes in an open load, end to end."""

from pathlib import Path

import pytest
from scipy import stats
from tests.conftest import Cli, summary_of

TWO_CLASSES = """
from locust import task
from convload.load.users import ConversationUser

class Rare(ConversationUser):
    weight = 1

    @task
    def talk(self):
        opened = self.create_conversation()
        if opened:
            self.send_message(opened, "rare")

class Common(ConversationUser):
    weight = 3

    @task
    def ask(self):
        self.create_conversation()
"""


def steps_of(folder: Path) -> tuple[int, int]:
    steps = summary_of(folder)["steps"]
    return steps["conversation.send"]["count"], steps["conversation.create"]["count"]


@pytest.mark.parametrize("rate", [20, 200])
def test_weights_of_user_classes_are_shares_of_the_arrivals(cli: Cli, rate: int) -> None:
    (cli.folder / "two.py").write_text(TWO_CLASSES)
    flags = ("--rate", str(rate), "--arrivals", "even", "--duration", "5s", "--warmup", "0s", "--consumers", "none")

    done = cli("run", *flags, "--locustfile", "two.py", "--workers", "2", "--out", "out")
    rare, all_of_them = steps_of(cli.folder / "out")

    assert all_of_them == 5 * rate, done
    # Chi-square against 1:3; a right draw fails once in a million seeds, and the seed is always the same.
    assert stats.chisquare([rare, all_of_them - rare], [all_of_them / 4, 3 * all_of_them / 4]).pvalue > 1e-6
