"""Looking for results at a DICOMweb server by QIDO-RS (PS3.18 section 10.6)."""

from __future__ import annotations

from collections.abc import Sequence

from node.deliver.http import WebPeer
from node.deliver.multipart import uids_found
from node.domain.delivery import Acknowledged
from node.errors import QueryRefused

JSON = "application/dicom+json"


class QidoBack:
    """``ports.read_back.Query``."""

    def __init__(self, name: str, peer: WebPeer) -> None:
        self._name = name
        self._peer = peer

    @property
    def name(self) -> str:
        return self._name

    def held(self, objects: Sequence[Acknowledged]) -> frozenset[str]:
        """A request for each: not every server takes a list of UIDs.

        Raises:
            DestinationUnreachable, AccessRefused, DestinationBusy, UnexpectedAnswer, QueryRefused
        """
        return frozenset(one.sop_instance_uid for one in objects if self._has(one))

    def _has(self, one: Acknowledged) -> bool:
        path = f"/studies/{one.study_instance_uid}/series/{one.series_instance_uid}/instances"
        answer = self._peer.ask("GET", path, {"Accept": JSON}, query={"SOPInstanceUID": one.sop_instance_uid})
        if answer.status >= 300:
            raise QueryRefused(f"the server answered {answer.status} to a query", http_status=answer.status)
        return bool(answer.body) and one.sop_instance_uid in uids_found(answer.body)
