import random
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convload.errors import UsageError
from convload.plan.plan import Plan, assemble
from convload.plan.retry import (
    CUT_OFF,
    DOCUMENTED_5XX_S,
    FATES,
    GAVE_UP,
    HONOURED,
    IGNORED,
    NOT_RETRIED,
    RETRIED,
    Decision,
    RetryPolicy,
    decide,
    merged,
    parse_retry_after_s,
)

NOW_UNIX_S = 1_800_000_000.0
EXPONENTIAL = RetryPolicy(policy="exponential", jitter=False)

exponential = st.builds(
    RetryPolicy,
    policy=st.just("exponential"),
    first_wait_s=st.floats(0.001, 60),
    factor=st.floats(1, 10),
    max_wait_s=st.floats(0.001, 3600),
    jitter=st.just(False),
)


def decided(policy: RetryPolicy, outcome: str = "rate_limited", retry_after: str = "", made: int = 1) -> Decision:
    return decide(policy, made, outcome, retry_after, NOW_UNIX_S, random.Random(1))


@given(exponential)
def test_exponential_waits_grow_by_the_factor_up_to_the_bound(policy: RetryPolicy) -> None:
    waits = [policy.wait_s(retry, "http_503", random.Random(0)) for retry in range(1, 20)]

    assert waits == sorted(waits)
    assert max(waits) <= policy.max_wait_s
    assert waits[0] == min(policy.first_wait_s, policy.max_wait_s)
    for shorter, longer in pairwise(waits):
        assert longer == pytest.approx(min(shorter * policy.factor, policy.max_wait_s))


@given(exponential, st.integers(1, 20), st.integers())
def test_full_jitter_stays_between_nothing_and_the_wait_without_it(policy: RetryPolicy, retry: int, seed: int) -> None:
    bound_s = policy.wait_s(retry, "http_503", random.Random(seed))
    jittered = msgspec.structs.replace(policy, jitter=True)

    assert 0 <= jittered.wait_s(retry, "http_503", random.Random(seed)) <= bound_s


def test_full_jitter_is_spread_evenly() -> None:
    policy, source = RetryPolicy(policy="exponential", first_wait_s=1.0), random.Random(5)

    waits = sorted(policy.wait_s(3, "http_503", source) for _ in range(4000))

    # Kolmogorov's distance from an even spread over 0 to 4 s, at a chance of one in a million.
    distance = max(abs(wait / 4 - rank / len(waits)) for rank, wait in enumerate(waits))
    assert distance < 2.7 / len(waits) ** 0.5


def test_the_same_seed_draws_the_same_waits() -> None:
    policy = RetryPolicy(policy="exponential")
    first, second, other = ([policy.wait_s(3, "tls", source) for _ in range(5)] for source in map(random.Random, "aab"))

    assert first == second != other


def test_fixed_waits_are_all_the_same() -> None:
    policy = RetryPolicy(policy="fixed", first_wait_s=0.3)

    assert {policy.wait_s(retry, "http_500", random.Random(retry)) for retry in range(1, 8)} == {0.3}


def test_the_documented_policy_is_what_the_vendor_writes() -> None:
    policy = RetryPolicy(policy="documented")
    limited = [policy.wait_s(1, "rate_limited", random.Random(seed)) for seed in range(200)]

    assert [policy.wait_s(retry, "http_502", random.Random(0)) for retry in (1, 2, 3)] == [5, 10, 15]
    assert policy.wait_s(19, "http_502", random.Random(0)) == DOCUMENTED_5XX_S[-1]
    assert 1 <= min(limited) < 1.1
    assert 1.9 < max(limited) <= 2
    retried = {"rate_limited", "http_500", "http_503"}
    others = {"http_400", "http_401", "http_404", "connect_refused", "read_timeout", "reset", "partial", "contract"}
    assert {outcome for outcome in retried | others if policy.retries(outcome)} == retried
    assert decided(policy, "http_502", made=3).fate == RETRIED
    assert decided(policy, "http_502", made=4).fate == GAVE_UP
    assert decided(policy, "rate_limited", "9").wait_s < 2


def test_by_default_only_what_surely_created_nothing_or_is_documented_is_retried() -> None:
    for policy in (RetryPolicy(policy="fixed"), RetryPolicy(policy="exponential")):
        assert all(policy.retries(outcome) for outcome in ("rate_limited", "http_503", "connect_refused", "dns", "tls"))
        unsafe = ("read_timeout", "reset", "malformed_http", "invalid_json", "contract", "partial", "http_400")
        assert not any(policy.retries(outcome) for outcome in unsafe)


