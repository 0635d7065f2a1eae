from tests.run_logs import Make

from convload.comparison.batches import MOST, batches_of, strata
from convload.plan.schedule import StageMark
from convload.results.run import Run

CREATE = "conversation.create"


def test_the_batches_hold_every_measured_request_once(make: Make) -> None:
    log = make.opened(lambda _, second: {"failed": 3, "service_us": 900 + 10 * second}, workers=2)

    made, figures = batches_of(log)[CREATE], Run(log).create

    assert len(made) == 8
    assert sum(batch.ok for batch in made) == figures.ok
    assert sum(batch.failed for batch in made) == figures.failed
    assert made[0].times.counts.sum() == 94
    assert sum(batch.times.sum_us for batch in made) == figures.response.sum_us


def test_the_clock_chooses_between_response_and_service(make: Make) -> None:
    log = make.opened(lambda *_: {"service_us": 1000, "lateness_us": 500})

    assert batches_of(log, "response")[CREATE][0].times.percentile(50) == 1500
    assert batches_of(log, "service")[CREATE][0].times.percentile(50) == 1000


def test_a_second_without_results_is_a_batch_of_nothing(make: Make) -> None:
    log = make.log(
        make.interval(2, [make.cell([1000] * 5)], 5), make.interval(6, [make.cell([1000] * 5)], 10, last=True)
    )

    assert [batch.count for batch in batches_of(log)[CREATE]] == [5, 0, 0, 0, 5]


def test_an_answer_after_the_measured_time_counts_as_a_time_not_for_the_rate(make: Make) -> None:
    log = make.log(
        make.interval(11, [make.cell([1000] * 5)], 5), make.interval(13, [make.cell([9000] * 2)], 7, last=True)
    )

    last = batches_of(log)[CREATE][-1]

    assert (last.count, last.late, last.times.count) == (7, 2, 7)


def test_stages_are_strata_and_no_batch_crosses_into_another(make: Make) -> None:
    marks = [StageMark("one", 0.0, 4.0, 50, 50), StageMark("two", 4.0, 6.0, 100, 100)]
    made = batches_of(make.opened(stages=marks, warmup_s=0.0, duration_s=10.0))[CREATE]

    assert [batch.stratum for batch in made] == ["one"] * 4 + ["two"] * 6
    assert strata(made) == [(0, 4), (4, 10)]


def test_a_long_run_is_cut_into_batches_of_several_seconds(make: Make) -> None:
    seconds = 2 * MOST + 2
    made = batches_of(make.opened(rate=2, seconds=seconds))[CREATE]

    assert len(made) == MOST
    assert {batch.length_s for batch in made} == {2.0}
    assert {batch.count for batch in made} == {4}
