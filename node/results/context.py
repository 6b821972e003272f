"""What every encoder needs of one run: the source headers, the UIDs, the times and the texts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo

from pydicom.dataset import Dataset

from node.domain.identity import derive_uid
from node.domain.result import DocumentRef, Finding, Outcome, Segment
from node.domain.study import SopRef
from node.ports import Run
from node.results.model_output import described_segments
from node.results.predecessors import predecessors_of

DESCRIPTION_LENGTH = 64  # LO
_OFFSET = re.compile(r"([+-])(\d\d)([0-5]\d)\Z")
_MODALITY_RANK = {"SEG": 1, "SR": 2}


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
    """

    run: Run
    headers: tuple[Dataset, ...]
    maker: Maker
    zone: tzinfo | None

    # ------------------------------------------------------------ identity

    def uid(self, kind: str) -> str:
        """The UID of one thing of this run. No clock and no chance: same input and model, same UID.

        The outcome belongs to it, because a failed run that succeeds later is another document.
        """
        model = self.run.model
        return derive_uid(
            "result", model.id, model.version, model.algorithm.weights_sha256, self._input_digest(),
            str(self.run.job.revision), self.run.result.outcome, kind,
        )  # fmt: skip

    def _input_digest(self) -> str:
        lines = sorted(f"{source.instance.sop_instance_uid} {source.sha256}" for source in self.run.sources)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def series_uid(self, modality: str) -> str:
        return self.uid(f"series {modality}")

    def sop_instance_uid(self, modality: str) -> str:
        return self.report_uid(self.predecessors) if modality == "SR" else self.uid(f"instance {modality}")

    def report_uid(self, predecessors: Sequence[DocumentRef]) -> str:
        """Of the main report as the successor of these: whom it names is content, so another name is another UID."""
        return self.uid(" after ".join(["instance SR", *(one.sop_instance_uid for one in predecessors)]))

    @property
    def predecessors(self) -> tuple[DocumentRef, ...]:
        """The reports that the main report replaces."""
        return predecessors_of(self.run.earlier, self.report_uid)

    @property
    def further_report_uid(self) -> str:
        """Of the report on the findings that the main one leaves out."""
        return self.uid("instance SR, images")

    def tracking_uid(self, finding_index: int) -> str:
        """Of a finding: that of its segment, where it has one in the SEG."""
        segment = self.segment_of(self.run.result.findings[finding_index])
        return self.uid(f"finding {finding_index}") if segment is None else self.segment_tracking_uid(segment)

    def segment_tracking_uid(self, number: int) -> str:
        return self.uid(f"segment {number}")

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
                *(self.series_uid(modality) for modality in _MODALITY_RANK),
                *(self.sop_instance_uid(modality) for modality in _MODALITY_RANK),
                *(self.segment_tracking_uid(segment.number) for segment in self.segments),
                *(self.tracking_uid(index) for index in range(len(self.run.result.findings))),
                self.dimension_organization_uid,
                self.further_report_uid,
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
    def has_segmentation(self) -> bool:
        """Whether a SEG is written: one with nothing but background says nothing that the SR does not say."""
        segmentation = self.run.result.segmentation
        return segmentation is not None and bool(segmentation.label_map.any())

    @property
    def segments(self) -> tuple[Segment, ...]:
        """What the SEG describes."""
        return described_segments(self.run)

    @property
    def main_findings(self) -> tuple[int, ...]:
        """Indices of the findings in the main report: those with a segment, or all where none has one.

        TID 1500 allows both kinds of group in one document, but validators in use reject the mixture.
        """
        findings = self.run.result.findings
        delineated = tuple(index for index, finding in enumerate(findings) if self.segment_of(finding) is not None)
        return delineated or tuple(range(len(findings)))

    @property
    def further_findings(self) -> tuple[int, ...]:
        """Indices of the findings that have a report of their own beside the main one."""
        return tuple(sorted(set(range(len(self.run.result.findings))) - set(self.main_findings)))

    def images_of(self, finding: Finding) -> tuple[SopRef, ...]:
        """The image, or frame, that the finding was made on; all of them where it is about the series."""
        if finding.image is not None:
            return (finding.image,)
        return tuple(SopRef(str(header.SOPClassUID), str(header.SOPInstanceUID)) for header in self.headers)

    def segment_of(self, finding: Finding) -> int | None:
        """The number of the finding's segment, where there is a SEG to refer to."""
        return finding.segment if self.has_segmentation else None

    # ------------------------------------------------------------ texts and times

    @property
    def series_description(self) -> str:
        algorithm = self.run.model.algorithm
        return series_description(algorithm.name, algorithm.version, self.run.result.outcome)

    def series_number(self, modality: str) -> int:
        """Behind the images of the study, in the order of their series, SEG before SR."""
        try:
            source = abs(int(self.first.get("SeriesNumber") or 0))
        except (TypeError, ValueError):
            source = 0
        return 90_000 + 10 * (source % 1000) + _MODALITY_RANK[modality]

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
