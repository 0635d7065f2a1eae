"""Whole runs as a user starts them: real processes, real sockets, the embedded mock."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from tests.conftest import (
    Cli,
    intervals_of,
    processes_of,
    summary_of,
    wait_for,
)

from convload import bundled
from convload.mock.process import start_mock
from convload.plan.mock_behaviour import Behaviour

REPORTS = {
    "run.jsonl",
    "summary.json",
    "summary.md",
    "junit.xml",
    "metrics.txt",
    "pr-comment.md",
    "intervals.csv",
    "errors.jsonl",
    "report.html",
}
MODULES = ("convload.load.processes.worker", "convload.load.processes.coordinator", "convload.mock")


def create_of(folder: Path) -> dict[str, object]:
    return dict(summary_of(folder)["steps"]["conversation.create"])


def requests_of(folder: Path, step: str) -> int:
    return sum(cell.count for one in intervals_of(folder) for cell in one.cells if cell.step == step)


def test_a_run_against_the_mock_ends_in_every_report_and_adds_up(cli: Cli) -> None:
    done = cli("run", "--users", "5", "--conversations", "300", "--consumers", "close", "--out", "out")

    assert done.code == 0, done
    folder = cli.folder / "out"
    assert {path.name for path in folder.iterdir()} == REPORTS
    summary = summary_of(folder)
    assert summary["format"] == "convload/summary/1"
    assert summary["verdict"]["outcome"] == "pass"
    assert {summary["counts"][count] for count in ("built", "sent", "recorded")} == {300}
    assert (summary["ledger"]["received"], summary["ledger"]["accepted"]) == (300, 300)
    assert summary["left_open"] == 0
    assert summary["steps"]["conversation.create"]["ok"] == 300
    assert (requests_of(folder, "token.consumer"), requests_of(folder, "conversation.close")) == (5, 300)
    assert "report.html" in done.out
    assert "Pass" in done.out.splitlines()[-1]


def test_without_out_the_folder_is_under_reports_and_latest_points_to_it(cli: Cli) -> None:
    done = cli("run", "--users", "1", "--conversations", "5")

    assert done.code == 0, done
    latest = cli.folder / "reports" / "latest"
    assert latest.resolve().name.endswith("-smoke")
    assert summary_of(latest)["counts"]["recorded"] == 5


def test_a_run_at_a_host_is_titled_after_it_or_as_asked(cli: Cli) -> None:
    short = ("run", "--users", "1", "--conversations", "5", "--consumers", "none")
    with start_mock(Behaviour(auth=False)) as mock:
        done = [cli(*short, "--target", mock.url), cli(*short, "--target", mock.url, "--name", "nightly")]

    assert [one.code for one in done] == [0, 0], done
    folders = [path for path in (cli.folder / "reports").iterdir() if not path.is_symlink()]
    assert {path.name.partition("-")[2] for path in folders} == {"127.0.0.1", "nightly"}


@pytest.mark.parametrize(("consumers", "minted"), [("fresh", 200), ("pool", 200), ("none", 0)])
def test_every_way_to_get_consumers_creates_every_conversation(cli: Cli, consumers: str, minted: int) -> None:
    done = cli("run", "--users", "8", "--conversations", "200", "--consumers", consumers, "--out", "out")

    assert done.code == 0, done
    summary = summary_of(cli.folder / "out")
    assert summary["ledger"]["accepted"] == summary["counts"]["recorded"] == 200
    assert summary["left_open"] == 0
    assert requests_of(cli.folder / "out", "token.consumer") == minted
    assert requests_of(cli.folder / "out", "conversation.close") == (0 if consumers == "none" else 200)


def test_workers_share_the_conversations_and_never_a_payload(cli: Cli) -> None:
    """The mock refuses nothing, so equal counts with unique payload indices mean a shared index space."""
    done = cli("run", "--users", "10", "--conversations", "401", "--workers", "2", "--out", "out")

    assert done.code == 0, done
    last = {one.worker: one for one in intervals_of(cli.folder / "out")}
    assert sorted(one.built for one in last.values()) == [200, 201]
    assert summary_of(cli.folder / "out")["ledger"]["accepted"] == 401


class Timed(NamedTuple):
    """A run of two seconds after one of warm-up, in an environment with credentials."""

    folder: Path
    code: int
    titles: list[str]
    out: str
    err: str


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Timed]:
    cli = Cli(tmp_path_factory.mktemp("timed"))
    secrets = {"CONVLOAD_CLIENT_ID": "visible-id-Qx7w", "CONVLOAD_CLIENT_SECRET": "hush-hush-Qx7w"}
    flags = ("--users", "4", "--duration", "2s", "--warmup", "1s", "--out", "out")
    process = cli.start("run", *flags, environment=secrets)
    try:
        wait_for(lambda: processes_of(process.pid, "convload.load.processes.worker"), "a worker")
        titles = [" ".join(child.cmdline()) for child in psutil.Process(process.pid).children(recursive=True)]
        out, err = process.communicate(timeout=60)
        yield Timed(cli.folder / "out", process.returncode, titles, out, err)
    finally:
        cli.end()


def test_a_timed_run_leaves_the_warm_up_out_of_the_figures_but_not_out_of_the_log(timed: Timed) -> None:
    assert timed.code == 0, timed
    summary = summary_of(timed.folder)
    cells = [cell for one in intervals_of(timed.folder) for cell in one.cells]
    creates = {
        p: sum(c.count for c in cells if c.phase == p and c.step == "conversation.create")
        for p in ("warmup", "measure")
    }
    assert creates["warmup"] > 0
    assert summary["steps"]["conversation.create"]["count"] == creates["measure"]
    assert summary["counts"]["recorded"] == sum(creates.values())
    assert summary["achieved_rate"] == pytest.approx(creates["measure"] / 2, rel=0.02)


TOKEN = re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}")
"""Head and body of a JSON web token; its first letters alone come by chance in packed columns."""


def test_no_secret_and_no_token_is_in_any_file_output_or_process_title(timed: Timed) -> None:
    assert timed.code == 0, timed
    files = [path.read_text() for path in timed.folder.iterdir()]
    for text in (timed.out, timed.err, *timed.titles, *files):
        assert "Qx7w" not in text
        assert not TOKEN.search(text)


def test_expected_refusals_count_as_ok(cli: Cli) -> None:
    done = cli("run", "--users", "5", "--conversations", "100", "--mix", "negative", "--out", "out")

    assert done.code == 0, done
    summary = summary_of(cli.folder / "out")
    assert create_of(cli.folder / "out")["errors"] == {}
    assert (summary["ledger"]["received"], summary["ledger"]["accepted"]) == (100, 0)


def test_faults_are_counted_by_kind_fail_the_run_and_show_their_payloads(
    cli: Cli,
) -> None:
    plan = cli.folder / "faults.toml"
    plan.write_text(
        "users = 10\nconversations = 600\nseed = 3\n[mock]\nseed = 5\nhttp_5xx_share = 0.1\nhttp_429_share = 0.05\n"
        "reset_share = 0.05\nbad_json_share = 0.05\nmissing_id_share = 0.05\nswapped_ids_share = 0.05\n"
    )

    done = cli("run", str(plan), "--out", "out")

    assert done.code == 1, done
    summary = summary_of(cli.folder / "out")
    errors = create_of(cli.folder / "out")["errors"]
    assert isinstance(errors, dict)
    assert set(errors) == {"http_502", "rate_limited", "reset", "invalid_json", "contract"}
    assert summary["counts"]["built"] == summary["counts"]["recorded"] == 600
    assert summary["validity"]["valid"]
    gate = summary["gates"][0]
    assert (gate["gate"], gate["outcome"], gate["builtin"]) == ("errors <= 1%", "fail", True)
    samples = [json.loads(line) for line in (cli.folder / "out" / "errors.jsonl").read_text().splitlines()]
    assert {sample["outcome"] for sample in samples} >= set(errors)

    shown = cli("payloads", "show", "--seed", "3", "--index", str(samples[0]["index"]), "--raw")

    assert shown.code == 0, shown
    assert json.loads(shown.out)[1]["body"]["brandId"] == "12345678"


def test_ctrl_c_leaves_a_readable_report_and_no_process(cli: Cli) -> None:
    process = cli.start("run", "--users", "5", "--duration", "60s", "--warmup", "0s", "--out", "out")
    folder = cli.folder / "out"
    wait_for(lambda: intervals_of(folder), "a first interval")
    children = psutil.Process(process.pid).children(recursive=True)

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)

    assert process.returncode == 130, err
    summary = summary_of(folder)
    assert summary["verdict"]["outcome"] == "interrupted"
    assert summary["counts"]["built"] == summary["counts"]["recorded"] == summary["ledger"]["received"] > 0
    assert summary["left_open"] == 0
    assert "nterrupted" in out
    assert "Traceback" not in err
    assert {path.name for path in folder.iterdir()} == REPORTS
    assert psutil.wait_procs(children, timeout=5)[1] == []


def test_a_mock_that_dies_ends_the_run_with_a_report_that_says_so(cli: Cli) -> None:
    process = cli.start("run", "--users", "5", "--duration", "60s", "--warmup", "0s", "--out", "out")
    folder = cli.folder / "out"
    wait_for(lambda: intervals_of(folder), "a first interval")

    processes_of(process.pid, "convload.mock")[0].kill()
    out, err = process.communicate(timeout=40)

    assert process.returncode == 3, err
    summary = summary_of(folder)
    assert any("mock ended" in reason and "signal 9" in reason for reason in summary["validity"]["reasons"])
    assert create_of(folder)["errors"]
    assert "mock ended" in out


def test_when_the_run_itself_is_killed_its_children_end_and_the_log_stays_readable(cli: Cli) -> None:
    process = cli.start("run", "--users", "5", "--duration", "60s", "--warmup", "0s", "--out", "out")
    wait_for(lambda: intervals_of(cli.folder / "out"), "a first interval")
    children = psutil.Process(process.pid).children(recursive=True)

    process.kill()
    process.wait()

    assert psutil.wait_procs(children, timeout=20)[1] == []
    assert [path.name for path in (cli.folder / "out").iterdir()] == ["run.jsonl"]
    done = cli("report", "out")
    assert done.code == 0, done
    assert summary_of(cli.folder / "out")["verdict"]["outcome"] in {"interrupted", "inconclusive"}


def test_a_task_that_raises_is_told_and_supports_no_verdict(cli: Cli) -> None:
    (cli.folder / "mine.py").write_text(
        "from locust import task\nfrom convload.load.users import ConversationUser\n\n"
        "class Mine(ConversationUser):\n    @task\n    def go(self):\n"
        "        self.end_conversation(self.create_conversation())\n        raise KeyError('oops')\n"
    )

    done = cli("run", "--locustfile", "mine.py", "--users", "2", "--conversations", "4", "--out", "out")

    assert done.code == 3, done
    assert "a task raised KeyError: 'oops' (4 times)" in done.out
    assert summary_of(cli.folder / "out")["counts"]["recorded"] == 4


def test_users_that_all_leave_end_the_run_and_say_why(cli: Cli) -> None:
    (cli.folder / "mine.py").write_text(
        "from locust import task\nfrom locust.exception import StopUser\nfrom convload import ConversationUser\n\n"
        "class Mine(ConversationUser):\n    @task\n    def go(self):\n        raise StopUser\n"
    )

    done = cli("run", "--locustfile", "mine.py", "--users", "2", "--conversations", "4", "--out", "out")

    assert done.code == 3, done
    assert "all its users have left" in done.out


def test_nested_task_sets_are_paced_by_the_plan_too(cli: Cli) -> None:
    (cli.folder / "mine.py").write_text(
        "from locust import TaskSet, task\nfrom convload.load.users import ConversationUser\n\n"
        "class Inner(TaskSet):\n    @task\n    def go(self):\n"
        "        self.user.end_conversation(self.user.create_conversation())\n\n"
        "class Mine(ConversationUser):\n    tasks = [Inner]\n"
    )

    done = cli("run", "--locustfile", "mine.py", "--users", "3", "--conversations", "40", "--out", "out")

    assert done.code == 0, done
    assert summary_of(cli.folder / "out")["ledger"]["accepted"] == 40
    assert summary_of(cli.folder / "out")["left_open"] == 0


def test_a_locustfile_of_ones_own_with_messages_is_reconciled_too(cli: Cli) -> None:
    chat = bundled.folder("locustfiles") / "chat.py"

    done = cli("run", "--locustfile", str(chat), "--users", "4", "--conversations", "60", "--out", "out")

    assert done.code == 0, done
    steps = summary_of(cli.folder / "out")["steps"]
    assert steps["conversation.send"]["ok"] >= 60
    assert steps["conversation.create"]["ok"] == 60


def test_a_target_over_tls_is_verified_against_ones_own_authority(cli: Cli) -> None:
    with start_mock(Behaviour(), tls=True) as mock:
        trusted = cli(
            "run",
            "--target",
            mock.url,
            "--conversations",
            "20",
            "--users",
            "2",
            "--out",
            "yes",
            environment={"CONVLOAD_CA_FILE": str(mock.ca_file)},
        )
        unknown = cli("run", "--target", mock.url, "--conversations", "20", "--users", "2", "--out", "no")

    assert trusted.code == 0, trusted
    assert create_of(cli.folder / "yes")["ok"] == 20
    assert unknown.code == 4, unknown
    assert "tls" in unknown.err
    assert (
        "certificate verify failed" in unknown.err.lower()
        or "self-signed" in unknown.err.lower()
        or "issuer" in unknown.err
    )
