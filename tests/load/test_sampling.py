import numpy as np

from convload.load.client.tracing import Tracing
from convload.load.recorder import Recorder, Result
from convload.results.runlog import RequestSample
from convload.results.summary import KeptRequests


def recorder(worker: int = 0, tracing: Tracing | None = None) -> Recorder:
    made = Recorder(worker, seed=7, tracing=tracing)
    made.started_s, made.measure_from_s, made.measure_until_s = 100.0, 101.0, 200.0
    return made


def create(index: int, service_s: float, due_s: float = 110.0, outcome: str = "ok") -> Result:
    done_s = due_s + 0.5 + service_s
    step = "conversation.create"
    return Result(
        step, outcome, due_s, due_s + 0.5, done_s, "minimal", index, first_s=done_s - 0.001, new_connection=index == 3
    )


def taken(*workers: Recorder) -> KeptRequests:
    samples: list[RequestSample] = []
    for worker in workers:
        worker.take()
        samples += worker.take_samples()
    return KeptRequests.of(samples)


def test_the_ten_slowest_of_all_workers_are_kept_whole() -> None:
    workers = [recorder(0), recorder(1)]
    samples: list[RequestSample] = []
    order = np.random.default_rng(1).permutation(400)
    for at, index in enumerate(order.tolist()):
        workers[index % 2].record(create(index, index / 1000))
        if at % 100 == 99:
            for worker in workers:
                worker.take()
                samples += worker.take_samples()

    kept = KeptRequests.of(samples)

    assert [one.index for one in kept.slowest] == list(range(399, 389, -1))
    assert len(samples) < 160, "only what is new among the ten of a worker is sent"
    slowest = kept.slowest[0]
    assert (slowest.due_s, slowest.sent_s, slowest.done_s) == (10.0, 10.5, 10.899)
    assert (slowest.response_ms, slowest.service_ms, slowest.first_byte_ms) == (899.0, 399.0, 398.0)
    assert (slowest.variant, slowest.worker, slowest.new_connection) == ("minimal", 1, False)


def test_ordinary_requests_are_drawn_with_equal_chances_whenever_they_came() -> None:
    drawn = []
    for seed in range(300):
        one = Recorder(0, seed=seed)
        one.started_s, one.measure_from_s = 0.0, 0.0
        for second in range(4):
            # The first second has most of them: whoever gave each second the same places would draw too few of it.
            for index in range(70 if second == 0 else 10):
                one.record(create(1000 * second + index, 0.001, due_s=float(second)))
            one.take()
        drawn += [kept.index // 1000 for kept in taken(one).ordinary]

    share = drawn.count(0) / len(drawn)
    assert len(drawn) == 3000
    assert abs(share - 0.7) < 4 * (0.7 * 0.3 / 3000) ** 0.5


def test_neither_failures_nor_the_warm_up_are_among_them() -> None:
    one = recorder()
    one.record(create(1, 9.0, due_s=100.5))
    one.record(create(2, 9.0, outcome="http_503"))
    one.record(create(3, 0.001))

    kept = taken(one)

    assert [each.index for each in kept.slowest] == [each.index for each in kept.ordinary] == [3]
    assert kept.slowest[0].new_connection


def test_a_retry_is_as_slow_as_it_was_itself() -> None:
    one = recorder()
    one.record(Result("conversation.create.retry", "ok", 110.0, 115.0, 115.2, index=1))

    (slowest,) = taken(one).slowest

    assert (slowest.response_ms, slowest.service_ms) == (200.0, 200.0)


def test_the_trace_of_a_request_stands_beside_it_slow_or_failed() -> None:
    tracing = Tracing(1.0, "run-1")
    one = recorder(tracing=tracing)
    one.record(create(5, 0.1))
    one.record(create(6, 0.1, outcome="http_503"))

    _, errors = one.take()

    assert errors[0].trace_id == tracing.trace_id(6)
    assert KeptRequests.of(one.take_samples()).slowest[0].trace_id == tracing.trace_id(5)
    assert tracing.header_line(5).startswith(f"traceparent: 00-{tracing.trace_id(5)}-".encode())


def test_the_chosen_share_of_payloads_is_traced_on_every_worker() -> None:
    tracing = Tracing(0.05, "run-1")
    for worker in range(4):
        own = range(worker, 80_000, 4)
        traced = [index for index in own if tracing.trace_id(index)]
        assert abs(len(traced) - 1000) < 30
        assert len({tracing.trace_id(index) for index in traced}) == len(traced)
    assert not Tracing(0.0, "run-1").header_line(1)
    assert Tracing(0.05, "run-2").trace_id(traced[0]) != tracing.trace_id(traced[0])
