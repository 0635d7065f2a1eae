"""`convload plan` and the manual page."""

import shutil
import subprocess
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from convload.bundled import find_plan
from convload.cli import VERBS, convload
from convload.cli.man import page
from convload.cli.plan import plan as plan_verb
from convload.errors import UsageError
from convload.plan.plan import assemble

PLANS = Path(__file__).parents[2] / "plans"


def plan(*arguments: str, **environment: str) -> str:
    """Runs `convload plan` in this process and returns what it prints."""
    done = CliRunner(env=environment).invoke(plan_verb, list(arguments), standalone_mode=False)
    if done.exception:
        raise done.exception
    return done.stdout


@pytest.mark.parametrize("name", sorted(path.stem for path in PLANS.glob("*.toml")))
def test_what_show_prints_is_a_plan_that_settles_to_the_same(name: str, tmp_path: Path) -> None:
    (tmp_path / "frozen.toml").write_text(plan("show", name))

    assert assemble(tmp_path / "frozen.toml", {}, {}) == assemble(find_plan(name), {}, {})


def test_show_says_of_each_value_where_it_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('users = 3\nseed = 4\nwarmup = "1s"\ngates = ["errors < 1%"]\n')

    text = plan("show", str(file), "--users", "5", "--allow-host", "a.example", CONVLOAD_SEED="9")

    remarks = {line.split(" = ")[0]: line.rpartition("  # ")[2] for line in text.partition("\n\n")[0].splitlines()}
    assert remarks["users"] == "--users"
    assert remarks["seed"] == "CONVLOAD_SEED"
    assert (remarks["warmup"], remarks["gates"]) == (f"{file}:3", f"{file}:4")
    assert (remarks["workers"], remarks["model"]) == ("default", "follows from other keys")
    assert (remarks["name"], remarks["allow_hosts"]) == ("the file's name", "--allow-host")
    assert tomllib.loads(text)["allow_hosts"] == ["a.example"]


def test_a_value_that_a_newer_source_voids_has_no_origin_left(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('rate = 50\nduration = "9s"\n')

    text = plan("show", str(tmp_path / "mine.toml"), "--users", "5")

    assert "rate" not in tomllib.loads(text)
    assert 'model = "closed"  # follows from other keys' in text


def test_check_tells_all_mistakes_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("usres = 3\nseed = -1\n")
    (tmp_path / "b.toml").write_text('locustfile = "none.py"\n')
    (tmp_path / "c.toml").write_text("users = 3\n")
    files = [str(tmp_path / f"{name}.toml") for name in "abc"]

    with pytest.raises(UsageError) as caught:
        plan("check", *files)

    unknown, seed, locustfile = caught.value.problems
    assert unknown.startswith(f"{files[0]}:1: usres: unknown key, did you mean 'users'?")
    assert seed.startswith(f"{files[0]}:2: seed: ")
    assert locustfile.startswith(f"{files[1]}: locustfile: none.py: cannot be read")
    assert plan("check", files[2]) == f"{files[2]}: no mistakes\n"


def test_the_manual_page_has_every_verb_and_roff_takes_it_without_complaint() -> None:
    text = page(convload)
    plain = text.replace("\\-", "-")

    assert [verb for verb in VERBS if f".SS convload {verb}" not in plain] == []
    run = convload.get_command(click.Context(convload), "run")
    assert run is not None
    assert [opt for param in run.params for opt in param.opts if opt.startswith("--") and opt not in plain] == []
    if shutil.which("groff"):
        command = ["groff", "-man", "-ww", "-Tutf8", "-P-c"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=True)
        assert done.stderr == ""
        assert "convload run plans/soak.toml --users 200" in done.stdout
