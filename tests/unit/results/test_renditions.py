"""A SEG in another type with its own reports; the KOS, which is for every destination; and who gets what."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from node.domain.rendition import NO_WISHES, Rendition, Wishes
from node.domain.result import DocumentRef, EarlierResult, InferenceResult, Outcome
from node.domain.study import SopRef
from node.errors import ResultVerificationFailed
from node.ports import EncodedObject, Run
from node.results.context import ResultContext
from node.results.predecessors import documents_named
from node.results.reading import evidence, name_of, references
from node.results.source import read_headers
from node.results.verify import verify
from node.results.writer import ENCODERS, DicomResultWriter
from tests.unit.results.runs import MAKER, run_on

LABELMAP, DECLARED = Rendition.LABELMAP, Rendition.AS_DECLARED
WANTS_LABELMAP = Wishes(segmentation=LABELMAP)
KO, SEG, SR = "KO", "SEG", "SR"


def read(written: EncodedObject) -> Dataset:
    return pydicom.dcmread(io.BytesIO(written.part10))


def kinds(objects: Sequence[EncodedObject]) -> list[tuple[str, Rendition | None]]:
    return [(one.modality, one.rendition) for one in objects]


def sent(objects: Sequence[EncodedObject], wishes: Wishes) -> list[EncodedObject]:
    written = {one.rendition for one in objects}
    return [one for one in objects if wishes.take(one.rendition, written)]


def asking(run: Run, *renditions: Rendition) -> Run:
    return replace(run, renditions=frozenset(renditions))


def said(objects: Sequence[EncodedObject]) -> EarlierResult:
    """What the history tells of a run that wrote these."""
    sets: dict[Rendition | None, EarlierResult] = {}
    for one in reversed(objects):
        if one.modality == SR:
            ref = DocumentRef("1.2.3", one.series_instance_uid, one.sop_class_uid, one.sop_instance_uid)
            own = LABELMAP if one.rendition is LABELMAP else None
            known = sets.get(own, EarlierResult((), one.predecessors))
            sets[own] = replace(known, reports=(*known.reports, ref))
    return replace(sets[None], sets={LABELMAP: sets[LABELMAP]} if LABELMAP in sets else {})


@pytest.fixture
def run(series: list[Path]) -> Run:
    """With key images: the second slice and the fourth."""
    run = run_on(series)
    assert run.grid is not None
    return replace(run, result=replace(run.result, key_images=(run.grid.sources[1], run.grid.sources[3])))


def test_without_a_wish_nothing_changes(run: Run, writer: DicomResultWriter) -> None:
    """The same bytes, also where somebody wants the type that the model declares anyway."""
    objects = writer.write(run)
    assert kinds(objects) == [(SEG, None), (KO, None), (SR, None)]
    assert writer.write(asking(run, Rendition.BINARY)) == objects


def test_a_second_type_is_a_set_of_its_own_beside_the_declared_one(run: Run, writer: DicomResultWriter) -> None:
    alone, both = writer.write(run), writer.write(asking(run, LABELMAP))
    assert kinds(both) == [(SEG, LABELMAP), (SR, LABELMAP), (SEG, DECLARED), (KO, None), (SR, DECLARED)]
    assert [replace(one, rendition=None) for one in both[2:]] == list(alone)
    assert len({one.sop_instance_uid for one in both}) == len(both)
    assert len({one.series_instance_uid for one in both}) == len(both)
    assert read(both[0]).SegmentationType == "LABELMAP"
    tracked = [
        {str(item.TrackingUID) for item in read(one).SegmentSequence if "TrackingUID" in item} for one in both[::2][:2]
    ]
    assert tracked[0] == tracked[1]


@pytest.mark.parametrize("wishes", [NO_WISHES, WANTS_LABELMAP, Wishes(segmentation=Rendition.BINARY)])
def test_no_destination_gets_a_reference_to_what_it_does_not_get(
    run: Run, writer: DicomResultWriter, wishes: Wishes
) -> None:
    got = sent(writer.write(asking(run, LABELMAP)), wishes)
    assert sorted(one.modality for one in got) == [KO, SEG, SR]
    known = {source.instance.sop_instance_uid for source in run.sources} | {one.sop_instance_uid for one in got}
    for one in got:
        dataset = read(one)
        named = {ref.sop_instance_uid for ref in [*references(dataset), *evidence(dataset)]}
        assert named <= known
    assert ("LABELMAP" in {read(one).get("SegmentationType") for one in got}) is (wishes is WANTS_LABELMAP)


def test_a_negative_result_has_one_set_for_all(run: Run, writer: DicomResultWriter) -> None:
    objects = writer.write(asking(replace(run, result=InferenceResult(Outcome.NEGATIVE)), LABELMAP))
    assert kinds(objects) == [(SR, None)]
    assert sent(objects, WANTS_LABELMAP) == list(objects)


def test_each_set_names_the_predecessor_of_its_own(run: Run, writer: DicomResultWriter) -> None:
    first = said(writer.write(asking(run, LABELMAP)))
    again = replace(run, job=replace(run.job, revision=1), earlier=(first,))
    second = writer.write(asking(again, LABELMAP))
    named = {one.rendition: documents_named(read(one)) for one in second if one.modality == SR}
    assert named == {DECLARED: first.reports, LABELMAP: first.sets[LABELMAP].reports}
    # It is repeated: the same bytes, although the history now knows of it.
    assert writer.write(asking(replace(again, earlier=(first, said(second))), LABELMAP)) == second
    # Its successor finds nothing to segment: whom it replaces differs all the same.
    negative = replace(again, result=InferenceResult(Outcome.NEGATIVE))
    third = writer.write(asking(negative, LABELMAP))
    assert kinds(third) == [(SR, LABELMAP), (SR, DECLARED)]
    assert documents_named(read(third[0])) == first.sets[LABELMAP].reports
    # Where there was one set for all, both replace that.
    common = replace(first, sets={})
    fourth = writer.write(asking(replace(again, earlier=(common,)), LABELMAP))
    assert {documents_named(read(one)) for one in fourth if one.modality == SR} == {first.reports}


# ---------------------------------------------------------------- the KOS


def test_the_kos_names_the_key_images(run: Run, writer: DicomResultWriter) -> None:
    _, written, report = writer.write(run)
    kos = read(written)
    assert kos.ConceptNameCodeSequence[0].CodeValue == "113000"
    items = [item for item in kos.ContentSequence if item.ValueType == "IMAGE"]
    named = [str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for item in items]
    assert named == [image.sop_instance_uid for image in run.result.key_images]
    assert not any("ConceptNameCodeSequence" in item for item in items)
    assert kos.SeriesInstanceUID not in {read(report).SeriesInstanceUID, run.sources[0].instance.series_instance_uid}
    assert written.sop_instance_uid in {ref.sop_instance_uid for ref in references(read(report))}
    (description,) = (item for item in kos.ContentSequence if name_of(item) == "113012")
    assert "not verified" in description.TextValue


def test_there_is_no_kos_without_key_images(series: list[Path], writer: DicomResultWriter) -> None:
    assert KO not in {one.modality for one in writer.write(run_on(series))}


def test_a_kos_on_other_images_does_not_pass(run: Run) -> None:
    context = ResultContext(run, read_headers(run.sources, run.locations), MAKER, None)
    objects = [written for encoder in ENCODERS for written in encoder.encode(context)]
    verify(context, objects)
    other = replace(run, result=replace(run.result, key_images=run.result.key_images[::-1]))
    with pytest.raises(ResultVerificationFailed, match="the key images"):
        verify(replace(context, run=other), objects)
    none = replace(run, result=replace(run.result, key_images=()))
    with pytest.raises(ResultVerificationFailed, match="KOS"):
        verify(replace(context, run=none), objects)


def test_frames_of_one_image_are_key_images_of_their_own(run: Run) -> None:
    uid = run.sources[0].instance.sop_instance_uid
    frames = tuple(SopRef(run.sources[0].instance.sop_class_uid, uid, frame) for frame in (2, 5))
    context = ResultContext(
        replace(run, result=replace(run.result, key_images=frames)),
        read_headers(run.sources, run.locations),
        MAKER,
        None,
    )
    (written,) = ENCODERS[[type(one).__name__ for one in ENCODERS].index("KeyObjectEncoder")].encode(context)
    kos = read(written)
    items = [item.ReferencedSOPSequence[0] for item in kos.ContentSequence if item.ValueType == "IMAGE"]
    assert [(str(item.ReferencedSOPInstanceUID), item.ReferencedFrameNumber) for item in items] == [(uid, 2), (uid, 5)]
    assert [ref.sop_instance_uid for ref in evidence(kos)] == [uid]
