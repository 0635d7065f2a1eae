"""`python -m supply.worker_lock`: writes deploy/worker.lock, the part of requirements.lock that a worker needs.

A worker judges and shows nothing, so it runs without what does: SciPy, ruptures, rich, Jinja2 and Locust's web UI.
"""

import sys
from collections.abc import Iterator

from supply.lock import LOCK, ROOT, blocks

WORKER_LOCK = ROOT / "deploy" / "worker.lock"

NAMES = frozenset({
    "brotli", "certifi", "charset-normalizer", "click", "configargparse", "gevent", "geventhttpclient", "greenlet",
    "httptools", "idna", "locust", "msgpack", "msgspec", "numpy", "orjson", "psutil", "pyzmq", "requests",
    "typing-extensions", "urllib3", "zope-event", "zope-interface",
})  # fmt: skip
"""What a worker imports; tests/test_weight.py asks one."""


def main() -> int:
    """Writes the file."""
    WORKER_LOCK.write_text(worker_lock(LOCK.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


def worker_lock(lock: str) -> str:
    """Returns the part of a lock that a worker needs."""
    return "\n".join(_lines(lock)) + "\n"


def _lines(lock: str) -> Iterator[str]:
    for block in blocks(lock):
        if block and block[0].partition("==")[0] in NAMES:
            yield from (line for line in block if line and not line.startswith("    #"))


if __name__ == "__main__":
    sys.exit(main())
