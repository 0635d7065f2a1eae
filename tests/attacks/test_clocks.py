"""Somebody sets the date of the machine in the middle of a run: no verdict follows from it."""

import os

import pytest
from tests.conftest import Cli, intervals_of, summary_of, wait_for

from convload.results import runlog
from convload.results.runlog import Ended, Note, WorkerLost

STEPPED = """
import os, time
true, path, by_s = time.time, os.environ.get("STEPPED_FROM", ""), float(os.environ.get("STEPPED_BY", 0))
time.time = lambda: true() + by_s * os.path.exists(path)
"""


@pytest.mark.parametrize("by_s", [90, -90, 3600, -3600, 40 * 86_400, -40 * 86_400])
def test_a_date_that_is_set_in_the_middle_changes_nothing(cli: Cli, by_s: int) -> None:
    (cli.folder / "sitecustomize.py").write_text(STEPPED)
    path = os.pathsep.join([str(cli.folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    stepped = {"PYTHONPATH": path, "STEPPED_FROM": str(cli.folder / "stepped"), "STEPPED_BY": str(by_s)}
    flags = (
        "--rate",
        "20",
        "--arrivals",
        "even",
        "--duration",
        "6s",
        "--warmup",
        "0s",
        "--gate",
        "errors <= 1%",
        "--out",
        "out",
    )
    process = cli.start("run", *flags, environment=stepped)
    folder = cli.folder / "out"
    wait_for(lambda: intervals_of(folder), "a first interval")

    (cli.folder / "stepped").touch()
    _, err = process.communicate(timeout=60)

    assert process.returncode in {0, 3}, err  # on a busy machine some requests are late
    records = runlog.read(folder).records
    assert [one for one in records if isinstance(one, WorkerLost | Note)] == []
    [ended] = [one for one in records if isinstance(one, Ended)]
    assert 6 <= ended.at_s < 30
    assert summary_of(folder)["counts"]["recorded"] == 120
