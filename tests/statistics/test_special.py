"""Against scipy, which the server does not need, on a grid that reaches both expansions."""

from __future__ import annotations

import pytest
from scipy import stats

from holdfast.statistics.special import beta_cdf, beta_quantile, chi2_quantile, chi2_survival


@pytest.mark.parametrize("df", [1, 2, 7, 19, 53])
@pytest.mark.parametrize("value", [0.01, 1.0, 8.0, 60.0])
def test_chi2_survival(df: int, value: float) -> None:
    assert chi2_survival(value, df) == pytest.approx(stats.chi2.sf(value, df), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("df", [1, 5, 21])
@pytest.mark.parametrize("probability", [0.05, 0.5, 0.99, 0.99995])
def test_chi2_quantile(df: int, probability: float) -> None:
    assert chi2_quantile(probability, df) == pytest.approx(stats.chi2.ppf(probability, df), rel=1e-8)


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (0.5, 3.0), (2269.0, 7259.0), (1.0, 50.0)])
@pytest.mark.parametrize("probability", [0.001, 0.3, 0.95])
def test_beta(a: float, b: float, probability: float) -> None:
    value = stats.beta.ppf(probability, a, b)
    assert beta_quantile(probability, a, b) == pytest.approx(value, rel=1e-8)
    assert beta_cdf(value, a, b) == pytest.approx(probability, rel=1e-8)


def test_edges_of_the_domains() -> None:
    assert chi2_survival(0.0, 3) == 1.0
    assert (beta_cdf(0.0, 2, 2), beta_cdf(1.0, 2, 2)) == (0.0, 1.0)
