"""The verbs that judge, in process, on run folders that were written rather than run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from tests.run_logs import Make

from convload.cli import convload
from convload.errors import ConvloadError, UsageError
from convload.judging.baseline import FORMAT, freeze, load
from convload.plan.gate_grammar import parse
from convload.report.folder import write_all
from convload.results import runlog
from convload.results.runlog import Aborted, Note, RunLog
from convload.results.writing import RunLogWriter

COMPARED = "create.p95 <= baseline * 1.1"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the log of an open run into a folder of its own."""

    def write_run(name: str, vary: Any = lambda *_: {}, *more: Any, **named: Any) -> Path:
        facts: dict[str, Any] = {"rate": 200, "machine": {"processor": "a", "cores": 2}}
        log = Make().opened(vary, **(facts | named))
        folder = tmp_path / name
        folder.mkdir()
        put(folder, log, *more)
        return folder

    return write_run


def put(folder: Path, log: RunLog, *more: Any) -> None:
    writer = RunLogWriter(folder / runlog.FILE_NAME)
    for record in [log.manifest, *log.records[:-1], *more, log.records[-1]]:
        writer.write(record)
    writer.close()


def slower(_: int, second: int) -> dict[str, int]:
    return {"service_us": 1300 + second % 2}


def ask(*arguments: object) -> tuple[int, str, str]:
    """Returns exit code, output and what went wrong."""
    runner = CliRunner()
    result = runner.invoke(convload, [str(argument) for argument in arguments], standalone_mode=False)
    if isinstance(result.exception, ConvloadError):
        return int(result.exception.exit_code), result.stdout, "\n".join(result.exception.problems)
    assert result.exception is None, result.exception
    return int(result.return_value or 0), result.stdout, result.stderr


def test_a_run_is_judged_by_its_own_gates_or_by_others(write: Write, tmp_path: Path) -> None:
    run = write("run", gates=["create.p99 < 1s"])
    (tmp_path / "gates.txt").write_text("# ours\n\ncreate.p99 < 1us\n")

    assert ask("gate", run)[0] == 0
    assert ask("gate", run, "--gate", "create.p99 < 1us")[0] == 1
    assert ask("gate", run, "--gates-file", tmp_path / "gates.txt")[0] == 1
    code, out, _ = ask("gate", run, "--gate", "create.p99.9 < 1s", "--gate", "rate >= 200/s")
    assert code == 3
    assert "create.p99.9 < 1s is undecided" in out
    assert out.rstrip().splitlines()[-1].startswith("Inconclusive: create.p99.9 < 1s is undecided")


def test_more_confidence_can_leave_open_what_less_decides(write: Write) -> None:
    run = write("run", gates=["create.p99 < 1s"], rate=70)

    assert [ask("gate", run, "--confidence", c)[0] for c in ("0.99", "0.999")] == [0, 3]


def test_the_answer_is_json_where_it_is_asked_for(write: Write) -> None:
    code, out, _ = ask("gate", write("run"), "--gate", "errors <= 0", "--json")

    document = json.loads(out)
    assert code == document["verdict"]["exit_code"] == 0
    assert [(gate["gate"], gate["outcome"]) for gate in document["gates"]] == [("errors <= 0", "pass")]


def test_a_step_that_never_ran_is_inconclusive_and_said_so(write: Write) -> None:
    code, out, _ = ask("gate", write("run"), "--gate", "send.p50 < 1s")

    assert code == 3
    assert "nothing was measured of send.p50" in out


def test_all_mistakes_are_told_at_once(write: Write) -> None:
    code, _, problems = ask("gate", write("run"), "--gate", "creat.p9 < 1s", "--gate", "errors{variant=no} < 1%")

    assert code == 2
    assert "--gate: 'creat.p9 < 1s': unknown step 'creat', did you mean 'create'?" in problems
    assert "unknown variant 'no'; allowed: seed_example" in problems


def test_a_gate_against_a_baseline_needs_one(write: Write) -> None:
    code, _, problems = ask("gate", write("run"), "--gate", COMPARED)

    assert code == 2
    assert "--baseline" in problems


def test_a_saved_baseline_answers_as_the_run_folder_does(write: Write, tmp_path: Path) -> None:
    base, new = write("base"), write("new", slower)

    code, out, _ = ask("baseline", "save", base, "--out", tmp_path / "b.json")
    assert (code, out.strip()) == (0, str(tmp_path / "b.json"))
    answers = [
        json.loads(
            ask("gate", new, "--gate", COMPARED, "--gate", "errors <= baseline + 2%", "--json", "--baseline", path)[1]
        )
        for path in (base, base / runlog.FILE_NAME, tmp_path / "b.json")
    ]

    assert answers[0] == answers[1] == answers[2]
    assert [gate["outcome"] for gate in answers[0]["gates"]] == ["fail", "pass"]
    assert "the baseline has p95 1.05 ms of 1,600 requests, so the limit is" in answers[0]["gates"][0]["message"]
    assert json.loads((tmp_path / "b.json").read_text())["format"] == FORMAT


def test_a_baseline_is_shown_with_what_it_was(write: Write, tmp_path: Path) -> None:
    ask("baseline", "save", write("base"), "--out", tmp_path / "b.json")

    code, out, _ = ask("baseline", "show", tmp_path / "b.json")

    assert code == 0
    assert "mix: default" in out
    assert "200.0/s for 8 s" in out
    assert "conversation.create" in out


