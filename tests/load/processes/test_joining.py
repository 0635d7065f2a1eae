"""Workers of other machines come together: several by one command, fewer than were expected, and who is missing."""

import pytest
from tests.conftest import Cli, listening, summary_of

from convload import __version__
from convload.errors import UsageError
from convload.load.processes.keys import new_key
from convload.load.processes.members import Members
from convload.load.processes.messages import Hello
from convload.private import is_private
from convload.results import runlog
from convload.results.runlog import Note


def members_with(workers: int, tickets: list[str], *nodes: str) -> Members:
    members = Members(workers, tickets)
    for node in nodes:
        assert members.admit(node, Hello(__version__, "")) is not None
    return members


def test_a_run_begins_with_enough_workers_and_they_share_all_of_the_load(cli: Cli) -> None:
    """Two of three, both started by one command; they fire at a host that a file allows."""
    assert cli("key", "new", "--out", "key").code == 0
    (cli.folder / "hosts").write_text("# staging\n127.0.0.2\n\nother.example  # not used\n")
    joining = ("--bind", "127.0.0.1:0", "--expect-workers", "3", "--min-workers", "2", "--join-within", "15s")
    load = ("--rate", "100", "--arrivals", "even", "--warmup", "0s", "--duration", "2s", "--max-in-flight", "30")
    run = cli.start("run", *load, "--exit-zero", "--out", "out", "--key-file", "key", *joining)

    workers = cli("worker", listening(run), "--key-file", "key", "--workers", "2", "--allow-hosts-file", "hosts")

    assert workers.code == 0, workers
    _, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    summary = summary_of(cli.folder / "out")
    assert summary["workers"] == 2
    assert summary["counts"]["offered"] == 200
    assert summary["unsent"] == 0
    assert not any("worker" in reason and "reported" in reason for reason in summary["validity"]["reasons"])
    notes = [record.text for record in runlog.read(cli.folder / "out").records if isinstance(record, Note)]
    assert any(text.startswith("2 of 3 workers came in time and share the load: here: ") for text in notes)
    assert any(text.endswith("missing: 1 from elsewhere") for text in notes)


def test_who_is_here_is_told_by_machine_and_who_is_missing_by_count() -> None:
    members = members_with(4, ["ticket"], "worker-1_0a", "worker-0_0b")

    assert (
        members.describe() == "here: from elsewhere worker-0, worker-1; missing: 1 of this machine and 1 from elsewhere"
    )
    assert members.admit("us_0c", Hello(__version__, "ticket")) is not None
    assert members.describe() == "here: 1 of this machine; from elsewhere worker-0, worker-1; missing: 1 from elsewhere"


@pytest.mark.parametrize(("enough", "begins"), [(0, False), (3, False), (2, True), (1, True)])
def test_when_the_time_to_join_is_over_enough_workers_are_enough(enough: int, begins: bool) -> None:
    members = members_with(3, [], "a_0", "b_0")
    waiting = members.await_all(lambda: len(members), 3, 0.0, "connected", enough)

    if begins:
        assert list(waiting) == []
        return
    with pytest.raises(UsageError, match=r"^workers: of 3 only 2 connected within 0 s; here: from elsewhere a, b; "):
        list(waiting)


def test_a_run_that_has_begun_takes_nobody_in() -> None:
    members = members_with(3, ["ticket"], "a_0")
    members.close()

    assert members.admit("b_0", Hello(__version__, "")) is None
    assert members.admit("c_0", Hello(__version__, "ticket")) is None
    assert members.refused["b_0"] == "the run has all of its workers already"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("worker", "127.0.0.1:1", "--workers", "0"), "--workers: '0' must be auto or a whole number"),
        (("worker", "127.0.0.1:1", "--allow-hosts-file", "none"), "--allow-hosts-file: none: cannot be read"),
        (
            ("run", "--bind", "127.0.0.1:0", "--expect-workers", "2", "--min-workers", "3"),
            "--min-workers: 3 are more than the 2 of --expect-workers",
        ),
        (("run", "--min-workers", "3"), "--expect-workers, --min-workers, "),
    ],
)
def test_what_workers_cannot_do_is_refused_in_words(cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    done = cli(*arguments, environment={"CONVLOAD_WORKER_KEY": new_key()})

    assert done.code == 2
    assert said in done.err


@pytest.mark.parametrize(
    ("mode", "is_ours", "taken"),
    [(0o600, True, True), (0o640, True, False), (0o440, False, True), (0o444, False, False), (0o460, False, False)],
)
def test_a_key_is_taken_that_we_alone_or_a_mount_s_group_may_read(mode: int, is_ours: bool, taken: bool) -> None:
    assert is_private(mode, is_ours=is_ours) is taken
