"""A short round of the fuzzing in `fuzz/`: all that ever broke, and some hundred new inputs for each reader."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz.mutation import MOST_BYTES, mutate
from fuzz.targets import FOLDER, TARGETS, corpus_of
from tests.conftest import clean_environment

ROOT = Path(__file__).parents[2]
EXAMPLES = {"runlogs": 40, "comparisons": 20, "plans": 100, "payloads": 100}
"""Of those that take some milliseconds each."""

TIME_S = 100
MOST_CORPUS_BYTES = 500_000


@pytest.mark.parametrize("target", TARGETS)
def test_no_input_makes_a_reader_fail_in_a_way_it_does_not_promise(target: str) -> None:
    examples = EXAMPLES.get(target, 300)
    command = [sys.executable, "-m", "fuzz.one", target, str(TIME_S), str(examples), "1"]
    done = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["crashes"] == []
    assert found["executions"] == len(corpus_of(target)) + examples


def test_what_is_kept_stays_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*")) < MOST_CORPUS_BYTES


def test_a_round_can_be_had_again_from_its_seed() -> None:
    corpus = list(corpus_of("gates").values())

    assert [mutate(random_of(7), corpus, [b"word"]) for _ in range(2)] == [mutate(random_of(7), corpus, [b"word"])] * 2
    assert all(len(mutate(random_of(n), [b"x" * 2 * MOST_BYTES], [])) <= MOST_BYTES for n in range(50))


def random_of(seed: int) -> random.Random:
    return random.Random(seed)
