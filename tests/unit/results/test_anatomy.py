"""Frame Anatomy says what the source says, and nothing else."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from node.results.anatomy import frame_anatomy


def coded(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def source(**attributes: object) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def told(of: Dataset) -> tuple[str, str, str]:
    anatomy = frame_anatomy(of)
    (region,) = anatomy.AnatomicRegionSequence
    return region.CodeValue, region.CodingSchemeDesignator, anatomy.FrameLaterality


ANYWHERE = ("38866009", "SCT", "U")
OLD_BRAIN = coded("T-A0100", "SRT", "Brain")
KIDNEY = coded("64033007", "SCT", "Kidney")


@pytest.mark.parametrize(
    ("of", "meant"),
    [
        (source(BodyPartExamined="CHEST"), ("816094009", "SCT", "U")),
        (source(BodyPartExamined="CHEST", Laterality="L"), ("816094009", "SCT", "U")),
        (source(BodyPartExamined="KNEE", Laterality="L"), ("72696002", "SCT", "L")),
        (source(BodyPartExamined="KNEE", ImageLaterality="B"), ("72696002", "SCT", "B")),
        (source(BodyPartExamined="KNEE"), ANYWHERE),
        (source(BodyPartExamined="KNEE", Laterality="X"), ANYWHERE),
        (source(BodyPartExamined="PHANTOM", Laterality="L"), ANYWHERE),
        (source(), ANYWHERE),
        (source(AnatomicRegionSequence=[KIDNEY], ImageLaterality="R"), ("64033007", "SCT", "R")),
        (source(AnatomicRegionSequence=[KIDNEY], BodyPartExamined="CHEST"), ANYWHERE),
        (source(AnatomicRegionSequence=[coded("K1", "99OURS", "Kidney")], Laterality="R"), ANYWHERE),
        (source(AnatomicRegionSequence=[OLD_BRAIN], ImageLaterality="U"), ("T-A0100", "SRT", "U")),
        (source(AnatomicRegionSequence=[]), ANYWHERE),
    ],
)  # fmt: skip
def test_frame_anatomy_is_of_the_source(of: Dataset, meant: tuple[str, str, str]) -> None:
    assert told(of) == meant


def test_the_frame_anatomy_of_an_enhanced_source_is_kept() -> None:
    own = source(FrameLaterality="R", AnatomicRegionSequence=[KIDNEY])
    shared = source(FrameAnatomySequence=[own])
    assert told(source(SharedFunctionalGroupsSequence=[shared], BodyPartExamined="CHEST")) == ("64033007", "SCT", "R")
