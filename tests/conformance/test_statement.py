"""docs/conformance.md: its tables are the code's, and a running node negotiates what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage, ImplicitVRLittleEndian, JPEGBaseline8Bit, UID_dictionary
from pynetdicom import build_context, evt, sop_class
from pynetdicom.presentation import PresentationContext

from node.app import conformance
from node.deliver.archive import GET, DimseArchive
from node.deliver.association import QUICK, ClosingEntity, Peer
from node.deliver.carrying import Carriers
from node.deliver.find import FindSource
from node.deliver.negotiation import MAX_CONTEXTS, Syntax
from node.deliver.storage_scu import DimseDestination
from node.deliver.taken_classes import IMAGES, TAKEN
from node.domain.study import ByteRange, SopRef
from node.errors import SopClassRefused
from node.ports import Outgoing
from node.ports.retrieval import Incoming
from node.receive.query.find_scp import FindScp
from node.receive.query.retrieve_scp import RetrieveScp
from node.results.context import LABEL_MAP_SEGMENTATION
from tests.conformance.golden import Study
from tests.conformance.pages import CONFORMANCE, generated
from tests.fakes.holdings import FakeHoldings
from tests.fakes.uses import MemoryUses
from tests.integration.receiving import AE_TITLE, Site, serving

NOBODY = Carriers({}, lambda one: ByteRange("", 0, 0))
IMPLICIT = str(ImplicitVRLittleEndian)
# A class that nobody has defined, in the root of the standard and in a private one.
UNKNOWN, PRIVATE = "1.2.840.10008.5.1.4.1.1.9999", "1.2.826.0.1.3680043.9.9999.1"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    services = [FindScp(FakeHoldings(), AE_TITLE, 1, MemoryUses()), RetrieveScp(FakeHoldings(), NOBODY, MemoryUses())]
    with serving(tmp_path_factory.mktemp("node"), services=services) as site:
        yield site


@pytest.fixture
def study(golden: Study) -> Study:
    return golden


# ---------------------------------------------------------------- the page


@pytest.mark.parametrize("name", conformance.tables())
def test_the_page_has_the_tables_of_the_code(name: str) -> None:
    assert generated(name) == conformance.tables()[name]


def test_filling_the_page_anew_changes_nothing(tmp_path: Path) -> None:
    copy = tmp_path / "conformance.md"
    text = CONFORMANCE.read_text(encoding="utf-8")
    copy.write_text(text.replace("| Verification SOP Class", "| something else"), encoding="utf-8")
    conformance.main([str(copy)])
    assert copy.read_text(encoding="utf-8") == text


def test_every_class_that_is_written_has_a_row(study: Study) -> None:
    assert {one.kind for one in study.objects} == {conformance.in_words(uid) for uid in conformance.RESULTS}
    assert conformance.in_words(LABEL_MAP_SEGMENTATION) == "Label Map Segmentation Storage"


# ---------------------------------------------------------------- as acceptor


def accepted(site: Site, proposed: Sequence[Syntax]) -> set[Syntax]:
    """What the node accepts of these, each in a context of its own, in as many associations as that takes."""
    taken: set[Syntax] = set()
    for start in range(0, len(proposed), MAX_CONTEXTS - 1):
        part = [build_context(*each) for each in proposed[start : start + MAX_CONTEXTS - 1]]
        # Something is always accepted, so that there is an association.
        part.append(build_context(sop_class.Verification, IMPLICIT))  # type: ignore[attr-defined]
        entity = ClosingEntity(ae_title="CT1")
        association = entity.associate(*site.address, contexts=part, ae_title=AE_TITLE, evt_handlers=list(QUICK))
        assert association.is_established
        taken |= {_syntax(context) for context in association.accepted_contexts}
        association.release()
    return taken & set(proposed)


def _syntax(context: PresentationContext) -> Syntax:
    (transfer_syntax,) = context.transfer_syntax
    return Syntax(str(context.abstract_syntax), str(transfer_syntax))


def test_every_storage_class_is_accepted(site: Site) -> None:
    rows = [Syntax(uid, IMPLICIT) for uid in [*conformance.storage_classes(), UNKNOWN, PRIVATE]]
    assert len(rows) > 150
    assert accepted(site, rows) == set(rows)


def test_every_transfer_syntax_is_accepted_as_it_is(site: Site) -> None:
    rows = [Syntax(CTImageStorage, uid) for uid in [*conformance.transfer_syntaxes(), f"{PRIVATE}.1"]]
    assert len(rows) > 30
    assert accepted(site, rows) == set(rows)


def test_the_other_rows_are_accepted_with_their_transfer_syntaxes_alone(site: Site) -> None:
    rows = [Syntax(uid, each) for uid, syntaxes in conformance.other_scp_contexts() for each in syntaxes]
    compressed = [Syntax(uid, str(JPEGBaseline8Bit)) for uid, _ in conformance.other_scp_contexts()]
    assert accepted(site, [*rows, *compressed]) == set(rows)


def test_no_class_of_another_service_is_accepted(site: Site) -> None:
    listed = {*conformance.storage_classes(), *(uid for uid, _ in conformance.other_scp_contexts())}
    known = {
        str(uid)
        for name, uids in vars(sop_class).items()
        if name.endswith("_CLASSES") and isinstance(uids, dict)
        for uid in uids.values()
        if isinstance(uid, str)
    }
    retired = {uid for uid, entry in UID_dictionary.items() if "SOP Class" in entry[1] and "Management" in entry[0]}
    others = sorted((known | retired) - listed)
    assert len(others) > 80
    assert str(sop_class.ModalityWorklistInformationFind) in others  # type: ignore[attr-defined]
    assert str(sop_class.PatientStudyOnlyQueryRetrieveInformationModelMove) in others  # type: ignore[attr-defined]
    assert accepted(site, [Syntax(uid, IMPLICIT) for uid in others]) == set()


# ---------------------------------------------------------------- as requestor


@contextmanager
def refusing(proposed: list[Syntax]) -> Iterator[Peer]:
    """A peer that notes what is proposed to it, and refuses every context."""

    def on_request(event: evt.Event) -> None:
        request = event.assoc.requestor.primitive
        proposed.extend(_syntax(context) for context in request.presentation_context_definition_list)

    entity = ClosingEntity(ae_title="PEER")
    entity.add_supported_context(UNKNOWN)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[*QUICK, (evt.EVT_REQUESTED, on_request)])
    assert server is not None
    try:
        yield Peer("PEER", "127.0.0.1", server.server_address[1], "AINODE", 30.0)
    finally:
        server.shutdown()
        entity.shutdown()


def test_what_is_proposed_is_what_the_page_says(study: Study) -> None:
    words = {conformance.in_words(uid): uid for uid in conformance.RESULTS}
    objects = [
        Outgoing(words[one.kind], f"1.2.{number}", ByteRange(str(one.path), 0, one.path.stat().st_size))
        for number, one in enumerate(study.objects)
    ]
    results: list[object] = []
    activities: dict[str, Callable[[Peer], object]] = {
        "C-STORE": lambda peer: results.extend(DimseDestination("pacs", peer).send(objects)),
        "N-ACTION": lambda peer: DimseDestination("pacs", peer).request_commitment(
            "1.2.3", [SopRef(objects[0].sop_class_uid, "1.2.0")]
        ),
        "C-ECHO": lambda peer: DimseDestination("pacs", peer).echo(),
        "C-FIND": lambda peer: FindSource("pacs", peer).count("1.2.3", "1.2.3.4"),
        "C-MOVE": lambda peer: DimseArchive("pacs", peer, None).retrieve("1.2.3"),
    }
    rows = conformance.scu_contexts()
    assert set(activities) == set(rows)
    for name, act in activities.items():
        proposed: list[Syntax] = []
        with refusing(proposed) as peer:
            if name == "C-STORE":
                act(peer)
            else:
                with pytest.raises(SopClassRefused):
                    act(peer)
        assert sorted(proposed) == sorted(rows[name]), name
    assert len(results) == len(objects)


def test_what_is_proposed_to_get_a_study() -> None:
    """Each class with both roles that this takes: we ask, and are sent."""
    proposed: list[tuple[str, tuple[str, ...]]] = []
    roles: set[str] = set()

    def on_request(event: evt.Event) -> None:
        for context in event.assoc.requestor.primitive.presentation_context_definition_list:
            proposed.append((str(context.abstract_syntax), tuple(map(str, context.transfer_syntax))))
        roles.update(str(uid) for uid, role in event.assoc.requestor.role_selection.items() if role.scp_role)

    class Nobody:
        def take(self, incoming: Incoming) -> int:
            raise AssertionError

        def close(self, how: str) -> None:
            assert how == "lost"

    entity = ClosingEntity(ae_title="PEER")
    entity.add_supported_context(UNKNOWN)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[*QUICK, (evt.EVT_REQUESTED, on_request)])
    assert server is not None
    try:
        peer = Peer("PEER", "127.0.0.1", server.server_address[1], "AINODE", 30.0)
        with pytest.raises(SopClassRefused):
            DimseArchive("pacs", peer, Nobody).retrieve("1.2.3")
    finally:
        server.shutdown()
        entity.shutdown()
    assert proposed[0] == (str(GET), (IMPLICIT,))
    assert roles == set(TAKEN)
    uncompressed = [uid for uid, syntaxes in proposed if IMPLICIT in syntaxes]
    assert uncompressed == [str(GET), *TAKEN]
    assert [uid for uid, syntaxes in proposed if IMPLICIT not in syntaxes] == list(IMAGES)
