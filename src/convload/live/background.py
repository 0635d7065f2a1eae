"""Threads that take what the load leaves: showing a run must not make it late."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

NICENESS = 10
"""Linux has it for each thread; next to a process of normal priority it makes one a tenth as heavy."""


def start(target: Callable[..., Any], name: str, *arguments: Any) -> threading.Thread:
    """Starts a thread that ends with the process, and gives way to all of normal priority."""

    def work() -> None:
        with suppress(OSError):
            mine = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, mine, max(NICENESS, os.getpriority(os.PRIO_PROCESS, mine)))
        target(*arguments)

    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread
