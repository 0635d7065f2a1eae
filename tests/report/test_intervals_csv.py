import csv
import io
from collections.abc import Callable

from convload.comparison.conclusion import Conclusion
from convload.report.data_files import intervals_csv as render
from convload.results.runlog import Record


def test_rows_add_up_to_the_summary(conclusion: Conclusion) -> None:
    rows = list(csv.DictReader(io.StringIO(render(conclusion))))
    measured = [row for row in rows if row["phase"] == "measure"]
    create = conclusion.summary.steps["conversation.create"]

    assert [int(row["t_s"]) for row in rows] == list(range(12))
    assert sum(float(row["requests_per_s"]) for row in measured) == create.count
    assert sum(float(row["ok_per_s"]) for row in measured) == create.ok
    for kind, count in create.errors.items():
        assert sum(float(row[f"{kind}_per_s"]) for row in measured) == count
    assert max(float(row["response_max_ms"]) for row in measured) == create.response_ms["max"]


def test_a_run_without_seconds_has_its_header(
    silent: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    assert render(conclude_records(silent)).startswith("t_s,phase,offered_per_s,requests_per_s,ok_per_s,users,")
