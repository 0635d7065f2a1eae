"""`python -m supply.dist FOLDER`: builds wheel and sdist, and both again from the sdist: the bytes must be the same.

Beside them stand the manual page, completions for three shells and SHA256SUMS.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

from supply.lock import ROOT

SHELLS = ("bash", "zsh", "fish")
SUMS = "SHA256SUMS"


def main() -> int:
    """Writes the folder; returns 1 where the second build differs."""
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    wheel, sdist = build(ROOT, folder)
    with tempfile.TemporaryDirectory() as elsewhere:
        again = build_again(sdist, Path(elsewhere))
        differing = [
            first.name for first, second in zip((wheel, sdist), again, strict=True) if sum_of(first) != sum_of(second)
        ]
    made = [wheel, sdist, *write_aids(folder)]
    (folder / SUMS).write_text("".join(f"{sum_of(path)}  {path.name}\n" for path in made))
    for path in made:
        print(f"{path}: {path.stat().st_size:,} bytes")
    for name in differing:
        print(f"{name}: another build of the same files has other bytes")
    return 1 if differing else 0


def build(root: Path, folder: Path) -> tuple[Path, Path]:
    """Builds the wheel and the sdist of a checkout, or of an unpacked sdist."""
    [wheel] = WheelBuilder(str(root)).build(directory=str(folder), versions=["standard"])
    [sdist] = SdistBuilder(str(root)).build(directory=str(folder), versions=["standard"])
    return Path(wheel), Path(sdist)


def build_again(sdist: Path, elsewhere: Path) -> tuple[Path, Path]:
    """Builds both from what an sdist holds, in another place and at another time than the first."""
    with tarfile.open(sdist) as archive:
        archive.extractall(elsewhere, filter="data")
    [root] = elsewhere.iterdir()
    for path in root.rglob("*"):
        os.utime(path)
    return build(root, elsewhere / "dist")


def write_aids(folder: Path) -> list[Path]:
    """Writes what is made from the commands themselves."""
    texts = {"convload.1": _said_by(["--man"])}
    texts |= {f"convload.{shell}": _said_by([], _CONVLOAD_COMPLETE=f"{shell}_source") for shell in SHELLS}
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [folder / name for name in texts]


def _said_by(arguments: list[str], **variables: str) -> str:
    command = [str(Path(sys.executable).with_name("convload")), *arguments]
    return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=True).stdout


def sum_of(path: Path) -> str:
    """Returns the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
