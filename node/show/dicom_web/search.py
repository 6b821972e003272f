"""What a search asks for (PS3.18 sections 8.3.4 and 10.6), and the entities that answer it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

from node.domain.holdings import IMAGE_KEYWORDS, OF_LEVEL, SERIES_KEYWORDS, UNIQUE
from node.domain.identity import is_uid
from node.domain.query import Level, Matching, OneOf, Query, matching
from node.domain.study import Value
from node.errors import SearchTooWide, UnusableKey
from node.ports.dicom_web import DicomWeb

LEVELS: Final = (Level.STUDY, Level.SERIES, Level.IMAGE)
# Which attributes are of which level; a patient is part of his study.
OWN: Final[Mapping[Level, Sequence[str]]] = {
    Level.STUDY: OF_LEVEL[Level.STUDY],
    Level.SERIES: SERIES_KEYWORDS,
    Level.IMAGE: IMAGE_KEYWORDS,
}
# Asked of every image of a study: told where somebody wants it.
ONLY_IF_WANTED: Final = frozenset({"SOPClassesInStudy"})
# Required in answers (PS3.18 Tables 10.6.3-3 to 10.6.3-5), and not known here: without a value.
UNKNOWN: Final[Mapping[Level, Sequence[str]]] = {
    Level.STUDY: ("ReferringPhysicianName",),
    Level.SERIES: ("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime", "RequestAttributesSequence"),
    Level.IMAGE: (),
}
DEFAULT_LIMIT, MAX_LIMIT = 200, 1000
# Studies that are looked into where a search for series or instances names none.
MOST_STUDIES = 2000
LONGEST, MOST = 1024, 100
FUZZY = "The fuzzymatching parameter is not supported. Only literal matching has been performed."
MORE = "There are additional results that can be requested."
Entity = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Search:
    """``level`` is that of the answers; ``named`` the UIDs in the path, by keyword. ``remarks`` go with the answer."""

    level: Level
    named: Mapping[str, str]
    keys: Mapping[str, Matching]
    included: frozenset[str]
    offset: int
    limit: int
    remarks: tuple[str, ...]

    def told(self) -> list[str]:
        """Keywords of an answer: those of its level, of the levels above that the path does not name, those wanted."""
        levels = LEVELS[: LEVELS.index(self.level) + 1]
        usual = [
            keyword
            for level in levels
            if level is self.level or UNIQUE[level] not in self.named
            for keyword in (*OWN[level], *UNKNOWN[level])
            if keyword not in ONLY_IF_WANTED
        ]
        wanted = [keyword for level in levels for keyword in OWN[level] if keyword in self.included]
        return [*dict.fromkeys((*usual, *wanted, *(UNIQUE[level] for level in levels)))]


def search_of(level: Level, named: Mapping[str, str], parameters: Sequence[tuple[str, str]]) -> Search:
    """
    Raises:
        UnusableKey: a parameter is not understood, or too long.
    """
    if len(parameters) > MOST:
        raise UnusableKey(f"a search has at most {MOST} parameters")
    keys: dict[str, Matching] = {}
    numbers = {"offset": 0, "limit": DEFAULT_LIMIT}
    included: set[str] = set()
    remarks: list[str] = []
    known = {keyword for each in LEVELS[: LEVELS.index(level) + 1] for keyword in OWN[each]}
    for name, value in parameters:
        if len(value) > LONGEST:
            raise UnusableKey(f"a value has at most {LONGEST} characters")
        if name in numbers:
            numbers[name] = _number(name, value)
        elif name == "includefield":
            included |= known if value == "all" else {_keyword(one) for one in value.split(",") if one}
        elif name == "fuzzymatching":
            remarks += [FUZZY] if value == "true" else []
        elif name != "accept":
            path = [_keyword(one) for one in name.split(".")]
            if path[0] not in known or len(path) > 1:
                remarks.append(f"The attribute {'.'.join(path)} is not supported for matching here.")
            elif (key := _key(path[0], value)) is not None:
                keys[path[0]] = key
    limit = min(numbers["limit"], MAX_LIMIT)
    return Search(level, named, keys, frozenset(included), numbers["offset"], limit, tuple(dict.fromkeys(remarks)))


def found_by(search: Search, web: DicomWeb) -> tuple[list[Entity], tuple[str, ...]]:
    """The entities from ``offset`` on, at most ``limit``, and the remarks; one of them, if there are more.

    Raises:
        SearchTooWide: too many studies would have to be looked into.
        StoreUnavailable: the database does not answer.
    """
    found = islice(_Finding(search, web).entities(), search.offset, search.offset + search.limit + 1)
    entities = list(found)
    more = len(entities) > search.limit
    return entities[: search.limit], search.remarks + ((MORE,) if more else ())


class _Finding:
    """From the studies down: relational queries (PS3.4 C.4.1.3.2.1) as hierarchical ones."""

    def __init__(self, search: Search, web: DicomWeb) -> None:
        self._search = search
        self._web = web
        self._named = {keyword: OneOf(frozenset({uid})) for keyword, uid in search.named.items()}

    def entities(self) -> Iterator[Entity]:
        levels = {Level.STUDY: self._studies, Level.SERIES: self._series, Level.IMAGE: self._images}
        return levels[self._search.level]()

    def _studies(self) -> Iterator[Entity]:
        for entity in self._web.holdings.find(self._query(Level.STUDY, self._study_named())):
            yield dict(entity)

    def _series(self) -> Iterator[Entity]:
        for number, study in enumerate(self._studies()):
            if number >= MOST_STUDIES:
                raise SearchTooWide(f"more than {MOST_STUDIES} studies would have to be looked into: name some")
            above = {"StudyInstanceUID": OneOf(frozenset({str(study["StudyInstanceUID"])}))}
            for entity in self._web.holdings.find(self._query(Level.SERIES, above)):
                yield study | dict(entity)

    def _images(self) -> Iterator[Entity]:
        for series in self._series():
            above = {name: OneOf(frozenset({str(series[name])})) for name in ("StudyInstanceUID", "SeriesInstanceUID")}
            for entity in self._web.holdings.find(self._query(Level.IMAGE, above)):
                yield series | dict(entity)

    def _study_named(self) -> Mapping[str, Matching]:
        """Where a series or an instance is named, the studies that have it."""
        keys = {**self._search.keys, **self._named}
        series, instances = (_uids(keys.get(name)) for name in ("SeriesInstanceUID", "SOPInstanceUID"))
        if not (series or instances) or "StudyInstanceUID" in keys:
            return {}
        return {"StudyInstanceUID": OneOf(frozenset(self._web.objects.studies_of(series, instances)))}

    def _query(self, level: Level, above: Mapping[str, Matching]) -> Query:
        keys = {**self._search.keys, **self._named, **above}
        own = {name: key for name, key in keys.items() if name in OWN[level] or name in above}
        return Query(level, own, frozenset(OWN[level]) - (ONLY_IF_WANTED - self._search.included))


def _uids(key: Matching | None) -> list[str]:
    return sorted(key.texts) if isinstance(key, OneOf) else []


def _key(keyword: str, value: str) -> Matching | None:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    vr = dictionary_VR(tag)[:2]
    # Of UIDs a list is given with commas (PS3.18 section 8.3.4.1).
    found = matching(vr, value.replace(",", "\\") if vr == "UI" else value)
    if vr == "UI" and not all(map(is_uid, _uids(found))):
        raise UnusableKey(f"{keyword} is not a UID")
    return found


def _keyword(name: str) -> str:
    """Of an attribute that is named by its keyword or by eight hexadecimal digits."""
    if tag_for_keyword(name) is not None:
        return name
    try:
        keyword = keyword_for_tag(int(name, 16)) if len(name) == 8 else ""
    except (ValueError, OverflowError):
        keyword = ""
    if not keyword:
        raise UnusableKey("there is no such attribute")
    return keyword


def _number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise UnusableKey(f"{name} is a number")
    return int(value)
