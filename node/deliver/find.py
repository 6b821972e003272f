"""An archive or modality as a source of counts: C-FIND as SCU, Study Root (PS3.4 C.6.2).

Number of Series Related Instances (0020,1209) and Number of Study Related Instances (0020,1208) are optional keys
(PS3.4 Table C.6-3, C.6-5): an SCP that does not support one leaves it empty or out, and then does not know.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.association import Association
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind  # type: ignore[attr-defined]

from node.deliver.association import Peer, accepted, opened
from node.deliver.negotiation import Syntax
from node.domain.completeness import InstanceCount
from node.errors import DestinationUnreachable, QueryRefused, SopClassRefused

PENDING = frozenset({0xFF00, 0xFF01})
SUCCESS = 0x0000
# A unique key matches one entity; whoever answers with more than this did not match at all.
MAX_MATCHES = 16
# No series has more instances than an IS can say (PS3.5 Table 6.2-1).
MAX_COUNT = 2**31 - 1


class FindSource:
    """``ports.InstanceCounts`` over pynetdicom."""

    def __init__(self, name: str, peer: Peer) -> None:
        self._name = name
        self._peer = peer

    @property
    def name(self) -> str:
        return self._name

    def count(self, study_instance_uid: str, series_instance_uid: str) -> InstanceCount:
        """As in the port: the series' own count, and only where there is none that of the study.

        Raises:
            DestinationUnreachable: no connection, or no answer in time.
            AssociationRejected, SopClassRefused, QueryRefused: the source does not answer queries, or not this one.
        """
        series_key = {"StudyInstanceUID": study_instance_uid, "SeriesInstanceUID": series_instance_uid}
        study_key = {"StudyInstanceUID": study_instance_uid}
        deadline = time.monotonic() + self._peer.timeout_s
        with opened(self._peer, [Syntax(MODEL, ImplicitVRLittleEndian)]) as association:
            if not accepted(association):
                raise SopClassRefused("the source does not answer queries of the study root model")
            of_series = _counted(association, "SERIES", series_key, "NumberOfSeriesRelatedInstances", deadline)
            if of_series is not None:
                return InstanceCount(of_series=of_series)
            return InstanceCount(
                of_study=_counted(association, "STUDY", study_key, "NumberOfStudyRelatedInstances", deadline)
            )


MODEL = StudyRootQueryRetrieveInformationModelFind


def _counted(association: Association, level: str, unique: dict[str, str], keyword: str, deadline: float) -> int | None:
    """The number in the one match; None where there is no match, several, or no number in it."""
    query = Dataset()
    query.QueryRetrieveLevel = level
    for key, value in unique.items():
        setattr(query, key, value)
    setattr(query, keyword, None)
    counts = [
        number_in(match, keyword)
        for match in matches(association, query, deadline)
        if all(text_in(match, key) == value for key, value in unique.items())
    ]
    return counts[0] if len(counts) == 1 else None


def matches(association: Association, query: Dataset, deadline: float, most: int = MAX_MATCHES) -> Iterator[Dataset]:
    """The matches of a C-FIND in the Study Root, ``most`` of them at most.

    Raises:
        DestinationUnreachable: the answer did not come to its end.
        QueryRefused: the query ended with a failure.
    """
    try:
        answers = association.send_c_find(query, MODEL)
    except (RuntimeError, ValueError) as error:  # pynetdicom's words for: no longer established, cannot be encoded
        raise DestinationUnreachable("the association broke off before the C-FIND") from error
    for number, (answer, match) in enumerate(answers):
        status = answer.get("Status")
        if status is None:
            raise DestinationUnreachable("the C-FIND was not answered: aborted, or not in time")
        if status not in PENDING:
            if status != SUCCESS:
                raise QueryRefused(f"C-FIND answered {status:04X}H", status=status)
            return
        if number >= most or time.monotonic() > deadline:
            raise DestinationUnreachable("the answer to the C-FIND does not end")
        if match is not None:
            yield match
    raise DestinationUnreachable("the answer to the C-FIND did not come to its end")


def text_in(match: Dataset, keyword: str) -> str:
    """A single value as text, empty where it is absent: as its bytes stand, pydicom would judge an outsider's value."""
    tag = Tag(keyword)
    value = match.get_item(tag).value if tag in match else None
    if isinstance(value, bytes):
        return value.decode("ascii", "replace").strip("\0 ")
    return "" if value is None else str(value).strip()


def number_in(match: Dataset, keyword: str) -> int | None:
    """A number of instances, None where there is none."""
    text = text_in(match, keyword)
    if not text.isascii() or not text.isdigit() or len(text) > len(str(MAX_COUNT)):
        return None
    return int(text) if int(text) <= MAX_COUNT else None
