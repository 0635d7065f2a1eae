"""The closed search against a live mock: what each of its runs leaves, and what Ctrl-C does between and within them."""

import os
import signal
import threading
from pathlib import Path

from tests.conftest import wait_for

from convload.capacity.finding import SearchPlan, find_closed
from convload.capacity.trials import SearchSettings
from convload.errors import ExitCode
from convload.plan.mock_behaviour import Behaviour
from convload.plan.plan import Plan
from convload.results.capacity_result import Trial
from convload.results.runlog import FILE_NAME
from convload.run.files import remove_unless_started

PLAN = Plan(name="closed", model="closed", consumers="none", mock=Behaviour(auth=False))
SETTINGS = SearchSettings(start_rate=1, min_rate=1, max_rate=64, budget_s=60, first_trial_s=1, final_trial_s=1)


def interrupt_when(folder: Path) -> threading.Thread:
    """Sends Ctrl-C to this process as soon as a folder exists: the run in it is being set up then."""

    def watch() -> None:
        wait_for(folder.exists, "the folder of the run")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_ctrl_c_in_the_set_up_of_a_later_run_is_told_as_an_interruption(tmp_path: Path) -> None:
    told: list[Trial] = []
    thread = interrupt_when(tmp_path / "out" / "02-2-users")
    _, found = find_closed(PLAN, tmp_path / "out", SearchPlan([], SETTINGS, overload=False), told.append)
    thread.join()
    assert found.interrupted
    assert found.exit_code == ExitCode.INTERRUPTED
    assert [trial.rate for trial in told] == [1]


def test_ctrl_c_between_two_runs_ends_the_search(tmp_path: Path) -> None:
    def tell(_: Trial) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    _, found = find_closed(PLAN, tmp_path / "out", SearchPlan([], SETTINGS, overload=False), tell)
    assert found.exit_code == ExitCode.INTERRUPTED
    assert len(found.trials) == 1


def test_runs_that_were_made_are_kept_when_a_later_one_cannot_be(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).touch()
    (tmp_path / "01-1-users").mkdir()
    remove_unless_started(tmp_path)
    assert (tmp_path / "01-1-users").exists()
