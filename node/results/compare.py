"""Two writings of one result, compared: bit for bit, or within what another device may differ in."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset

Mask = npt.NDArray[np.bool_]
Placed = dict[tuple[str, int, int], Dataset]
# Of what a device's arithmetic may change: Dice of each segment at least, numbers relatively, probabilities absolutely.
DICE, RELATIVE, PROBABILITY = 0.999, 1e-3, 1e-3
CERTAINTY = "111012"  # DCM, Certainty of Finding: in percent
FRACTION_FOREGROUND = 0.5


@dataclass(frozen=True, slots=True)
class Difference:
    """``tolerated``: it is within what another device may do."""

    sop_instance_uid: str
    what: str
    kept: str
    again: str
    tolerated: bool


def compare(kept: Sequence[bytes], again: Sequence[bytes]) -> list[Difference]:
    """What differs between the Part 10 files of two runs; empty where they are equal to the bit.

    Objects are paired by their UIDs; where the content is another, so that the UIDs are, by modality and number.
    """
    mine, theirs = _by_uid(kept), _by_uid(again)
    found: list[Difference] = []
    for uid in sorted({*mine} & {*theirs}):
        (ours_10, ours_read), (other_10, other_read) = mine.pop(uid), theirs.pop(uid)
        found += _differences(ours_read, other_read) if ours_10 != other_10 else []
    return found + _of_other_uids(_by_place(mine.values()), _by_place(theirs.values()))


def _of_other_uids(ours: Placed, others: Placed) -> list[Difference]:
    found: list[Difference] = []
    for place in sorted({*ours, *others}):
        if place not in ours or place not in others:
            there, name = (ours if place in ours else others)[place], f"{place[0]} of series {place[1]}"
            kept_has, again_has = ("written", "absent") if place in ours else ("absent", "written")
            found.append(Difference(str(there.SOPInstanceUID), f"object {name}", kept_has, again_has, False))
        else:
            found += _differences(ours[place], others[place])
    return found


def _by_uid(parts: Sequence[bytes]) -> dict[str, tuple[bytes, Dataset]]:
    read = [(part10, pydicom.dcmread(io.BytesIO(part10))) for part10 in parts]
    return {str(dataset.SOPInstanceUID): (part10, dataset) for part10, dataset in read}


def _by_place(objects: Iterable[tuple[bytes, Dataset]]) -> Placed:
    """By modality, Series Number and Instance Number."""
    return {(str(one.Modality), int(one.SeriesNumber or 0), int(one.InstanceNumber or 0)): one for _, one in objects}


def _differences(kept: Dataset, again: Dataset) -> list[Difference]:
    where = str(kept.SOPInstanceUID)
    found = [
        Difference(where, keyword, str(kept.get(keyword)), str(again.get(keyword)), False)
        for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesDescription", "PatientID")
        if kept.get(keyword) != again.get(keyword)
    ]
    if "SegmentSequence" in kept and "SegmentSequence" in again:
        found += _segments(where, kept, again)
    elif "FloatPixelData" in kept and "FloatPixelData" in again:
        found += _maps(where, kept, again)
    found += _content(where, kept, again)
    # Only bytes that no reader sees as a number, a code or a voxel: another library, or another version of this node.
    return found or [Difference(where, "encoding", "these bytes", "other bytes, the same content", True)]


# ---------------------------------------------------------------- voxels


def _segments(where: str, kept: Dataset, again: Dataset) -> Iterator[Difference]:
    ours, others = _masks(kept), _masks(again)
    for number in sorted({*ours, *others}):
        dice = _dice(ours.get(number, {}), others.get(number, {}))
        if dice < 1.0:
            yield Difference(where, f"segment {number}", "Dice 1", f"Dice {dice:.6f}", dice >= DICE)


def _masks(seg: Dataset) -> dict[int, dict[tuple[float, ...], Mask]]:
    """For each segment its frames by their place in the patient (by their number, where there is none)."""
    frames = np.asarray(seg.pixel_array).reshape(-1, int(seg.Rows), int(seg.Columns))
    found: dict[int, dict[tuple[float, ...], Mask]] = {}
    for index, (frame, item) in enumerate(zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True)):
        place = _place(item, index)
        for number, mask in _segments_of(seg, item, frame):
            if mask.any():
                found.setdefault(number, {})[place] = mask
    return found


def _segments_of(seg: Dataset, item: Dataset, frame: npt.NDArray[np.generic]) -> Iterator[tuple[int, Mask]]:
    if seg.SegmentationType == "LABELMAP":
        for number in np.unique(frame):
            if number:
                yield int(number), frame == number
        return
    highest = int(seg.MaximumFractionalValue) if seg.SegmentationType == "FRACTIONAL" else 1
    number = int(item.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
    yield number, np.asarray(frame) >= FRACTION_FOREGROUND * highest


def _place(item: Dataset, index: int) -> tuple[float, ...]:
    planes = item.get("PlanePositionSequence")
    if not planes:
        return (float(index),)
    return tuple(round(float(value), 3) for value in planes[0].ImagePositionPatient)


def _dice(ours: dict[tuple[float, ...], Mask], others: dict[tuple[float, ...], Mask]) -> float:
    """Dice, L. R., 1945: twice what both have, of what each has."""
    both = sum(int((ours[place] & others[place]).sum()) for place in {*ours} & {*others})
    each = sum(int(mask.sum()) for masks in (ours, others) for mask in masks.values())
    return 2.0 * both / each if each else 1.0


def _maps(where: str, kept: Dataset, again: Dataset) -> Iterator[Difference]:
    ours, others = (np.frombuffer(one.FloatPixelData, "<f4").astype(np.float64) for one in (kept, again))
    if ours.shape != others.shape:
        yield Difference(where, "voxels", str(ours.size), str(others.size), False)
    elif not np.array_equal(ours, others):
        largest = float(np.abs(ours - others).max())
        within = bool(np.allclose(others, ours, rtol=RELATIVE, atol=RELATIVE * float(np.abs(ours).max())))
        yield Difference(where, "voxels", "difference 0", f"difference up to {largest:g}", within)


# ---------------------------------------------------------------- documents


def _content(where: str, kept: Dataset, again: Dataset) -> Iterator[Difference]:
    ours, others = list(_items(kept)), list(_items(again))
    if len(ours) != len(others):
        yield Difference(where, "content items", str(len(ours)), str(len(others)), False)
        return
    for one, other in zip(ours, others, strict=True):
        if one[:-1] != other[:-1]:
            yield Difference(where, "content", " ".join(map(str, one)), " ".join(map(str, other)), False)
        elif one[-1] != other[-1]:
            yield _number(where, one[0], one[-1], other[-1])


def _items(item: Dataset) -> Iterator[tuple[str, str, str, float]]:
    """Name, kind, what is said (but for UIDs, which follow from what they identify), and the number of a NUM item."""
    for child in item.get("ContentSequence") or []:
        names = child.get("ConceptNameCodeSequence") or []
        name = f"{names[0].get('CodeValue') or names[0].get('LongCodeValue')}" if names else ""
        yield name, str(child.ValueType), _said(child), _value(child)
        yield from _items(child)


def _said(item: Dataset) -> str:
    if item.ValueType == "CODE":
        code = item.ConceptCodeSequence[0]
        return f"{code.get('CodeValue') or code.get('LongCodeValue')} {code.CodingSchemeDesignator}"
    if item.ValueType == "NUM" and item.MeasuredValueSequence:
        return str(item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue)
    return str(item.get("TextValue") or "")


def _value(item: Dataset) -> float:
    measured = item.MeasuredValueSequence if item.ValueType == "NUM" else None
    return float(measured[0].NumericValue) if measured else 0.0


def _number(where: str, name: str, kept: float, again: float) -> Difference:
    if name == CERTAINTY:
        within = math.isclose(kept, again, rel_tol=0.0, abs_tol=100.0 * PROBABILITY)
    else:
        within = math.isclose(kept, again, rel_tol=RELATIVE)
    return Difference(where, f"number {name}", f"{kept:g}", f"{again:g}", within)
