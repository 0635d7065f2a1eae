"""Distributions of waits and responses that have no closed form, on a grid of times by fast Fourier transform.

M/G/1: the wait is a geometric number of residual services (the Pollaczek–Khinchine formula read as a series, Beneš
1957), so its transform is (1 − ρ)/(1 − ρφ) with φ that of the residual service. The response is the wait plus an
independent service. The grid rounds times to its step, so that percentiles are good to about half a step.
"""

import numpy as np
import numpy.typing as npt

from convload.mock.queueing import Array, Tail, pollaczek_khinchine_s, quantile_s
from convload.plan.service_times import ServiceTime

POINTS = 16_384
SPARSE = 16
NEARLY_ALL = 1 - 1e-6
COARSEST = 0.02
"""The longest step that still tells something, as a share of the median response."""

MEANS_OF_A_WAIT = 25.0
"""How far the grid reaches, in mean waits of those that wait: exp(-25) of an exponential tail lies beyond."""


def mg1_tails(rate: float, service: ServiceTime) -> tuple[Tail, Tail] | None:
    """Returns the tails of wait and response in M/G/1 below a load of 1; None where no grid would be fine enough."""
    load = rate * service.mean_s
    reach_s = MEANS_OF_A_WAIT * pollaczek_khinchine_s(rate, service.mean_s, service.scv) / load
    step_s = (reach_s + 2 * service.quantile_s(NEARLY_ALL)) / POINTS
    shares = _shares(service, step_s)
    waits = (1 - load) / (1 - load * np.fft.rfft(_residual(shares)))
    response = _tail(waits * np.fft.rfft(np.diff(shares, prepend=0.0)), step_s)
    return (_tail(waits, step_s), response) if _is_fine(response, step_s) else None


def response_tail(wait: Tail, service: ServiceTime) -> Tail | None:
    """Returns the tail of a wait plus an independent service; None where no grid would be fine enough."""
    step_s = 2 * (quantile_s(wait, NEARLY_ALL) + service.quantile_s(NEARLY_ALL)) / POINTS
    # A wait's tail is smooth and dear, so it is reckoned at fewer times and drawn through them.
    edges = _edges(step_s)
    longer = np.interp(edges, edges[::SPARSE], [wait(edge) for edge in edges[::SPARSE]])
    waits = -np.diff(longer, prepend=1.0)
    services = np.diff(_shares(service, step_s), prepend=0.0)
    response = _tail(np.fft.rfft(waits) * np.fft.rfft(services), step_s)
    return response if _is_fine(response, step_s) else None


def _is_fine(response: Tail, step_s: float) -> bool:
    return step_s <= COARSEST * quantile_s(response, 0.5)


def _edges(step_s: float) -> Array:
    """The times between the points of the grid: what lies below an edge and above the one before is one point's."""
    return np.arange(0.5, POINTS, dtype=np.float64) * step_s


def _shares(service: ServiceTime, step_s: float) -> Array:
    return np.array([service.cdf(edge) for edge in _edges(step_s)])


def _residual(shares: Array) -> Array:
    """Returns what is left of a service when somebody arrives: its density is the tail of the service over its mean."""
    longer = 1 - shares
    cells = (longer + np.concatenate([[1.0], longer[:-1]])) / 2
    cells[0] /= 2
    return np.asarray(cells / cells.sum(), dtype=np.float64)


def _tail(transform: npt.NDArray[np.complex128], step_s: float) -> Tail:
    beyond = 1 - np.cumsum(np.fft.irfft(transform, POINTS))
    edges = _edges(step_s)
    return lambda t: float(np.interp(t, edges, beyond))
