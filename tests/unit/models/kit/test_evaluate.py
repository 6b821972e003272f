"""The whole evaluation on tasks whose answers are known: files, figures, the page."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from models.kit.data.prepare import read_prepared
from models.kit.ensemble import Ensemble
from models.kit.evaluation.evaluate import evaluate
from node.errors import InvalidModelPackage
from tests import peers
from tests.unit.models.kit import evaluated
from tests.unit.models.kit.evaluated import CLASSIFICATION, SEGMENTATION, Bright

CPU = torch.device("cpu")
SAMPLES = 30


@pytest.fixture(scope="module", autouse=True)
def one_thread_each() -> Iterator[None]:
    """Threads that wait for each other on busy cores take many times as long."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluated classifier in ``out``, its data in ``data``."""
    folder = tmp_path_factory.mktemp("classifier")
    evaluated.write_classification(folder / "data")
    (folder / "data" / "set" / "note.png").write_bytes(b"no picture")
    weights = evaluated.weights_of(CLASSIFICATION, folder / "weights.safetensors")
    evaluate(CLASSIFICATION, folder / "data", weights, folder / "out", CPU, samples=SAMPLES)
    return folder


@pytest.fixture(scope="module")
def segmentation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("segmentation")
    evaluated.write_segmentation(folder / "data")
    weights = evaluated.weights_of(SEGMENTATION, folder / "weights.safetensors")
    evaluate(SEGMENTATION, folder / "data", weights, folder / "out", CPU, samples=SAMPLES)
    return folder


def metrics(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "out" / "metrics.json").read_text())
    return found


