"""The UPS service class as SCP (PS3.4 Annex CC): a listener of its own, beside the one that stores.

What it is asked is passed on; handlers never raise, an exception in one would end the association without an answer.
Nothing of what storage needs is shared with it: a worklist that asks too much slows down nobody's images.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import structlog
from pydicom.dataset import Dataset
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from node.config import UpsSection
from node.domain.workitem import PULL, PUSH, QUERY, WATCH, Warned
from node.errors import AinodeError, NoSuchAction, WorkitemError
from node.ports import ProcedureSteps
from node.receive import peers
from node.receive.contexts import UNCOMPRESSED
from node.receive.leftovers import abort_on_unreadable_messages
from node.receive.status import MAX_ERROR_COMMENT, Status
from node.receive.tls import server_context
from node.receive.transport import Server, Terms, listening_socket, tune
from node.receive.upper_layer import end_quietly
from node.receive.ups_statuses import Service, status_of

log = structlog.get_logger()

MAXIMUM_PDU_LENGTH = 64 * 1024
ACCEPT_POLL_S = 0.1
ABORT_WAIT_S = 5.0
CONNECTIONS_PER_ASSOCIATION = 2
PENDING = 0xFF00
CANCELED = 0xFE00

Answer = tuple[Dataset, Dataset | None]


def ups_contexts() -> list[PresentationContext]:
    """Verification and the SOP classes of UPS; N-EVENT-REPORT goes out on associations that we open."""
    made = []
    for abstract_syntax in (Verification, PUSH, PULL, WATCH, QUERY):
        context = PresentationContext()
        context.abstract_syntax = abstract_syntax
        context.transfer_syntax = list(UNCOMPRESSED[:2])
        made.append(context)
    return made


class UpsScp:
    """Serves in threads of this process."""

    def __init__(self, config: UpsSection, ae_title: str, steps: ProcedureSteps) -> None:
        self._config = config
        self._ae_title = ae_title
        self._steps = steps
        self._open: set[Association] = set()
        self._hosts: dict[Association, str] = {}
        self._logged = ("none", logging.NOTSET)
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that we serve on (the one that was found where 0 was configured)."""
        assert self._server is not None, "not started"
        return int(self._server.server_address[1])

    def start(self) -> None:
        """
        Raises:
            OSError: the address cannot be bound.
            ConfigurationError: the certificate or the key for TLS cannot be used.
        """
        config = self._config
        tls = server_context(config.tls) if config.tls else None
        # Its log repeats what outsiders sent.
        self._logged = _config.LOG_HANDLER_LEVEL, logging.getLogger("pynetdicom").level
        _log_as(("none", logging.CRITICAL + 1))
        entity = AE(ae_title=self._ae_title)
        entity.maximum_pdu_size = MAXIMUM_PDU_LENGTH
        entity.maximum_associations = config.max_associations
        entity.network_timeout = entity.acse_timeout = entity.dimse_timeout = config.timeout_s
        terms = Terms(
            listener=listening_socket(config.host, config.port),
            shared=False,
            timeout_s=config.timeout_s,
            max_connections=CONNECTIONS_PER_ASSOCIATION * config.max_associations,
            opened=self._on_opened,
            finished=self._on_finished,
            tls=tls,
        )
        self._server = self._make_server(entity, terms)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(ACCEPT_POLL_S,), name="ups-scp", daemon=True
        )
        self._thread.start()
        log.info("ups.serving", port=self.port, tls=tls is not None)

    def stop(self) -> None:
        """Accept nothing more and abort what is open: every answer given was durable before."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        for association in list(self._open):
            association.abort(block=False)
            association.join(ABORT_WAIT_S)
        _log_as(self._logged)
        self._thread = None

    def _make_server(self, entity: AE, terms: Terms) -> Server:
        handlers: list[Any] = [
            (evt.EVT_REQUESTED, self._on_requested),
            (evt.EVT_C_ECHO, lambda event: Status.SUCCESS),
            (evt.EVT_C_FIND, self._on_find),
            (evt.EVT_N_CREATE, self._on_create),
            (evt.EVT_N_GET, self._on_get),
            (evt.EVT_N_SET, self._on_set),
            (evt.EVT_N_ACTION, self._on_action),
        ]
        return entity.make_server(  # type: ignore[return-value]
            terms.listener.getsockname(),
            contexts=ups_contexts(),
            server_class=Server,
            evt_handlers=handlers,
            terms=terms,
        )

    def _on_opened(self, association: Association, host: str) -> None:
        self._open.add(association)
        self._hosts[association] = host
        abort_on_unreadable_messages(association)
        end_quietly(association)
        tune(association, self._config.timeout_s)

    def _on_finished(self, association: Association) -> None:
        self._open.discard(association)
        self._hosts.pop(association, None)

    def _on_requested(self, event: evt.Event) -> None:
        """Decide about an association request; when in doubt it is rejected."""
        association = event.assoc
        try:
            rejection = self._judge(association)
        except Exception as error:  # noqa: BLE001  DIMSE handler: the edge of this process
            log.error("ups.request_unreadable", error=type(error).__name__)
            rejection = peers.Rejection.CALLING_AE_NOT_RECOGNISED
        if rejection is not None:
            log.warning("ups.rejected", reason=rejection.name, host=self._hosts.get(association, ""))
            association.acse.send_reject(*rejection.value)
            association.kill()

    def _judge(self, association: Association) -> peers.Rejection | None:
        request = association.requestor.primitive
        assert request is not None
        caller = peers.Caller(
            calling_ae=request.calling_ae_title.strip(),
            called_ae=request.called_ae_title.strip(),
            host=self._hosts[association],
        )
        return peers.reject(caller, self._ae_title, self._config.check_called_ae, self._config.allow)

    def _on_create(self, event: Any) -> Answer:
        def act() -> Answer:
            uid = str(event.request.AffectedSOPInstanceUID or "")
            made, warned = self._steps.create(uid, event.attribute_list, _asker(event))
            if uid:
                return _status(warned), None
            # The UID that the SCP assigns stands in a success response alone (PS3.7 section 10.1.5.1.4); the first is
            # for the command.
            created = Dataset()
            created.AffectedSOPInstanceUID = created.SOPInstanceUID = made
            return _status(Status.SUCCESS), created

        return _answered(Service.CREATE, act)

    def _on_get(self, event: Any) -> Answer:
        uid = str(event.request.RequestedSOPInstanceUID)
        tags = event.attribute_identifiers

        def act() -> Answer:
            found = self._steps.get(uid, tags)
            is_whole = all(tag in found for tag in tags)
            return _status(Status.SUCCESS if is_whole else Warned.NOT_SUPPORTED), found

        return _answered(Service.GET, act)

    def _on_set(self, event: Any) -> Answer:
        uid = str(event.request.RequestedSOPInstanceUID)

        def act() -> Answer:
            return _status(self._steps.update(uid, event.modification_list, _asker(event))), None

        return _answered(Service.SET, act)

    def _on_action(self, event: Any) -> Answer:
        uid = str(event.request.RequestedSOPInstanceUID)
        return _answered(Service.ACTION, lambda: (_status(self._act(uid, event)), None))

    def _act(self, uid: str, event: Any) -> int:
        information, steps = event.action_information, self._steps
        match event.action_type:  # Action Type ID (PS3.4 Tables CC.2.1-1, CC.2.2-1, CC.2.3-1)
            case 1:
                return steps.change_state(uid, information, _asker(event))
            case 2:
                return steps.request_cancel(uid, information, _asker(event))
            case 3:
                return steps.subscribe(uid, information)
            case 4:
                return steps.unsubscribe(uid, information)
            case 5:
                return steps.suspend(uid, information)
            case _:
                raise NoSuchAction("there is no such action")

    def _on_find(self, event: Any) -> Iterator[tuple[int | Dataset, Dataset | None]]:
        try:
            for found in self._steps.find(event.identifier):
                if event.is_cancelled:
                    yield CANCELED, None
                    return
                yield PENDING, found
        except Exception as error:  # noqa: BLE001  DIMSE handler: who asks gets a failure, the process goes on
            yield _refused(error, Service.FIND), None


def _log_as(how: tuple[str, int]) -> None:
    """pynetdicom's handlers of events, and its logger."""
    _config.LOG_HANDLER_LEVEL, level = how
    logging.getLogger("pynetdicom").setLevel(level)


def _asker(event: Any) -> str:
    title: str = event.assoc.requestor.ae_title
    return title.strip()


def _answered(service: Service, act: Callable[[], Answer]) -> Answer:
    try:
        return act()
    except Exception as error:  # noqa: BLE001  DIMSE handler: who asks gets a failure, the process goes on
        return _refused(error, service), None


def _refused(error: Exception, service: Service) -> Dataset:
    """What who asks is told; the log never repeats the message of an error that is not ours: it may hold a name."""
    status = status_of(error, service)
    if isinstance(error, WorkitemError):
        log.info("ups.refused", error=error.code, status=f"{status:04X}")
        return _status(status, error.message)
    if isinstance(error, AinodeError):
        log.error("ups.failed", error=error.code)
        return _status(status, error.message)
    where = traceback.extract_tb(error.__traceback__)[-1]
    log.error("ups.failed", error=type(error).__name__, where=f"{where.filename}:{where.lineno}")
    return _status(status, "not done")


def _status(value: int, comment: str = "") -> Dataset:
    status = Dataset()
    status.Status = int(value)
    if comment:
        status.ErrorComment = comment[:MAX_ERROR_COMMENT].strip()
    return status
