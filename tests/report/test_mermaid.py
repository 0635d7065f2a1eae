import re
from collections.abc import Callable
from itertools import pairwise

import pytest

from convload.comparison.conclusion import Conclusion
from convload.report.mermaid import MOST_POINTS, charts
from convload.report.run import render_markdown as render
from convload.results.runlog import Record
from convload.results.series import Second

NUMBER = r"\d+(?:\.\d+)?"
# The part of Mermaid's grammar for xychart-beta that is used here (xychart.jison): quoted titles, plain numbers.
SOURCE = re.compile(
    r"xychart-beta\n"
    r'    title "[^"\n]+"\n'
    rf'    x-axis "[^"\n]+" {NUMBER} --> {NUMBER}\n'
    rf'    y-axis "[^"\n]+" 0 --> (?P<top>{NUMBER})\n'
    rf'    line "[^"\n]+" \[(?P<first>{NUMBER}(?:, {NUMBER})*)\]\n'
    rf'    line "[^"\n]+" \[(?P<second>{NUMBER}(?:, {NUMBER})*)\]'
)


def second(t_s: int, p50: float = 10.0, p99: float = 50.0, rate: float = 100.0, failed: float = 0.0) -> Second:
    times = {"p50": p50, "p99": p99} if rate > failed else {}
    errors = {"http_503": failed} if failed else {}
    return Second(
        t_s=t_s,
        phase="warmup" if t_s < 3 else "measure",
        requests_per_s=rate,
        ok_per_s=rate - failed,
        errors_per_s=errors,
        response_ms=times,
        service_ms=times,
        users=1,
        in_flight=1,
        lateness_ms={},
        offered_per_s=rate,
        backlog=0,
        cpu_share=0.1,
        hub_delay_ms=0.0,
        files_free=9,
    )


def lines_of(source: str) -> tuple[list[float], list[float]]:
    """Reads the two lines of a chart by the grammar, the one that is named first first."""
    found = SOURCE.fullmatch(source)
    assert found is not None, source
    first, second_line = ([float(number) for number in found[name].split(", ")] for name in ("first", "second"))
    assert max(first + second_line) <= float(found["top"])
    return first, second_line


def test_each_second_is_a_point_while_there_are_few() -> None:
    times, rates = charts([second(t_s, p99=50.0 + t_s, failed=t_s) for t_s in range(5)])

    p50, p99 = lines_of(times.source)
    assert p99 == [50, 51, 52, 53, 54]
    assert p50 == [10] * 5
    assert lines_of(rates.source) == ([100] * 5, [0, 1, 2, 3, 4])
    assert "the first 3 s are warm-up" in times.caption
    assert 'x-axis "seconds since the start" 0 --> 5' in times.source


@pytest.mark.parametrize("seconds", [59, 60, 61, 120, 121, 3600, 3601])
def test_a_long_run_has_at_most_sixty_points_and_keeps_its_peak_and_its_total(seconds: int) -> None:
    series = [second(t_s, p99=999.0 if t_s == seconds - 2 else 50.0) for t_s in range(seconds)]

    times, rates = charts(series)

    _, p99 = lines_of(times.source)
    total, _ = lines_of(rates.source)
    assert len(p99) == len(total) <= MOST_POINTS
    assert max(p99) == 999
    assert total == [100] * len(total)
    width_s = -(-seconds // MOST_POINTS)
    assert (f"each point is the highest of {width_s} s" in times.caption) == (width_s > 1)


def test_a_second_without_a_report_is_a_gap_at_zero_and_no_neighbour() -> None:
    times, rates = charts([second(0), second(1), second(4)])

    assert lines_of(times.source)[1] == [50, 50, 0, 0, 50]
    assert lines_of(rates.source)[0] == [100, 100, 0, 0, 100]


def test_a_second_in_which_nothing_succeeded_is_zero_and_the_caption_says_so() -> None:
    times, rates = charts([second(0), second(1, rate=50, failed=50)])

    assert lines_of(times.source)[1] == [50, 0]
    assert lines_of(rates.source) == ([100, 50], [0, 50])
    assert "0 where none succeeded" in times.caption


def test_numbers_are_written_without_exponent_or_grouping() -> None:
    times, rates = charts([second(0, p50=0.0001, p99=1_234_567.891, rate=1e9, failed=1e-7)])

    assert lines_of(times.source) == ([0.01], [1234567.89])
    assert lines_of(rates.source) == ([1e9], [0.01])


def test_where_nothing_was_measured_there_is_no_chart() -> None:
    assert charts([]) == []


def test_the_summary_fences_each_chart_as_github_wants_it(
    opened: list[Record], conclude_records: Callable[..., Conclusion]
) -> None:
    text = render(conclude_records(opened))
    blocks = re.findall(r"^```mermaid\n(.*?)\n```$", text, re.DOTALL | re.MULTILINE)

    assert len(blocks) == 2
    for block in blocks:
        assert len(lines_of(block)[0]) == 25
    # A blank line would end no fence but cut the summary there if it were too long.
    fences = [match.start() for match in re.finditer("^```", text, re.MULTILINE)]
    assert not any("\n\n" in text[start:end] for start, end in list(pairwise(fences))[::2])
