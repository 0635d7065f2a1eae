"""Completion in the shell, as docs/completion.md switches it on."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from tests.conftest import COMMAND, clean_environment

PAGE = Path(__file__).parents[2] / "docs" / "completion.md"


def shell(folder: Path, text: str) -> "subprocess.CompletedProcess[str]":
    """Runs text under bash, where `convload` is a command."""
    command = folder / "convload"
    command.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    command.chmod(0o755)
    environment = clean_environment()
    return subprocess.run(
        ["/bin/bash", "-c", text],
        env=environment | {"PATH": f"{folder}:{environment.get('PATH', os.defpath)}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("convload do", {"doctor"}),
        ("convload run --targ", {"--target", "--target-b"}),
        ("convload run --consumers f", {"fresh"}),
    ],
)
def test_the_documented_line_completes_in_bash(tmp_path: Path, words: str, completed: set[str]) -> None:
    [line] = re.findall(r"`(eval .*bash_source convload\)\")`", PAGE.read_text())
    given = words.split()
    press = f"COMP_WORDS=({words}); COMP_CWORD={len(given) - 1}; _convload_completion convload; echo ${{COMPREPLY[@]}}"
    done = shell(tmp_path, f"{line}\n{press}")

    assert (done.returncode, done.stderr) == (0, "")
    assert set(done.stdout.split()) == completed


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_every_documented_shell_gets_a_script(tmp_path: Path, name: str) -> None:
    assert f"_CONVLOAD_COMPLETE={name}_source convload" in PAGE.read_text()

    done = shell(tmp_path, f"_CONVLOAD_COMPLETE={name}_source convload")

    assert done.returncode == 0
    assert f"_CONVLOAD_COMPLETE={name}_complete" in done.stdout
