"""What every encoder needs of one run: the source headers, the UIDs, the times and the texts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo

from pydicom.dataset import Dataset
from pydicom.uid import UID, SegmentationStorage

from node.domain.identity import derive_uid
from node.domain.rendition import Rendition
from node.domain.result import DocumentRef, Finding, Outcome, Segment, SegmentationType
from node.domain.study import StoredInstance
from node.ports import Run
from node.results.model_output import described_segments
from node.results.predecessors import predecessors_of

DESCRIPTION_LENGTH = 64  # LO
LABEL_MAP_SEGMENTATION = UID("1.2.840.10008.5.1.4.1.1.66.7")  # PS3.4 B.5
_OFFSET = re.compile(r"([+-])(\d\d)([0-5]\d)\Z")
# Reports beside the main one, by the template of their measurement groups (PS3.16).
FURTHER_REPORTS = {"1410": "instance SR, regions", "1501": "instance SR, images"}
# Series by what they hold; a further report has one of its own.
_SERIES_RANK = {"SEG": 1, "SR": 2, "PM": 3, "KO": 6, "SC": 7, "PR": 8, "SR 1410": 9, "SR 1501": 10}
# Of a set in another type than the declared one.
_RANK_IN_A_SET = {"SEG": 4, "SR": 5, "SR 1410": 11, "SR 1501": 12}
_SERIES_FROM, _SERIES_EACH = 90_000, 20
# What there is once in each type in which a SEG is written: the SEG, and the reports that refer to it.
_OF_A_SET = ("series SEG", "series SR", "instance SEG", "instance SR", "dimension organization")
# Images that are drawn, or annotated, for people.
MOST_PICTURES = 8


@dataclass(frozen=True, slots=True)
class Maker:
    """The device that writes the objects: this node."""

    manufacturer: str
    model_name: str
    software_version: str

    @property
    def device_uid(self) -> str:
        return derive_uid("node", self.manufacturer, self.model_name, self.software_version)


@dataclass(frozen=True, slots=True)
class ResultContext:
    """One run with what its objects share.

    Attributes:
        headers: decoded headers of ``run.sources``, in their order; at least one.
        zone: the time zone of the dates where the source names none (PS3.3 C.12.1.1.8 "local").
        rendition: the type in which the SEG and the reports of this context are written, where it is not the one that
            the model declares: such a set has UIDs of its own, and stands beside the declared one.
        has_segmentation: whether a SEG is written: one with nothing but background says nothing that the SR does not
            say.
    """

    run: Run
    headers: tuple[Dataset, ...]
    maker: Maker
    zone: tzinfo | None
    rendition: Rendition | None = None
    has_segmentation: bool = field(init=False)
    _input_digest: str = field(init=False)

    def __post_init__(self) -> None:
        segmentation = self.run.result.segmentation
        # Asked again and again: the one of an array of a hundred million voxels, the other for every UID.
        object.__setattr__(self, "has_segmentation", segmentation is not None and bool(segmentation.label_map.any()))
        object.__setattr__(self, "_input_digest", _digest_of(self.run.sources, self.run.priors))

    # ------------------------------------------------------------ identity

    def uid(self, kind: str) -> str:
        """The UID of one thing of this run. No clock and no chance: same input and model, same UID.

        The outcome belongs to it, because a failed run that succeeds later is another document; so does the error of a
        failed run. What an operator withdrew is not said again under the same UIDs: a PACS hides those for good.
        """
        if self.rendition is not None and kind.startswith(_OF_A_SET):
            kind = f"{kind}, {self.rendition}"
        return self._uid(kind, self._turn())

    def _turn(self) -> int:
        """How often this very result was withdrawn before."""
        earlier = [one for one in self.run.earlier if one.withdrawn]
        taken = {report.series_instance_uid for one in earlier for report in one.reports}
        turn = 0
        while taken and self._uid("series SR", turn) in taken:
            turn += 1
        return turn

    def _uid(self, kind: str, turn: int) -> str:
        model, result = self.run.model, self.run.result
        error = [result.reason.code] if result.outcome is Outcome.FAILED and result.reason else []
        return derive_uid(
            "result", model.id, model.version, model.algorithm.weights_sha256, self._input_digest,
            str(self.run.job.revision), result.outcome, kind, *error, *([f"turn {turn}"] if turn else []),
        )  # fmt: skip

    def series_uid(self, kind: str) -> str:
        """Of the series of this modality; of a further report, ``SR`` and the template of its groups."""
        return self.uid(f"series {kind}")

    def sop_instance_uid(self, modality: str) -> str:
        return self.report_uid(self.predecessors) if modality == "SR" else self.uid(f"instance {modality}")

    def report_uid(self, predecessors: Sequence[DocumentRef]) -> str:
        """Of the main report as the successor of these: whom it names is content, so another name is another UID."""
        return self.uid(" after ".join(["instance SR", *(one.sop_instance_uid for one in predecessors)]))

    @property
    def predecessors(self) -> tuple[DocumentRef, ...]:
        """The reports that the main report replaces."""
        return predecessors_of([one.in_rendition(self.rendition) for one in self.run.earlier], self.report_uid)

    def further_report_uid(self, template: str) -> str:
        """Of the report with the groups of this template, where the main one has those of another."""
        return self.uid(FURTHER_REPORTS[template])

    @property
    def key_objects_uid(self) -> str:
        return self.uid("instance KO")

    def parametric_map_uid(self, number: int) -> str:
        """Of the parametric map of this number, from 1."""
        return self.uid(f"pm {number}")

    @property
    def parametric_map_dimension_uid(self) -> str:
        """Of the dimension organization of all maps."""
        return self.uid("pm dimension organization")

    def picture_uid(self, kind: str, number: int) -> str:
        """Of the Secondary Capture (``SC``) or presentation state (``PR``) of this number, from 1."""
        return self.uid(f"instance {kind} {number}")

    def tracking_uid(self, finding_index: int) -> str:
        """Of a finding: that of its segment, where it has one in the SEG."""
        segment = self.segment_of(self.run.result.findings[finding_index])
        return self.uid(f"finding {finding_index}") if segment is None else self.segment_tracking_uid(segment)

    def segment_tracking_uid(self, number: int) -> str:
        return self.uid(f"segment {number}")

    def tracking_id(self, finding: Finding) -> str:
        """What a person knows the finding by: the model's own name, else that of its segment, else its concept."""
        segment = self.segment_of(finding)
        if segment is not None:
            return self.segment_tracking_id(segment)
        return finding.tracking_id or finding.concept.meaning

    def segment_tracking_id(self, number: int) -> str:
        """In the SEG as in the report."""
        names = (one.tracking_id for one in self.run.result.findings if one.segment == number and one.tracking_id)
        return next(names, self.segments[number - 1].label)

    @property
    def dimension_organization_uid(self) -> str:
        return self.uid("dimension organization")

    @property
    def algorithm_device_uid(self) -> str:
        """Changes whenever the weights change."""
        model = self.run.model
        return derive_uid("algorithm", model.id, model.version, model.algorithm.weights_sha256)

    @property
    def frame_of_reference_uid(self) -> str | None:
        """The source's; images with positions but without one share a derived one, for a SEG must name it.

        None for images without positions (projections).
        """
        own = str(self.first.get("FrameOfReferenceUID") or "")
        if not ({"ImagePositionPatient", "PerFrameFunctionalGroupsSequence"} & set(self.first.dir())):
            return None
        return own or derive_uid("frame of reference", str(self.first.get("SeriesInstanceUID", "")))

    def derived_uids(self) -> frozenset[str]:
        """Every UID that an object of this run may hold and that is not the source's; derived, for it or another."""
        return frozenset(
            {
                *(self.series_uid(kind) for kind in _SERIES_RANK),
                self.key_objects_uid,
                *(self.parametric_map_uid(number + 1) for number in range(len(self.run.result.parametric_maps))),
                *(self.picture_uid(kind, number) for kind in ("SC", "PR") for number in range(1, MOST_PICTURES + 1)),
                *(self.sop_instance_uid(modality) for modality in ("SEG", "SR")),
                *(self.segment_tracking_uid(segment.number) for segment in self.segments),
                *(self.tracking_uid(index) for index in range(len(self.run.result.findings))),
                self.dimension_organization_uid,
                self.parametric_map_dimension_uid,
                *map(self.further_report_uid, FURTHER_REPORTS),
                *(uid for one in self.predecessors for uid in (one.series_instance_uid, one.sop_instance_uid)),
                self.algorithm_device_uid,
                self.maker.device_uid,
                *([self.frame_of_reference_uid] if self.frame_of_reference_uid else []),
            }
        )

    # ------------------------------------------------------------ what there is

    @property
    def first(self) -> Dataset:
        return self.headers[0]

    @property
    def modality(self) -> str:
        return str(self.first.get("Modality") or "")

    @property
    def segments(self) -> tuple[Segment, ...]:
        """What the SEG describes."""
        return described_segments(self.run)

    @property
    def segmentation_type(self) -> SegmentationType:
        """In which type the SEG of this context is written."""
        declared = self.run.model.segmentation_type
        return declared if self.rendition is None else SegmentationType(self.rendition)

    @property
    def segmentation_class(self) -> UID:
        """The SOP class of the SEG of this context."""
        is_label_map = self.segmentation_type is SegmentationType.LABELMAP
        return LABEL_MAP_SEGMENTATION if is_label_map else SegmentationStorage

    @property
    def has_key_objects(self) -> bool:
        """Whether a KOS is written."""
        return bool(self.run.result.key_images)

    def segment_of(self, finding: Finding) -> int | None:
        """The number of the finding's segment, where there is a SEG to refer to."""
        return finding.segment if self.has_segmentation else None

    # ------------------------------------------------------------ texts and times

    @property
    def series_description(self) -> str:
        algorithm = self.run.model.algorithm
        return series_description(algorithm.name, algorithm.version, self.run.result.outcome)

    def series_number(self, kind: str) -> int:
        """Behind the images of the study, in the order of their series, SEG before SR."""
        try:
            source = abs(int(self.first.get("SeriesNumber") or 0))
        except (TypeError, ValueError):
            source = 0
        ranks = _SERIES_RANK if self.rendition is None else _SERIES_RANK | _RANK_IN_A_SET
        return _SERIES_FROM + _SERIES_EACH * (source % 1000) + ranks[kind]

    @property
    def content_at(self) -> datetime:
        """When the result counts as made: when its last image had arrived.

        A UID stands for one content only (PS3.5 section 9), and ours depend on the input and the model alone. So a
        second attempt and a repeated job must write the very same bytes, and may not look at the clock.
        In the zone of the source's own dates, for one object has one Timezone Offset From UTC.
        """
        offset = offset_of(str(self.first.get("TimezoneOffsetFromUTC") or ""))
        last = max(source.received_at for source in self.run.sources)
        return last.astimezone(offset or self.zone)


