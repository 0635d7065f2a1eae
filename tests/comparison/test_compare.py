import json
from pathlib import Path

import msgspec
import pytest
from bench.comparison import Service, exact_bounds, judge_pairs, made_pairs
from tests.comparison.conftest import MakeRuns

from convload.comparison.batches import Clock
from convload.comparison.compare import UnsoundError, compare, conclude_differences
from convload.comparison.outcomes import IMPROVED, REGRESSED, SAME, UNKNOWN, Difference, Minimum, Outcome
from convload.comparison.sides import ComparedRun, folders_of, keep, read_side
from convload.contract.steps import CREATE
from convload.errors import ExitCode, RunLogError, UsageError
from convload.judging.baseline import of_file
from convload.plan.schedule import StageMark
from convload.report.comparison import warnings
from convload.results import runlog
from convload.results.runlog import Aborted, Note
from convload.results.writing import RunLogWriter


def test_a_slower_run_is_regressed_and_the_sentence_names_it(runs: MakeRuns) -> None:
    found = compare([runs.read("base", 1)], [runs.read("new", 2, longer=1.3)])

    assert (found.outcome, found.exit_code) == (REGRESSED, ExitCode.GATE_FAILED)
    assert found.text.startswith("Different: regressed: conversation.create p50 +3")
    assert found.method == "within runs"


def test_one_run_a_side_says_that_it_knows_nothing_of_restarts(runs: MakeRuns) -> None:
    found = compare([runs.read("base", 1)], [runs.read("new", 2)])

    assert any("nothing of how runs vary" in note for note in found.notes)
    assert any("runs of at least" in note for note in found.notes)


def test_other_seeds_are_not_unlike_and_are_told(runs: MakeRuns) -> None:
    base, new = runs.read("base", 1), runs.read("new", 2)
    other = msgspec.structs.replace(
        new,
        log=msgspec.structs.replace(
            new.log, manifest=msgspec.structs.replace(new.log.manifest, plan=new.log.manifest.plan | {"seed": 9})
        ),
    )

    assert any("seeds differ (1 and 9)" in note for note in compare([base], [other]).notes)


def test_other_plans_are_refused_with_all_that_differs_and_compared_by_force(runs: MakeRuns) -> None:
    base, new = runs.read("base", 1), runs.read("new", 2, users=9, mix="text")

    with pytest.raises(UsageError) as caught:
        compare([base], [new])
    forced = compare([base], [new], force=True)

    assert caught.value.exit_code == ExitCode.USAGE
    assert [line for line in caught.value.problems if "mix: `mix` is default" in line]
    assert [line for line in caught.value.problems if "plan: `users` is 50" in line]
    assert {one.what for one in forced.unlike} == {"`users`", "`mix`"}


def add(folder: Path, record: runlog.Record) -> Path:
    writer = RunLogWriter(folder / runlog.FILE_NAME)
    writer.write(record)
    writer.close()
    return folder


def warned(run: ComparedRun, *notes: str) -> ComparedRun:
    summary = msgspec.structs.replace(run.conclusion.summary, notes=[*notes])
    return msgspec.structs.replace(run, conclusion=msgspec.structs.replace(run.conclusion, summary=summary))


def test_what_the_report_of_a_run_warns_of_goes_along_with_its_comparison(runs: MakeRuns) -> None:
    base, new = warned(runs.read("base"), "clocks", "in clear"), warned(runs.read("new", 2), "in clear")

    found = compare([base], [new])

    assert [one.warnings for one in (*found.base, *found.new)] == [["clocks", "in clear"], ["in clear"]]
    assert warnings(found) == [f"Warning of {base.folder}: clocks", "Warning of all 2 runs: in clear"]


@pytest.mark.parametrize("clock", ["response", "service"])
def test_a_kept_baseline_is_compared_as_its_run_is(runs: MakeRuns, clock: Clock) -> None:
    base, new = runs.read("base", 1, seconds=12), runs.read("new", 2, longer=1.2, seconds=12)
    file = runs.folder / "kept.json"
    file.write_bytes(msgspec.json.encode(keep(Path(base.folder, "run.jsonl"))))
    [kept] = read_side([file])

    found, of_run = (compare([one], [new], clock=clock) for one in (kept, base))

    assert found.differences == of_run.differences
    assert found.text.startswith("Different: regressed")
    assert [msgspec.structs.replace(one, folder="") for one in found.base] == [
        msgspec.structs.replace(one, folder="") for one in of_run.base
    ]


