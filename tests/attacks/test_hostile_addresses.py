"""No address, from a plan or from a look-up of the target, is taken for another one or ends in an internal error."""

from pathlib import Path

import pytest
from tests.conftest import Cli

from convload.addresses import split_origin
from convload.errors import TargetError, UsageError
from convload.load.client.origin import Origin
from convload.plan.plan import assemble, service_url

NO_TARGETS = [
    *(
        "http://[",
        "http://]27.0.0.1:2",
        "http://[::1",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:-1",
    ),
    *(
        "http://127.0.0.1:0",
        "http://127.0.0.1:x",
        "http://me:secret@127.0.0.1",
        "http://127.0.0.1#x",
        "http://",
        "127.0.0.1",
    ),
    *("http://127.0.0.1/a", "http://127.0.0.1?a", "ftp://127.0.0.1", "http://127.0.0.1\\@evil.example", "http://a b"),
]


@pytest.mark.parametrize("target", NO_TARGETS)
def test_what_is_no_target_is_refused_in_words(target: str) -> None:
    with pytest.raises(UsageError, match="must be mock, http"):
        assemble(None, {}, {"target": target})
    with pytest.raises(UsageError, match="must be http"):
        Origin(target)
    assert split_origin(target) is None


def test_a_target_that_is_none_is_wrong_usage(cli: Cli, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('target = "http://127.0.0.1:1"\ntarget_b = "http://]27.0.0.1:2"\n')

    assert cli("run", str(plan), "--dry-run").code == 2


@pytest.mark.parametrize("named", ["[", "a:99999", "a:0", "", "me@a", "a/b", "a?b", "a#b", "a b", "a\r\nX: y", "a\\@b"])
def test_what_a_look_up_must_not_name_is_the_targets_fault(named: str) -> None:
    with pytest.raises(TargetError, match="domain look-up"):
        service_url("http", "127.0.0.1", named, [])


def test_what_a_look_up_may_name_is_taken_as_it_is() -> None:
    assert service_url("http", "127.0.0.1", "[::1]:8080", []) == "http://[::1]:8080"
    assert service_url("https", "a.example", "b.example", ["b.example"]) == "https://b.example"
