"""C-MOVE and C-GET as SCP: DCMTK's movescu and getscu, and pynetdicom where something goes wrong."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ImplicitVRLittleEndian, JPEG2000Lossless
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_MOVE
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from node.database.retrievable import SqlRetrievable
from node.deliver.association import QUICK, ClosingEntity
from node.domain.audit import Action
from node.receive.query.retrieve_scp import RetrieveScp
from tests.integration.delivering import storescp
from tests.integration.receiving import data_set_of, serving
from tests.integration.retrieving import AE_TITLE, UNCOMPRESSED, Answer, Basket, Holder, ask, holding, identifier
from tests.objects import MR, SEG, SR, data_set, part10
from tests.peers import free_port, require_program
from tests.waiting import wait_for

MOVE, GET = StudyRootQueryRetrieveInformationModelMove, StudyRootQueryRetrieveInformationModelGet
PATIENT_MOVE = PatientRootQueryRetrieveInformationModelMove
PATIENT_GET = PatientRootQueryRetrieveInformationModelGet
IMAGES = 4
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
BASKET_PORT, DEAD_PORT, MOVESCU_PORT = free_port(), free_port(), free_port()
QUERY = f"""
allow = [{{ ae_title = "ASKER" }}, {{ ae_title = "DCMTK", host = "127.0.0.1" }}]
[[query.move_to]]
ae_title = "BASKET"
host = "127.0.0.1"
port = {BASKET_PORT}
[[query.move_to]]
ae_title = "DEAD"
host = "127.0.0.1"
port = {DEAD_PORT}
[[query.move_to]]
ae_title = "DCMTK"
host = "127.0.0.1"
port = {MOVESCU_PORT}
"""


def image(number: int, study: str = "one", **attributes: Any) -> Dataset:
    made = data_set(MR, number, study)
    made.PatientID, made.PatientName = "P1", "Secret^Name"
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def result(sop_class_uid: str, number: int = 1) -> Dataset:
    return data_set(sop_class_uid, number, "one")


ONE = str(image(1).StudyInstanceUID)
OBJECTS = {
    str(made.SOPInstanceUID): data_set_of(part10(made))
    for made in (*(image(number) for number in range(1, IMAGES + 1)), result(SR), result(SEG))
}


def compressed() -> bytes:
    """An image that says it is compressed; nobody looks into its frame."""
    made = data_set(MR, 1, "mixed")
    del made.PixelData
    made.add_new("PixelData", "OB", encapsulate([b"not looked at"]))
    made["PixelData"].is_undefined_length = True
    return part10(made, JPEG2000Lossless)


COMPRESSED, PLAIN = compressed(), part10(data_set(MR, 2, "mixed"), ImplicitVRLittleEndian)
MIXED_STUDY = str(data_set(MR, 1, "mixed").StudyInstanceUID)
MIXED_UIDS = {
    name: str(data_set(kind, number, "mixed").SOPInstanceUID)
    for name, kind, number in (("compressed", MR, 1), ("plain", MR, 2), ("label map", LABEL_MAP, 1))
}


@pytest.fixture(scope="module")
def module_holder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Holder]:
    """Study one: four images of P1 and two results; mixed: in JPEG 2000, in Implicit VR, of a class that few know."""
    with holding(tmp_path_factory.mktemp("node"), QUERY) as made:
        made.receive(*(part10(image(number)) for number in range(IMAGES, 0, -1)))
        made.write_results(ONE, result(SR), result(SEG))
        made.receive(COMPRESSED, PLAIN, part10(data_set(LABEL_MAP, 1, "mixed")))
        yield made


@pytest.fixture
def holder(module_holder: Holder) -> Holder:
    module_holder.uses.noted.clear()
    return module_holder


@pytest.fixture
def basket() -> Iterator[Basket]:
    with Basket(port=BASKET_PORT).open() as made:
        yield made


def study(uid: str = ONE) -> Dataset:
    return identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID=uid)


# ------------------------------------------------------------------------------------------------ DCMTK


LEVELS: list[tuple[str, dict[str, str], int]] = [
    ("STUDY", {}, 6),
    ("SERIES", {"SeriesInstanceUID": str(image(1).SeriesInstanceUID)}, 4),
    ("SERIES", {"SeriesInstanceUID": str(result(SR).SeriesInstanceUID)}, 1),
    ("IMAGE", {"SeriesInstanceUID": str(image(1).SeriesInstanceUID),
               "SOPInstanceUID": "\\".join(str(image(number).SOPInstanceUID) for number in (2, 3))}, 2),
]  # fmt: skip


def dcmtk(program: str, folder: Path, holder: Holder, model: str, **wanted: str) -> dict[str, bytes]:
    """What it was sent: data sets by SOP Instance UID, as DCMTK has written them."""
    folder.mkdir()
    keys = [part for name, value in wanted.items() for part in ("-k", f"{name}={value}")]
    to = ["-aem", "DCMTK", "+P", str(MOVESCU_PORT)] if program == "movescu" else []
    host, port = holder.address
    done = subprocess.run(
        [require_program(program), model, "-aet", "DCMTK", "-aec", AE_TITLE, *to, "-od", str(folder), "+B",
         *keys, host, str(port)],
        capture_output=True, text=True, timeout=300, check=False, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    files = [path for path in folder.iterdir() if path.is_file()]
    return {str(dcmread(path).SOPInstanceUID): data_set_of(path.read_bytes()) for path in files}


@pytest.mark.parametrize("program", ["movescu", "getscu"])
def test_dcmtk_retrieves_at_every_level(program: str, holder: Holder, tmp_path: Path) -> None:
    """Images and results, byte for byte as they are here."""
    for number, (level, wanted, instances) in enumerate(LEVELS):
        keys = {"QueryRetrieveLevel": level, "StudyInstanceUID": ONE, **wanted}
        found = dcmtk(program, tmp_path / str(number), holder, "-S", **keys)
        assert len(found) == instances, (level, wanted)
        assert all(OBJECTS[uid] == data for uid, data in found.items())


@pytest.mark.parametrize("program", ["movescu", "getscu"])
def test_dcmtk_retrieves_a_patient(program: str, holder: Holder, tmp_path: Path) -> None:
    assert dcmtk(program, tmp_path / "patient", holder, "-P", QueryRetrieveLevel="PATIENT", PatientID="P1") == OBJECTS
    of_study = {"QueryRetrieveLevel": "STUDY", "PatientID": "P1", "StudyInstanceUID": ONE}
    assert dcmtk(program, tmp_path / "study", holder, "-P", **of_study) == OBJECTS
    assert dcmtk(program, tmp_path / "nobody", holder, "-P", **of_study | {"PatientID": "P9"}) == {}


# ------------------------------------------------------------------------------------------------ C-MOVE


def test_what_is_answered_to_a_move(holder: Holder, basket: Basket) -> None:
    """In the order of the instance numbers; the destination is told who asked."""
    answer = ask(holder, MOVE, study(), to="BASKET")
    assert (answer.statuses[0], answer.statuses[-1], answer.counts) == (0xFF00, 0, (6, 0, 0))
    assert basket.taken == OBJECTS
    of_series = [uid for uid in basket.taken if uid in {str(image(each).SOPInstanceUID) for each in range(9)}]
    assert of_series == [str(image(each).SOPInstanceUID) for each in range(1, IMAGES + 1)]
    assert basket.origins == {("ASKER", 7)}
    noted = [(actor, use.action, use.subject, use.study_instance_uid) for actor, use in holder.uses.noted]
    who = "dimse:ASKER@127.0.0.1"
    assert noted == [
        (who, Action.RETRIEVAL_BEGUN, "C-MOVE STUDY", ONE), (who, Action.RETRIEVAL_ENDED, "C-MOVE STUDY", ONE),
    ]  # fmt: skip
    begun, ended = (use.detail for _, use in holder.uses.noted)
    assert begun == {"to": "BASKET", "instances": 6}
    assert ended == {"to": "BASKET", "completed": 6, "failed": 0, "warnings": 0, "not_sent": 0}


def test_nothing_matches(holder: Holder, basket: Basket) -> None:
    answer = ask(holder, MOVE, study("1.2.3.4.5"), to="BASKET")
    assert (answer.statuses, answer.counts, basket.taken) == ([0], (0, 0, 0), {})


def test_an_unknown_destination(holder: Holder) -> None:
    answer = ask(holder, MOVE, study(), to="STRANGER")
    assert answer.statuses == [0xA801]
    assert answer.comment.startswith("the Move Destination is not configured here")
    assert holder.uses.noted == [], "nothing was begun"


def test_a_dead_destination_costs_only_its_own(holder: Holder, basket: Basket) -> None:
    answer = ask(holder, MOVE, study(), to="DEAD")
    assert (answer.statuses[-1], answer.counts, set(answer.failed)) == (0xA702, (0, 6, 0), set(OBJECTS))
    assert answer.comment.startswith("no connection")
    assert ask(holder, MOVE, study(), to="BASKET").counts == (6, 0, 0)


def test_one_that_hangs_holds_up_nobody_else(holder: Holder) -> None:
    """As many as may go to it at a time, and one more that waits for its turn."""
    go_on = threading.Event()
    dead = Basket(lambda uid: 0 if go_on.wait(300) else 0xA700, "DEAD", port=DEAD_PORT)
    with dead.open(), Basket(port=BASKET_PORT).open() as quick:
        series = identifier(
            QueryRetrieveLevel="SERIES", StudyInstanceUID=ONE, SeriesInstanceUID=str(result(SR).SeriesInstanceUID)
        )
        answers: list[Answer] = []
        threads = [
            threading.Thread(target=lambda: answers.append(ask(holder, MOVE, series, to="DEAD"))) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        try:
            assert ask(holder, MOVE, study(), to="BASKET").counts == (6, 0, 0)
            assert quick.taken == OBJECTS
        finally:
            go_on.set()
            for thread in threads:
                thread.join(300)
        assert [answer.counts for answer in answers] == [(1, 0, 0)] * 3


def test_a_destination_that_refuses_some(holder: Holder, basket: Basket) -> None:
    bad, odd = list(OBJECTS)[1], list(OBJECTS)[2]
    basket.judge = lambda uid: {bad: 0xA700, odd: 0xB000}.get(uid, 0)
    answer = ask(holder, MOVE, study(), to="BASKET")
    assert (answer.statuses[-1], answer.counts, answer.failed) == (0xB000, (4, 1, 1), [bad])
    assert answer.comment == "C-STORE answered A700H"


def test_a_destination_that_breaks_off(holder: Holder, basket: Basket) -> None:
    """What was not sent has failed, and is named."""
    dead = list(OBJECTS)[2]

    def take(event: Any) -> int:
        if str(event.request.AffectedSOPInstanceUID) == dead:
            event.assoc.abort()
            return 0xC000
        return Basket.take(basket, event)

    basket_taking = replace(basket, port=DEAD_PORT, ae_title="DEAD")
    basket_taking.take = take  # type: ignore[method-assign]
    with basket_taking.open():
        answer = ask(holder, MOVE, study(), to="DEAD")
    completed, failed, _ = answer.counts
    assert answer.statuses[-1] == 0xB000
    assert (completed + failed, failed > 0, dead in answer.failed) == (6, True, True)
    assert set(answer.failed) == set(OBJECTS) - set(basket.taken)


def test_what_the_destination_does_not_take(holder: Holder, tmp_path: Path) -> None:
    """A class that is refused, and a compressed image where only uncompressed ones are taken: each is named."""
    with storescp(tmp_path / "plain", "+B", port=BASKET_PORT):
        answer = ask(holder, MOVE, study(MIXED_STUDY), to="BASKET")
    assert (answer.statuses[-1], answer.counts) == (0xB000, (1, 2, 0))
    assert set(answer.failed) == {MIXED_UIDS["compressed"], MIXED_UIDS["label map"]}
    assert answer.comment.startswith("the destination does not take this ")
    with storescp(tmp_path / "j2k", "+B", "+xv", port=BASKET_PORT):
        answer = ask(holder, MOVE, study(MIXED_STUDY), to="BASKET")
        only = identifier(
            QueryRetrieveLevel="IMAGE", StudyInstanceUID=MIXED_STUDY, SOPInstanceUID=MIXED_UIDS["label map"],
            SeriesInstanceUID=str(data_set(LABEL_MAP, 1, "mixed").SeriesInstanceUID),
        )  # fmt: skip
        nothing = ask(holder, MOVE, only, to="BASKET")
    assert (answer.statuses[-1], answer.counts, answer.failed) == (0xB000, (2, 1, 0), [MIXED_UIDS["label map"]])
    assert answer.comment == "the destination does not take this SOP class"
    assert (nothing.statuses[-1], nothing.counts) == (0xA702, (0, 1, 0))
    taken = {data_set_of(path.read_bytes()) for path in (tmp_path / "j2k").iterdir()}
    assert data_set_of(COMPRESSED) in taken, "as it is here"


def test_a_move_is_canceled_in_the_middle(holder: Holder) -> None:
    with Basket(holder.await_cancel, port=BASKET_PORT).open() as basket:
        answer = ask(holder, MOVE, study(), to="BASKET", cancel=True)
    assert (answer.statuses[-1], answer.counts, answer.failed) == (0xFE00, (1, 0, 0), [])
    assert (answer.last.NumberOfRemainingSuboperations, len(basket.taken)) == (5, 1)
    (ended,) = [use.detail for _, use in holder.uses.noted if use.action is Action.RETRIEVAL_ENDED]
    assert ended == {"to": "BASKET", "completed": 1, "failed": 0, "warnings": 0, "not_sent": 5}


# ------------------------------------------------------------------------------------------------ C-GET


def test_what_is_answered_to_a_get(holder: Holder) -> None:
    basket = Basket()
    answer = ask(holder, GET, study(), basket=basket)
    assert (answer.statuses[0], answer.statuses[-1], answer.counts) == (0xFF00, 0, (6, 0, 0))
    assert basket.taken == OBJECTS
    assert [(use.action, use.subject, use.detail["to"]) for _, use in holder.uses.noted if use.detail] == [
        (Action.RETRIEVAL_BEGUN, "C-GET STUDY", ""), (Action.RETRIEVAL_ENDED, "C-GET STUDY", ""),
    ]  # fmt: skip
    of_patient = identifier(QueryRetrieveLevel="PATIENT", PatientID="P1")
    assert ask(holder, PATIENT_GET, of_patient, basket=basket, syntax=ImplicitVRLittleEndian).counts == (6, 0, 0)


def test_what_comes_in_the_syntax_that_was_accepted(holder: Holder) -> None:
    """What is uncompressed is written anew; what is compressed fails by name; reports come in any case."""
    basket = Basket(syntaxes=[str(ImplicitVRLittleEndian)])
    answer = ask(holder, GET, study(MIXED_STUDY), basket=basket)
    assert (answer.statuses[-1], answer.counts, answer.failed) == (0xB000, (2, 1, 0), [MIXED_UIDS["compressed"]])
    assert answer.comment == "the destination does not take this transfer syntax"
    assert basket.taken[MIXED_UIDS["plain"]] == data_set_of(PLAIN)
    assert ask(holder, GET, study(), basket=basket).counts == (6, 0, 0)
    basket = Basket(syntaxes=[str(JPEG2000Lossless), *UNCOMPRESSED], classes=[MR, SR, SEG])
    answer = ask(holder, GET, study(MIXED_STUDY), basket=basket)
    assert basket.taken == {MIXED_UIDS["compressed"]: data_set_of(COMPRESSED)}
    assert set(answer.failed) == {MIXED_UIDS["plain"], MIXED_UIDS["label map"]}
    answer = ask(holder, GET, study(), basket=Basket(syntaxes=[str(JPEG2000Lossless), *UNCOMPRESSED], classes=[SR]))
    assert (answer.statuses[-1], answer.counts[0]) == (0xB000, 1), "the report, though a syntax of images comes first"


def test_one_who_is_no_scp_is_sent_nothing(holder: Holder) -> None:
    """Storage contexts without the role: they are for sending to us."""
    entity = ClosingEntity(ae_title="ASKER")
    contexts = [build_context(GET), build_context(MR)]
    association = entity.associate(*holder.address, contexts=contexts, ae_title=AE_TITLE, evt_handlers=[*QUICK])
    *_, (last, _) = association.send_c_get(study(), GET)
    association.release()
    assert (int(last.Status), int(last.NumberOfFailedSuboperations)) == (0xA702, 6)


def test_a_get_is_canceled_in_the_middle(holder: Holder) -> None:
    answer = ask(holder, GET, study(), basket=Basket(holder.await_cancel), cancel=True)
    assert (answer.statuses[-1], answer.counts) == (0xFE00, (1, 0, 0))
    assert answer.last.NumberOfRemainingSuboperations == 5


def test_a_basket_that_refuses(holder: Holder) -> None:
    answer = ask(holder, GET, study(), basket=Basket(lambda uid: 0xA700))
    assert (answer.statuses[-1], answer.counts, set(answer.failed)) == (0xA702, (0, 6, 0), set(OBJECTS))


def test_one_who_asks_and_goes(holder: Holder) -> None:
    """Aborts while it is sent to: nothing hangs, the next one is served."""

    def leave(event: Any) -> int:
        event.assoc.abort()
        return 0

    basket = Basket()
    basket.take = leave  # type: ignore[method-assign]
    with contextlib.suppress(RuntimeError, IndexError, ValueError, UnboundLocalError, AttributeError):
        ask(holder, GET, study(), basket=basket, timeout_s=1.0)
    wait_for(
        lambda: any(use.action is Action.RETRIEVAL_ENDED for _, use in holder.uses.noted), "it ended", timeout_s=120
    )
    (ended,) = [use.detail for _, use in holder.uses.noted if use.action is Action.RETRIEVAL_ENDED]
    assert ended is not None
    assert ended["completed"] == 0
    assert ask(holder, GET, study(), basket=Basket()).counts == (6, 0, 0)


# ------------------------------------------------------------------------------------------------ bad input


SERIES_UID = str(image(1).SeriesInstanceUID)


@pytest.mark.parametrize(
    ("model", "wanted", "comment"),
    [
        (MOVE, {"StudyInstanceUID": ONE}, "no Query/Retrieve Level"),
        (MOVE, {"QueryRetrieveLevel": "PATIENT", "PatientID": "P1"}, "no Query/Retrieve Level of this"),
        (MOVE, {"QueryRetrieveLevel": "FRAME", "StudyInstanceUID": ONE}, "no Query/Retrieve Level of this"),
        (MOVE, {"QueryRetrieveLevel": "STUDY"}, "StudyInstanceUID names nothing to be sent"),
        (MOVE, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ""}, "StudyInstanceUID names nothing to be sent"),
        (MOVE, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "*"}, "StudyInstanceUID names nothing to be sent"),
        (MOVE, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.*"}, "StudyInstanceUID is not a UID"),
        (MOVE, {"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": SERIES_UID}, "StudyInstanceUID is not a single"),
        (MOVE, {"QueryRetrieveLevel": "IMAGE", "StudyInstanceUID": ONE, "SOPInstanceUID": "1.2"},
         "SeriesInstanceUID is not a single value"),
        (PATIENT_MOVE, {"QueryRetrieveLevel": "PATIENT", "PatientID": "P*"}, "PatientID names nothing to be sent"),
        (PATIENT_MOVE, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ONE}, "PatientID is not a single value"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Invalid value")
def test_identifiers_that_name_nothing(holder: Holder, model: str, wanted: dict[str, Any], comment: str) -> None:
    """A wildcard, or nothing at all, does not mean everything."""
    answer = ask(holder, model, identifier(**wanted), to="BASKET")
    assert answer.statuses == [0xA900]
    assert answer.comment.startswith(comment)


@pytest.mark.parametrize("encoded", [b"\x08\x00\x52\x00\xff\xff\xff\x7fST", None])
def test_an_identifier_that_cannot_be_read_or_is_none(holder: Holder, encoded: bytes | None) -> None:
    association = associated(holder, "ASKER", MOVE)
    request = C_MOVE()
    request.MessageID, request.Priority, request.AffectedSOPClassUID = 7, 2, UID(MOVE)
    request.MoveDestination = "BASKET"
    request.Identifier = None if encoded is None else BytesIO(encoded)
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id or 1)
    _, response = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    association.release()
    assert isinstance(response, C_MOVE)
    assert response.Status == 0xA900


def test_bytes_that_are_gone_or_others(tmp_path: Path) -> None:
    """Each is named, and the rest is sent."""
    with holding(tmp_path / "node", QUERY) as holder, Basket(port=BASKET_PORT).open() as basket:
        holder.receive(*(part10(image(number)) for number in range(1, IMAGES + 1)))
        gone, other = (str(image(number).SOPInstanceUID) for number in (1, 2))
        for path in (tmp_path / "node" / "var" / "instances").rglob("*"):
            if path.is_file() and gone in path.name:
                path.unlink()
            elif path.is_file() and other in path.name:
                content = bytearray(path.read_bytes())
                content[-1] ^= 1
                path.write_bytes(content)
        answer = ask(holder, MOVE, study(), to="BASKET")
        assert (answer.statuses[-1], answer.counts, answer.failed) == (0xB000, (2, 2, 0), [gone, other])
        assert len(basket.taken) == 2


def test_a_study_of_many_images(tmp_path: Path) -> None:
    """In order, and more than one retrieval may count is refused before anything is sent."""
    many = 120
    with holding(tmp_path / "node", QUERY) as holder, Basket(port=BASKET_PORT).open() as basket:
        holder.receive(*(part10(image(number)) for number in range(many, 0, -1)))
        answer = ask(holder, MOVE, study(), to="BASKET")
        assert (answer.statuses[-1], answer.counts) == (0, (many, 0, 0))
        assert list(basket.taken) == [str(image(number).SOPInstanceUID) for number in range(1, many + 1)]
        basket.taken.clear()
        few = RetrieveScp(SqlRetrievable(holder.records.engine), NoCarriers(), holder.uses, most=many - 1)
        with serving(tmp_path / "few", services=[few]) as site:
            answer = ask(Holder(holder.records, holder.uses, site.address), MOVE, study(), to="BASKET")
        assert (answer.statuses, answer.comment) == ([0xA701], f"more than {many - 1} instances")


class NoCarriers:
    """They know everybody, and carry nothing."""

    def knows(self, ae_title: str) -> bool:
        return True

    def move(self, *_: Any) -> Any:
        raise AssertionError("nothing is to be sent")

    give = move


# ------------------------------------------------------------------------------------------------ who may ask


def associated(holder: Holder, ae_title: str, *abstract_syntaxes: str) -> Association:
    entity = ClosingEntity(ae_title=ae_title)
    contexts = [build_context(uid) for uid in abstract_syntaxes]
    return entity.associate(*holder.address, contexts=contexts, ae_title=AE_TITLE, evt_handlers=[*QUICK])


def test_who_is_not_named_may_store_and_not_ask(holder: Holder) -> None:
    for asked_for in (StudyRootQueryRetrieveInformationModelFind, MOVE, GET):
        assert associated(holder, "STRANGER", asked_for).is_rejected
        association = associated(holder, "STRANGER", asked_for, MR)
        assert [context.abstract_syntax for context in association.accepted_contexts] == [MR]
        association.release()
        named = associated(holder, "ASKER", asked_for, MR)
        assert len(named.accepted_contexts) == 2
        named.release()


def test_nobody_is_named(tmp_path: Path) -> None:
    with holding(tmp_path / "node", "") as holder:
        association = associated(holder, "ASKER", StudyRootQueryRetrieveInformationModelFind, MR)
        assert [context.abstract_syntax for context in association.accepted_contexts] == [MR]
        association.release()


def test_without_its_log_nothing_is_sent(holder: Holder, basket: Basket) -> None:
    holder.uses.fails = True
    try:
        answer = ask(holder, MOVE, study(), to="BASKET")
    finally:
        holder.uses.fails = False
    assert answer.statuses == [0xA701]
    assert answer.comment.startswith("StoreUnavailable: the log of uses")
    assert basket.taken == {}
