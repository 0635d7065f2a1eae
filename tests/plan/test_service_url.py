"""By which scheme the services are called that a look-up names: they are given credentials."""

import pytest

from convload.plan.plan import host_allowed, service_url


@pytest.mark.parametrize(
    ("scheme", "host", "named", "allow_hosts", "url"),
    [
        ("http", "api.example.net", "va.example.net", ["*.example.net"], "https://va.example.net"),
        ("https", "api.example.net", "va.example.net", ["*.example.net"], "https://va.example.net"),
        ("https", "api.example.net", "va.example.net", ["http://va.example.net"], "https://va.example.net"),
        ("http", "api.example.net", "va.example.net:81", ["http://va.example.net"], "http://va.example.net:81"),
        ("http", "api.example.net", "va.example.net", ["http://*.example.net"], "http://va.example.net"),
        ("http", "127.0.0.1", "127.0.0.1:8080", [], "http://127.0.0.1:8080"),
        ("http", "localhost", "va.example.net", ["va.example.net"], "http://va.example.net"),
        ("https", "127.0.0.1", "127.0.0.1:8443", [], "https://127.0.0.1:8443"),
    ],
)
def test_credentials_go_by_https_unless_the_user_says_otherwise(
    scheme: str, host: str, named: str, allow_hosts: list[str], url: str
) -> None:
    assert service_url(scheme, host, named, allow_hosts) == url


def test_a_host_that_is_allowed_in_plain_text_is_allowed() -> None:
    assert host_allowed("va.example.net", ["http://va.example.net"])
