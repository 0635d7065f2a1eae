"""Gates from the command line, in short real runs against the embedded mock."""

from pathlib import Path

import pytest
from tests.conftest import Cli, summary_of

COMPARED = "create.service.p50 <= baseline * 1.1"


def test_fifty_requests_do_not_decide_a_p99_and_the_run_says_how_many_do(cli: Cli) -> None:
    done = cli(
        "run",
        "--users",
        "5",
        "--conversations",
        "50",
        "--gate",
        "create.p99 < 10s",
        "--out",
        "out",
        environment={"CONVLOAD_INDEPENDENT": "true"},
    )

    assert done.code == 3, done
    (gate,) = summary_of(cli.folder / "out")["gates"]
    assert (gate["outcome"], gate["samples"], gate["needed"], gate["limit"]) == ("inconclusive", 50, 459, 10.0)
    assert "50 samples; a p99 at 99 % confidence needs at least 459" in done.out
    assert "warning: create.p99 < 10s: to pass it needs at least 459 samples, the plan expects about 50" in done.err
    assert done.out.rstrip().splitlines()[-1].startswith("Inconclusive: create.p99 < 10s is undecided")


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (("--gate", COMPARED), "compares with a baseline; name a run folder or a baseline file with --baseline"),
        (("--gate", COMPARED, "--baseline", "nowhere"), "baseline nowhere: cannot be read"),
        (("--gates-file", "none.txt"), "--gates-file: none.txt: cannot be read"),
        (("--abort-when", "errors > 20%"), "--abort-when: 'errors > 20%': a condition looks at the last seconds"),
    ],
)
def test_what_makes_judging_impossible_is_told_before_the_run(cli: Cli, flags: tuple[str, ...], problem: str) -> None:
    done = cli("run", "--out", "out", *flags)

    assert done.code == 2, done
    assert problem in done.err
    assert not Path(cli.folder / "out").exists()
