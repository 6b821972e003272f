"""Answers to C-FIND, Study Root, at the levels STUDY and SERIES (PS3.4 C.6.2). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from node.demo.holdings import SERIES_KEYWORDS, STUDY_KEYWORDS, PacsInstance

STUDY = "STUDY"
SERIES = "SERIES"
LEVELS = frozenset({STUDY, SERIES})


def answers(identifier: Dataset, held: Sequence[PacsInstance]) -> Iterator[Dataset]:
    """One data set for each study or series that matches, with the keys asked for.

    Matched are single values, lists of UIDs, wildcards and the universal match (PS3.4 C.2.2.2); keys that this PACS
    does not index come back empty. No ranges of dates.
    """
    level = str(identifier.QueryRetrieveLevel)
    for entities in _grouped(held, level).values():
        first = entities[0].header
        if all(_matches(identifier, keyword, first) for keyword in _keywords(level)):
            yield _answer(identifier, level, entities)


def _grouped(held: Sequence[PacsInstance], level: str) -> dict[str, list[PacsInstance]]:
    groups: dict[str, list[PacsInstance]] = {}
    for one in held:
        key = one.study_instance_uid if level == STUDY else one.series_instance_uid
        groups.setdefault(key, []).append(one)
    return groups


def _keywords(level: str) -> tuple[str, ...]:
    return STUDY_KEYWORDS if level == STUDY else STUDY_KEYWORDS + SERIES_KEYWORDS


def _matches(identifier: Dataset, keyword: str, header: Dataset) -> bool:
    wanted = identifier.get(keyword)
    if wanted is None or wanted == "":
        return True
    value = str(header.get(keyword, ""))
    patterns = wanted if isinstance(wanted, MultiValue | list) else [wanted]
    return any(fnmatchcase(value, str(pattern).replace("[", "[[]")) for pattern in patterns)


def _answer(identifier: Dataset, level: str, entities: Sequence[PacsInstance]) -> Dataset:
    header = entities[0].header
    counted: dict[str, object] = {
        "QueryRetrieveLevel": level,
        "ModalitiesInStudy": sorted({one.modality for one in entities}),
        "NumberOfStudyRelatedSeries": len({one.series_instance_uid for one in entities}),
        f"NumberOf{level.title()}RelatedInstances": len(entities),
    }
    answer = Dataset()
    for element in identifier:
        known = element.keyword in _keywords(level) and element.keyword in header
        setattr(answer, element.keyword, counted.get(element.keyword, header.get(element.keyword) if known else None))
    answer.QueryRetrieveLevel = level
    answer.SpecificCharacterSet = header.get("SpecificCharacterSet", "ISO_IR 192")
    return answer
