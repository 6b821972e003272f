"""C-FIND as SCP: DCMTK's findscu and pynetdicom ask a receiver that serves queries beside storage."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator, Mapping
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    MRImageStorage,
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
)

from node.database.catalogue import SqlCatalogue
from node.database.engine import make_engine
from node.database.holdings import SqlHoldings
from node.database.migrations import upgrade
from node.deliver.association import QUICK, ClosingEntity
from node.domain.query import Query
from node.domain.study import Value
from node.errors import StoreUnavailable
from node.receive.query.find_scp import FindScp
from tests.contract.rows import stored
from tests.fakes.outbox import StandingClock
from tests.fakes.uses import MemoryUses
from tests.integration.receiving import AE_TITLE, Site, serving
from tests.objects import data_set, part10
from tests.peers import require_program
from tests.waiting import wait_for

MAX_MATCHES = 5
NAMES = ("Smith^John", "Müller^Jörg", "Yamada^Tarou=山田^太郎=やまだ^たろう", "Ivanov^Ivan", "Smith^Ann")
# Status, and the Error Comment where there is one.
Ended = tuple[int, str]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Five studies of five patients; the first has three images."""
    root = tmp_path_factory.mktemp("node")
    engine = make_engine(f"sqlite:///{root / 'node.db'}")
    upgrade(engine)
    clock = StandingClock()
    catalogue = SqlCatalogue(engine, clock)
    for number, name in enumerate(NAMES, 1):
        for image in range(1, 4 if number == 1 else 2):
            headers: dict[str, Value] = {
                "PatientName": name, "PatientID": f"P{number}", "StudyDate": f"2020010{number}", "StudyTime": "1015",
                "InstanceNumber": image, "SeriesNumber": 7, "Rows": 512, "AccessionNumber": f"A{number}",
            }  # fmt: skip
            place = {"study": f"1.{number}", "series": f"1.{number}.1"}
            catalogue.record(stored(f"1.{number}.1.{image}", clock.now(), attributes=headers, **place))
    services = [FindScp(SqlHoldings(engine, lambda key: {}), AE_TITLE, MAX_MATCHES, MemoryUses())]
    with serving(root / "site", services=services) as site:
        yield site
    engine.dispose()


# ------------------------------------------------------------------------------------------------ DCMTK


