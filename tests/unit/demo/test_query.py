"""C-FIND answers of the embedded PACS."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from node.demo.holdings import Holdings
from node.demo.query import answers
from node.errors import IncompleteDataSet, InvalidUid
from tests.objects import MR, SC, data_set, part10


@pytest.fixture
def holdings(tmp_path: Path) -> Holdings:
    made = Holdings(tmp_path)
    for study, sop_class, count in (("one", MR, 3), ("one", SC, 2), ("two", MR, 1)):
        for number in range(count):
            made.add(part10(data_set(sop_class, number, study)))
    return made


def query(level: str, **keys: object) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return identifier


def test_study_level_counts_instances_and_series(holdings: Holdings) -> None:
    identifier = query(
        "STUDY",
        StudyInstanceUID="",
        NumberOfStudyRelatedInstances=None,
        NumberOfStudyRelatedSeries=None,
        ModalitiesInStudy="",
    )
    found = {
        answer.StudyInstanceUID: (
            answer.NumberOfStudyRelatedInstances,
            answer.NumberOfStudyRelatedSeries,
            answer.ModalitiesInStudy,
        )
        for answer in answers(identifier, holdings.all())
    }
    assert found == {
        data_set(study="one").StudyInstanceUID: (5, 2, ["MR", "OT"]),
        data_set(study="two").StudyInstanceUID: (1, 1, "MR"),
    }


def test_series_level_counts_the_instances_of_a_series(holdings: Holdings) -> None:
    study = data_set(study="one").StudyInstanceUID
    identifier = query("SERIES", StudyInstanceUID=study, SeriesInstanceUID="", NumberOfSeriesRelatedInstances=None)
    found = sorted(answer.NumberOfSeriesRelatedInstances for answer in answers(identifier, holdings.all()))
    assert found == [2, 3]


@pytest.mark.parametrize(
    ("keys", "count"),
    [
        ({"PatientID": "TEST*"}, 2),
        ({"PatientID": "TEST-?"}, 2),
        ({"PatientID": "TEST-2"}, 0),
        ({"PatientID": "[T]*"}, 0),
        ({"StudyInstanceUID": data_set(study="two").StudyInstanceUID}, 1),
        ({"StudyInstanceUID": [data_set(study=name).StudyInstanceUID for name in ("one", "two", "no")]}, 2),
    ],
)
def test_matching(holdings: Holdings, keys: dict[str, object], count: int) -> None:
    assert len(list(answers(query("STUDY", **keys), holdings.all()))) == count


def test_keys_it_does_not_index_come_back_empty(holdings: Holdings) -> None:
    (answer, _) = answers(query("STUDY", InstitutionName=""), holdings.all())
    assert answer.InstitutionName in {None, ""}


def test_the_same_instance_again_is_one_instance(holdings: Holdings) -> None:
    again = holdings.add(part10(data_set(MR, 0, "two")))
    assert again.receptions == 2
    assert len(holdings.all()) == 6


def test_uids_never_become_other_paths(tmp_path: Path) -> None:
    file = part10(data_set())
    with pytest.raises(InvalidUid):
        Holdings(tmp_path).add(file.replace(data_set().SOPInstanceUID.encode(), _padded("../../x", data_set())))
    assert list(tmp_path.iterdir()) == []


def test_an_instance_without_a_study_is_refused(tmp_path: Path) -> None:
    made = data_set()
    del made.StudyInstanceUID
    with pytest.raises(IncompleteDataSet):
        Holdings(tmp_path).add(part10(made))


def _padded(text: str, made: Dataset) -> bytes:
    return text.encode().ljust(len(made.SOPInstanceUID), b"x")
