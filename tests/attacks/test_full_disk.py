"""A disk that has no room left, to the very end: what was measured is kept or counted, and everybody is told."""

import re
import shutil
import subprocess

import pytest
from tests.conftest import Cli, intervals_of, summary_of


def test_a_log_that_cannot_grow_keeps_what_was_written_and_ends_the_run_if_asked(cli: Cli) -> None:
    # Room for the manifest and some intervals; what Python would write of its own would be cut off too.
    limited = ("sh", "-c", 'ulimit -f 64; PYTHONDONTWRITEBYTECODE=1 exec "$@"', "sh")
    load = ("--users", "5", "--duration", "60s", "--warmup", "0s", "--on-full", "stop")
    process = cli.start("run", *load, "--out", "out", prefix=limited)

    out, err = process.communicate(timeout=60)

    assert process.returncode == 3, out + err
    assert "Traceback" not in err
    assert "records of the run log could not be written" in err
    assert "Inconclusive: " in out
    assert "Report: " not in out  # there is none
    assert err.splitlines()[-1].endswith("; without its reports the run is inconclusive, whatever it shows")
    assert "records of the run log could not be written" in " ".join(out.split())
    assert intervals_of(cli.folder / "out")
    assert (cli.folder / "out" / "run.jsonl").stat().st_size <= 64 * 1024


APART = (shutil.which("unshare") or "false", "-rm")
SMALL_DISK = """
mount -t tmpfs -o size=1048k disk disk || exit 99
"$@"
code=$?
cp -r disk/out out
exit $code
"""


@pytest.mark.skipif(subprocess.run([*APART, "true"], check=False).returncode != 0, reason="no namespaces")
def test_a_disk_that_stays_full_is_told_in_every_report_with_what_was_lost(cli: Cli) -> None:
    (cli.folder / "disk").mkdir()
    load = ("--users", "20", "--duration", "5s", "--warmup", "0s", "--out", "disk/out")
    process = cli.start("run", *load, prefix=(*APART, "sh", "-c", SMALL_DISK, "sh"))

    out, err = process.communicate(timeout=60)

    assert process.returncode == 3, out + err
    folder = cli.folder / "out"
    summary = summary_of(folder)
    [(lost, results)] = re.findall(r"([\d,]+) records of the run log could not .* results of ([\d,]+) requests", err)
    told = f"{lost} records of the run log could not be written"
    assert int(results.replace(",", "")) > 0
    assert [one["name"] for one in summary["validity"]["named"] if told in one["text"]] == ["noted"]
    assert "Inconclusive: " in out
    texts = {name: (folder / name).read_text() for name in ("summary.md", "junit.xml", "metrics.txt", "report.html")}
    assert [name for name, text in texts.items() if told not in text] == []
    assert {path.name for path in folder.iterdir()} >= texts.keys()
    assert not list(folder.glob(".*"))
