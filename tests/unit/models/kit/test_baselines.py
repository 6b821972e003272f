"""Classical baselines: what their features say, and that nothing of the test cases is chosen on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.kit.baselines import features, pixels, trivial
from models.kit.baselines.cache import FeatureCache
from models.kit.baselines.classical import Table, classifiers, fitted, logistic
from models.kit.baselines.recurrent import recurrent
from models.kit.baselines.sequences import Sequenced, have_sequences, hidden_markov, sequences_of
from models.kit.cases import Case
from models.kit.evaluation.binary import areas

GENERATOR = np.random.default_rng(0)
SMOOTH = np.broadcast_to(np.linspace(0, 1, 96, dtype=np.float32), (1, 80, 96)).copy()
ROUGH = GENERATOR.random((1, 80, 96), dtype=np.float32)


def test_features_are_finite_and_of_one_length_whatever_the_size() -> None:
    lengths = {features.features(image).shape for image in (SMOOTH, ROUGH, ROUGH[:, :50, :41])}
    assert len(lengths) == 1
    assert np.isfinite(features.features(np.zeros((1, 64, 64), dtype=np.float32))).all()
    assert len(features.features(np.repeat(ROUGH, 3, axis=0))) > len(features.features(ROUGH))
    assert (features.features(ROUGH[:, None]) == features.features(ROUGH)).all()
    with pytest.raises(ValueError, match="no features"):
        features.features(ROUGH[0])


def test_texture_tells_rough_from_smooth() -> None:
    rough, smooth = (features.as_grey(features.resized(image)) for image in (ROUGH, SMOOTH))
    # Contrast at distance 1 comes first, energies of the finest wavelet bands last.
    assert features.co_occurrence(rough)[0] > 10 * features.co_occurrence(smooth)[0]
    assert features.wavelets(rough)[-1] > features.wavelets(smooth)[-1]
    assert features.binary_patterns(smooth).sum() == pytest.approx(2.0)


def test_edges_have_a_direction() -> None:
    upright = np.zeros((128, 128), dtype=np.uint8)
    upright[:, ::16] = 255
    most = [int(features.gradients(grey).reshape(-1, 8).sum(axis=0).argmax()) for grey in (upright, upright.T)]
    # Eight directions in half a turn: a quarter turn is four of them.
    assert abs(most[0] - most[1]) == 4


def test_intensity_by_hand() -> None:
    image = np.array([[[0.0, 1.0], [2.0, 3.0]]], dtype=np.float32)
    found = features.intensity(image)
    assert found[0] == 1.5
    assert found[1] == pytest.approx(np.sqrt(1.25))
    # Four values in four bins of 32: two bit.
    assert found[-1] == pytest.approx(2.0)


def test_border_statistics_by_hand() -> None:
    image = np.zeros((1, 32, 48), dtype=np.float32)
    image[:, 2:-2, 2:-2] = 4.0
    rows, columns, darkest, mean, _, border, border_deviation = trivial.statistics(image)
    inside = 28 * 44 / (32 * 48)
    assert (rows, columns, border, border_deviation) == (32, 48, 0, 0)
    assert (darkest, mean) == (pytest.approx(1 - inside), pytest.approx(4 * inside))


def test_facts_that_are_numbers_everywhere() -> None:
    cases = tuple(
        Case(str(age), Path("x"), 0, "g", None, {"age": age, "sex": "F", "position": 1.0}) for age in (3.0, 4.0)
    )
    assert trivial.numeric_facts(cases) == ("age",)
    assert trivial.numeric_facts((*cases, Case("y", Path("x"), 0, "g"))) == ()


def test_features_are_computed_once(tmp_path: Path) -> None:
    made: list[float] = []

    def make(image: np.ndarray) -> np.ndarray:
        made.append(float(image.mean()))
        return np.array([image.mean()], dtype=np.float32)

    file = tmp_path / "features.npz"
    first = FeatureCache(file).of([SMOOTH, ROUGH], make)
    again = FeatureCache(file).of([ROUGH, SMOOTH, ROUGH + 1], make)
    assert len(made) == 3
    assert (again[:2] == first[::-1]).all()


def table(count: int = 150) -> tuple[Table, np.ndarray]:
    generator = np.random.default_rng(3)
    values = generator.normal(size=(count, 12)).astype(np.float32)
    truth = values[:, 0] + values[:, 1] + generator.normal(0, 0.5, count) > 0
    third = count // 3
    parts = values[:third], values[third : 2 * third], values[2 * third :]
    return Table(*parts, truth[:third], truth[third : 2 * third]), truth[2 * third :]


def test_every_classifier_learns_what_there_is_to_learn() -> None:
    made, truth = table()
    names = []
    for name, settings in classifiers(len(made.train), 0):
        # One setting of each is enough here, and the forest is made small.
        found = fitted(name, [(text, _smaller(one)) for text, one in settings[:1]], made)
        names.append(name)
        assert areas(truth, found.test)["roc_auc"] > 0.7, name
    assert len(names) == 6


def _smaller(estimator: object) -> object:
    return estimator.set_params(n_estimators=30) if hasattr(estimator, "n_estimators") else estimator


def test_the_setting_is_chosen_on_validation_cases_alone() -> None:
    made, _ = table()
    one = fitted("logistic", logistic(), made)
    other_test = Table(made.train, made.validation, made.test[::-1].copy(), made.train_truth, made.validation_truth)
    other = fitted("logistic", logistic(), other_test)
    assert one.setting == other.setting
    assert (one.validation == other.validation).all()
    assert one.test == pytest.approx(other.test[::-1])


def test_one_class_is_refused() -> None:
    made, _ = table()
    alone = Table(made.train, made.validation, made.test, np.ones_like(made.train_truth), made.validation_truth)
    with pytest.raises(ValueError, match="training cases of both classes"):
        fitted("logistic", logistic(), alone)


def waves(count: int, seed: int) -> Sequenced:
    """Sequences of 4 to 8 slices: positive ones rise, the others fall, so that only their order tells them apart."""
    generator = np.random.default_rng(seed)
    truth = np.arange(count) % 2 == 1
    made = []
    for positive in truth:
        values = np.linspace(-2, 2, int(generator.integers(4, 9)))[:: 1 if positive else -1, None]
        made.append((values + generator.normal(0, 0.4, (len(values), 3))).astype(np.float32))
    return Sequenced(tuple(made), tuple(map(str, range(count))), truth)


@pytest.mark.parametrize("make", [hidden_markov, recurrent])
def test_the_order_of_slices_is_learned(make: object) -> None:
    train, validation, test = waves(60, 0), waves(30, 1), waves(40, 2)
    assert callable(make)
    found = make(train, validation, test, 0)
    assert areas(test.truth, found.test)["roc_auc"] > 0.9
    assert (make(train, validation, test, 0).test == found.test).all()
    with pytest.raises(ValueError, match="both classes"):
        make(train, Sequenced(validation.sequences, validation.groups, np.ones(30, dtype=bool)), test, 0)


def test_slices_become_sequences_in_their_order() -> None:
    facts = [("b", 2.0), ("a", 1.0), ("b", 1.0)]
    cases = [
        Case(str(index), Path("x"), 0, f"g{name}", None, {"sequence": name, "position": position})
        for index, (name, position) in enumerate(facts)
    ]
    assert have_sequences(cases)
    assert not have_sequences([*cases, Case("z", Path("x"), 0, "g")])
    made = sequences_of(cases, np.array([True, False, False]), np.arange(3, dtype=np.float32)[:, None])
    assert [one.ravel().tolist() for one in made.sequences] == [[1.0], [2.0, 0.0]]
    assert made.groups == ("ga", "gb")
    assert made.truth.tolist() == [False, True]


def discs(count: int, seed: int) -> list[pixels.Image]:
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:40, :40]
    made = []
    for _ in range(count):
        row, column = generator.integers(10, 30, 2)
        mask = (rows - row) ** 2 + (columns - column) ** 2 < 36
        image = generator.normal(0, 0.1, (40, 40)) + mask
        made.append(pixels.Image(image[None].astype(np.float32), mask))
    return made


def test_outlines_without_a_network() -> None:
    train, validation, test = discs(12, 0), discs(4, 1), discs(4, 2)
    drawn = {one.name: one for one in pixels.outlines(train, validation, [one.image for one in test], 0)}
    dice = {
        name: np.mean(
            [
                2 * (found & one.mask).sum() / (found.sum() + one.mask.sum())
                for found, one in zip(made.masks, test, strict=True)
            ]
        )
        for name, made in drawn.items()
    }
    assert dice["brightness"] > 0.9
    assert dice["pixel-wise gradient boosting"] > 0.9
    assert dice["darkness"] < 0.5
    assert dice["place (mean of the training masks)"] < 0.7
    with pytest.raises(ValueError, match="something to outline"):
        list(pixels.outlines(train, [pixels.Image(one.image, one.mask & False) for one in validation], [], 0))
