"""What some destinations want beside what every one gets: pictures, and a SEG in another type with its own reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from node.domain.rendition import SETS, Rendition
from node.ports import EncodedObject, ResultEncoder, SourcePictures
from node.results.context import ResultContext
from node.results.pr import PresentationStateEncoder
from node.results.sc import SecondaryCaptureEncoder

Written = tuple[EncodedObject, ...]
PictureEncoders = Mapping[Rendition, ResultEncoder[ResultContext]]


def picture_encoders(pictures: SourcePictures | None) -> PictureEncoders:
    """What draws each kind of picture. Nothing is drawn over images without ``pictures``."""
    encoders: dict[Rendition, ResultEncoder[ResultContext]] = {Rendition.PRESENTATION_STATE: PresentationStateEncoder()}
    if pictures is not None:
        encoders[Rendition.SECONDARY_CAPTURE] = SecondaryCaptureEncoder(pictures)
    return encoders


def drawn(context: ResultContext, encoders: PictureEncoders) -> Written:
    """The pictures that at least one destination wants."""
    wanted = [kind for kind in encoders if kind in context.run.renditions]
    return tuple(replace(one, rendition=kind) for kind in wanted for one in encoders[kind].encode(context))


def sets_beside(context: ResultContext, declared: Written, write: Callable[[ResultContext], Written]) -> Written:
    """``declared`` behind the wanted sets in other types, each complete in itself: its main report stays the last.

    ``write`` encodes and verifies everything of a context. What is the same in every set is written once and is for
    every destination; the rest is marked with the set that it belongs to.
    """
    sets: dict[Rendition, Written] = {}
    for rendition in sorted(context.run.renditions & SETS):
        other = replace(context, rendition=rendition)
        if _differs(context, other):
            sets[rendition] = write(other)
    if not sets:
        return declared
    sets[Rendition.AS_DECLARED] = declared
    in_all = set.intersection(*({one.sop_instance_uid for one in objects} for objects in sets.values()))
    found = {
        one.sop_instance_uid: one if one.sop_instance_uid in in_all else replace(one, rendition=rendition)
        for rendition, objects in sets.items()
        for one in objects
        if rendition is Rendition.AS_DECLARED or one.sop_instance_uid not in in_all
    }
    return tuple(found.values())


def _differs(context: ResultContext, other: ResultContext) -> bool:
    """Whether a set in another type would say anything else: in its SEG, or in whom its report replaces."""
    if context.has_segmentation and other.segmentation_type is not context.segmentation_type:
        return True
    return other.predecessors != context.predecessors
