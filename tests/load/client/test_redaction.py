"""Secrets are taken out of what a target said, in whatever form it says them."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest

from convload.load.client.redaction import Redactor

VALUE = 'pa55 w/rd+"q\\ü=&%zz'

FORMS = {
    "plain": VALUE,
    "url": quote(VALUE, safe=""),
    "form": quote_plus(VALUE),
    "json": json.dumps(VALUE)[1:-1],
    "json in UTF-8": json.dumps(VALUE, ensure_ascii=False)[1:-1],
    **{f"base64 at {n}": base64.b64encode(b"x" * n + VALUE.encode() + b"!").decode() for n in range(3)},
    **{f"base64url at {n}": base64.urlsafe_b64encode(b"x" * n + VALUE.encode() + b"?").decode() for n in range(3)},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_known_value_is_taken_out_in_each_form(form: str) -> None:
    redactor = Redactor()
    redactor.know(VALUE)

    said = redactor.redact(f"before>{form}<after")

    assert "[token]" in said
    assert said.startswith("before>")
    assert said.endswith("<after")
    inner = form[4:-4]
    assert not any(inner[at : at + 10] in said for at in range(len(inner) - 10))


@pytest.mark.parametrize("form", ["plain", "base64 at 1"])
def test_the_beginning_of_a_value_that_was_cut_off_is_taken_out(form: str) -> None:
    redactor = Redactor()
    value = "0paque-token-0123456789-ABCDEFGHIJ"
    redactor.know_token(value)
    text = value if form == "plain" else base64.b64encode(b"x" + value.encode()).decode()

    assert redactor.redact(f"says {text[:22]}") in {"says [token]", f"says {text[:2]}[token]"}


def test_the_scheme_of_an_authorization_stays_and_its_credentials_go() -> None:
    redactor = Redactor()
    redactor.know("Bearer 0paque-value-1")

    assert redactor.redact("got 0paque-value-1 as Bearer") == "got [token] as Bearer"


def test_a_million_tokens_of_one_service_are_known_by_few_beginnings() -> None:
    redactor = Redactor()
    for n in range(1000):
        redactor.know_token(f"eyJhbGciOiJSUzI1NiJ9.{n:08d}.sig{n:08d}")

    assert redactor.redact("x eyJhbGciOiJSUzI1NiJ9.00000007 y") == "x [token] y"
    assert len(redactor._heads) < 20


def test_what_is_no_secret_stays() -> None:
    redactor = Redactor()
    redactor.know("ab", "long-enough-value")

    assert redactor.redact("$[1].body.brandId: is not ab 1.2.3") == "$[1].body.brandId: is not ab 1.2.3"
