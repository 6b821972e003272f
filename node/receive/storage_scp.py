"""The Storage SCP: associations in, instances to the intake, answers out.

On the fast path instances go from the connection to a draft (``fast_path``). Else pynetdicom collects them in files of
the incoming folder (chunked reception). Either way memory does not grow with them. Handlers never raise: an exception
in one would end the association without an answer and leave its file behind.
"""

from __future__ import annotations

import socket
import ssl
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ABORT
from pynetdicom.presentation import PresentationContext

from node.config import ReceiveSection
from node.errors import AinodeError, ReceiveError, UndecodableDataSet
from node.ports import Draft
from node.receive import contexts, peers
from node.receive.associations import ABORTED, RELEASED, Associations, Link
from node.receive.chunked import copy_received
from node.receive.fast_path import FastSocket, Reception
from node.receive.inflow import acknowledge_at_once
from node.receive.intake import Command, Intake
from node.receive.leftovers import Leftovers, abort_on_unreadable_messages
from node.receive.library import LibrarySettings
from node.receive.query.responding import answer_retrievals
from node.receive.self_check import unusable
from node.receive.services import Service, contexts_of, handlers_of
from node.receive.status import SUCCESS, Answer, Status, answer_to
from node.receive.tls import server_context
from node.receive.transport import Server, Terms, listening_socket, tune
from node.receive.upper_layer import end_quietly

log = structlog.get_logger()

MAXIMUM_PDU_LENGTH = 256 * 1024
ACCEPT_POLL_S = 0.1
# All committed; some or all failed (PS3.4 Table J.3-3).
COMMITMENT_EVENT_TYPES = (1, 2)
ABORT_WAIT_S = 5.0
# Connections beyond the associations allowed, so that those can still be told why they are rejected.
CONNECTIONS_PER_ASSOCIATION = 2


