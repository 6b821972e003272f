"""A receiver in front of a node's real records, and somebody who is sent what they hold."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context, build_role, evt
from pynetdicom.association import Association
from pynetdicom.presentation import AllStoragePresentationContexts

from node import config as configuration
from node.app.querying import may_ask, query_services
from node.app.receiving import attributes_of_routes
from node.app.records import Records, open_records
from node.app.taking import IntakeTaker, intake_of
from node.config.sections import Source
from node.deliver.association import QUICK, ClosingEntity
from node.deliver.taken_classes import TAKEN
from node.domain.job import Completion
from node.domain.result import InferenceResult, Outcome, ResultObject
from node.domain.study import CloseReason, Closure
from node.ports.retrieval import Incoming
from node.receive.storage_scp import StorageScp
from node.store.incoming import IncomingFolder
from tests.contract.rows import new_job
from tests.fakes.uses import MemoryUses
from tests.integration.receiving import data_set_of
from tests.objects import part10
from tests.peers import free_port
from tests.waiting import wait_for

AE_TITLE = "AINODE"
UNCOMPRESSED = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))


@dataclass
class Holder:
    """A running receiver, its records, and what stands in the log of uses."""

    records: Records
    uses: MemoryUses
    address: tuple[str, int] = ("", 0)
    associations: Callable[[], Sequence[Association]] = lambda: ()

    def await_cancel(self, uid: str) -> int:
        """Takes an instance when the node has been told that nothing more is wanted."""
        wait_for(lambda: any(one.dimse.cancel_req for one in self.associations()), "a C-CANCEL has come", timeout_s=120)
        return 0

    def receive(self, *images: bytes) -> None:
        """Part 10 files, as if a scanner had sent them."""
        scanner = Source(name="mr", ae_title="MR1", host="127.0.0.1", port=104)
        taker = IntakeTaker(intake_of(self.records), scanner, AE_TITLE)
        for image in images:
            read = dcmread(BytesIO(image), stop_before_pixels=True)
            syntax = str(read.file_meta.TransferSyntaxUID)
            assert taker.take(Incoming(str(read.SOPClassUID), str(read.SOPInstanceUID), syntax, image)) == 0
        taker.close("released")

    def write_results(self, study_uid: str, *objects: Dataset) -> None:
        """As if a job on the study had made them."""
        catalogue, queue = self.records.catalogue, self.records.queue
        found = next(one for one in catalogue.open_series() if one.study_instance_uid == study_uid)
        wanted = new_job(study_uid, study_instance_uid=study_uid, series_instance_uids=(found.series_instance_uid,))
        assert catalogue.close_series(found.series_id, found.revision, Closure(CloseReason.QUIET, {}), [], [wanted])
        job = queue.claim("w", 600.0)
        assert job is not None
        written = []
        for each in objects:
            encoded, uid = part10(each), str(each.SOPInstanceUID)
            key = self.records.results.put(encoded, f"{study_uid}/{uid}").key
            digest = hashlib.sha256(encoded).hexdigest()
            written.append(
                ResultObject(str(each.SOPClassUID), uid, str(each.SeriesInstanceUID), "SR", key, digest, len(encoded))
            )
        assert queue.complete(job, Completion(InferenceResult(Outcome.NEGATIVE, ()), tuple(written), {}))


@contextmanager
def holding(root: Path, query: str, *, receive: str = "", kind: str = "files") -> Iterator[Holder]:
    """``query`` and ``receive`` are what stands in these tables of the configuration."""
    root.mkdir(parents=True, exist_ok=True)
    path = root / "ainode.toml"
    text = f'[node]\nfree_space_watermark_bytes = 1000000\n[store]\nkind = "{kind}"\n'
    text += f'[receive]\nhost = "127.0.0.1"\nport = 0\n{receive}\n[models]\nenabled = []\n[query]\n{query}\n'
    path.write_text(text, encoding="utf-8")
    config = configuration.load(path, {})
    records = open_records(config)
    holder = Holder(records, MemoryUses())
    incoming = IncomingFolder(config.node.data_dir / "incoming")
    intake = intake_of(records)
    assert attributes_of_routes(config) == set()
    scp = StorageScp(
        config.receive, config.node.ae_title, intake, incoming.path, lambda information: False,
        services=query_services(records, holder.uses), may_ask=may_ask(config),
    )  # fmt: skip
    scp.start()
    holder.address, holder.associations = scp.address, scp._associations.all
    try:
        yield holder
    finally:
        scp.stop(5.0)
        incoming.close()
        records.close()


@dataclass
class Basket:
    """A Storage SCP: what comes is kept as it was encoded. ``judge`` gives the status of each (it may wait)."""

    judge: Callable[[str], int] = lambda uid: 0
    ae_title: str = "BASKET"
    syntaxes: Sequence[str] = UNCOMPRESSED
    classes: Sequence[str] | None = None
    port: int = field(default_factory=free_port)
    taken: dict[str, bytes] = field(default_factory=dict)
    origins: set[tuple[str, int]] = field(default_factory=set)

    @contextmanager
    def open(self) -> Iterator[Basket]:
        entity = ClosingEntity(ae_title=self.ae_title)
        for context in AllStoragePresentationContexts:
            if self.classes is None or context.abstract_syntax in self.classes:
                entity.add_supported_context(str(context.abstract_syntax), list(self.syntaxes))
        handlers: list[Any] = [*QUICK, (evt.EVT_C_STORE, self.take)]
        server = entity.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        assert server is not None
        try:
            yield self
        finally:
            server.shutdown()
            entity.shutdown()

    def take(self, event: Any) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        origin = event.request.MoveOriginatorApplicationEntityTitle
        if origin is not None:
            self.origins.add((str(origin).strip(), int(event.request.MoveOriginatorMessageID)))
        status = self.judge(uid)
        if status in (0, 0xB000):
            path = event.dataset_path  # while a receiver serves in this process, pynetdicom collects data sets in files
            self.taken[uid] = event.request.DataSet.getvalue() if path is None else data_set_of(path.read_bytes())
        return status


@dataclass
class Answer:
    """How a retrieval went: every status that was answered, and the last one with its identifier."""

    statuses: list[int]
    last: Dataset
    failed: list[str]

    @property
    def counts(self) -> tuple[int, int, int]:
        """Completed, failed, with a warning."""
        names = ("Completed", "Failed", "Warning")
        completed, failed, warned = (int(self.last[f"NumberOf{name}Suboperations"].value) for name in names)
        return completed, failed, warned

    @property
    def comment(self) -> str:
        return str(self.last.get("ErrorComment", ""))


def identifier(**keys: Any) -> Dataset:
    made = Dataset()
    for keyword, value in keys.items():
        setattr(made, keyword, value)
    return made


def ask(
    holder: Holder,
    model: str,
    wanted: Dataset,
    *,
    to: str = "",
    basket: Basket | None = None,
    ae_title: str = "ASKER",
    cancel: bool = False,
    syntax: str = ExplicitVRLittleEndian,
    timeout_s: float = 120.0,
) -> Answer:
    """C-MOVE to ``to``, or C-GET into ``basket``; to ``cancel``, a C-CANCEL follows the first response."""
    entity = ClosingEntity(ae_title=ae_title)
    entity.dimse_timeout = timeout_s
    contexts, roles, handlers = [build_context(model, syntax)], [], list(QUICK)
    if basket is not None:
        classes = basket.classes or TAKEN
        contexts += [build_context(uid, list(basket.syntaxes)) for uid in classes]
        roles = [build_role(uid, scp_role=True) for uid in classes]
        handlers.append((evt.EVT_C_STORE, basket.take))
    association = entity.associate(
        *holder.address,
        contexts=contexts,
        ae_title=AE_TITLE,
        ext_neg=roles,
        evt_handlers=handlers,  # type: ignore[arg-type]
    )
    assert association.is_established
    try:
        if basket is None:
            answers = association.send_c_move(wanted, to, model, msg_id=7)
        else:
            answers = association.send_c_get(wanted, model, msg_id=7)
        statuses: list[int] = []
        last: tuple[Dataset, Dataset | None] = (Dataset(), None)
        for last in answers:
            status = last[0]
            statuses.append(int(status.Status))
            if cancel and len(statuses) == 1:
                association.send_c_cancel(7, query_model=model)
        status, found = last
        listed = None if found is None else found.get("FailedSOPInstanceUIDList")
        failed = [] if listed is None else [listed] if isinstance(listed, str) else list(listed)
        return Answer(statuses, status, [str(uid) for uid in failed if uid])
    finally:
        association.release()