def predictions(folder: Path) -> list[dict[str, str]]:
    with (folder / "out" / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_figures_are_those_of_the_written_predictions(classifier: Path) -> None:
    found, rows = metrics(classifier), predictions(classifier)
    truth = np.array([row["truth"] == "1" for row in rows])
    scores = np.array([float(row["score"]) for row in rows])
    called = scores >= found["operating_point"]["threshold"]
    assert found["metrics"]["roc_auc"]["value"] == pytest.approx(roc_auc_score(truth, scores), abs=1e-4)
    assert found["metrics"]["sensitivity"]["value"] == pytest.approx((called & truth).sum() / truth.sum(), abs=1e-4)
    assert found["metrics"]["roc_auc"]["low"] < found["metrics"]["roc_auc"]["value"] < 1
    assert np.array(found["confusion"]).sum() == len(rows)
    # The network's logits are known: 20 * (mean - 0.5).
    images = {case.id: case for case in evaluated.listing(classifier / "data").cases}
    wanted = [20 * (float(evaluated.image(images[row["id"]]).mean()) - 0.5) for row in rows]
    assert [float(row["logit_ill"]) for row in rows] == pytest.approx(wanted, abs=0.05)


def test_only_test_cases_are_measured_and_only_validation_cases_choose(classifier: Path) -> None:
    prepared = read_prepared(classifier / "data", classifier / "out")
    assert {row["id"] for row in predictions(classifier)} == {case.id for case in prepared.part("test")}
    # The operating point does not know the test cases: measured on validation, it is the same.
    weights = classifier / "weights.safetensors"
    other = evaluate(
        CLASSIFICATION,
        classifier / "data",
        weights,
        classifier / "other",
        CPU,
        "validation",
        baselines=False,
        samples=5,
    )
    assert other["operating_point"] == metrics(classifier)["operating_point"]
    assert other["temperature"] == metrics(classifier)["temperature"]
    assert other["metrics"]["sensitivity"]["value"] == pytest.approx(other["operating_point"]["sensitivity"], abs=1e-4)


def test_a_required_sensitivity_is_stated_and_kept_on_validation(classifier: Path) -> None:
    task = replace(CLASSIFICATION, required_sensitivity=1.0)
    weights = classifier / "weights.safetensors"
    found = evaluate(task, classifier / "data", weights, classifier / "sure", CPU, baselines=False, samples=5)
    assert found["operating_point"]["sensitivity"] == 1.0
    assert "sensitivity >= 1" in found["operating_point"]["rule"]
    assert found["operating_point"]["threshold"] < metrics(classifier)["operating_point"]["threshold"]


def test_every_baseline_stands_in_the_table(classifier: Path) -> None:
    names = [row["name"] for row in metrics(classifier)["baselines"]]
    assert names == [
        "SVM (RBF)",
        "k-nearest neighbours",
        "naive Bayes",
        "decision tree",
        "random forest",
        "gradient boosting",
        "trivial: border and mean of the network's input",
        "trivial: size, border and mean of the file",
        "hidden Markov model",
        "GRU",
        "GRU on the network's embeddings",
        "LSTM on the network's embeddings",
        "trivial: number of slices alone",
    ]
    card = (classifier / "out" / "card_table.md").read_text()
    assert all(f"| {name} (" in card for name in names)
    assert "| network |" in card
    assert "Operating point: score >=" in card


def test_subgroups_and_problems_are_there(classifier: Path) -> None:
    found = metrics(classifier)
    assert set(found["subgroups"]) == {"sex = F", "sex = M"}
    assert sum(one["cases"] for one in found["subgroups"].values()) == found["parts"]["test"]["cases"]
    assert {"path": "note.png", "reason": "not a picture of the set"} in found["problems"]


def test_the_page_stands_alone(classifier: Path) -> None:
    page = (classifier / "out" / "report.html").read_text()
    assert set(re.findall(r'src="(.{10})', page)) == {"data:image"}
    assert "http" not in page
    for text in ("ROC AUC", "SVM (RBF)", "reliability", "sex = F", "Not a medical device", "most probable class"):
        assert text in page


def test_the_page_opens_in_a_browser(classifier: Path, tmp_path: Path) -> None:
    chromium = peers.require_program("chromium")
    page = (classifier / "out" / "report.html").as_uri()
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
    shown = peers.run_program([chromium, *flags, "--dump-dom", page], timeout_s=240)
    assert shown.count("<table>") == (classifier / "out" / "report.html").read_text().count("<table>") > 4
    assert "<h2>Calibration</h2>" in shown


def test_outlines_are_measured(segmentation: Path) -> None:
    found = metrics(segmentation)
    # A disc is 0.4 brighter than blotches of +-0.2 (at most): most of it lies above 0.7.
    assert 0.5 < found["structures"]["ill"]["dice"]["value"] < 1
    assert found["structures"]["any"] == found["structures"]["ill"]
    assert found["images"]["roc_auc"]["value"] > 0.9
    assert found["froc"]["sensitivity_at_1"]["value"] > 0.5
    assert found["unit"] == "px"
    dice = [float(row["dice_ill"]) for row in predictions(segmentation)]
    assert np.nanmean(dice) == pytest.approx(found["structures"]["ill"]["dice"]["value"], abs=1e-3)
    names = [row["name"] for row in found["baselines"]]
    assert "pixel-wise gradient boosting" in names
    assert "random forest" in names
    assert "Structures" in (segmentation / "out" / "report.html").read_text()


def test_the_task_may_score_images_itself(segmentation: Path) -> None:
    task = replace(SEGMENTATION, score=lambda probabilities: float(1 - probabilities[1].max()))
    weights = segmentation / "weights.safetensors"
    found = evaluate(task, segmentation / "data", weights, segmentation / "own", CPU, baselines=False, samples=5)
    assert found["images"]["roc_auc"]["value"] < 0.1


def test_sequences_are_judged_as_one_case_each(classifier: Path) -> None:
    found = metrics(classifier)
    network = found["network_on_sequences"]
    assert (network["name"], network["unit"]) == ("network: the highest score of the slices", "sequences")
    highest: dict[str, float] = {}
    for row in predictions(classifier):
        highest[row["group"]] = max(highest.get(row["group"], -np.inf), float(row["logit_ill"]))
    truth = [int(patient[1:]) % 2 for patient in highest]
    wanted = roc_auc_score(truth, list(highest.values()))
    assert network["figures"]["roc_auc"]["value"] == pytest.approx(wanted, abs=1e-3)
    rows = {row["name"]: row for row in found["baselines"] if row["unit"] == "sequences"}
    assert len(rows) == 5
    # Every patient has two pictures: their number says nothing. The embedding is what the network decides by.
    assert rows["trivial: number of slices alone"]["figures"]["roc_auc"]["value"] == 0.5
    assert rows["GRU on the network's embeddings"]["figures"]["roc_auc"]["value"] > 0.9


def test_similar_cases_are_measured_among_the_training_cases(classifier: Path) -> None:
    similar = metrics(classifier)["similar"]
    # The nearest in brightness are mostly of the same class.
    assert similar["chance"]["all"]["value"] == pytest.approx(0.5, abs=0.1)
    assert similar["precision_at_5"]["all"]["low"] > similar["chance"]["all"]["value"]
    assert set(similar["precision_at_1"]) == {"well", "ill", "all"}


def test_disagreement_is_measured_by_tercile(classifier: Path, segmentation: Path) -> None:
    # The mean of a picture and of its mirror image is the same: nobody disagrees, and errors are told by chance.
    found = metrics(classifier)["disagreement"]
    assert sum(one["cases"] for one in found["terciles"]) == len(predictions(classifier))
    assert all(one["highest_mutual_information"] < 1e-5 for one in found["terciles"])
    assert found["votes"] == "1 network(s), each looking at the views identity, flip_columns"
    assert found["votes_differ"] is False
    assert "The votes never differ" in (classifier / "out" / "report.html").read_text()
    with (classifier / "out" / "disagreement.csv").open(newline="") as file:
        assert {row["case"] for row in csv.DictReader(file)} == {row["id"] for row in predictions(classifier)}
    outlined = metrics(segmentation)["disagreement"]["terciles"]
    assert [set(one["metrics"]) for one in outlined] == [{"dice", "false_alarm"}] * 3


def test_an_ensemble_votes_itself(classifier: Path) -> None:
    def network() -> Ensemble:
        members = Bright(), Bright()
        members[1].gain.data.fill_(200.0)
        return Ensemble(members)

    task = replace(CLASSIFICATION, network=network)
    weights = evaluated.weights_of(task, classifier / "ensemble.safetensors")
    out = classifier / "ensemble"
    found = evaluate(task, classifier / "data", weights, out, CPU, baselines=False, samples=5)
    assert found["disagreement"]["votes"].startswith("2 network(s)")
    assert "votes_differ" not in found["disagreement"]
    with (out / "disagreement.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    # The most doubtful first: the one member is sure where the other one is not.
    doubt = np.array([float(row["mutual_information"]) for row in rows])
    assert (np.diff(doubt) <= 0).all()
    assert doubt[0] > 0.05
    wrong = np.array([(float(row["p(ill)"]) > 0.5) != (row["label"] == "ill") for row in rows])
    terciles = found["disagreement"]["terciles"]
    errors = [one["metrics"]["errors"]["value"] * one["cases"] for one in terciles]
    assert errors == pytest.approx([part.sum() for part in np.array_split(wrong[::-1], 3)], abs=1e-2)
    assert found["disagreement"]["error_auc"]["value"] == pytest.approx(roc_auc_score(wrong, doubt), abs=1e-3)
    # What needs the training cases is left out with them.
    assert "similar" not in found


def test_maps_are_shown_with_the_figure_that_says_whether_to_believe_them(classifier: Path) -> None:
    found = metrics(classifier)["explanation"]
    assert set(found) == {"well", "ill"}
    assert set(found["ill"]) == {"Grad-CAM", "integrated gradients"}
    # Brightness decides: where the brightest fifth turns grey, the belief in "ill" falls.
    assert (
        found["ill"]["integrated gradients"]["fall"]["value"]
        > found["ill"]["integrated gradients"]["by_chance"]["value"]
    )
    page = (classifier / "out" / "report.html").read_text()
    for rank in ("best", "median", "worst"):
        assert len(re.findall(rf"<figcaption>{rank}: p\d\d_", page)) == 1


def test_the_report_is_on_paper_too(classifier: Path, segmentation: Path) -> None:
    for folder in (classifier, segmentation):
        paper = (folder / "out" / "report.pdf").read_bytes()
        assert paper.startswith(b"%PDF")
        assert len(re.findall(rb"/Type /Page\b", paper)) > 3


def test_what_cannot_be_measured_is_refused(classifier: Path, tmp_path: Path) -> None:
    weights = classifier / "weights.safetensors"
    with pytest.raises(ValueError, match="no part that can be measured"):
        evaluate(CLASSIFICATION, classifier / "data", weights, tmp_path, CPU, "train")
    with pytest.raises(InvalidModelPackage):
        evaluate(CLASSIFICATION, classifier / "data", tmp_path / "none", tmp_path, CPU)
    with pytest.raises(FileNotFoundError):
        evaluate(CLASSIFICATION, tmp_path / "no", weights, tmp_path / "out", CPU)
