"""Exit codes that mean one thing, whatever is done to a run, its files and its processes."""

import os
import shutil
import signal

import pytest
from tests.conftest import Cli, Done, intervals_of, summary_of, wait_for

from convload.results import runlog

LOAD = ("run", "--users", "2", "--think", "constant 20ms", "--warmup", "0s", "--out", "out")


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "nope"),
        ("report", "file"),
        ("gate", "nope", "--gate", "errors < 1%"),
        ("baseline", "save", "nope", "kept.json"),
        ("compare", "nope", "nope2"),
        ("history", "nope"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_a_run_that_does_not_exist_is_wrong_usage(cli: Cli, arguments: tuple[str, ...]) -> None:
    (cli.folder / "file").write_text("no folder")

    done = cli(*arguments)

    assert done.code == 2, done
    assert "Traceback" not in done.err


def test_a_terminal_that_hangs_up_ends_a_run_with_its_reports(cli: Cli) -> None:
    process = cli.start(*LOAD, "--duration", "60s")
    wait_for(lambda: intervals_of(cli.folder / "out"), "a second of the run")
    for _ in range(3):  # the kernel, the shell, and who else knows
        process.send_signal(signal.SIGHUP)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 130, Done(process.returncode, out, err)
    assert (cli.folder / "out" / "report.html").exists()
    assert summary_of(cli.folder / "out")["counts"]["recorded"] > 0


def test_a_run_whose_folder_is_removed_writes_it_anew_and_says_so(cli: Cli) -> None:
    process = cli.start(*LOAD, "--duration", "4s")
    folder = cli.folder / "out"
    wait_for(lambda: intervals_of(folder), "a second of the run")
    shutil.rmtree(folder)
    out, err = process.communicate(timeout=60)

    done = Done(process.returncode, out, err)
    assert done.code in {0, 3}, done  # a busy machine may have no CPU time left for it
    assert "removed or replaced in the middle of the run" in err
    assert "Traceback" not in err
    assert runlog.read(folder).damage == []
    assert "written anew" in (folder / "report.html").read_text()
    assert summary_of(folder)["counts"]["recorded"] == summary_of(folder)["ledger"]["received"]


def test_a_run_whose_log_is_cut_is_inconclusive_with_a_report(cli: Cli) -> None:
    process = cli.start(*LOAD, "--duration", "4s")
    folder = cli.folder / "out"
    wait_for(lambda: intervals_of(folder), "a second of the run")
    os.truncate(folder / runlog.FILE_NAME, 0)
    out, err = process.communicate(timeout=60)

    done = Done(process.returncode, out, err)
    assert done.code == 3, done
    assert "cut or overwritten in the middle of the run" in err
    assert "Traceback" not in err
    assert any("bytes or more are lost" in reason for reason in summary_of(folder)["validity"]["reasons"])


def test_a_mock_that_dies_in_the_set_up_is_told_with_its_last_words(cli: Cli) -> None:
    (cli.folder / "sitecustomize.py").write_text(
        "import os, sys, threading, time\n"
        "def die():\n"
        "    print('no room at the inn', file=sys.stderr, flush=True)\n"
        "    os._exit(9)\n"
        "if 'convload.mock' in sys.orig_argv: threading.Timer(5, die).start()\n"
        "if 'convload.load.processes.worker' in sys.orig_argv: time.sleep(12)\n"
    )
    path = os.pathsep.join([str(cli.folder), *filter(None, [os.environ.get("PYTHONPATH")])])

    done = cli("run", "--out", "out", environment={"PYTHONPATH": path})

    assert done.code == 4, done
    assert "no room at the inn" in done.err
    assert not (cli.folder / "out").exists()
