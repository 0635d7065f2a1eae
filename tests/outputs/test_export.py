"""What `convload export` writes, read by the programs that it is for."""

import csv
import io
import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet
import pytest
from click.testing import CliRunner
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from tests.run_logs import Make

from convload.cli import convload
from convload.results.run import Run
from convload.results.runlog import FILE_NAME, RunLog
from convload.results.writing import RunLogWriter

HOUR_US = 3_600_000_000


@pytest.fixture
def log(make: Make, tmp_path: Path) -> RunLog:
    times = {0: 900, 1: 15_000, 2: 2_500_000}
    made = make.opened(lambda _, second: {"failed": second % 3, "service_us": times[second % 3]}, workers=2)
    writer = RunLogWriter(tmp_path / FILE_NAME)
    for record in [made.manifest, *made.records]:
        writer.write(record)
    writer.close()
    return made


def export(folder: Path, *arguments: str) -> Path:
    done = CliRunner().invoke(convload, ["export", str(folder), *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return Path(done.output.strip())


@pytest.mark.parametrize("clock", ["response", "service", "lateness"])
def test_hdrhistogram_reads_the_very_counts_that_were_measured(clock: str, log: RunLog, tmp_path: Path) -> None:
    path = export(tmp_path, "--format", "hlog", "--clock", clock)

    reader, found = HistogramLogReader(str(path), HdrHistogram(1, HOUR_US, 3)), HdrHistogram(1, HOUR_US, 3)
    intervals = 0
    while one := reader.get_next_interval_histogram():
        found.add(one)
        intervals += 1

    reader.close()

    times = getattr(Run(log).create, clock)
    assert intervals == 16, "two workers, eight seconds after the warm-up"
    assert found.get_total_count() == times.count
    counts = {index: count for index, count in enumerate(found.counts) if count}
    assert counts == dict(zip(times.index.tolist(), times.counts.tolist(), strict=True))
    assert reader.get_start_time_sec() > 1.7e9


def test_a_table_has_every_request_of_the_run(log: RunLog, tmp_path: Path) -> None:
    expected = Run(log).outcomes["conversation.create"]

    table = csv.DictReader(io.StringIO(export(tmp_path, "--format", "csv").read_text()))
    document = json.loads(export(tmp_path, "--format", "json").read_text())
    parquet = pyarrow.parquet.read_table(export(tmp_path, "--format", "parquet"))

    for rows in (list(table), document["rows"], parquet.to_pylist()):
        found: Counter[str] = Counter()
        for row in rows:
            found[row["outcome"]] += int(row["count"])
        assert found == expected
    assert json.loads(parquet.schema.metadata[b"convload"])["manifest"] == document["manifest"]
    assert document["manifest"]["plan"]["seed"] == 7


@pytest.mark.usefixtures("log")
def test_rows_have_percentiles_and_whole_histograms(tmp_path: Path) -> None:
    document = json.loads(export(tmp_path, "--format", "json").read_text())

    row = next(row for row in document["rows"] if row["from_s"] == 4.0 and row["outcome"] == "ok")
    assert (row["phase"], row["stage"], row["variant"]) == ("measure", "hold", "seed_example")
    assert (row["service_p99_ms"], row["lateness_max_ms"]) == (pytest.approx(15, rel=5e-4), 0.05)
    assert sum(row["response_counts"]) == row["count"]


@pytest.mark.usefixtures("log")
def test_a_step_that_a_run_does_not_have_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(convload, ["export", str(tmp_path), "--format", "hlog", "--step", "x"])

    assert "it has conversation.create" in str(done.exception)
