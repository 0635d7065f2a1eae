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


@pytest.mark.parametrize(
    ("fault", "called"), [("unforeseen", "KeyError"), ("hangs", "TooSlowError"), ("swells", "MemoryError")]
)
def test_a_planted_fault_is_found_and_what_shows_it_is_kept(tmp_path: Path, fault: str, called: str) -> None:
    corpus = tmp_path / "planted"
    corpus.mkdir()
    (corpus / "sound").write_bytes(b"number = 1\n")
    command = [
        sys.executable,
        str(Path(__file__).with_name("planted_faults.py")),
        str(tmp_path),
        "5",
        "5000",
        "1",
        fault,
    ]
    environment = clean_environment() | {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    rounds = [
        json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
        for _ in range(2)
    ]
    (kept,) = corpus.glob("crash-*")

    assert b"7" in kept.read_bytes()
    for found in rounds:  # the second one replays it
        (crash,) = found["crashes"]
        assert kept.name in crash
        assert called in crash


def test_a_round_that_finds_something_ends_with_1() -> None:
    code = "import sys, fuzz.__main__ as all; all.TARGETS = {'nowhere': None}; sys.exit(all.main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "--seconds=1"],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "1 crashes" in done.stdout


def test_what_is_kept_stays_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*")) < MOST_CORPUS_BYTES


def test_a_round_can_be_had_again_from_its_seed() -> None:
    corpus = list(corpus_of("gates").values())

    assert [mutate(random_of(7), corpus, [b"word"]) for _ in range(2)] == [mutate(random_of(7), corpus, [b"word"])] * 2
    assert all(len(mutate(random_of(n), [b"x" * 2 * MOST_BYTES], [])) <= MOST_BYTES for n in range(50))


def random_of(seed: int) -> random.Random:
    return random.Random(seed)
