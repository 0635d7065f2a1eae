import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from convload.plan.service_times import ServiceTime, constant, parse_service_time

PEERS: list[tuple[str, Any]] = [
    ("exponential(20ms)", scipy.stats.expon(scale=0.02)),
    ("lognormal(20ms, 0.4)", scipy.stats.lognorm(0.4, scale=0.02)),
    ("lognormal(1s, 1.5)", scipy.stats.lognorm(1.5, scale=1)),
    ("gamma(20ms, 2)", scipy.stats.gamma(2, scale=0.01)),
    ("gamma(20ms, 0.3)", scipy.stats.gamma(0.3, scale=0.02 / 0.3)),
    ("gamma(5ms, 400)", scipy.stats.gamma(400, scale=0.005 / 400)),
    ("5ms + lognormal(20ms, 0.4)", scipy.stats.lognorm(0.4, loc=0.005, scale=0.02)),
]
SHARES = (1e-6, 0.01, 0.25, 0.5, 0.9, 0.99, 1 - 1e-6)


@pytest.mark.parametrize(("text", "peer"), PEERS, ids=[text for text, _ in PEERS])
def test_moments_quantiles_and_shares_are_those_of_scipy(text: str, peer: Any) -> None:
    service = parse_service_time(text)

    assert service.mean_s == pytest.approx(peer.mean())
    assert service.scv == pytest.approx(peer.var() / peer.mean() ** 2)
    for share in SHARES:
        assert service.quantile_s(share) == pytest.approx(peer.ppf(share), rel=1e-6)
        assert service.cdf(peer.ppf(share)) == pytest.approx(share, rel=1e-6)


def test_the_texts_name_their_distributions() -> None:
    found = {
        text: (service.kind, service.parameters, service.shift_s)
        for text in (
            "constant(20ms)",
            " exponential( 1.5s ) ",
            "lognormal(20ms,0.4)",
            "lognormal(20ms, 0)",
            "gamma(20ms, 2)",
            "5ms + gamma(20ms, 2)",
        )
        for service in [parse_service_time(text)]
    }

    assert list(found.values()) == [
        ("constant", (0.02,), 0),
        ("exponential", (1.5,), 0),
        ("lognormal", (0.02, 0.4), 0),
        ("constant", (0.02,), 0),
        ("gamma", (0.02, 2), 0),
        ("gamma", (0.02, 2), 0.005),
    ]
    assert constant(0.02).scv == 0
    assert (constant(0.02).cdf(0.019), constant(0.02).cdf(0.02)) == (0, 1)


def test_recorded_times_are_drawn_as_often_as_they_were_seen(tmp_path: Path) -> None:
    path = tmp_path / "times.txt"
    path.write_text("# from the access log\n30ms\n10\n\n0.02s  # a long one\n20\n")
    service = parse_service_time(f"empirical({path})")
    drawn = [service.quantile_s((k + 0.5) / 100) for k in range(100)]

    assert service.mean_s == pytest.approx(0.02)
    assert service.scv == pytest.approx(0.5 * 0.0001 / 0.0004)
    assert [drawn.count(time_s) for time_s in (0.01, 0.02, 0.03)] == [25, 50, 25]
    assert service.cdf(0.02) == 0.75


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is no service time; write constant"),
        ("20ms", "is no service time; write constant"),
        ("weibull(20ms, 2)", "is no service time; write constant"),
        ("constant(20)", "'20' is no duration"),
        ("soon + constant(1ms)", "'soon' is no duration"),
        ("constant(0ms)", "more than 0 and at most 3600 s"),
        ("exponential(2h)", "more than 0 and at most 3600 s"),
        ("lognormal(20ms)", "lognormal takes two values"),
        ("exponential(20ms, 2)", "exponential takes one value"),
        ("lognormal(20ms, many)", "sigma is 'many'; a number from 0 to 10"),
        ("gamma(20ms, nan)", "shape is 'nan'"),
        ("empirical(/nowhere.txt)", "'/nowhere.txt' of empirical() cannot be read: No such file"),
    ],
)
def test_what_is_none_is_told_with_what_is_allowed(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_service_time(text)

    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("written", "told"),
    [("1ms\nsoon\n", ":2: 'soon' is no duration"), ("-1\n", ":1: "), ("# nothing\n", "holds 0 times")],
)
def test_a_file_of_times_is_read_strictly(tmp_path: Path, written: str, told: str) -> None:
    path = tmp_path / "times.txt"
    path.write_text(written)
    with pytest.raises(ValueError, match=r".") as caught:
        parse_service_time(f"empirical({path})")

    assert told in str(caught.value)


@given(st.sampled_from([text for text, _ in PEERS]), st.floats(1e-9, 1 - 1e-9), st.floats(1e-9, 1 - 1e-9))
def test_a_larger_share_never_takes_less_time(text: str, one: float, other: float) -> None:
    service: ServiceTime = parse_service_time(text)
    low, high = sorted((one, other))

    assert 0 < service.quantile_s(low) <= service.quantile_s(high) < math.inf


def test_scipy_is_imported_for_a_gamma_distribution_alone() -> None:
    code = (
        "import sys; from convload.plan.mock_behaviour import Behaviour; from convload.mock.faults import Faults\n"
        "from convload.mock.truth import truth_of\n"
        "for text in ('exponential(8ms)', 'lognormal(8ms, 0.4)', 'gamma(8ms, 2)'):\n"
        "    behaviour = Behaviour(servers=2, queue=9, service_time=text)\n"
        "    Faults(behaviour).service_s(1), truth_of(behaviour, 100.0), print('scipy' in sys.modules)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    assert out.split() == ["False", "False", "True"]