def test_what_is_retried_can_be_named() -> None:
    policy = RetryPolicy(policy="fixed", on=["read_timeout", "http_503"])

    assert [policy.retries(outcome) for outcome in ("read_timeout", "http_503", "http_502", "rate_limited")] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("Fri, 15 Jan 2027 08:00:05 GMT", 5),
        ("Friday, 15-Jan-27 08:00:05 GMT", 5),
        ("Fri Jan 15 08:00:05 2027", 5),
        ("Fri, 15 Jan 2027 09:00:05 +0100", 5),
        ("Fri, 15 Jan 2027 07:59:00 GMT", 0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("1e3", None),
        ("٣", None),
        ("99999999999999999999", None),
        ("Fri, 99 Jan 2027 08:00:05 GMT", None),
        ("Fri, 15 Jan 99999 08:00:05 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_its_forms_and_garbage_is_none(text: str, seconds: float | None) -> None:
    assert parse_retry_after_s(text, datetime(2027, 1, 15, 8, tzinfo=UTC).timestamp()) == seconds


@given(st.text(max_size=60) | st.from_regex(r"[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,6} [\d:]{0,9} ?[-+\w]{0,6}"))
def test_no_retry_after_breaks_the_reader(text: str) -> None:
    seconds = parse_retry_after_s(text, NOW_UNIX_S)

    assert seconds is None or seconds >= 0


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 -- bounds
def test_a_date_that_the_library_writes_is_read_to_the_second(moment: datetime) -> None:
    whole = moment.replace(microsecond=0)

    assert parse_retry_after_s(format_datetime(whole, usegmt=True), whole.timestamp() - 30) == 30


def test_retry_after_is_the_least_wait() -> None:
    policy = RetryPolicy(policy="fixed", first_wait_s=2.0)

    assert decided(policy, retry_after="5") == Decision(RETRIED, 5.0, HONOURED)
    assert decided(policy, retry_after="1") == Decision(RETRIED, 2.0, HONOURED)


def test_too_long_a_retry_after_ends_the_conversation() -> None:
    policy = RetryPolicy(policy="fixed", max_retry_after_s=10.0)

    assert decided(policy, retry_after="10") == Decision(RETRIED, 10.0, HONOURED)
    assert decided(policy, retry_after="11") == Decision(GAVE_UP, 0.0, IGNORED)


def test_a_retry_after_that_is_not_heeded_is_still_seen() -> None:
    deaf = RetryPolicy(policy="fixed", honour_retry_after=False)

    assert decided(deaf, retry_after="5") == Decision(RETRIED, 1.0, IGNORED)
    assert decided(EXPONENTIAL, retry_after="soon") == Decision(RETRIED, 1.0, IGNORED)
    assert decided(EXPONENTIAL, "http_400", "5") == Decision(NOT_RETRIED, 0.0, IGNORED)
    assert decided(EXPONENTIAL, retry_after="5", made=4) == Decision(GAVE_UP, 0.0, IGNORED)


@given(st.integers(1, 40), st.sampled_from(["rate_limited", "http_503", "reset", "http_400", "dns"]), st.text())
def test_a_conversation_never_has_more_attempts_than_allowed(made: int, outcome: str, retry_after: str) -> None:
    decision = decided(EXPONENTIAL, outcome, retry_after, made)

    assert decision.fate in FATES
    assert decision.fate != CUT_OFF
    if made >= EXPONENTIAL.attempts or not EXPONENTIAL.retries(outcome):
        assert decision.fate != RETRIED
    if decision.fate != RETRIED:
        assert decision.wait_s == 0


def plan_of(folder: Path, text: str, **sources: str) -> Plan:
    path = folder / "plan.toml"
    path.write_text(text)
    environment = {"CONVLOAD_RETRY": sources["environment"]} if "environment" in sources else {}
    return assemble(path, environment, {"retry": sources.get("flag")})


def test_without_a_word_nothing_is_retried(tmp_path: Path) -> None:
    assert plan_of(tmp_path, "").retry == RetryPolicy()


@pytest.mark.parametrize("text", ['retry = "exponential"', '[retry]\npolicy = "exponential"'])
def test_a_policy_is_a_bare_name_or_a_table(tmp_path: Path, text: str) -> None:
    retry = plan_of(tmp_path, text).retry

    assert retry.policy == "exponential"
    assert retry.on == ["rate_limited", "http_5xx", "connect"]
    assert retry.honour_retry_after is True


def test_a_flag_overrides_the_variable_which_overrides_the_plan(tmp_path: Path) -> None:
    assert plan_of(tmp_path, 'retry = "fixed"', environment="documented").retry.policy == "documented"
    assert plan_of(tmp_path, 'retry = "fixed"', environment="documented", flag="none").retry == RetryPolicy()


def test_another_policy_by_flag_keeps_the_settings_that_it_uses_too(tmp_path: Path) -> None:
    table = '[retry]\npolicy = "exponential"\nattempts = 6\nfactor = 3.0\nfirst_wait_s = 0.5\non = ["http_503"]'

    fixed, documented = (plan_of(tmp_path, table, flag=name).retry for name in ("fixed", "documented"))

    assert (fixed.attempts, fixed.first_wait_s, fixed.on, fixed.factor) == (6, 0.5, ["http_503"], 2.0)
    assert (documented.attempts, documented.first_wait_s) == (6, 1.0)
    assert merged({"policy": "fixed"}, {"attempts": 3}) == {"attempts": 3}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('retry = "fixd"', ":1: retry: 'fixd' is no retry policy; allowed: none, fixed, exponential, documented"),
        ("retry = 3", ":1: retry: must be a table or one of none, fixed"),
        ('[retry]\npolicy = "fixed"\nattempts = 1', ":3: retry.attempts: must be a whole number of at least 2"),
        ('[retry]\npolicy = "fixed"\nwait = 1', ":3: retry.wait: unknown key"),
        ('[retry]\npolicy = "fixed"\nfactor = 3.0', ":1: retry: factor is for exponential, not for the policy fixed"),
        ("[retry]\nattempts = 3", "attempts is for fixed and exponential and documented, not for the policy none"),
        ('[retry]\npolicy = "fixed"\non = ["contract"]', "on: 'contract' is not retried; allowed: rate_limited"),
    ],
)
def test_a_mistake_says_where_it_is_and_what_is_allowed(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as told:
        plan_of(tmp_path, text)

    assert said in str(told.value)


def test_all_mistakes_of_a_table_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as told:
        plan_of(tmp_path, '[retry]\npolicy = "exponential"\nattempts = 99\nfactor = 0.5\nwhen = 1')

    assert len(told.value.problems) == 3
