import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from convload.load.client.redaction import known
from convload.load.recorder import LONGEST_HEADER, MAX_SAMPLES_A_KIND, Recorder, Result
from convload.results.histogram import Histogram
from convload.results.runlog import Cell


def recorder(measure_from_s: float = 10.0, measure_until_s: float = 20.0) -> Recorder:
    made = Recorder(worker=3)
    made.started_s = 5.0
    made.measure_from_s = measure_from_s
    made.measure_until_s = measure_until_s
    return made


def create(sent_s: float, service_s: float = 0.001, outcome: str = "ok", detail: str = "") -> Result:
    return Result("conversation.create", outcome, sent_s, sent_s, sent_s + service_s, "minimal", 7, detail)


def test_a_request_belongs_to_the_phase_in_which_it_was_due() -> None:
    taken = recorder()
    for sent_s in (9.999, 10.0, 19.999, 20.0):
        taken.record(create(sent_s, service_s=2.0))

    cells, _ = taken.take()

    assert {cell.phase: cell.count for cell in cells} == {"warmup": 1, "measure": 2, "cleanup": 1}


def test_a_run_that_was_stopped_in_its_warm_up_measured_nothing() -> None:
    taken = recorder(measure_from_s=10.0, measure_until_s=7.0)
    for sent_s in (6.0, 8.0, 11.0):
        taken.record(create(sent_s))

    assert {cell.phase: cell.count for cell in taken.take()[0]} == {"warmup": 2, "cleanup": 1}


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0, 60)), max_size=60))
def test_no_request_is_lost_and_times_are_kept_in_microseconds(requests: list[tuple[float, float]]) -> None:
    taken = recorder()
    for sent_s, service_s in requests:
        taken.record(create(sent_s, service_s))

    cells, _ = taken.take()
    merged = Histogram.merged(Histogram.decode(cell.service) for cell in cells)

    assert sum(cell.count for cell in cells) == merged.count == taken.creates_recorded == len(requests)
    if requests:
        longest_us = max(int(np.rint((sent_s + service_s - sent_s) * 1e6)) for sent_s, service_s in requests)
        assert merged.max_us == longest_us


def test_outcomes_steps_and_variants_are_kept_apart() -> None:
    taken = recorder()
    taken.record(create(11.0))
    taken.record(create(11.0, outcome="http_503"))
    taken.record(Result("conversation.close", "ok", 11.0, 11.0, 11.1))

    keys = {(cell.step, cell.variant, cell.outcome) for cell in taken.take()[0]}

    assert keys == {
        ("conversation.create", "minimal", "ok"),
        ("conversation.create", "minimal", "http_503"),
        ("conversation.close", "", "ok"),
    }
    assert taken.creates_recorded == 2


def test_taking_begins_anew() -> None:
    taken = recorder()
    taken.record(create(11.0))
    taken.take()

    assert taken.take() == ([], [])


def test_in_the_closed_model_only_service_is_told() -> None:
    taken = recorder()
    taken.record(create(11.0))

    (cell,), _ = taken.take()

    assert isinstance(cell, Cell)
    assert (cell.response, cell.lateness) == ("", "")


def test_samples_of_a_kind_are_capped_and_say_how_to_show_the_payload() -> None:
    taken = recorder()
    for _ in range(MAX_SAMPLES_A_KIND + 5):
        taken.record(create(11.0, outcome="http_500", detail="oops"))
    taken.record(create(11.0, outcome="reset"))

    _, samples = taken.take()

    assert len(samples) == MAX_SAMPLES_A_KIND + 1
    assert (samples[0].index, samples[0].worker, samples[0].variant, samples[0].detail) == (7, 3, "minimal", "oops")
    assert samples[0].t_s == 6.001


def test_headers_of_a_failed_answer_are_kept_without_secrets_and_not_at_any_length() -> None:
    known.know("client-secret-1")
    head = (
        b"HTTP/1.1 503 x\r\nRetry-After: 3\r\nDate: now\r\nLocation: /?secret=client-secret-1\r\nServer: " + b"x" * 900
    )
    taken = recorder()
    taken.record(msgspec.structs.replace(create(11.0, outcome="http_503"), head=head))

    _, (sample,) = taken.take()

    assert sample.headers == {"retry-after": "3", "location": "/?secret=[token]", "server": "x" * LONGEST_HEADER}


def test_a_token_that_the_target_echoes_is_not_kept() -> None:
    echoed = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1g"

    assert known.redact(f"bad token {echoed}, try again") == "bad token [token], try again"
    assert known.redact("$[1].body.brandId: is not 1.2.3") == "$[1].body.brandId: is not 1.2.3"
