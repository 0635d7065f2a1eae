"""What was measured does not depend on whether users or conversations run out first."""

import pytest
from tests.conftest import Cli, summary_of


@pytest.mark.parametrize("users", [1, 5, 10])
def test_every_conversation_of_a_short_run_is_measured_to_its_end(cli: Cli, users: int) -> None:
    flags = ("--users", str(users), "--conversations", "5", "--consumers", "close")

    done = cli("run", "--model", "closed", *flags, "--out", "out")

    assert done.code == 0, done
    steps = summary_of(cli.folder / "out")["steps"]
    assert (steps["conversation.create"]["ok"], steps["conversation.close"]["ok"]) == (5, 5)
    assert steps["token.consumer"]["ok"] == min(users, 5)
