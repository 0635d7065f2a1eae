import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convload.plan.gate import Gate, Limit, Subject, Vocabulary, Windows, WrittenGate, write
from convload.plan.gate_grammar import GateTextError, parse, parse_all

CREATE = "conversation.create"
KNOWN = Vocabulary("open", ["before", "spike", "a b/s"], ["minimal", "seed"])


def bare(gate: Gate) -> Gate:
    return msgspec.structs.replace(gate, text="")


@pytest.mark.parametrize(
    ("text", "subject", "operator", "limit", "windows"),
    [
        ("create.p99 < 250ms", Subject("time", CREATE, "response", "p99"), "<", Limit(250, "ms"), None),
        ("create.service.p95 <= 80ms", Subject("time", CREATE, "service", "p95"), "<=", Limit(80, "ms"), None),
        ("errors < 0.1%", Subject("errors"), "<", Limit(0.1, "%"), None),
        ("create.errors[rate_limited]<1%", Subject("errors", kind="rate_limited"), "<", Limit(1, "%"), None),
        ("errors[http_503] == 0", Subject("errors", kind="http_503"), "==", Limit(0, ""), None),
        ("rate >= 495/s", Subject("rate"), ">=", Limit(495, "/s"), None),
        ("rate >= 1,000 / s", Subject("rate"), ">=", Limit(1000, "/s"), None),
        ("unsent == 0", Subject("unsent"), "==", Limit(0, ""), None),
        ("lateness.p99 < 5ms", Subject("time", CREATE, "lateness", "p99"), "<", Limit(5, "ms"), None),
        (
            "create{variant=minimal}.p95 < 40ms",
            Subject("time", CREATE, "response", "p95", variant="minimal"),
            "<",
            Limit(40, "ms"),
            None,
        ),
        (
            'create{stage="a b/s", variant=seed}.p99.9 < 1s',
            Subject("time", CREATE, "response", "p99.9", variant="seed", stage="a b/s"),
            "<",
            Limit(1, "s"),
            None,
        ),
        ("rate{stage='spike'} > 9/min", Subject("rate", stage="spike"), ">", Limit(9, "/min"), None),
        (
            "create.p99 < 250ms over every 10s",
            Subject("time", CREATE, "response", "p99"),
            "<",
            Limit(250, "ms"),
            Windows(10),
        ),
        (
            "create.p99 < 250ms in 95% of windows of 1m",
            Subject("time", CREATE, "response", "p99"),
            "<",
            Limit(250, "ms"),
            Windows(60, 95),
        ),
        (
            "create.p99 <= baseline * 1.10 + 5ms",
            Subject("time", CREATE, "response", "p99"),
            "<=",
            Limit(5, "ms", 1.1),
            None,
        ),
        ("rate >= 0.98 * baseline", Subject("rate"), ">=", Limit(0, "/s", 0.98), None),
        ("errors <= baseline + 0.5%", Subject("errors"), "<=", Limit(0.5, "%", 1), None),
        ("token.app.p50 < 1s", Subject("time", "token.app", "response", "p50"), "<", Limit(1, "s"), None),
        ("consumer.p50 < 1s", Subject("time", "token.consumer", "response", "p50"), "<", Limit(1, "s"), None),
        (
            "conversation.close.max <= 2s",
            Subject("time", "conversation.close", "response", "max"),
            "<=",
            Limit(2, "s"),
            None,
        ),
    ],
)
def test_every_form_is_read(text: str, subject: Subject, operator: str, limit: Limit, windows: Windows | None) -> None:
    gate = parse(f"  {text} ")

    assert (gate.text, gate.subject, gate.operator, gate.limit, gate.windows) == (
        text,
        subject,
        operator,
        limit,
        windows,
    )
    assert bare(parse(write(gate))) == bare(gate)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected a name, such as create.p99, errors or rate, at the end"),
        ("creat.p99 < 1ms", "unknown step 'creat', did you mean 'create'?"),
        ("p99 < 3ms", "'p99' is no figure of a run; write the step before it: create.p99"),
        ("eror < 1%", "'eror' is no figure of a run, did you mean 'errors'?"),
        ("create.p98x < 1ms", "'p98x': a percentile lies between p0 and p100, both left out"),
        ("create.p100 < 1s", "'p100': a percentile lies between p0 and p100, both left out"),
        ("create.p0 < 1s", "'p0': a percentile lies between p0 and p100, both left out"),
        ("create.mean < 3ms", "a mean has no bound that holds whatever the distribution"),
        ("create.max > 3s", "max is judged with < and <= alone"),
        ("create.p99 < 25mss", "the unit of create.p99 is one of us, µs, ms, s, m, not 'mss', did you mean 'ms'?"),
        ("create.p99 < 25", "the unit of create.p99 is one of us, µs, ms, s, m, not a number without one"),
        ("create.p99 < 5%", "the unit of create.p99 is one of us, µs, ms, s, m, not '%'"),
        ("rate > 5", "the unit of rate is one of /s, /min, not a number without one"),
        ("errors < 0.01", "0.01 is no count; write a whole number, or a share such as 1%"),
        ("errors == 1%", "== is for counts; nothing else is met exactly"),
        ("errors[http_429] < 1%", "HTTP 429 is counted as 'rate_limited'"),
        ("errors[ratelimited] < 1%", "unknown error kind 'ratelimited', did you mean 'rate_limited'?"),
        ("errors[ok] < 1%", "unknown error kind 'ok'; allowed: connect_refused"),
        ("create.p99[reset] < 1s", "[kind] belongs behind errors"),
        ("create.rate > 3/s", "'rate' is of the whole load; write it without 'create'"),
        ("close{variant=seed}.p99 < 3ms", "variants are told apart for create alone"),
        ("create{colour=red}.p99 < 3ms", "unknown selector 'colour'; allowed: stage, variant"),
        ("create{stage=a b}.p99 < 3ms", "expected , or } (quote a name"),
        ("create.p99 25ms", "expected one of <, <=, >, >=, == before '25ms'"),
        ("create.p99 != 25ms", "unknown comparison '!='; allowed: <, <=, >, >=, =="),
        ("create.p99 < fast", "expected a limit, such as 250ms, 1%, 500/s, 0 or baseline * 1.1, before 'fast'"),
        ("create.p99 < 5ms + 1%", "ms and % do not add up"),
        ("create.p99 < 5ms - 6ms", "a limit is not below 0"),
        ("create.p99 < 5ms over every 500ms", "a window is a whole number of seconds"),
        ("create.p99 < 5ms in 0% of windows of 5s", "a share of windows lies above 0%"),
        ("create.p99 < 5ms every 3s", "expected nothing more, `over every 10s`"),
        ("unsent == 0 over every 5s", "what was never sent is known at the end of a run"),
        ("rate > baseline over every 5s", "a gate against a baseline is judged over the whole run"),
    ],
)
def test_what_is_no_gate_is_refused_with_what_is_allowed(text: str, problem: str) -> None:
    with pytest.raises(GateTextError) as caught:
        parse(text)

    assert any(problem in found for found in caught.value.problems), caught.value.problems


