"""`python -m supply.container FOLDER [everything|worker]`: builds the images of deploy/Containerfile, and runs them.

Needs root, buildah and mmdebstrap (both are packages of Debian), and nothing that runs containers: the base is made of
Debian's packages, and a run is a process of the image's user on the image's files, which it cannot write. The wheel in
the images is built from this checkout. What each weighs beyond the base is printed. Base and layers are kept in FOLDER.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

from supply.lock import ROOT

SUITE = "bookworm"
BASE = "localhost/convload-base"
IMAGE = "localhost/convload:local"
WORKER = "localhost/convload-worker:local"
NAMES = {"everything": IMAGE, "worker": WORKER}
LOCKS = {IMAGE: "run.lock", WORKER: "worker.lock"}
USER = "65532:65532"
PACKAGES = ("base-files", "python3", "python3-venv", "libstdc++6", "ca-certificates", "coreutils", "dash")
MERGED = "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr"
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
COMMANDS = {
    IMAGE: ("run", "smoke", "--duration", "2s", "--warmup", "500ms", "--out", "/data/out", "--exit-zero"),
    WORKER: ("worker", "--help"),
}
CERTIFICATES = "/etc/ssl/certs"
BUNDLE = f"PIP_CERT={CERTIFICATES}/ca-certificates.crt"
"""What this machine trusts, the build does."""

INDEX = "PIP_INDEX_URL"


class Images:
    """The images in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store = ("--root", str(folder / "root"), "--runroot", str(folder / "runroot"))

    def make_base(self) -> None:
        """Makes an image of Debian with Python, unless it is there already."""
        self.from_packages(BASE, PACKAGES)

    def from_packages(self, name: str, packages: tuple[str, ...], *settings: str) -> None:
        """Makes an image of packages, unless it is there already; they are unpacked and their scripts do not run."""
        if name in self.buildah("images", "--format", "{{.Name}}:{{.Tag}} {{.Name}}").split():
            return
        tar = self._folder / "packages.tar"
        choice = (f"--include={','.join(packages)}", "--variant=extract", MERGED, "--quiet")
        subprocess.run(["mmdebstrap", *choice, SUITE, str(tar)], check=True, timeout=TIMEOUT_S)
        container = self.buildah("from", "scratch")
        self.buildah("add", "--quiet", container, str(tar), "/")
        if settings:
            self.buildah("config", *settings, container)
        self.buildah("commit", "--quiet", "--rm", container, name)
        tar.unlink()

    def build(self, image: str) -> None:
        """Builds one of ours by deploy/Containerfile, from a wheel of this checkout."""
        context = self._folder / "context"
        shutil.rmtree(context, ignore_errors=True)
        shutil.copytree(ROOT / "deploy", context / "deploy")
        list(WheelBuilder(str(ROOT)).build(directory=str(context / "dist"), versions=["standard"]))
        index = [f"{INDEX}={os.environ[INDEX]}"] if INDEX in os.environ else []
        given = (f"BASE={BASE}", f"LOCK={LOCKS[image]}", BUNDLE, *index)
        arguments = [f"--volume={CERTIFICATES}:{CERTIFICATES}:ro", *(f"--build-arg={one}" for one in given)]
        file = ("--file", str(context / "deploy" / "Containerfile"), str(context))
        self.buildah("build", "--isolation", "chroot", "--quiet", *arguments, "--tag", image, *file)

    def size_mb(self, image: str) -> float:
        """Returns the size of the files of an image."""
        container = self.buildah("from", "--pull-never", image)
        files = Path(self.buildah("mount", container))
        size = sum(path.lstat().st_size for path in files.rglob("*") if path.is_file() and not path.is_symlink())
        self.buildah("rm", container)
        return round(size / MEGA, 1)

    def run(self, image: str, *arguments: str) -> int:
        """Runs convload on the files of an image, which it cannot write, as its user; returns the exit code."""
        container = self.buildah("from", "--pull-never", image)
        files = self.buildah("mount", container)
        command = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", IN_IMAGE, "sh", files, *arguments]
        done = subprocess.run(command, check=False, timeout=TIMEOUT_S)
        self.buildah("rm", container)
        return done.returncode

    def buildah(self, *arguments: str) -> str:
        """Runs buildah and returns what it prints; what goes wrong it says itself."""
        command = ["buildah", *self._store, *arguments]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=TIMEOUT_S)
        return done.stdout.strip()


def main() -> int:
    """Prints sizes and what the runs said; returns 0 where both went well."""
    if os.geteuid() != 0:
        sys.exit("supply.container: needs root")
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    images = Images(folder)
    images.make_base()
    base_mb = images.size_mb(BASE)
    code = 0
    for image in (NAMES[name] for name in sys.argv[2:] or NAMES):
        began_s = time.monotonic()
        images.build(image)
        built_s = time.monotonic()
        exit_code = images.run(image, *COMMANDS[image])
        code = code or exit_code
        times = {"built_s": round(built_s - began_s, 1), "ran_s": round(time.monotonic() - built_s, 1)}
        sizes = {"base_mb": base_mb, "beyond_mb": round(images.size_mb(image) - base_mb, 1)}
        print(json.dumps({"image": image, "exit_code": exit_code, "user": USER, "root": "read-only", **sizes, **times}))
    return code


if __name__ == "__main__":
    sys.exit(main())