def test_a_baseline_without_what_a_comparison_needs_is_refused(runs: MakeRuns) -> None:
    file = runs.folder / "kept.json"
    file.write_bytes(msgspec.json.encode(of_file(runs.write("base") / "run.jsonl")))

    with pytest.raises(UsageError, match="an earlier version kept too little of it to compare"):
        read_side([file])


def test_an_interrupted_an_aborted_and_a_cut_off_run_are_no_evidence(runs: MakeRuns) -> None:
    base = runs.read("base", 1)
    folders = {
        "the run was interrupted": add(runs.write("one", 2), Note(1.0, "stopped", interrupted=True)),
        "the run was aborted: p99 was 3 s": add(runs.write("two", 3), Aborted(1.0, "p99 > 1s", "p99 was 3 s")),
        "of the run log was cut off": runs.write("three", 4),
    }
    log = folders["of the run log was cut off"] / runlog.FILE_NAME
    log.write_bytes(log.read_bytes()[:-9])

    for told, folder in folders.items():
        with pytest.raises(UnsoundError) as caught:
            compare([base], read_side([folder]))
        assert caught.value.exit_code == ExitCode.INCONCLUSIVE
        assert any(told in line and str(folder) in line for line in caught.value.problems)
        assert compare([base], read_side([folder]), force=True).new[0].unsound


def test_a_run_of_two_targets_is_not_compared_as_if_it_were_of_one(runs: MakeRuns) -> None:
    base, other = runs.read("base", 1), runs.read("new", 2)
    marks = [StageMark(f"{target} 1", 15.0 * at, 15.0, 0.0, 0.0, target=target) for at, target in enumerate("AB")]
    manifest = msgspec.structs.replace(other.log.manifest, stages=marks)
    in_turns = msgspec.structs.replace(other, log=msgspec.structs.replace(other.log, manifest=manifest))

    with pytest.raises(UnsoundError, match="two targets in turns"):
        compare([base], [in_turns])


def test_folders_that_cannot_be_read_are_told_all_at_once(runs: MakeRuns) -> None:
    broken, newer = runs.write("broken"), runs.write("newer", 2)
    lines = (broken / runlog.FILE_NAME).read_bytes().split(b"\n")
    (broken / runlog.FILE_NAME).write_bytes(b"\n".join([b'{"record":"mani', *lines[1:]]))
    text = (newer / runlog.FILE_NAME).read_text()
    (newer / runlog.FILE_NAME).write_text(text.replace("convload/run/2", "convload/run/9"))

    with pytest.raises(UsageError) as caught:
        read_side([broken, newer])

    first, second = caught.value.problems
    assert f"{broken / runlog.FILE_NAME}:1: is no run log" in first
    assert "has format 'convload/run/9'" in second
    assert not isinstance(caught.value, RunLogError)


def test_a_folder_of_run_folders_stands_for_all_of_them_without_links(runs: MakeRuns) -> None:
    folders = [runs.write(name, at) for at, name in enumerate(("a", "b", "c"))]
    (runs.folder / "latest").symlink_to("c")
    (runs.folder / "empty").mkdir()

    assert folders_of(runs.folder) == folders
    with pytest.raises(UsageError, match="there is no such folder"):
        folders_of(runs.folder / "nowhere")
    with pytest.raises(UsageError, match=r"has no run\.jsonl"):
        folders_of(runs.folder / "empty")


def test_a_run_counts_once_on_a_side(runs: MakeRuns) -> None:
    folder = runs.write("base")

    with pytest.raises(UsageError, match="is named twice"):
        read_side([folder, folder])


