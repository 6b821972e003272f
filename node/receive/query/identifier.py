"""Identifiers of C-FIND, C-MOVE and C-GET: what is asked for, and the answers to C-FIND. Pure.

PS3.4 C.4.1.1.3, C.4.1.1.4, C.4.2.1.4, C.4.3.1.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydicom import config
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from node.domain.holdings import OF_LEVEL, UNIQUE
from node.domain.identity import is_uid
from node.domain.query import Level, Matching, OneOf, Query, matching
from node.domain.study import Value
from node.errors import UnusableKey

CHARACTER_SET, LEVEL = Tag("SpecificCharacterSet"), Tag("QueryRetrieveLevel")
UTF_8 = "ISO_IR 192"
# They say how the identifier is to be read, or are said of every answer: not keys of an entity.
_NO_KEYS = frozenset({CHARACTER_SET, LEVEL, *map(Tag, ("RetrieveAETitle", "InstanceAvailability"))})
# So many instances, series or studies are named in one retrieval.
MOST_UIDS = 10_000
_HIERARCHY = (Level.PATIENT, Level.STUDY, Level.SERIES, Level.IMAGE)


def query_of(identifier: Dataset, levels: tuple[Level, ...]) -> Query:
    """What is asked for, in an information model that has these levels.

    Keys that we know nothing of are left out: they match whatever there is (PS3.4 C.2.2.1.3).

    Raises:
        UnusableKey: another level, no single unique key of a level above, a UID, a date or a number that is none.
    """
    level = _level_of(identifier, levels)
    known = OF_LEVEL[level]
    keys: dict[str, Matching] = {}
    wanted: set[str] = set()
    for element in identifier:
        if element.keyword not in known:
            continue
        wanted.add(element.keyword)
        found = matching(element.VR, _text(element))
        if found is not None:
            keys[element.keyword] = found
    _require_hierarchy(level, levels, keys)
    _require_uids(keys)
    return Query(level, keys, frozenset(wanted))


def retrieval_of(identifier: Dataset, levels: tuple[Level, ...]) -> Query:
    """Which instances are to be sent: unique keys alone count, and that of the level must name something.

    Raises:
        UnusableKey: as ``query_of``; no value, or a wildcard, where something is to be named; too many UIDs.
    """
    query = query_of(identifier, levels)
    named = query.keys.get(UNIQUE[query.level])
    if not isinstance(named, OneOf):
        raise UnusableKey(f"{UNIQUE[query.level]} names nothing to be sent")
    if len(named.texts) > MOST_UIDS:
        raise UnusableKey(f"more than {MOST_UIDS} UIDs")
    unique = [UNIQUE[level] for level in levels[: levels.index(query.level) + 1]]
    return Query(query.level, {keyword: query.keys[keyword] for keyword in unique}, frozenset())


def knows_all(identifier: Dataset, level: Level) -> bool:
    """Whether every key is one that answers have: else each of them says that it is not (status FF01)."""
    return all(element.tag in _NO_KEYS or element.keyword in OF_LEVEL[level] for element in identifier)


def answer(identifier: Dataset, query: Query, entity: Mapping[str, Value], ae_title: str) -> Dataset:
    """One match: the keys asked for that we know of this level, in UTF-8 where ASCII does not do."""
    made = Dataset()
    for element in identifier:
        if element.keyword in query.wanted:
            made[element.tag] = _element(element.tag, entity.get(element.keyword))
    made[LEVEL] = DataElement(LEVEL, "CS", query.level.value)
    made.RetrieveAETitle = ae_title
    made.InstanceAvailability = "ONLINE"
    if not all(_is_ascii(element.value) for element in made):
        made.SpecificCharacterSet = UTF_8
    return made


def _level_of(identifier: Dataset, levels: tuple[Level, ...]) -> Level:
    said = str(identifier.get("QueryRetrieveLevel", "")).strip()
    if said not in levels:
        raise UnusableKey("no Query/Retrieve Level of this information model")
    return Level(said)


def _require_hierarchy(level: Level, levels: tuple[Level, ...], keys: Mapping[str, Matching]) -> None:
    """Without relational queries each level above is named by its unique key, as one value (PS3.4 C.4.1.2.1)."""
    for above in _HIERARCHY[: _HIERARCHY.index(level)]:
        key = keys.get(UNIQUE[above])
        if above in levels and not (isinstance(key, OneOf) and len(key.texts) == 1):
            raise UnusableKey(f"{UNIQUE[above]} is not a single value")


def _require_uids(keys: Mapping[str, Matching]) -> None:
    for keyword, key in keys.items():
        if keyword.endswith("UID") and isinstance(key, OneOf) and not all(map(is_uid, key.texts)):
            raise UnusableKey(f"{keyword} is not a UID")


def _text(element: DataElement) -> str:
    """As it stands, several values behind backslashes."""
    if element.VR == "SQ" or element.value is None:
        return ""
    value = element.value
    parts = value if isinstance(value, list | tuple) or hasattr(value, "append") else [value]
    return "\\".join(str(part) for part in parts)


def _element(tag: BaseTag, value: Value) -> DataElement:
    """Not judged: what an outsider sent us goes out as it came."""
    vr = dictionary_VR(tag)[:2]
    return DataElement(tag, vr, _of_vr(value, vr), validation_mode=config.IGNORE)


def _of_vr(value: Value, vr: str) -> object:
    if vr in ("IS", "US"):
        number = value[0] if isinstance(value, list | tuple) and value else value
        return int(number) if isinstance(number, int | float) else None
    if isinstance(value, list | tuple):
        return ["" if item is None else str(item) for item in value]
    return None if value is None else str(value)


def _is_ascii(value: object) -> bool:
    return all(str(part).isascii() for part in _parts(value))


def _parts(value: object) -> Iterator[object]:
    if isinstance(value, list | tuple):
        yield from value
    elif value is not None:
        yield value
