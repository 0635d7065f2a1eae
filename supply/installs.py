"""`python -m supply.installs WHEEL [PYTHON...]`: installs the wheel in each way people do, and makes a run with each.

Ways: pip in a new environment, pipx, uvx. Each is tried with each Python that is named, else with each of 3.11 to 3.14
that this machine has, in an empty folder. Needs a package index for what convload needs.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

VERSIONS = ("3.11", "3.12", "3.13", "3.14")
RUN = ("run", "smoke", "--duration", "2s", "--warmup", "500ms", "--out", "out")
ENDS_OF_A_RUN = {0, 3}
"""A machine that is busy supports no verdict; that the run went its way is what is asked here."""
TIMEOUT_S = 900


def main() -> int:
    """Prints a line for each way; returns 1 where one failed."""
    wheel = Path(sys.argv[1]).resolve()
    failed = 0
    for python in sys.argv[2:] or list(pythons()):
        with tempfile.TemporaryDirectory() as folder:
            for way, command in ways(wheel, python, Path(folder)):
                failed += not tried(f"{python}, {way}", command, Path(folder) / way)
    return 1 if failed else 0


def pythons() -> Iterator[str]:
    """Yields those of this machine that convload is for."""
    for version in VERSIONS:
        asked = [f"python{version}", "-c", "import sys; print(sys.executable)"]
        try:
            yield subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            print(f"python{version}: not on this machine")


def ways(wheel: Path, python: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yields each way by its name: the words before `convload`'s own, which install it where that is needed."""
    tools, plain = folder / "tools", folder / "plain"
    for environment, wanted in ((tools, ["pipx", "uv"]), (plain, [str(wheel)])):
        subprocess.run([python, "-m", "venv", str(environment)], check=True, timeout=TIMEOUT_S)
        pip = [str(environment / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *wanted], check=True, timeout=TIMEOUT_S)
    yield "pip", [str(plain / "bin" / "convload")]
    yield "pipx", [str(tools / "bin" / "pipx"), "run", "--python", python, "--spec", str(wheel), "convload"]
    yield "uvx", [str(tools / "bin" / "uvx"), "--python", python, "--from", str(wheel), "convload"]


def tried(name: str, command: list[str], folder: Path) -> bool:
    """Makes a run in an empty folder; prints and returns whether there is a report."""
    folder.mkdir()
    outside = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    own = {"PIPX_HOME": str(folder / "home"), "UV_CACHE_DIR": str(folder / "cache"), "UV_NATIVE_TLS": "1"}
    began_s = time.monotonic()
    done = subprocess.run(
        [*command, *RUN], cwd=folder, env=outside | own, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    works = done.returncode in ENDS_OF_A_RUN and (folder / "out" / "report.html").exists()
    print(f"{name}: {'works' if works else 'FAILED'}, exit code {done.returncode}, {time.monotonic() - began_s:.0f} s")
    if not works:
        print(done.stdout + done.stderr)
    return works


if __name__ == "__main__":
    sys.exit(main())
