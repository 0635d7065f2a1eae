"""`python -m supply.image_locks`: writes what images need of requirements.lock: deploy/run.lock and worker.lock.

A worker judges and shows nothing, so it runs without what does: SciPy, ruptures, rich, Jinja2 and Locust's web UI.
"""

import sys
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from supply.lock import LOCK, ROOT, blocks, read_lock, shipped

RUN_LOCK, WORKER_LOCK = (ROOT / "deploy" / name for name in ("run.lock", "worker.lock"))

NAMES = frozenset({
    "brotli", "certifi", "charset-normalizer", "click", "configargparse", "gevent", "geventhttpclient", "greenlet",
    "httptools", "idna", "locust", "msgpack", "msgspec", "numpy", "orjson", "psutil", "pyzmq", "requests",
    "typing-extensions", "urllib3", "zope-event", "zope-interface",
})  # fmt: skip
"""What a worker imports; tests/test_weight.py asks one."""


def main() -> int:
    """Writes the files."""
    lock = LOCK.read_text(encoding="utf-8")
    WORKER_LOCK.write_text(part_of(lock, NAMES), encoding="utf-8")
    RUN_LOCK.write_text(part_of(lock, shipped(read_lock(lock))), encoding="utf-8")
    return 0


def part_of(lock: str, names: AbstractSet[str]) -> str:
    """Returns the part of a lock that has these packages."""
    return "\n".join(_lines(lock, names)) + "\n"


def _lines(lock: str, names: AbstractSet[str]) -> Iterator[str]:
    for block in blocks(lock):
        if block and block[0].partition("==")[0] in names:
            yield from (line for line in block if line and not line.startswith("    #"))


if __name__ == "__main__":
    sys.exit(main())
