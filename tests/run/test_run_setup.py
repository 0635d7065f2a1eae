"""Runs that cannot be set up: one message, the right exit code, nothing left behind."""

import os
import time

import pytest
from tests.conftest import Cli, clean_environment

from convload.mock.process import start_mock
from convload.plan.mock_behaviour import Behaviour
from convload.run.execution import JOIN_WITHIN_S


def left_nothing(cli: Cli, folder: str = "out") -> bool:
    return not (cli.folder / folder).exists()


def test_an_unreachable_target_is_exit_code_4_and_leaves_nothing(cli: Cli) -> None:
    done = cli("run", "--target", "http://127.0.0.1:9", "--out", "out")

    assert done.code == 4, done
    assert (
        done.err.splitlines()[-1] == "convload: target http://127.0.0.1:9: connect_refused: 127.0.0.1:9: ECONNREFUSED"
    )
    assert left_nothing(cli)


def test_refused_credentials_are_exit_code_4(cli: Cli) -> None:
    secret = {"CONVLOAD_CLIENT_ID": "app", "CONVLOAD_CLIENT_SECRET": "right"}
    with start_mock(Behaviour(), env=clean_environment() | secret) as mock:
        done = cli(
            "run", "--target", mock.url, "--out", "out", environment=secret | {"CONVLOAD_CLIENT_SECRET": "wrong"}
        )

    assert done.code == 4, done
    assert "AppJWT: refused: http_401" in done.err
    assert "check the credentials" in done.err
    assert "wrong" not in done.err + done.out
    assert left_nothing(cli)


USAGE_ERRORS = {
    "host": (["--target", "https://va.example.net"], "'va.example.net' is not this machine"),
    "flag": (["--usres", "3"], "--users"),
    "value": (["--users", "many"], "--users: 'many'"),
    "mix": (["--mix", "defualt"], "default"),
    "payloads": (["--payloads", "nowhere"], "nowhere"),
    "locustfile": (["--locustfile", "nowhere.py"], "nowhere.py"),
    "plan": (["nowhere.toml"], "is no file that can be read, and no bundled plan of that name"),
    "out": (["--out", "file/below"], "cannot be written"),
}


@pytest.mark.parametrize(("arguments", "message"), USAGE_ERRORS.values(), ids=USAGE_ERRORS.keys())
def test_wrong_usage_is_one_message_and_exit_code_2(cli: Cli, arguments: list[str], message: str) -> None:
    (cli.folder / "file").write_text("")
    out = [] if "--out" in arguments else ["--out", "out"]

    done = cli("run", *arguments, *out)

    assert done.code == 2, done
    assert message in done.err
    assert "Traceback" not in done.err
    assert left_nothing(cli)


def test_a_folder_with_something_in_it_is_not_written_to(cli: Cli) -> None:
    (cli.folder / "out").mkdir()
    (cli.folder / "out" / "mine").write_text("keep")

    done = cli("run", "--conversations", "5", "--users", "1", "--out", "out")

    assert done.code == 2, done
    assert "is there already and not empty" in done.err
    assert [path.name for path in (cli.folder / "out").iterdir()] == ["mine"]


def test_broken_payload_files_are_named_with_line_and_field(cli: Cli) -> None:
    variants = cli.folder / "mine" / "variants"
    variants.mkdir(parents=True)
    (variants / "a.json").write_text('{\n "description": "x",\n "payload": [\n  {"id": "${nope}"}\n ]\n}')
    (cli.folder / "mine" / "mixes.toml").write_text("[default]\na = 1\n")

    done = cli("run", "--payloads", "mine", "--out", "out")

    assert done.code == 2, done
    assert "a.json:4" in done.err
    assert "nope" in done.err
    assert left_nothing(cli)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_of_that_name\n", "mine.py:1: ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("x = 1\nclass X(:\n", "mine.py:2: SyntaxError: invalid syntax\n"),
        ("x = 1\n", "mine.py: defines no user class"),
        ("raise SystemExit(3)\n", "mine.py:1: SystemExit: 3"),
        (
            "from convload import ConversationUser\nclass Mine(ConversationUser): pass\n",
            "mine.py: Mine: has no task; mark what a user does with @task",
        ),
    ],
)
def test_a_broken_locustfile_is_exit_code_2_with_its_line(cli: Cli, text: str, message: str) -> None:
    (cli.folder / "mine.py").write_text(text)

    done = cli("run", "--locustfile", "mine.py", "--out", "out")

    assert done.code == 2, done
    assert message in done.err
    assert "Traceback" not in done.err
    assert left_nothing(cli)


def test_a_mistake_of_a_worker_may_be_longer_than_a_pipe(cli: Cli) -> None:
    (cli.folder / "mine.py").write_text(
        "import sys\nif 'convload.load.processes.worker' in sys.orig_argv: raise ValueError('y' * 300_000)\n"
        "from convload.load.users import ConversationUser\nclass Mine(ConversationUser): tasks = [print]\n"
    )

    done = cli("run", "--locustfile", "mine.py", "--out", "out")

    assert done.code == 2, done
    assert "mine.py:2: ValueError: yyy" in done.err
    assert len(done.err) < 5_000
    assert left_nothing(cli)


def test_too_few_file_descriptors_say_the_limit_and_how_to_raise_it(cli: Cli) -> None:
    limited = ("sh", "-c", 'ulimit -n 400; exec "$@"', "sh")
    process = cli.start("run", "--users", "500", "--out", "out", prefix=limited)

    _, err = process.communicate(timeout=60)

    assert process.returncode == 2, err
    assert "hard limit is 400" in err
    assert "ulimit -Hn" in err


def with_startup(cli: Cli, code: str) -> dict[str, str]:
    """Returns an environment in which each Python process first runs some code."""
    (cli.folder / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": os.pathsep.join([str(cli.folder), *filter(None, [os.environ.get("PYTHONPATH")])])}


@pytest.mark.parametrize(
    ("death", "how"),
    [("os._exit(3)", "ended with status 3"), ("os.kill(os.getpid(), 9)", "was killed by signal 9")],
)
def test_a_worker_that_dies_before_its_first_word_ends_the_set_up_at_once(cli: Cli, death: str, how: str) -> None:
    code = f"import os, sys\nif 'convload.load.processes.worker' in sys.orig_argv: {death}\n"
    began_s = time.monotonic()

    done = cli("run", "--out", "out", environment=with_startup(cli, code))

    assert done.code == 2, done
    assert f"convload: a worker {how} before the run began" in done.err
    assert time.monotonic() - began_s < JOIN_WITHIN_S / 2
    assert left_nothing(cli)