def test_unlike_runs_are_refused_with_what_differs_and_compared_only_when_forced(write: Write) -> None:
    base = write("base", mix="other", machine={"processor": "b", "cores": 2})
    new = write("new")
    wanted = ("gate", new, "--gate", COMPARED, "--baseline", base)

    code, _, problems = ask(*wanted)
    assert code == 2
    assert "mix: `mix` is other in the baseline and default here" in problems
    assert "machine: processor is b in the baseline and a here" in problems
    assert "--force-baseline" in problems

    code, out, warned = ask(*wanted, "--force-baseline")
    assert code == 0
    assert "warning" in warned
    assert "Compared all the same with a baseline unlike this run: mix: `mix` is other" in " ".join(out.split())


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"payloads": "theirs"}, "`payloads` is theirs in the baseline and not stated here"),
        ({"locustfile": "l.py"}, "`locustfile` is l.py in the baseline and not stated here"),
        ({"timeout_s": 1.0}, "`timeout_s` is 1.0 in the baseline and not stated here"),
        ({"mock": {"servers": 3}}, "`mock.servers` is 3 in the baseline and not stated here"),
        ({"max_in_flight": 7}, "`max_in_flight` is 7 in the baseline and not stated here"),
    ],
)
@pytest.mark.parametrize("saved", [False, True])
def test_a_gate_refuses_a_baseline_of_another_plan(
    write: Write, tmp_path: Path, plan: dict[str, Any], said: str, *, saved: bool
) -> None:
    base = write("base", **plan)
    if saved:
        ask("baseline", "save", base, "--out", tmp_path / "b.json")
        base = tmp_path / "b.json"

    code, _, problems = ask("gate", write("new"), "--gate", COMPARED, "--baseline", base)

    assert code == 2
    assert said in problems


def test_a_saved_baseline_tells_neither_host_nor_account(write: Write, tmp_path: Path) -> None:
    base = write("base", target="https://secret.example", account="8765432")

    ask("baseline", "save", base, "--out", tmp_path / "b.json")

    text = (tmp_path / "b.json").read_text()
    assert "secret.example" not in text
    assert "8765432" not in text


def test_a_baseline_of_an_earlier_version_says_what_it_cannot_know(write: Write, tmp_path: Path) -> None:
    ask("baseline", "save", write("base"), "--out", tmp_path / "b.json")
    document = json.loads((tmp_path / "b.json").read_text())
    del document["identity"]["kind"]
    (tmp_path / "b.json").write_text(json.dumps(document))
    wanted = ("--gate", COMPARED, "--baseline", tmp_path / "b.json")

    alike, other = ask("gate", write("new"), *wanted), ask("gate", write("other", mix="other"), *wanted)

    assert alike[0] == 0
    assert "note: baseline" in alike[2]
    assert "whether the runs sent the same payloads cannot be known" in alike[2]
    assert "of its plan only model, mix, consumers" in alike[2]
    assert (other[0], "`mix` is default in the baseline and other here" in other[2]) == (2, True)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([Note(1.0, "Ctrl-C", interrupted=True)], "the run was interrupted"),
        ([Aborted(5.0, "x", "errors > 20% over 5s holds")], "was aborted: errors > 20% over 5s holds"),
        ([Note(1.0, "the disk was full", invalidates=True)], "is no baseline: the run is not valid: the disk was full"),
    ],
)
def test_a_run_that_supports_no_statement_is_no_baseline(write: Write, more: list[Any], said: str) -> None:
    base = write("base", lambda *_: {}, *more)

    for arguments in (("baseline", "save", base), ("gate", write("new"), "--gate", COMPARED, "--baseline", base)):
        code, _, problems = ask(*arguments)
        assert code == 2
        assert said in problems


def test_a_log_that_was_cut_in_a_line_is_no_baseline_and_says_where(write: Write) -> None:
    base = write("base")
    log = base / runlog.FILE_NAME
    log.write_bytes(log.read_bytes()[:-300])

    code, _, problems = ask("baseline", "save", base)

    assert code == 2
    assert "was cut off" in problems
    assert not (base / "baseline.json").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text[: len(text) // 2], "is no JSON"),
        (
            lambda text: text.replace(FORMAT, "convload/baseline/9"),
            "has format 'convload/baseline/9'; this version reads",
        ),
        (lambda text: text.replace('"parts"', '"part"'), "$.parts: is missing"),
        (lambda text: text.replace('"response": "', '"response": "x'), "histogram"),
        (lambda _: "[]", "has format None"),
    ],
)
def test_a_damaged_baseline_file_is_refused(
    write: Write, tmp_path: Path, change: Callable[[str], str], said: str
) -> None:
    path = tmp_path / "b.json"
    ask("baseline", "save", write("base"), "--out", path)
    path.write_text(change(path.read_text()))

    with pytest.raises(UsageError) as caught:
        load(path)
    assert said in str(caught.value)


def test_no_file_is_no_baseline(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path / "none.json")


def test_a_manifest_keeps_what_its_gates_need_and_judges_alike(write: Write) -> None:
    baseline = load(write("base"))
    gates = [parse(COMPARED)]

    frozen = freeze(baseline, gates, [], "base")

    assert [(part["step"], part["variant"], part["stage"]) for part in frozen["parts"]] == [
        ("conversation.create", "", "")
    ]
    new = write("new", slower, gates=[COMPARED])
    log = runlog.read(new)
    kept = msgspec.structs.replace(log, manifest=msgspec.structs.replace(log.manifest, baseline=frozen))
    (new / runlog.FILE_NAME).unlink()
    put(new, kept)
    reported = write_all(new)
    assert [gate.outcome for gate in reported.gates] == ["fail"]
    assert ask("gate", new)[0] == 1
