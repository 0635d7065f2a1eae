"""The regularised incomplete gamma function and its inverse, without SciPy, whose import takes a third of a second."""

import math
from statistics import NormalDist

_TINY = 1e-300
_CLOSE = 1e-15
_MAX_TERMS = 10_000
_NORMAL = NormalDist()


def gamma_p(shape: float, x: float) -> float:
    """Returns P(a, x), the share of a gamma distribution of shape `a` and scale 1 that is at most `x`.

    The series DLMF 8.11.4 below a + 1 and the continued fraction 8.9.2, by Lentz's method, above.
    """
    if x <= 0:
        return 0.0
    front = math.exp(shape * math.log(x) - x - math.lgamma(shape))
    return front * _series(shape, x) if x < shape + 1 else 1 - front * _fraction(shape, x)


def _series(shape: float, x: float) -> float:
    term = total = 1 / shape
    for n in range(1, _MAX_TERMS):
        term *= x / (shape + n)
        total += term
        if term < total * _CLOSE:
            break
    return total


def _fraction(shape: float, x: float) -> float:
    b = x + 1 - shape
    c = 1 / _TINY
    d = value = 1 / b
    for n in range(1, _MAX_TERMS):
        a = n * (shape - n)
        b += 2
        d = 1 / _not_zero(a * d + b)
        c = _not_zero(b + a / c)
        value *= c * d
        if abs(c * d - 1) < _CLOSE:
            break
    return value


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def inverse_gamma_p(shape: float, share: float) -> float:
    """Returns x with P(shape, x) = share, for a share between 0 and 1 without either.

    Newton's method from the guess of Wilson and Hilferty (1931), held between bounds that close in.
    """
    low, high = 0.0, math.inf
    x = _guess(shape, share)
    for _ in range(200):
        off = gamma_p(shape, x) - share
        low, high = (low, x) if off > 0 else (x, high)
        slope = math.exp((shape - 1) * math.log(x) - x - math.lgamma(shape)) if x > _TINY else 0.0
        step = off / slope if slope > 0 else math.inf
        new = x - step
        if not low < new < high:
            new = (low + high) / 2 if high < math.inf else 2 * x
        if abs(new - x) <= 1e-12 * x:
            return new
        x = new
    return x


def _guess(shape: float, share: float) -> float:
    spread = 1 / (9 * shape)
    cube = 1 - spread + _NORMAL.inv_cdf(share) * math.sqrt(spread)
    small = math.exp((math.log(share) + math.lgamma(shape + 1)) / shape)
    return max(shape * cube**3 if cube > 0 else 0.0, min(small, shape), 1e-250)
