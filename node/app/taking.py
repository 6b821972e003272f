"""What a C-GET brings goes the way of everything that is received: draft, check, durable, recorded."""

from __future__ import annotations

import os
import socket
import uuid

import structlog

from node.app.receiving import attributes_of_routes
from node.app.records import Records
from node.app.room import measuring
from node.config.sections import Source
from node.domain.study import AssociationFacts
from node.errors import AinodeError
from node.ports.retrieval import Incoming
from node.receive.intake import Command, Intake
from node.receive.part10 import data_set_offset
from node.receive.recording import RecordLater, RecordNow
from node.receive.status import Status, answer_to

log = structlog.get_logger()


def intake_of(records: Records) -> Intake:
    """For this process."""
    config = records.config
    files = config.store.kind == "files"
    recording = RecordNow(records.catalogue) if files else RecordLater(records.journal, records.clock)
    return Intake(records.instances, recording, records.clock, measuring(config), attributes_of_routes(config))


class IntakeTaker:
    """``ports.Taker``: as if the archive had sent it on an association of its own."""

    def __init__(self, intake: Intake, source: Source, ae_title: str) -> None:
        receiver = f"{socket.gethostname()}/fetch-{os.getpid()}"
        self._intake = intake
        self._facts = AssociationFacts(
            uuid.uuid4().hex, source.ae_title, ae_title, source.host, receiver, intake.clock.now()
        )

    def take(self, incoming: Incoming) -> int:
        try:
            draft = self._intake.begin(len(incoming.part10))
            try:
                draft.write([incoming.part10])
            except BaseException:
                draft.discard()
                raise
            command = Command(incoming.sop_class_uid, incoming.sop_instance_uid, incoming.transfer_syntax_uid)
            self._intake.finish(draft, command, self._facts, data_set_offset(incoming.part10))
        except AinodeError as error:
            log.warning("retrieve.refused", error=error.code, details=dict(error.details))
            return answer_to(error).status
        return Status.SUCCESS

    def close(self, how: str) -> None:
        self._intake.recording.association_ended(self._facts.id, how)
