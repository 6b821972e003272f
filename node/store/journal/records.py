"""The record of an entry: what stands before an object's bytes and says what it is. JSON in UTF-8."""

from __future__ import annotations

import json
from datetime import datetime

from node.domain.study import Arrival, AssociationFacts
from node.errors import StoreError
from node.store.journal.format import RECORD_SPACE

_JSON = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))


def encode_arrival(arrival: Arrival) -> bytes:
    """
    Raises:
        StoreError: it is longer than the room for it, which no valid UIDs and AE titles make it.
    """
    facts = arrival.association
    return _encoded(
        {
            "study": arrival.study_instance_uid,
            "series": arrival.series_instance_uid,
            "class": arrival.sop_class_uid,
            "instance": arrival.sop_instance_uid,
            "syntax": arrival.transfer_syntax_uid,
            "at": arrival.received_at.isoformat(),
            "offset": arrival.data_set_offset,
            "association": facts.id,
            "calling": facts.calling_ae,
            "called": facts.called_ae,
            "host": facts.peer_host,
            "receiver": facts.receiver,
            "opened": facts.opened_at.isoformat(),
        }
    )


def decode_arrival(record: bytes) -> Arrival:
    """The inverse, of bytes whose CRC was right."""
    found = json.loads(record)
    return Arrival(
        study_instance_uid=found["study"],
        series_instance_uid=found["series"],
        sop_class_uid=found["class"],
        sop_instance_uid=found["instance"],
        transfer_syntax_uid=found["syntax"],
        association=AssociationFacts(
            id=found["association"],
            calling_ae=found["calling"],
            called_ae=found["called"],
            peer_host=found["host"],
            receiver=found["receiver"],
            opened_at=datetime.fromisoformat(found["opened"]),
        ),
        received_at=datetime.fromisoformat(found["at"]),
        data_set_offset=found["offset"],
    )


def encode_note(name: str, how: str, at: datetime) -> bytes:
    """What became of the association or receiver ``name``."""
    return _encoded({"name": name, "how": how, "at": at.isoformat()})


def decode_note(record: bytes) -> tuple[str, str, datetime]:
    found = json.loads(record)
    return found["name"], found["how"], datetime.fromisoformat(found["at"])


def _encoded(values: dict[str, str | int]) -> bytes:
    record = _JSON.encode(values).encode("utf-8", "surrogatepass")
    if len(record) > RECORD_SPACE:
        raise StoreError("the record is too long", length=len(record))
    return record
