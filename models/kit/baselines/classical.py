"""Classical classifiers by scikit-learn: fitted on the training cases, their setting chosen on the validation cases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from models.kit.baselines.features import Features

Truth = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]
Settings = list[tuple[str, BaseEstimator]]

KEPT_VARIANCE = 0.95


@dataclass(frozen=True, slots=True)
class Table:
    """Features (N, F) of the three parts, and which cases of train and validation are positive."""

    train: Features
    validation: Features
    test: Features
    train_truth: Truth
    validation_truth: Truth


@dataclass(frozen=True, slots=True)
class Scored:
    """A baseline: scores that rise with the belief in the positive class; they need not be probabilities."""

    name: str
    setting: str
    validation: Scores
    test: Scores


def classifiers(cases: int, seed: int) -> Iterator[tuple[str, Settings]]:
    """Name and grid of every classical baseline for so many training cases; standardised where distances matter."""
    yield (
        "SVM (RBF)",
        [(f"C={c:g}", make_pipeline(StandardScaler(), SVC(C=c, class_weight="balanced"))) for c in (0.3, 1, 3, 10)],
    )
    yield (
        "k-nearest neighbours",
        [
            (f"k={k}", make_pipeline(StandardScaler(), _pca(), KNeighborsClassifier(k, weights="distance")))
            for k in sorted({min(k, cases) for k in (5, 15, 45)})
        ],
    )
    yield (
        "naive Bayes",
        [
            (f"smoothing={s:g}", make_pipeline(StandardScaler(), _pca(), GaussianNB(var_smoothing=s)))
            for s in (1e-9, 1e-2)
        ],
    )
    yield (
        "decision tree",
        [
            (f"depth={depth}", DecisionTreeClassifier(max_depth=depth, min_samples_leaf=5, random_state=seed))
            for depth in (3, 6, 12)
        ],
    )
    yield (
        "random forest",
        [
            (f"leaf={leaf}", RandomForestClassifier(300, min_samples_leaf=leaf, max_features="sqrt", random_state=seed))
            for leaf in (1, 5)
        ],
    )
    yield (
        "gradient boosting",
        [
            (f"rate={rate:g}", HistGradientBoostingClassifier(learning_rate=rate, max_iter=150, random_state=seed))
            for rate in (0.05, 0.1)
        ],
    )


def logistic() -> Settings:
    """Logistic regression, for a few statistics."""
    return [
        (f"C={c:g}", make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=1000, class_weight="balanced")))
        for c in (0.1, 1, 10)
    ]


def fitted(name: str, settings: Settings, table: Table) -> Scored:
    """The setting with the largest ROC AUC on the validation cases, which is all that they are used for.

    Raises:
        ValueError: only one class among the training or the validation cases.
    """
    for part, truth in (("training", table.train_truth), ("validation", table.validation_truth)):
        if truth.all() or not truth.any():
            raise ValueError(f"a baseline needs {part} cases of both classes")
    best: tuple[float, Scored] | None = None
    for text, estimator in settings:
        estimator.fit(table.train, table.train_truth)
        scored = Scored(name, text, *(_scores(estimator, part) for part in (table.validation, table.test)))
        area = float(roc_auc_score(table.validation_truth, scored.validation))
        if best is None or area > best[0]:
            best = area, scored
    assert best is not None
    return best[1]


def _scores(estimator: BaseEstimator, features: Features) -> Scores:
    if not len(features):
        return np.empty(0)
    if hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict_proba(features)[:, 1], dtype=np.float64)
    return np.asarray(estimator.decision_function(features), dtype=np.float64)


def _pca() -> PCA:
    return PCA(n_components=KEPT_VARIANCE, svd_solver="full")