class StorageScp:
    """Receives for one process. ``receiver`` names it in the record, the same name after every restart.

    Args:
        config: address, allow list, limits and times.
        ae_title: our own AE title.
        intake: what takes each instance.
        incoming: gives the folder in which pynetdicom collects an instance.
        on_commitment: takes the event information of a storage commitment report that a PACS sends on an association of
            its own; False for a transaction not known.
        receiver: name of this receiver.
        listener: a socket that is bound and listens already (several processes share one port); it becomes ours and
            is closed by ``stop``. Without it the configured address is bound.
        services: what else is served on the same associations.
        may_ask: to whom: to others they are as if they did not exist.
    """

    def __init__(
        self,
        config: ReceiveSection,
        ae_title: str,
        intake: Intake,
        incoming: Callable[[], Path],
        on_commitment: Callable[[Dataset], bool],
        *,
        receiver: str = "receiver",
        listener: socket.socket | None = None,
        services: Sequence[Service] = (),
        may_ask: Callable[[peers.Caller], bool] = lambda caller: True,
    ) -> None:
        self._config = config
        self._ae_title = ae_title
        self._intake = intake
        self._incoming = incoming
        self._on_commitment = on_commitment
        self._receiver = receiver
        self._listener = listener
        self._services = services
        self._served = contexts_of(services)
        self._may_ask = may_ask
        self._associations: Associations[Association] = Associations()
        self._leftovers: dict[Association, Leftovers] = {}
        self._fast = config.fast
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._settings: LibrarySettings | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that we serve on (the port that was found where 0 was configured)."""
        assert self._server is not None, "not started"
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    def start(self) -> None:
        """Serve, in threads of this process.

        Raises:
            OSError: the address cannot be bound.
            StoreUnavailable: there is no incoming folder.
            ConfigurationError: the certificate or the key for TLS cannot be used.
        """
        tls = server_context(self._config.tls) if self._config.tls else None
        incoming = self._incoming()
        self._fast = self._config.fast and _can_be_fast()
        self._intake.recording.receiver_started(self._receiver)
        listener = self._listener or listening_socket(self._config.host, self._config.port)
        self._settings = LibrarySettings.replace(str(incoming))
        self._server = self._make_server(listener, tls)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(ACCEPT_POLL_S,), name="storage-scp", daemon=True
        )
        self._thread.start()
        log.info("receive.serving", port=self.address[1], receiver=self._receiver, fast=self._fast, tls=tls is not None)

    def stop(self, drain_s: float) -> None:
        """Accept nothing more, let open associations finish for ``drain_s``, then abort them."""
        if self._server is None or self._thread is None or self._settings is None:
            return
        self._server.shutdown()
        self._thread.join()
        if not self._associations.wait_until_none(drain_s):
            for association in self._associations.all():
                association.abort(block=False)
            self._associations.wait_until_none(ABORT_WAIT_S)
        self._settings.restore()
        self._thread = self._settings = None
        log.info("receive.stopped", receiver=self._receiver)

    def _make_server(self, listener: socket.socket, tls: ssl.SSLContext | None) -> Server:
        config = self._config
        entity = AE(ae_title=self._ae_title)
        entity.maximum_pdu_size = MAXIMUM_PDU_LENGTH
        entity.maximum_associations = config.max_associations
        entity.network_timeout = entity.acse_timeout = entity.dimse_timeout = config.timeout_s
        terms = Terms(
            listener=listener,
            shared=self._listener is not None and config.processes > 1,
            timeout_s=config.timeout_s,
            max_connections=CONNECTIONS_PER_ASSOCIATION * config.max_associations,
            opened=self._on_opened,
            finished=self._on_finished,
            tls=tls,
        )
        return entity.make_server(  # type: ignore[return-value]
            listener.getsockname(),
            contexts=[*contexts.other_than_storage(), *self._served],
            server_class=Server,
            evt_handlers=self._handlers(),
            terms=terms,
        )

    def _handlers(self) -> list[Any]:
        return [
            (evt.EVT_REQUESTED, self._on_requested),
            (evt.EVT_RELEASED, self._on_released),
            (evt.EVT_ACSE_RECV, self._on_primitive),
            (evt.EVT_DIMSE_RECV, self._on_message),
            (evt.EVT_DATA_RECV, _on_data),
            (evt.EVT_DATA_SENT, _on_data),
            (evt.EVT_C_ECHO, _on_echo),
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_N_EVENT_REPORT, self._on_event_report),
            *handlers_of(self._services),
        ]

    def _on_opened(self, association: Association, host: str) -> None:
        self._associations.arrive(association, Link(host, self._receiver, self._intake.clock.now()))
        self._leftovers[association] = Leftovers()
        abort_on_unreadable_messages(association)
        end_quietly(association)
        answer_retrievals(association)
        if self._fast:
            FastSocket.adopt(association, Reception(self._intake.begin, self._keep, _refusal), self._config.timeout_s)
        else:
            tune(association, self._config.timeout_s)

    def _on_requested(self, event: evt.Event) -> None:
        """Decide about an association request; when in doubt it is rejected."""
        try:
            rejection = self._judge(event.assoc)
        except Exception as error:  # noqa: BLE001  DIMSE handler: the edge of this process
            log.error("receive.request_unreadable", error=type(error).__name__)
            rejection = peers.Rejection.CALLING_AE_NOT_RECOGNISED
        if rejection is not None:
            log.warning("receive.rejected", reason=rejection.name, host=self._associations.of(event.assoc).host)
            event.assoc.acse.send_reject(*rejection.value)
            event.assoc.kill()

    def _judge(self, association: Association) -> peers.Rejection | None:
        request = association.requestor.primitive
        assert request is not None
        link = self._associations.of(association)
        link.calling_ae, link.called_ae = request.calling_ae_title.strip(), request.called_ae_title.strip()
        proposed = request.presentation_context_definition_list
        contexts.prefer_known(proposed)
        contexts.prefer_uncompressed(proposed, contexts.sent_to(association))
        caller = peers.Caller(calling_ae=link.calling_ae, called_ae=link.called_ae, host=link.host)
        rejection = peers.reject(caller, self._ae_title, self._config.check_called_ae, self._config.allow)
        if rejection is None and self._served and not self._may_ask(caller):
            rejection = self._without_services(association, proposed)
        else:
            contexts.refuse_other_services(proposed, self._served)
        # pynetdicom writes a data set down before it asks us: where there is no room, it must not come that far. The
        # fast path answers A700 to the command.
        stores = not self._fast and contexts.proposes_storage(proposed, self._served)
        if rejection is None and stores and not self._intake.has_room():
            return peers.Rejection.TEMPORARY_CONGESTION
        return rejection

    def _without_services(
        self, association: Association, proposed: Sequence[PresentationContext]
    ) -> peers.Rejection | None:
        """Who may not ask may store, and is rejected where it came for nothing else than to ask."""
        contexts.refuse_other_services(proposed)
        association.acceptor.supported_contexts = contexts.other_than_storage()
        asked_for = {context.abstract_syntax for context in proposed}
        services = {context.abstract_syntax for context in self._served}
        if asked_for & services:
            link = self._associations.of(association)
            log.warning("query.not_allowed", calling_ae=link.calling_ae, host=link.host)
        return peers.Rejection.CALLING_AE_NOT_RECOGNISED if asked_for and asked_for <= services else None

    def _on_released(self, event: evt.Event) -> None:
        self._associations.of(event.assoc).ended = RELEASED

    def _on_primitive(self, event: Any) -> None:
        """An A-ABORT is somebody's decision; an A-P-ABORT says that the connection or the protocol broke."""
        if isinstance(event.primitive, A_ABORT):
            self._associations.of(event.assoc).ended = ABORTED

    def _on_finished(self, association: Association) -> None:
        link = self._associations.of(association)
        try:
            if isinstance(association.dul.socket, FastSocket):
                association.dul.socket.release()
            self._leftovers.pop(association).remove(association)
            self._intake.recording.association_ended(link.id, link.ended)
        except Exception as error:  # noqa: BLE001  edge: the record may be out of reach; the next start ends it
            log.error("receive.end_not_recorded", association=link.id, error=type(error).__name__)
        finally:
            self._associations.leave(association)
        if link.instances:
            log.info("receive.association_ended", association=link.id, how=link.ended, instances=link.instances)

    def _on_message(self, event: Any) -> None:
        self._leftovers[event.assoc].arrived(event.message)

    def _on_store(self, event: evt.Event) -> Dataset:
        """C-STORE. Success is answered only when the instance is durable in the store and in the record."""
        path: Path | None = None
        try:
            path = event.dataset_path
            if path is None:
                raise UndecodableDataSet("there is no data set")
            self._leftovers[event.assoc].served(path)
            self._take(path, event)
            return _status(SUCCESS)
        except Exception as error:  # noqa: BLE001  DIMSE handler: the sender gets a failure, the process goes on
            return _status(_refusal(error))
        finally:
            if path is not None:
                path.unlink(missing_ok=True)

    def _take(self, path: Path, event: Any) -> None:
        command = Command(
            sop_class_uid=str(event.request.AffectedSOPClassUID),
            sop_instance_uid=str(event.request.AffectedSOPInstanceUID),
            transfer_syntax_uid=str(event.context.transfer_syntax),
        )
        draft = self._intake.begin(path.stat().st_size)
        try:
            offset = copy_received(path, draft)
        except BaseException:
            draft.discard()
            raise
        self._keep(event.assoc, draft, command, offset)

    def _keep(self, association: Association, draft: Draft, command: Command, data_set_offset: int) -> None:
        link = self._associations.of(association)
        self._intake.finish(draft, command, link.facts(), data_set_offset)
        link.instances += 1

    def _on_event_report(self, event: evt.Event) -> tuple[int, None]:
        """N-EVENT-REPORT of Storage Commitment, on an association that the PACS opened."""
        try:
            if event.event_type not in COMMITMENT_EVENT_TYPES:
                return Status.NO_SUCH_EVENT_TYPE, None
            known = self._on_commitment(event.event_information)
            return (Status.SUCCESS if known else Status.PROCESSING_FAILURE), None
        except Exception as error:  # noqa: BLE001  DIMSE handler: the PACS gets a failure, the process goes on
            _refusal(error)
            return (Status.INVALID_ARGUMENT if isinstance(error, ReceiveError) else Status.PROCESSING_FAILURE), None


def _refusal(error: Exception) -> Answer:
    """What the sender is told; the log never repeats the message of an error that is not ours: it may hold a name."""
    answer = answer_to(error)
    if isinstance(error, AinodeError):
        log.warning("receive.refused", error=error.code, status=f"{answer.status:04X}", details=dict(error.details))
    else:
        where = traceback.extract_tb(error.__traceback__)[-1]
        log.error("receive.failed", error=type(error).__name__, where=f"{where.filename}:{where.lineno}")
    return answer


def _status(answer: Answer) -> Dataset:
    status = Dataset()
    status.Status = int(answer.status)
    if answer.comment:
        status.ErrorComment = answer.comment
    return status


def _on_echo(event: evt.Event) -> int:
    return Status.SUCCESS


def _on_data(event: evt.Event) -> None:
    wrapped = event.assoc.dul.socket
    if wrapped is not None and wrapped.socket is not None:
        acknowledge_at_once(wrapped.socket)


def _can_be_fast() -> bool:
    problem = unusable()
    if problem:
        log.warning("receive.fast_path_unusable", differs=problem)
    return not problem