def test_all_mistakes_of_a_gate_are_told_at_once() -> None:
    with pytest.raises(GateTextError) as caught:
        parse("creat.errors[resett] == 5mss")

    assert [problem.partition(",")[0] for problem in caught.value.problems] == [
        "unknown step 'creat'",
        "unknown error kind 'resett'",
        "the unit of errors[resett] is one of %",
    ]


@pytest.mark.parametrize(
    ("text", "vocabulary", "problem"),
    [
        ("create{stage=spik}.p99 < 1s", KNOWN, "unknown stage 'spik', did you mean 'spike'?"),
        ("errors{variant=minimax} < 1%", KNOWN, "unknown variant 'minimax', did you mean 'minimal'?"),
        ("lateness.p99 < 1s", Vocabulary("closed"), "a closed load has no lateness"),
        ("unsent == 0", Vocabulary("closed"), "a closed load has no unsent"),
        ("create{stage=spike}.p99 < 1s", Vocabulary("closed", []), "a closed load has no stages"),
        ("errors > 2% over 5s", KNOWN, "`over 10s` is for abort_when"),
    ],
)
def test_what_a_run_cannot_have_is_refused(text: str, vocabulary: Vocabulary, problem: str) -> None:
    gates, problems = parse_all([WrittenGate("some.toml:4", text)], vocabulary)

    assert gates == []
    assert len(problems) == 1
    assert problems[0].startswith(f"some.toml:4: {text!r}: {problem}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("errors > 20% over 5s", None),
        ("errors > 20%", "say how many with `over 5s`"),
        ("rate < baseline over 5s", "a gate against a baseline is judged over the whole run"),
    ],
)
def test_a_condition_looks_at_the_last_seconds_and_at_no_baseline(text: str, problem: str | None) -> None:
    gates, problems = parse_all([WrittenGate("--abort-when", text)], KNOWN, conditions=True)

    assert len(gates) == (problem is None)
    assert all((problem or "") in found for found in problems)
    assert bool(problems) == (problem is not None)


names = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=12).filter(lambda name: name.strip())
numbers = st.one_of(st.integers(1, 10**6).map(float), st.floats(1e-4, 1e6).map(lambda x: float(f"{x:.6f}")))
times = st.builds(
    Subject,
    measure=st.just("time"),
    step=st.sampled_from([CREATE, "conversation.close", "token.app"]),
    clock=st.sampled_from(["response", "service", "lateness"]),
    statistic=st.sampled_from(["p50", "p99", "p99.9", "p2.5"]),
    stage=st.one_of(st.just(""), names),
)
of_create = st.builds(
    Subject,
    measure=st.just("errors"),
    kind=st.sampled_from(["", "reset", "http_503"]),
    variant=st.one_of(st.just(""), names),
    stage=st.one_of(st.just(""), names),
)
windows_or_none = st.one_of(
    st.none(), st.builds(Windows, st.integers(1, 900).map(float), st.integers(1, 100).map(float))
)
absolute = st.one_of(
    st.builds(
        Gate,
        st.just(""),
        times,
        st.sampled_from(["<", "<=", ">", ">="]),
        st.builds(Limit, numbers, st.sampled_from(["us", "ms", "s", "m"])),
        windows_or_none,
    ),
    st.builds(Gate, st.just(""), of_create, st.just("<"), st.builds(Limit, numbers, st.just("%")), windows_or_none),
)
relative = st.builds(
    Gate, st.just(""), times, st.just("<="), st.builds(Limit, numbers, st.sampled_from(["us", "ms"]), numbers)
)


@given(st.one_of(absolute, relative))
def test_what_is_written_reads_back_as_the_same_gate(gate: Gate) -> None:
    assert bare(parse(write(gate))) == gate


@given(st.text(alphabet="create.p9<>=* {}[]\"'\\stagevrn0123ms%/+-baseline", max_size=40))
def test_any_text_is_a_gate_or_refused_in_words(text: str) -> None:
    try:
        gate = parse(text)
    except GateTextError as error:
        problems = error.problems
    else:
        assert bare(parse(write(gate))) == bare(gate)
        problems = ("none",)

    assert all(problems)
    assert problems
