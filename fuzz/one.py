"""`python -m fuzz.one TARGET SECONDS EXAMPLES SEED`: fuzzes one target; the last line it prints is JSON."""

import json
import logging
import os
import random
import re
import resource
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

from convload.errors import ConvloadError
from fuzz.mutation import NUMBER, WORD, mutate
from fuzz.targets import FOLDER, HUNG_S, TARGETS, Target, corpus_of, current, keep

MEMORY_BYTES = 1024 * 1024 * 1024
"""What all inputs together may take, beyond what the target has when it starts."""

POOL = 500
"""Inputs with an outcome of their own that are kept to be changed further."""

MOST_CRASHES = 5


class TooSlowError(BaseException):
    """An input took longer than any may; no `except Exception` of a target hides it."""


def main() -> None:
    """Tries what is kept, then changes of it until the time or the number is up."""
    name, seconds, examples, seed = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    logging.disable()
    warnings.simplefilter("error", RuntimeWarning)
    signal.signal(signal.SIGALRM, _give_up)
    round_ = Round(name, TARGETS[name]())
    _limit_memory()
    round_.replay()
    round_.fuzz(random.Random(f"{name} {seed}"), time.monotonic() + seconds, examples)
    print(json.dumps({"executions": round_.executions, "outcomes": len(round_.outcomes), "crashes": round_.crashes}))


class Round:
    """One target, what was tried, and what broke it."""

    def __init__(self, name: str, target: Target) -> None:
        self.name = name
        self.executions = 0
        self.outcomes: set[str] = set()
        self.crashes: list[str] = []
        self._target = target
        self._corpus = corpus_of(name)
        self._pool = list(self._corpus.values())
        self._current = current(os.getpid())

    def replay(self) -> None:
        """Tries what is kept; what broke once must not break it again."""
        for file, data in self._corpus.items():
            if broken := self._try(data):
                self.crashes.append(f"corpus/{self.name}/{file}: {broken}")

    def fuzz(self, chance: random.Random, until_s: float, examples: int) -> None:
        """Tries changed inputs; keeps in the corpus what breaks the target, once for each place where it breaks."""
        words = sorted({word for data in self._pool for pattern in (WORD, NUMBER) for word in pattern.findall(data)})
        places = {crash.split(": ")[1] for crash in self.crashes}
        for _ in range(examples):
            if time.monotonic() > until_s or len(self.crashes) >= MOST_CRASHES:
                return
            data = mutate(chance, self._pool, words)
            broken = self._try(data)
            if broken and (place := broken.partition(": ")[0]) not in places:
                places.add(place)
                self.crashes.append(f"{keep(self.name, data).relative_to(FOLDER.parent)}: {broken}")

    def _try(self, data: bytes) -> str:
        """Returns "" or where and how the target was broken."""
        self.executions += 1
        self._current.write_bytes(data)
        signal.setitimer(signal.ITIMER_REAL, HUNG_S)
        try:
            outcome = self._target(data)
        except ConvloadError as error:
            outcome = error.problems[0] if error.problems else ""
        except (Exception, TooSlowError) as error:  # noqa: BLE001 -- whatever it is, it is what is looked for
            signal.setitimer(signal.ITIMER_REAL, 0)
            return _place(error)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._current.unlink()
        self._note(outcome, data)
        return ""

    def _note(self, outcome: str, data: bytes) -> None:
        outcome = re.sub(r"'[^']*'|[0-9.]+|\"[^\"]*\"", "…", outcome)[:160]
        if outcome not in self.outcomes and len(self._pool) < POOL + len(self._corpus):
            self._pool.append(data)
        self.outcomes.add(outcome)


def _place(error: BaseException) -> str:
    frames = [one for one in traceback.extract_tb(error.__traceback__) if "/convload/" in one.filename]
    last = frames[-1] if frames else traceback.extract_tb(error.__traceback__)[-1]
    where = f"{last.filename.partition('/src/')[2] or last.filename}:{last.lineno} {type(error).__name__}"
    return f"{where}: {' '.join(str(error).split())[:200]}"


def _give_up(*_: object) -> None:
    raise TooSlowError(f"more than {HUNG_S:g} s")


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main()
