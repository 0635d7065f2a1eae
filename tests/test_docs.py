"""What the documentation says exists, and what exists is documented."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

import convload as convload_package
from convload.cli import VERBS, convload
from convload.load.conversation import PROVES_NONE
from convload.plan.mock_behaviour import Behaviour
from convload.plan.plan import Plan
from convload.plan.retry import POLICIES, RetryPolicy
from convload.plan.sources import DURATIONS

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [ROOT / "README.md", *ROOT.glob("docs/*.md"), ROOT / "reports" / "README.md", *ROOT.glob("payloads/*.md")]
)
COMMAND = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S+ )*convload (?P<rest>[a-z][^\n#|`&]*)", re.MULTILINE)
INLINE = re.compile(r"`convload (?P<rest>[a-z][^`]*)`")


def commands_of(page: Path) -> list[str]:
    text = page.read_text().replace("\\\n", " ")
    blocks = "\n".join(re.findall(r"```(?:sh|console|bash|shell)?\n(.*?)```", text, re.DOTALL))
    return [found["rest"].strip() for found in COMMAND.finditer(blocks)] + [m["rest"] for m in INLINE.finditer(text)]


def options_of(command: click.Command) -> set[str]:
    return {name for param in command.params for name in (*param.opts, *param.secondary_opts)} | {"--help", "-h"}


def resolve(words: list[str]) -> click.Command:
    command: click.Command = convload
    context = click.Context(convload)
    for word in words:
        if not isinstance(command, click.Group):
            break
        found = command.get_command(context, word)
        assert found is not None, f"no command {word!r}"
        command = found
    return command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_documented_command_and_option_exists(page: Path) -> None:
    for line in commands_of(page):
        words = line.split()
        command = resolve([word for word in words if not word.startswith("-")])
        unknown = {word.split("=")[0] for word in words if word.startswith("--")} - options_of(command)
        assert not unknown, f"{page.name}: convload {line}: no option {unknown}"


def test_some_commands_are_documented() -> None:
    """Guards the test above against a pattern that finds nothing."""
    assert len([line for page in PAGES for line in commands_of(page)]) >= 10


def test_every_file_of_attacks_is_in_the_table_of_attacks() -> None:
    told = (ROOT / "docs" / "reliability.md").read_text()

    files = sorted(path.name for path in (ROOT / "tests" / "attacks").glob("test_*.py"))
    assert [name for name in files if name not in told] == []


def test_every_verb_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()

    assert [verb for verb in VERBS if f"convload {verb}" not in readme] == []


def test_every_key_of_a_plan_is_documented_with_its_flag() -> None:
    text = (ROOT / "docs" / "plan.md").read_text()
    table = text.partition("## Open and closed")[0]
    rows = dict(re.findall(r"^\| `\[*(\w+)\]*` \| (?:`(--[\w-]+)`)?", table, re.MULTILINE))
    stored = {long: short for short, long in DURATIONS.items()}
    keys = {stored.get(name, name) for name in Plan.__struct_fields__}
    flags = options_of(resolve(["run"]))

    assert keys - rows.keys() == set()
    assert rows.keys() - keys == set()
    assert {flag for flag in rows.values() if flag} <= flags
    assert {f"--{key.replace('_', '-')}" for key in keys} & flags <= {flag for flag in rows.values() if flag}


def test_every_setting_of_a_retry_policy_is_documented() -> None:
    text = (ROOT / "docs" / "plan.md").read_text().partition("## Retries")[2]

    assert [name for name in RetryPolicy.__struct_fields__ if f"| `{name}` |" not in text] == []
    assert [name for name in POLICIES if f"| `{name}` |" not in text] == []


def test_every_flag_of_the_doctor_is_documented() -> None:
    text = (ROOT / "docs" / "doctor.md").read_text()

    assert [flag for flag in options_of(resolve(["doctor"])) - {"--help", "-h"} if f"`{flag}`" not in text] == []


def test_the_flags_of_a_capacity_search_are_those_that_are_documented() -> None:
    text = (ROOT / "docs" / "capacity.md").read_text()
    table = " ".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| `--"))

    assert set(re.findall(r"`(--[\w-]+)`", table)) == options_of(resolve(["capacity"])) - {"--help", "-h", "plan"}


def test_every_setting_of_the_mock_is_documented() -> None:
    text = (ROOT / "docs" / "mock.md").read_text()

    assert [name for name in Behaviour.__struct_fields__ if f"`{name}`" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_run_time_dependency_says_why_it_is_here() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[<>=]", line)[0] for line in project["dependencies"]}
    text = (ROOT / "docs" / "dependencies.md").read_text()

    assert [name for name in names if f"| {name} |" not in text] == []


def test_the_lock_file_holds_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text()

    assert "://" not in lock
    assert "--hash=sha256:" in lock


def test_every_command_has_a_help_text_with_an_example() -> None:
    for verb in VERBS:
        command = resolve([verb])
        commands = command.commands.values() if isinstance(command, click.Group) else [command]
        for one in commands:
            assert one.help, verb
            assert "convload" in (one.epilog or one.help), f"{verb} {one.name} has no example"


def test_the_documented_locustfiles_define_users() -> None:
    text = (ROOT / "docs" / "locustfiles.md").read_text()
    files = re.findall(r"```python\n(.*?)```", text, re.DOTALL)

    code = "from convload.load.processes.setup import load_users; import sys; print(len(load_users(sys.argv[1])))"
    found = [
        subprocess.run([sys.executable, "-c", code, one], capture_output=True, text=True, check=True) for one in files
    ]

    assert [one.stdout.strip() for one in found] == ["1", "2"]


def test_every_public_name_is_documented() -> None:
    text = (ROOT / "docs" / "locustfiles.md").read_text()

    assert [name for name in convload_package.__all__ if f"`{name}`" not in text] == []


def test_every_outcome_that_keeps_a_consumer_is_documented() -> None:
    text = (ROOT / "docs" / "locustfiles.md").read_text()

    assert [outcome for outcome in PROVES_NONE if f"`{outcome}`" not in text] == []
