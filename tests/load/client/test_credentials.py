from pathlib import Path

import pytest

from convload.errors import UsageError
from convload.load.client import credentials


def test_they_come_from_the_environment() -> None:
    found = credentials.read(None, {"CONVLOAD_CLIENT_ID": "me", "CONVLOAD_CLIENT_SECRET": "hush"})

    assert (found.client_id, found.client_secret) == ("me", "hush")


def test_a_file_comes_before_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "credentials.toml"
    path.write_text('client_id = "file"\nclient_secret = "hush"\n')
    path.chmod(0o600)

    assert credentials.read(str(path), {"CONVLOAD_CLIENT_ID": "me"}).client_id == "file"


def test_they_show_themselves_to_nobody() -> None:
    found = credentials.Credentials("me", "hush")

    assert "hush" not in f"{found!r} {found!s} {[found]}"


@pytest.mark.parametrize("environment", [{}, {"CONVLOAD_CLIENT_ID": "me"}, {"CONVLOAD_CLIENT_SECRET": "hush"}])
def test_without_them_it_is_said_where_to_put_them(environment: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="set CONVLOAD_CLIENT_ID and CONVLOAD_CLIENT_SECRET"):
        credentials.read(None, environment)


@pytest.mark.parametrize("text", ["client_id = 'x'", "hush = ", "client_secret = 'hush'", "\xff"])
def test_a_broken_file_is_named_and_not_quoted(tmp_path: Path, text: str) -> None:
    path = tmp_path / "credentials.toml"
    path.write_bytes(text.encode("latin-1"))
    path.chmod(0o600)

    with pytest.raises(UsageError) as caught:
        credentials.read(str(path), {})

    assert str(path) in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_file_that_others_can_read_is_refused_and_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "credentials.toml"
    path.write_text('client_id = "me"\nclient_secret = "hush"\n')
    path.chmod(0o644)

    with pytest.raises(UsageError, match=r"is open to others than its owner \(mode 644\)") as caught:
        credentials.read(str(path), {})

    assert "hush" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        credentials.read(str(tmp_path / "none"), {})
