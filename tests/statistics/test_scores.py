from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from holdfast.statistics.scores import SCORE_BINS, auc, count_scores, losses


def rows(n: int, seed: int, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    rng = np.random.default_rng(seed)
    scores = rng.beta(2, 5, n) * scale
    return scores, rng.uniform(size=n) < scores


def test_auc_is_near_the_exact_one() -> None:
    scores, truth = rows(20_000, 0)
    found = auc(count_scores(scores, truth))
    assert found is not None
    assert found.value == pytest.approx(roc_auc_score(truth, scores), abs=2e-4)


def test_auc_of_a_rare_event_keeps_its_order() -> None:
    scores, truth = rows(200_000, 1, scale=0.01)
    found = auc(count_scores(scores, truth))
    assert found is not None
    assert found.value == pytest.approx(roc_auc_score(truth, scores), abs=2e-3)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    scores, truth = rows(400_000, 2)
    exact = roc_auc_score(truth, scores)
    found = [auc(count_scores(s, t)) for s, t in (rows(400, seed) for seed in range(300))]
    covered = np.mean([f is not None and f.interval.low <= exact <= f.interval.high for f in found])
    assert 0.91 <= covered <= 0.98


def test_perfect_order_has_an_interval_and_one_class_has_no_auc() -> None:
    perfect = auc(count_scores(np.array([0.1] * 10 + [0.9] * 10), np.array([False] * 10 + [True] * 10)))
    assert perfect is not None
    assert perfect.value == 1.0 and perfect.interval.high == 1.0 and 0.6 < perfect.interval.low < 0.8
    assert auc(count_scores(np.array([0.2, 0.4]), np.array([True, True]))) is None
    single = auc(count_scores(np.array([0.2, 0.4]), np.array([False, True])))
    assert single is not None and single.value == 1.0


def test_counts_add_up_and_half_is_an_edge() -> None:
    scores, truth = rows(1000, 3)
    whole = count_scores(scores, truth)
    assert (count_scores(scores[:300], truth[:300]) + count_scores(scores[300:], truth[300:]) == whole).all()
    assert whole.shape == (2, SCORE_BINS)
    at = count_scores(np.array([0.0, np.nextafter(0.5, 0), 0.5, 1.0]), np.zeros(4, bool))[0].nonzero()[0]
    assert at.tolist() == [0, 255, 256, 511]


def test_losses_equal_scikit_learn() -> None:
    scores, truth = rows(500, 4)
    brier, log = losses(scores, truth)
    assert brier.mean() == pytest.approx(brier_score_loss(truth, scores))
    assert log.mean() == pytest.approx(log_loss(truth, scores))
    assert np.isfinite(losses(np.array([0.0, 1.0]), np.array([True, False]))[1]).all()