def _digest_of(sources: Sequence[StoredInstance], priors: Sequence[StoredInstance]) -> str:
    lines = sorted(f"{source.instance.sop_instance_uid} {source.sha256}" for source in sources)
    lines += sorted(f"prior {prior.instance.sop_instance_uid} {prior.sha256}" for prior in priors)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def series_description(name: str, version: str, outcome: Outcome) -> str:
    """``AI <algorithm> <version> - <outcome> - unverified`` in 64 characters: the algorithm's name gives way."""
    name, version = _plain(name), _plain(version)[:24]
    rest = f" {version} - {outcome} - unverified"
    room = DESCRIPTION_LENGTH - len("AI ") - len(rest)
    return f"AI {name[:room].rstrip()}{rest}"


def offset_of(text: str) -> timezone | None:
    """Timezone Offset From UTC (``+0100``) as a zone; None where it is absent or none."""
    match = _OFFSET.match(text.strip())
    if match is None:
        return None
    sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    if offset > timedelta(hours=14):  # PS3.3 C.12.1: -1200 to +1400
        return None
    return timezone(-offset if sign == "-" else offset)


def _plain(text: str) -> str:
    """``text`` without what an LO cannot hold, in single spaces."""
    return " ".join("".join(letter if letter.isprintable() and letter != "\\" else " " for letter in text).split())
