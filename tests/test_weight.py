"""What a worker is made of: deploy/worker.lock, and nothing that judges and shows results."""

import os
from pathlib import Path

import pytest
from supply.image_locks import NAMES, RUN_LOCK, WORKER_LOCK, part_of
from supply.lock import LOCK, read_lock, shipped
from tests.conftest import Cli, listening

WITHOUT = ("scipy", "ruptures", "rich", "jinja2", "markupsafe", "flask", "werkzeug", "uvloop", "trustme")

SITE = f"""
import atexit, importlib.metadata, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {WITHOUT!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())

@atexit.register
def tell():
    owners = importlib.metadata.packages_distributions()
    names = {{name for module in list(sys.modules) for name in owners.get(module.partition(".")[0], ())}}
    open(__file__ + ".names", "w").write(" ".join(names))
"""


def test_a_worker_fires_a_run_without_what_judges_and_shows_it(cli: Cli) -> None:
    site = cli.folder / "site" / "sitecustomize.py"
    site.parent.mkdir()
    site.write_text(SITE)
    assert cli("key", "new", "--out", "key").code == 0
    shared = ("--bind", "127.0.0.1:0", "--expect-workers", "1", "--key-file", "key")
    run = cli.start("run", "smoke", "--users", "2", "--conversations", "40", "--exit-zero", "--out", "out", *shared)
    path = os.pathsep.join([str(site.parent), *filter(None, [os.environ.get("PYTHONPATH")])])

    worker = cli("worker", listening(run), "--key-file", "key", environment={"PYTHONPATH": path})

    assert worker.code == 0, worker
    assert run.communicate(timeout=60)[1] is not None
    assert run.returncode == 0
    used = {name.lower().replace(".", "-").replace("_", "-") for name in Path(f"{site}.names").read_text().split()}
    assert used - {"convload", "setuptools"} <= NAMES


@pytest.mark.parametrize("arguments", [["--version"], ["worker", "--help"], ["worker", "nowhere"], ["key", "new"]])
def test_what_a_worker_machine_is_asked_needs_no_more_either(cli: Cli, arguments: list[str]) -> None:
    (cli.folder / "sitecustomize.py").write_text(SITE)
    path = os.pathsep.join([str(cli.folder), *filter(None, [os.environ.get("PYTHONPATH")])])

    done = cli(*arguments, environment={"PYTHONPATH": path})

    assert done.code == (2 if "nowhere" in arguments else 0), done
    assert "internal error" not in done.err


def test_the_locks_of_images_are_those_parts_of_the_lock() -> None:
    lock = LOCK.read_text()
    users = shipped(read_lock(lock))

    assert WORKER_LOCK.read_text() == part_of(lock, NAMES), "renew them: python -m supply.image_locks"
    assert RUN_LOCK.read_text() == part_of(lock, users), "renew them: python -m supply.image_locks"
    assert {package.name for package in read_lock(WORKER_LOCK.read_text())} == NAMES
    assert users > NAMES
    assert {"pytest-xdist", "mypy", "hypothesis"}.isdisjoint(users)
