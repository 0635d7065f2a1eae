"""`python -m supply.container FOLDER [worker]`: builds the image of deploy/Containerfile here, and makes a run in it.

Needs root, buildah and mmdebstrap (both are packages of Debian), and nothing that runs containers: the base is made of
Debian's packages, and the run is a process of the image's user on the image's files, which it cannot write. What the
image weighs beyond its base is printed. The base is kept in FOLDER, as it takes the longest.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from supply.lock import ROOT

SUITE = "bookworm"
BASE = "localhost/convload-base"
IMAGE = "localhost/convload"
USER = "65532:65532"
PACKAGES = "python3,python3-venv,ca-certificates"
TIMEOUT_S = 1800
MEGA = 1e6

IN_IMAGE = """
set -e
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
mount -t tmpfs -o mode=1777 tmpfs "$1/data"
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
root=$1; shift
exec chroot --userspec=65532:65532 "$root" \\
    /usr/bin/env -i --chdir=/data HOME=/tmp PATH=/opt/convload/bin /opt/convload/bin/convload "$@"
"""
RUN = ("run", "smoke", "--duration", "2s", "--warmup", "500ms", "--out", "/data/out", "--exit-zero")
CERTIFICATES = (
    "--volume",
    "/etc/ssl/certs:/etc/ssl/certs:ro",
    "--build-arg",
    "PIP_CERT=/etc/ssl/certs/ca-certificates.crt",
)
"""What this machine trusts, the build does."""
OF_WORKER = ("worker", "--help")


def main() -> int:
    """Prints sizes and what the run said; returns its exit code."""
    folder = Path(sys.argv[1]).resolve()
    worker = sys.argv[2:] == ["worker"]
    store = ("--root", str(folder / "root"), "--runroot", str(folder / "runroot"), "--storage-driver", "overlay")
    make_base(folder, store)
    lock = "worker.lock" if worker else "run.lock"
    buildah(store, "build", "--isolation", "chroot", "--format", "oci", "--build-arg", f"BASE={BASE}", "--build-arg",
            f"LOCK={lock}", *CERTIFICATES, "--tag", IMAGE, "--file", "deploy/Containerfile", str(ROOT))  # fmt: skip
    base_mb, image_mb = (size_mb(store, name) for name in (BASE, IMAGE))
    print(json.dumps({"image": lock.removesuffix(".lock"), "base_mb": base_mb, "beyond_mb": image_mb - base_mb}))
    container = buildah(store, "from", "--pull-never", IMAGE)
    files = buildah(store, "mount", container)
    began_s = time.monotonic()
    command = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", IN_IMAGE, "sh", files]
    done = subprocess.run([*command, *(OF_WORKER if worker else RUN)], check=False, timeout=TIMEOUT_S)
    buildah(store, "rm", container)
    print(f"exit code {done.returncode} after {time.monotonic() - began_s:.1f} s, root read-only, user {USER}")
    return done.returncode


def make_base(folder: Path, store: tuple[str, ...]) -> None:
    """Makes an image of Debian with Python, unless it is there already."""
    tar = folder / "base.tar"
    folder.mkdir(parents=True, exist_ok=True)
    if not tar.exists():
        subprocess.run(["mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(tar)], check=True)
    if BASE not in buildah(store, "images", "--format", "{{.Name}}"):
        container = buildah(store, "from", "scratch")
        buildah(store, "add", container, str(tar), "/")
        buildah(store, "commit", "--quiet", container, BASE)
        buildah(store, "rm", container)


def size_mb(store: tuple[str, ...], image: str) -> float:
    """Returns the size of the files of an image."""
    container = buildah(store, "from", "--pull-never", image)
    files = Path(buildah(store, "mount", container))
    size = sum(path.lstat().st_size for path in files.rglob("*") if path.is_file() and not path.is_symlink())
    buildah(store, "rm", container)
    return round(size / MEGA, 1)


def buildah(store: tuple[str, ...], *arguments: str) -> str:
    """Runs buildah and returns what it prints; what goes wrong it says itself."""
    command = ["buildah", *store, *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=TIMEOUT_S)
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


if __name__ == "__main__":
    sys.exit(main())