def findscu(site: Site, folder: Path, *arguments: str) -> list[Dataset]:
    """The answers that DCMTK's findscu has written."""
    host, port = site.address
    command = [require_program("findscu"), "-X", "-od", str(folder), "-aec", AE_TITLE, *arguments, host, str(port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [dcmread(path, force=True) for path in sorted(folder.glob("rsp*.dcm"))]


def keys(**wanted: str) -> list[str]:
    return [part for name, value in wanted.items() for part in ("-k", f"{name}={value}")]


def test_findscu_asks_for_studies(asked: Site, tmp_path: Path) -> None:
    wanted = keys(QueryRetrieveLevel="STUDY", StudyDate="20200102-20200103", PatientName="", StudyInstanceUID="",
                  NumberOfStudyRelatedInstances="", ModalitiesInStudy="CT")  # fmt: skip
    found = findscu(asked, tmp_path, "-S", *wanted)
    assert [one.StudyInstanceUID for one in found] == ["1.2", "1.3"]
    assert [str(one.PatientName) for one in found] == [NAMES[1], NAMES[2]]
    assert {one.SpecificCharacterSet for one in found} == {"ISO_IR 192"}
    assert {one.RetrieveAETitle for one in found} == {AE_TITLE}
    assert [one.NumberOfStudyRelatedInstances for one in found] == [1, 1]


def test_findscu_asks_in_latin_1(asked: Site, tmp_path: Path) -> None:
    """The key is read in the character set that the identifier names."""
    identifier = Dataset()
    identifier.SpecificCharacterSet = "ISO_IR 100"
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.PatientName = "mül*"
    identifier.StudyInstanceUID = ""
    path = tmp_path / "query.dcm"
    identifier.save_as(path, implicit_vr=True, little_endian=True)
    host, port = asked.address
    done = subprocess.run(
        [require_program("findscu"), "-S", "-X", "-od", str(tmp_path), "-aec", AE_TITLE, host, str(port), str(path)],
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [dcmread(one, force=True) for one in sorted(tmp_path.glob("rsp*.dcm"))]
    assert [one.StudyInstanceUID for one in found] == ["1.2"]


def test_findscu_goes_down_the_patient_root(asked: Site, tmp_path: Path) -> None:
    steps: list[tuple[str, str, dict[str, str], list[str]]] = [
        ("PATIENT", "PatientID", {"PatientName": "SMITH^*"}, ["P1", "P5"]),
        ("STUDY", "StudyInstanceUID", {"PatientID": "P1"}, ["1.1"]),
        ("SERIES", "SeriesInstanceUID", {"PatientID": "P1", "StudyInstanceUID": "1.1"}, ["1.1.1"]),
        ("IMAGE", "InstanceNumber",
         {"PatientID": "P1", "StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.1.1"}, ["1", "2", "3"]),
    ]  # fmt: skip
    for level, keyword, above, expected in steps:
        folder = tmp_path / level
        folder.mkdir()
        found = findscu(asked, folder, "-P", *keys(QueryRetrieveLevel=level, **{keyword: ""}, **above))
        assert [str(one[keyword].value) for one in found] == expected, level


def test_findscu_cancels(asked: Site, tmp_path: Path) -> None:
    """It has what came before its C-CANCEL, and the association is released as ever."""
    wanted = keys(QueryRetrieveLevel="STUDY", StudyInstanceUID="")
    assert 1 <= len(findscu(asked, tmp_path, "-S", "--cancel", "1", *wanted)) <= len(NAMES)


# ------------------------------------------------------------------------------------------------ pynetdicom


def ask(
    site: Site, model: str = StudyRootQueryRetrieveInformationModelFind, **wanted: Any
) -> tuple[list[Dataset], list[int], Ended]:
    """The matches, their statuses, and how the answer ended."""
    identifier = Dataset()
    for keyword, value in wanted.items():
        setattr(identifier, keyword, value)
    entity = ClosingEntity(ae_title="ASKER")
    association = entity.associate(
        *site.address, contexts=[build_context(model, ExplicitVRLittleEndian)], ae_title=AE_TITLE, evt_handlers=[*QUICK]
    )
    assert association.is_established
    try:
        answers = list(association.send_c_find(identifier, model))
    finally:
        association.release()
    *pending, (last, _) = answers
    found = [match for _, match in pending if match is not None]
    return found, [int(status.Status) for status, _ in pending], (int(last.Status), str(last.get("ErrorComment", "")))


def test_keys_that_are_not_known_are_named_so(asked: Site) -> None:
    found, statuses, ended = ask(asked, QueryRetrieveLevel="STUDY", PatientID="P1", ReferringPhysicianName="Who")
    assert (statuses, ended) == ([0xFF01], (0, ""))
    assert "ReferringPhysicianName" not in found[0]
    assert found[0].PatientID == "P1"
    assert "SpecificCharacterSet" not in found[0]


@pytest.mark.parametrize(
    ("wanted", "comment"),
    [
        ({"PatientID": "P1"}, "no Query/Retrieve Level"),
        ({"QueryRetrieveLevel": "PATIENT"}, "no Query/Retrieve Level"),
        ({"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": ""}, "StudyInstanceUID is not a single value"),
        ({"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": ["1.1", "1.2"]}, "StudyInstanceUID is not a single"),
        ({"QueryRetrieveLevel": "IMAGE", "StudyInstanceUID": "1.1"}, "SeriesInstanceUID is not a single value"),
        ({"QueryRetrieveLevel": "STUDY", "NumberOfStudyRelatedInstances": "1", "StudyDate": "20201-1"}, "a key is no"),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value")
def test_queries_of_another_model_are_refused(asked: Site, wanted: Mapping[str, Any], comment: str) -> None:
    found, _, (status, said) = ask(asked, **wanted)
    assert (found, status) == ([], 0xA900)
    assert said.startswith(comment)


def test_more_matches_than_are_answered(asked: Site) -> None:
    """Whoever gets a part is told that it is one."""
    full, _, ended = ask(asked, QueryRetrieveLevel="STUDY", StudyInstanceUID="")
    assert (len(full), ended) == (MAX_MATCHES, (0, ""))
    with serving_studies(MAX_MATCHES + 1, asked.root.parent / "more") as site:
        found, _, ended = ask(site, QueryRetrieveLevel="STUDY", StudyInstanceUID="")
    assert (len(found), ended) == (MAX_MATCHES, (0xA700, "more than 5 matches"))


class Many:
    """So many studies, or none and an error; it knows how many were taken, and waits at one until it may go on."""

    def __init__(self, number: int | None, stop_at: int | None = None) -> None:
        self._number = number
        self._stop_at = stop_at
        self.taken = 0
        self.go_on = threading.Event()

    def find(self, query: Query) -> Iterator[Mapping[str, Value]]:
        if self._number == 0:
            raise StoreUnavailable("the database does not answer")
        for number in count(1) if self._number is None else range(1, self._number + 1):
            if number == self._stop_at:
                assert self.go_on.wait(60)
            self.taken = number
            yield {"StudyInstanceUID": f"1.{number}"}


def serving_studies(number: int | None, root: Path, stop_at: int | None = None) -> Any:
    return serving(
        root, services=[FindScp(Many(number, stop_at), AE_TITLE, MAX_MATCHES if number else 10**9, MemoryUses())]
    )


def test_a_database_that_does_not_answer(tmp_path: Path) -> None:
    with serving_studies(0, tmp_path) as site:
        found, _, ended = ask(site, QueryRetrieveLevel="STUDY", PatientID="")
        assert (found, ended) == ([], (0xA700, "StoreUnavailable"))
        assert ask(site, QueryRetrieveLevel="STUDY", PatientID="")[2] == ended


def test_a_cancel_ends_an_endless_answer(tmp_path: Path) -> None:
    many = Many(None, stop_at=3)
    model = StudyRootQueryRetrieveInformationModelFind
    with serving(tmp_path, services=[FindScp(many, AE_TITLE, 10**9, MemoryUses())]) as site:
        entity = ClosingEntity(ae_title="ASKER")
        contexts = [build_context(model, ExplicitVRLittleEndian)]
        association = entity.associate(*site.address, contexts=contexts, ae_title=AE_TITLE, evt_handlers=[*QUICK])
        identifier = Dataset()
        identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = "STUDY", ""
        statuses = []
        for status, _ in association.send_c_find(identifier, model, msg_id=7):
            statuses.append(int(status.Status))
            if len(statuses) == 1:
                association.send_c_cancel(7, query_model=model)
                many.go_on.set()
        association.release()
    assert statuses[-1] == 0xFE00
    assert set(statuses[:-1]) == {0xFF00}


def test_images_are_stored_while_a_query_is_answered(tmp_path: Path) -> None:
    """One association waits for its answer; another stores by the fast path, and so does the same one afterwards."""
    many = Many(4, stop_at=3)
    model = PatientRootQueryRetrieveInformationModelFind
    contexts = [build_context(model, ExplicitVRLittleEndian), build_context(MRImageStorage, ExplicitVRLittleEndian)]
    with serving(tmp_path, services=[FindScp(many, AE_TITLE, 100, MemoryUses())], kind="journal") as site:
        entity = ClosingEntity(ae_title="BOTH")

        def associate() -> Any:
            return entity.associate(*site.address, contexts=contexts, ae_title=AE_TITLE, evt_handlers=[*QUICK])

        asking, storing = associate(), associate()
        identifier = Dataset()
        identifier.QueryRetrieveLevel, identifier.PatientID = "PATIENT", ""
        answers: list[int] = []

        def query() -> None:
            answers.extend(int(status.Status) for status, _ in asking.send_c_find(identifier, model))

        thread = threading.Thread(target=query)
        thread.start()
        wait_for(lambda: many.taken == 2, "the query is under way", timeout_s=60.0)
        assert storing.send_c_store(dcmread(BytesIO(part10(data_set(number=1))))).Status == 0
        many.go_on.set()
        thread.join(60)
        assert answers == [0xFF00] * 4 + [0]
        assert asking.send_c_store(dcmread(BytesIO(part10(data_set(number=2))))).Status == 0
        storing.release()
        asking.release()
        wait_for(lambda: len(site.catalogue.stored()) == 2, "both images are recorded")


def test_every_query_is_in_the_log_of_uses(tmp_path: Path) -> None:
    """Which keys, never their values; without the log nothing is answered."""
    uses = MemoryUses()
    with serving(tmp_path, services=[FindScp(Many(3), AE_TITLE, 2, uses)]) as site:
        ask(site, QueryRetrieveLevel="STUDY", StudyInstanceUID="", PatientName="Secret*")
        ask(site, QueryRetrieveLevel="SERIES", StudyInstanceUID="1.2")
        wait_for(lambda: len(uses.noted) == 2, "both are noted")
        uses.fails = True
        assert ask(site, QueryRetrieveLevel="STUDY", StudyInstanceUID="")[2] == (0xA700, "StoreUnavailable")
    assert {actor for actor, _ in uses.noted} == {"dimse:ASKER@127.0.0.1"}
    first, second = (use for _, use in uses.noted)
    assert (first.subject, first.study_instance_uid) == ("C-FIND STUDY", None)
    assert first.detail == {"keys": ["PatientName"], "matches": 2}
    assert (second.subject, second.study_instance_uid) == ("C-FIND SERIES", "1.2")


def test_without_queries_they_are_refused(tmp_path: Path) -> None:
    with serving(tmp_path) as site:
        entity = ClosingEntity(ae_title="ASKER")
        contexts = [build_context(StudyRootQueryRetrieveInformationModelFind)]
        association = entity.associate(*site.address, contexts=contexts, ae_title=AE_TITLE, evt_handlers=[*QUICK])
        assert not association.is_established
        assert association.rejected_contexts or association.is_aborted
