"""Distribution functions and quantiles of chi-squared and beta, to about 1e-10: the server needs no scipy."""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["beta_cdf", "beta_quantile", "chi2_quantile", "chi2_survival"]

_TINY = 1e-300
_TERMS = 10_000


def chi2_survival(value: float, df: float) -> float:
    """P(X >= value) for X chi-squared with `df` > 0 degrees of freedom."""
    return 1.0 - _gamma_lower(df / 2.0, value / 2.0) if value > 0.0 else 1.0


def chi2_quantile(probability: float, df: float) -> float:
    """The value that chi-squared with `df` > 0 degrees of freedom stays under with `probability` (0 to 1)."""
    high = df + 10.0
    while chi2_survival(high, df) > 1.0 - probability:
        high *= 2.0
    return _bisect(lambda value: probability - 1.0 + chi2_survival(value, df), 0.0, high)


def beta_cdf(value: float, a: float, b: float) -> float:
    """P(X <= value) for X ~ Beta(a, b), the regularised incomplete beta function; a, b > 0."""
    if value <= 0.0 or value >= 1.0:
        return 0.0 if value <= 0.0 else 1.0
    log_front = (
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(value) + b * math.log1p(-value)
    )
    if value < (a + 1.0) / (a + b + 2.0):
        return math.exp(log_front) * _beta_fraction(value, a, b) / a
    return 1.0 - math.exp(log_front) * _beta_fraction(1.0 - value, b, a) / b


def beta_quantile(probability: float, a: float, b: float) -> float:
    """The value that Beta(a, b) stays under with `probability` in (0, 1)."""
    return _bisect(lambda value: probability - beta_cdf(value, a, b), 0.0, 1.0)


def _bisect(falling: Callable[[float], float], low: float, high: float) -> float:
    """The root of a falling function between `low` and `high`, to double precision."""
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        if falling(middle) > 0.0:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def _gamma_lower(a: float, x: float) -> float:
    """The regularised lower incomplete gamma function P(a, x)."""
    log_front = a * math.log(x) - x - math.lgamma(a)
    if x < a + 1.0:
        term = total = 1.0 / a
        for n in range(1, _TERMS):
            term *= x / (a + n)
            total += term
            if term < total * 1e-16:
                break
        return min(total * math.exp(log_front), 1.0)
    return 1.0 - math.exp(log_front) * _gamma_fraction(a, x)


def _gamma_fraction(a: float, x: float) -> float:
    """The continued fraction of the upper incomplete gamma function, by the modified Lentz method."""
    b = x + 1.0 - a
    c = 1.0 / _TINY
    d = 1.0 / b
    result = d
    for i in range(1, _TERMS):
        numerator = -i * (i - a)
        b += 2.0
        d = 1.0 / _away_from_zero(numerator * d + b)
        c = _away_from_zero(b + numerator / c)
        result *= d * c
        if abs(d * c - 1.0) < 1e-16:
            break
    return result


def _beta_fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function, by the modified Lentz method."""
    c = 1.0
    d = 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    result = d
    for m in range(1, _TERMS):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0)),
        ):
            d = 1.0 / _away_from_zero(1.0 + numerator * d)
            c = _away_from_zero(1.0 + numerator / c)
            result *= d * c
        if abs(d * c - 1.0) < 1e-16:
            break
    return result


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
