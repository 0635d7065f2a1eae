"""What a run would do, told beforehand: nothing is contacted, started or written."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import Cli, clean_environment, intervals_of
from tests.test_docs import PAGES, commands_of

WATCHED = """
import os, sys

def watch(event, arguments):
    if event.startswith("socket.") or event in {"subprocess.Popen", "os.fork", "os.posix_spawn", "os.mkdir"}:
        os.write(2, f"forbidden: {event} {arguments}".encode())
        os._exit(99)

from convload.cli import main
import convload.cli.run
sys.addaudithook(watch)
sys.argv = ["convload", "run", "--dry-run", *sys.argv[1:]]
main()
"""


def dry_run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs it in a process that ends at its first socket, child or folder."""
    return subprocess.run(
        [sys.executable, "-c", WATCHED, *arguments],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize(
    "arguments",
    [
        ("smoke",),
        ("users",),
        ("--target", "https://va.example.net", "--allow-host", "va.example.net", "--account", "1"),
        ("--bind", "10.0.0.5:5557", "--expect-workers", "2", "--target", "http://127.0.0.1:9"),
        ("--rate", "50", "--target-b", "http://127.0.0.1:9"),
    ],
)
def test_a_dry_run_opens_no_socket_starts_no_child_and_writes_no_file(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = dry_run(tmp_path, *arguments)

    assert done.returncode == 0, done
    assert "nothing is contacted" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_shows_the_plan_the_schedule_and_what_it_takes(tmp_path: Path) -> None:
    flags = ("--rate", "100", "--arrivals", "even", "--duration", "20s", "--warmup", "5s", "--max-in-flight", "50")
    done = dry_run(tmp_path, *flags, "--workers", "2")

    text = squeezed(done.stdout)
    assert "0 s to 5 s" in text
    assert "500 arrivals" in text
    assert "2,000 arrivals" in text
    assert "2,500 arrivals in all" in text
    assert "2 AppJWTs, one a worker" in text
    assert "up to 50 ConsumerJWSs, one a user" in text
    assert "up to 100 sockets" in text
    assert "306 files a worker" in text
    assert "about 0.7 MB" in text
    assert '"max_in_flight": 50' in done.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--users", "4", "--duration", "10s", "--consumers", "none"), "no tokens"),
        (("--users", "4", "--conversations", "90", "--consumers", "fresh"), "90 ConsumerJWSs, one a conversation"),
        (("--users", "4", "--conversations", "90"), "90 conversations in all"),
        (
            (
                "--users",
                "4",
            ),
            "as many conversations as 4 users get answered",
        ),
        (("spike",), "1,000/s"),
    ],
)
def test_a_dry_run_says_what_each_kind_of_load_takes(tmp_path: Path, arguments: tuple[str, ...], text: str) -> None:
    assert text in squeezed(dry_run(tmp_path, *arguments).stdout)


@pytest.mark.parametrize(
    ("arguments", "title"),
    [
        ((), "smoke at the embedded mock"),
        (("--target", "http://127.0.0.1:9"), "127.0.0.1 at http://127.0.0.1:9"),
        (("smoke", "--target", "http://127.0.0.1:9"), "smoke at http://127.0.0.1:9"),
        (("--name", "smoke", "--target", "http://127.0.0.1:9"), "smoke at http://127.0.0.1:9"),
    ],
)
def test_a_run_at_a_host_is_called_smoke_only_by_who_says_so(
    tmp_path: Path, arguments: tuple[str, ...], title: str
) -> None:
    assert f"Dry run of {title}:" in dry_run(tmp_path, *arguments).stdout


def test_mistakes_of_a_dry_run_are_those_of_the_run(tmp_path: Path) -> None:
    done = dry_run(tmp_path, "--locustfile", "nowhere.py")

    assert done.returncode == 2
    assert "nowhere.py: cannot be read" in done.stderr


PLACEHOLDERS = {
    "HOST:PORT": "10.0.0.5:5557",
    "HOST": "VA.example.net",
    "URL": "http://127.0.0.1:9",
    "ACCOUNT": "1",
    "N": "2",
}
RUNS = dict.fromkeys(line for page in PAGES for line in commands_of(page) if re.match(r"run\b.* ", line))


@pytest.mark.parametrize("line", RUNS)
def test_every_documented_run_is_one_that_would_start(line: str) -> None:
    """In the folder of the project, where the documented plans are."""
    words = re.sub("|".join(rf"\b{name}\b" for name in PLACEHOLDERS), lambda found: PLACEHOLDERS[found[0]], line)
    done = dry_run(Path(__file__).parents[2], *shlex.split(words)[1:])

    assert done.returncode == 0, done.stderr


def test_the_run_fires_just_the_arrivals_that_the_dry_run_names(cli: Cli) -> None:
    flags = ("--rate", "80", "--duration", "2s", "--warmup", "1s", "--workers", "2", "--seed", "11")
    found = re.search(r"([\d,]+) arrivals in all", dry_run(cli.folder, *flags).stdout)
    done = cli("run", *flags, "--consumers", "none", "--out", "out")

    assert found is not None
    assert sum(one.offered for one in intervals_of(cli.folder / "out") if one.last) == int(found[1]), done
