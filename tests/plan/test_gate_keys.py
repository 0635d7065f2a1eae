from pathlib import Path

import pytest

from convload.errors import UsageError
from convload.plan.gate_keys import read_gates_file
from convload.plan.plan import Plan, assemble


def write(tmp_path: Path, text: str, name: str = "some.toml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def problems_of(plan: Path | None, environment: dict[str, str], flags: dict[str, object]) -> list[str]:
    with pytest.raises(UsageError) as caught:
        assemble(plan, environment, flags)
    return list(caught.value.problems)


def assembled(tmp_path: Path, text: str, environment: dict[str, str] | None = None, **flags: object) -> Plan:
    return assemble(write(tmp_path, text), environment or {}, flags)


def test_every_mistake_is_told_with_the_line_it_stands_in(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'users = 3\ngates = [\n  "creat.p99 < 1s",\n  "errors < 1%",\n  \'errors[rest] < 1%\',\n]\n'
        'abort_when = ["errors > 1%"]\nwarmup = "5"\n',
    )

    assert [problem.split(",")[0].split(";")[0] for problem in problems_of(path, {}, {})] == [
        f"{path}:8: warmup: '5' is no duration",
        f"{path}:3: gates: 'creat.p99 < 1s': unknown step 'creat'",
        f"{path}:5: gates: 'errors[rest] < 1%': unknown error kind 'rest'",
        f"{path}:7: abort_when: 'errors > 1%': a condition looks at the last seconds of a run",
    ]


def test_flags_and_variables_are_named_as_such() -> None:
    flags = problems_of(None, {}, {"gates": ["p99 < 1s"], "abort_when": ["rate < 3/s"]})
    variable = problems_of(None, {"CONVLOAD_GATES": "errors < 1%; create.p9x < 1s"}, {})

    assert [problem.partition(": ")[0] for problem in flags] == ["--gate", "--abort-when"]
    assert [problem.partition(": ")[0] for problem in variable] == ["CONVLOAD_GATES"]


def test_the_newest_source_with_gates_takes_the_place_of_all_others(tmp_path: Path) -> None:
    text = 'gates = ["errors < 1%"]\nabort_when = ["errors > 50% over 5s"]\n'
    environment = {"CONVLOAD_GATES": "create{variant=minimal}.p50 < 1s; errors < 2%"}

    assert assembled(tmp_path, text).gates == ["errors < 1%"]
    assert assembled(tmp_path, text, environment).gates == ["create{variant=minimal}.p50 < 1s", "errors < 2%"]
    assert assembled(tmp_path, text, environment, gates=["errors < 3%"]).gates == ["errors < 3%"]
    assert assembled(tmp_path, text, environment).abort_when == ["errors > 50% over 5s"]


def test_a_file_of_gates_adds_to_those_of_its_source_and_replaces_those_of_others(tmp_path: Path) -> None:
    file = write(tmp_path, "# for a release\n\n  create.p99 < 1s\nerrors < 5%\n", "gates.txt")

    both = assembled(tmp_path, f'gates = ["errors < 1%"]\ngates_file = "{file}"\n')
    replaced = assembled(tmp_path, 'gates = ["errors < 1%"]\n', gates_file=str(file))
    dropped = assembled(tmp_path, f'gates_file = "{file}"\n', gates=["errors < 2%"])

    assert both.gates == ["errors < 1%", "create.p99 < 1s", "errors < 5%"]
    assert replaced.gates == ["create.p99 < 1s", "errors < 5%"]
    assert dropped.gates == ["errors < 2%"]


def test_mistakes_of_a_file_of_gates_have_its_lines(tmp_path: Path) -> None:
    file = write(tmp_path, "# one\nerrors < 1\u0025\nerrors < fast\n", "gates.txt")
    empty = write(tmp_path, "# nothing\n", "empty.txt")

    (problem,) = problems_of(None, {}, {"gates_file": str(file)})
    assert problem.startswith(f"{file}:3: 'errors < fast': expected a limit")
    assert problems_of(None, {}, {"gates_file": str(empty)}) == [
        f"--gates-file: {empty}: holds no gate; write one a line"
    ]
    with pytest.raises(UsageError, match="cannot be read"):
        list(read_gates_file(tmp_path / "none"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rate = 5\ngates = ['create{stage=hold}.p9 < 1s']", "unknown stage 'hold'; allowed: 1: 5/s"),
        ("gates = ['create{variant=minimax}.p9 < 1s']", "unknown variant 'minimax', did you mean 'minimal'?"),
        ("mix = 'seed'\ngates = ['create{variant=minimal}.p9 < 1s']", "unknown variant 'minimal'; allowed: seed"),
        ("users = 5\ngates = ['unsent == 0']", "a closed load has no unsent"),
        ("users = 5\nabort_when = ['lateness.p9 > 1s over 5s']", "a closed load has no lateness"),
        ("gates = ['create.p9 < baseline']", "compares with a baseline; name a run folder or a baseline file"),
        (
            "conversations = 5\nextend = '5s'",
            "extend: lengthens a run of a planned duration at one target; this one ends",
        ),
        ("replay = 'starts.txt'\nextend = '5s'", "its replay (replay)"),
        (
            "target_b = 'http://127.0.0.1:2'\ntarget = 'http://127.0.0.1:1'\nextend = '5s'",
            "takes its two targets in turns, by windows that are planned beforehand (target_b)",
        ),
        ("confidence = 1.0", "confidence: must be a number below 1"),
        ("confidence = 0.4", "confidence: must be a number of at least 0.5"),
        ("gates = 'errors < 1%'", "gates: Expected `array`, got `str`"),
        ("gates = [3]", "gates[0]: Expected `str`, got `int`"),
        (
            "rate = 5\nusers = 1\nworkers = 2\nmodel = 'open'\nmax_in_flight = 1\ngates = ['errors{variant=x} < 1%']",
            "unknown variant",
        ),
    ],
)
def test_what_the_run_cannot_have_is_refused_before_it_starts(tmp_path: Path, text: str, problem: str) -> None:
    assert problem in "\n".join(problems_of(write(tmp_path, text), {}, {}))


def test_what_it_can_have_is_kept_as_it_was_written(tmp_path: Path) -> None:
    plan = assembled(
        tmp_path,
        "[[stages]]\nname = 'a b/s'\nhold = 5\nduration = '5s'\n",
        gates=['create{stage="a b/s"}.p99<1s', "unsent == 0"],
        baseline="reports/latest",
        confidence="0.999",
        extend="30s",
    )

    assert plan.gates == ['create{stage="a b/s"}.p99<1s', "unsent == 0"]
    assert (plan.baseline, plan.confidence, plan.extend_s) == ("reports/latest", 0.999, 30.0)
