"""Fit `malignancy.json`: ridge regression of the readers' rating on the training patients.

    python -m models.lung_nodule_ct.fit_malignancy --data $AINODE_DATA --out DIR

Logs the area under the ROC curve for ratings above 3 against below 3 on the validation patients, beside that of
the area alone.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from models.kit.cases import Case
from models.kit.data.pictures import read_grey
from models.kit.training.loop import prepared_in
from models.kit.training.scores import roc_auc
from models.lung_nodule_ct.malignancy import NAMES, Features, Linear, nodule_features
from models.lung_nodule_ct.task import CONSENSUS, TASK

logger = logging.getLogger(__name__)

RIDGE = 10.0


def rated_nodules(cases: Iterable[Case]) -> tuple[Features, Features]:
    """Features (n, f) and ratings (n,) of every rated nodule of ``cases``, by its slices in the set."""
    slices: dict[str, list[Case]] = {}
    for case in cases:
        if "malignancy" in case.facts:
            slices.setdefault(str(case.facts["nodule"]), []).append(case)
    rows, ratings = [], []
    for members in slices.values():
        pairs = [(read_grey(one.image), read_grey(one.mask) >= CONSENSUS) for one in members if one.mask]
        features = nodule_features(pairs)
        if features is not None:
            rows.append(features)
            ratings.append(float(members[0].facts["malignancy"]))
    return np.array(rows), np.array(ratings)


def fitted(features: Features, ratings: Features, ridge: float = RIDGE) -> Linear:
    """The linear model with the least squared error plus ``ridge`` times the squared slopes (standardised)."""
    centres, widths = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-9)
    standard = (features - centres) / widths
    mean = float(ratings.mean())
    slopes = np.linalg.solve(standard.T @ standard + ridge * np.eye(standard.shape[1]), standard.T @ (ratings - mean))
    return Linear(centres, widths, slopes, mean)


def separation(ratings: Features, scores: Features) -> float:
    """Area under the ROC curve: ratings above 3 against those below; 3 itself is left out."""
    clear = ratings != 3
    return roc_auc(ratings[clear] > 3, scores[clear])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with lung-nodule-lidc-128 in it")
    parser.add_argument("--out", type=Path, required=True, help="folder for malignancy.json")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    prepared = prepared_in(TASK, arguments.data, arguments.out)
    model = fitted(*rated_nodules(prepared.part("train")))
    features, ratings = rated_nodules(prepared.part("validation"))
    whole = separation(ratings, np.array([model.rating(one) for one in features]))
    logger.info("validation: AUC %.3f, of the area alone %.3f", whole, separation(ratings, features[:, 0]))
    content = {
        "features": NAMES,
        "centres": model.centres.tolist(),
        "widths": model.widths.tolist(),
        "slopes": model.slopes.tolist(),
        "intercept": model.intercept,
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "malignancy.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