def test_repeated_runs_are_compared_by_their_order(runs: MakeRuns) -> None:
    base = [runs.read(f"base-{at}", at, seconds=12) for at in range(4)]
    new = [runs.read(f"new-{at}", 10 + at, seconds=12, longer=1.2) for at in range(4)]

    found = compare(base, new)

    assert (found.method, found.confidence, found.outcome) == ("between runs", 0.95, REGRESSED)
    assert any("the smallest p that they can reach is 0.029" in note for note in found.notes)


def test_runs_too_short_to_tell_are_inconclusive(runs: MakeRuns) -> None:
    found = compare([runs.read("base", 1, seconds=5)], [runs.read("new", 2, seconds=5)])

    assert (found.outcome, found.exit_code) == ("cannot tell", ExitCode.INCONCLUSIVE)
    assert (
        found.text
        == "Cannot tell anything: of conversation.create p50, needs 10 seconds of measured time, the base has 5."
    )


def difference(outcome: Outcome, statistic: str = "p50", more: int | None = None) -> Difference:
    why = "too few samples" if outcome == UNKNOWN else ""
    return Difference(CREATE, statistic, "ms", 10.0, 11.0, 1.0, 0.1, 0.5, 1.5, outcome, why, more_samples=more)


@pytest.mark.parametrize(
    ("outcomes", "outcome", "exit_code", "said"),
    [
        ([SAME, SAME], "same", 0, "The same within 5 % (0.2 ms, 0.1 points of errors)."),
        ([SAME, SAME, UNKNOWN], "same", 0, "The same within 5 % (0.2 ms, 0.1 points of errors); cannot tell of 1 of 3"),
        ([SAME, UNKNOWN, UNKNOWN], UNKNOWN, 0, "Cannot tell of 2 of 3 statistics: too few samples, about 900 more a"),
        ([UNKNOWN, UNKNOWN], UNKNOWN, 3, "Cannot tell anything: too few samples, about 900 more a side would do."),
        ([REGRESSED, UNKNOWN, UNKNOWN], REGRESSED, 1, "Different: regressed: conversation.create p50 +10.0%; cannot"),
        ([IMPROVED, SAME], IMPROVED, 0, "Different: improved: conversation.create p50 +10.0%."),
        ([REGRESSED, IMPROVED], REGRESSED, 1, "Different: regressed: conversation.create p50 +10.0%; improved: "),
    ],
)
def test_the_headline_says_what_follows(outcomes: list[Outcome], outcome: str, exit_code: int, said: str) -> None:
    found = conclude_differences([difference(one, more=900 if one == UNKNOWN else None) for one in outcomes], Minimum())

    assert (found[0], int(found[1])) == (outcome, exit_code)
    assert found[2].startswith(said)


def test_more_errors_are_named_in_percentage_points() -> None:
    found = conclude_differences([difference(REGRESSED, "errors")], Minimum())

    assert found[2] == "Different: regressed: conversation.create errors +1 percentage points."


def test_a_run_beside_itself_is_told(runs: MakeRuns) -> None:
    run = runs.read("base", 1)

    found = compare([run], [run])

    assert any("is on both sides" in note for note in found.notes)
    assert found.outcome in {"same", "cannot tell"}


def test_false_alarms_are_rare_and_a_tenth_is_found(tmp_path: Path) -> None:
    """The bench's section `comparison` with a fixed seed and few pairs; `make bench` has the large numbers."""
    service = Service(rate=500.0, seconds=45, memory=0.5)

    same = judge_pairs(made_pairs(tmp_path / "same", service, 10, longer=1.0, seed=11))
    shifted = judge_pairs(made_pairs(tmp_path / "shifted", service, 5, longer=1.1, seed=12))

    assert exact_bounds(same.alarms, same.pairs)[0] <= 0.02
    assert same.alarms == 0
    assert shifted.p99[REGRESSED] >= 4


def test_a_comparison_reads_back_from_its_json(runs: MakeRuns) -> None:
    found = compare([runs.read("base", 1, seconds=12)], [runs.read("new", 2, seconds=12)])
    document = json.loads(msgspec.json.encode(found))

    assert document["format"] == "convload/comparison/1"
    assert [one["statistic"] for one in document["differences"]] == ["p50", "p95", "p99", "errors", "rate"]
