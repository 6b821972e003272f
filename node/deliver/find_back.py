"""Looking for results in a PACS by C-FIND, at the level of instances, Study Root (PS3.4 C.6.2.1)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import groupby

from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.association import Association

from node.deliver.association import Peer, accepted, opened
from node.deliver.find import MODEL, matches, text_in
from node.deliver.negotiation import Syntax
from node.domain.delivery import Acknowledged
from node.errors import QueryRefused

# Who does not match by a list of UIDs answers with the whole series.
MOST = 10_000


class FindBack:
    """``ports.read_back.Query`` over pynetdicom."""

    def __init__(self, name: str, peer: Peer) -> None:
        self._name = name
        self._peer = peer

    @property
    def name(self) -> str:
        return self._name

    def held(self, objects: Sequence[Acknowledged]) -> frozenset[str]:
        """One query for each series, over one association.

        Raises:
            DestinationUnreachable, AssociationRejected, QueryRefused
        """
        with opened(self._peer, [Syntax(MODEL, ImplicitVRLittleEndian)]) as association:
            if not accepted(association):
                # It may be configured to answer: it is asked again.
                raise QueryRefused("the destination does not answer queries of the study root model")
            return frozenset(self._found(association, objects))

    def _found(self, association: Association, objects: Sequence[Acknowledged]) -> Iterator[str]:
        for (study, series), members in groupby(sorted(objects, key=_place), key=_place):
            wanted = [one.sop_instance_uid for one in members]
            query = Dataset()
            query.QueryRetrieveLevel = "IMAGE"
            query.StudyInstanceUID = study
            query.SeriesInstanceUID = series
            query.SOPInstanceUID = wanted
            deadline = time.monotonic() + self._peer.timeout_s
            told = {text_in(match, "SOPInstanceUID") for match in matches(association, query, deadline, MOST)}
            yield from told.intersection(wanted)


def _place(one: Acknowledged) -> tuple[str, str]:
    return one.study_instance_uid, one.series_instance_uid
