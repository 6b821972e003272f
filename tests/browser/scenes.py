"""Synthetic studies of which a displaced or mirrored overlay is seen at once, with the results of the real writer.

Two bright bodies lie off-centre in the patient, in millimetres of the patient's coordinates; each series is a different
cut through them. The node's reader makes a volume of the files, what is bright in it becomes segments, and the result
writer writes them: an overlay that does not cover the bright bodies is wrong somewhere on this way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import dcmread

from node.app.writing import source_picture
from node.domain.identity import derive_uid
from node.domain.result import Finding, GraphicType, InferenceResult, Location, Measurement, Outcome
from node.domain.study import ByteRange, SopRef, Volume
from node.infer.volume import load_volume
from node.ports import Run
from node.results.writer import DicomResultWriter
from tests import pictures
from tests.unit.results.located import AREA, LENGTH, MILLIMETRE, MM2, NODULE
from tests.unit.results.runs import MAKER, MODEL, header, not_evaluable, positive, run_on, save

Array = npt.NDArray[np.float64]

# Stored values: the ellipsoid, the ball, and what is brighter than any background.
ELLIPSOID, BALL, BRIGHT = 850, 1000, 700
# Centres and half axes in the patient (LPS), mm: right, anterior and superior of the middle; left, posterior of it.
BODIES = (
    ((-16.0, -12.0, 10.0), (18.0, 9.0, 13.0), ELLIPSOID),
    ((20.0, 15.0, 4.0), (7.0, 7.0, 7.0), BALL),
)


@dataclass(frozen=True, slots=True)
class Cut:
    """A way to lay slices through the patient: directions of a row and of a column, and where the files begin.

    ``reverse``: Instance Numbers (and the order of the files) run against the normal of the slices.
    """

    row: tuple[float, float, float]
    column: tuple[float, float, float]
    shape: tuple[int, int, int] = (22, 128, 160)
    spacing: tuple[float, float, float] = (3.0, 0.7, 0.7)
    reverse: bool = False


def _tilted(vectors: Array) -> Array:
    """Turned by 25 degrees about the patient's z, then by 15 about x."""
    a, b = np.radians(25), np.radians(15)
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return vectors @ (about_x @ about_z).T


def _oblique() -> Cut:
    row, column = _tilted(np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0]])).round(9)
    return Cut(_triple(row), _triple(column), shape=(26, 168, 160), spacing=(3.0, 0.6, 0.6))


def _triple(vector: Array) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in vector)
    return x, y, z


def cuts() -> Mapping[str, Cut]:
    """By name: an ordinary axial series, a sagittal one turned about two axes, one flipped in every way.

    Their pixels are square; those of the last are not.
    """
    return {
        "axial": Cut((1, 0, 0), (0, 1, 0)),
        "oblique": _oblique(),
        "flipped": Cut((-1, 0, 0), (0, 1, 0), spacing=(2.5, 0.7, 0.7), reverse=True),
        "stretched": Cut((-1, 0, 0), (0, 1, 0), spacing=(2.5, 0.6, 0.8), reverse=True),
    }


@dataclass(frozen=True, slots=True)
class Scene:
    """A study as a PACS has it: files of the images and of the objects."""

    name: str
    study_instance_uid: str
    images: list[Path]
    objects: list[Path]


def write_scene(folder: Path, name: str, cut: Cut) -> Scene:
    """Images; a SEG with its report (TID 1411); reports of places by two more models (TID 1410, and TID 1501)."""
    images = _images(folder / "images", name, cut)
    volume = load_volume([ByteRange(str(path), 0, path.stat().st_size) for path in images])
    label_map = np.zeros(volume.grid.shape, np.uint8)
    label_map[volume.array > BRIGHT] = 1
    label_map[volume.array > (ELLIPSOID + BALL) / 2] = 2
    segments = replace(run_on(images, positive(volume.grid, label_map)), grid=volume.grid)
    region, *others = _places(volume, label_map)
    runs = (segments, _of(segments, "region", region), _of(segments, "line and point", *others))
    return Scene(name, segments.job.study_instance_uid, images, _written(folder, runs))


def write_picture(folder: Path) -> Scene:
    """A radiograph, which has no patient coordinates, with a bright rectangle and reports of its outline and middle."""
    pixels = np.full((200, 160), 15000, np.uint16)
    pixels[40:90, 30:110] = 57000
    images = pictures.save(folder / "images", [pictures.dx(pixels, study="picture")])
    ref = source_of(images[0])
    corners = ((40.0, 30.0), (40.0, 109.0), (89.0, 109.0), (89.0, 30.0))
    places = (
        Finding(NODULE, image=ref, location=Location(GraphicType.POLYGON, corners), tracking_id="box"),
        Finding(NODULE, image=ref, location=Location(GraphicType.POINT, ((64.5, 69.5),)), tracking_id="point"),
    )
    nothing = run_on(images, not_evaluable(), replace(MODEL, segments=()))
    runs = [_of(nothing, str(place.tracking_id), place) for place in places]
    return Scene("picture", nothing.job.study_instance_uid, images, _written(folder, runs))


def source_of(path: Path) -> SopRef:
    """How a result refers to the image in this file."""
    image = dcmread(path, stop_before_pixels=True)
    return SopRef(str(image.SOPClassUID), str(image.SOPInstanceUID))


def _of(run: Run, model: str, *findings: Finding) -> Run:
    """The run of another model on the same images, which finds these places and no segments."""
    algorithm = replace(MODEL.algorithm, name=model)
    result = InferenceResult(Outcome.POSITIVE, findings)
    return replace(run, model=replace(MODEL, id=model, segments=(), algorithm=algorithm), result=result)


def _written(folder: Path, runs: Iterable[Run]) -> list[Path]:
    writer = DicomResultWriter(MAKER, zone=UTC, pictures=source_picture)
    paths = []
    for number, written in enumerate(one for run in runs for one in writer.write(run)):
        path = folder / f"{number}-{written.modality}.dcm"
        path.write_bytes(written.part10)
        paths.append(path)
    return paths


def _images(folder: Path, name: str, cut: Cut) -> list[Path]:
    folder.mkdir(parents=True)
    study = derive_uid("seen in a viewer", name)
    slices, rows, columns = cut.shape
    along, down, across = cut.spacing
    row, column = np.array(cut.row, float), np.array(cut.column, float)
    normal = np.cross(row, column)
    corner = -(normal * along * (slices - 1) + column * down * (rows - 1) + row * across * (columns - 1)) / 2
    files = []
    for number in range(slices):
        k = slices - 1 - number if cut.reverse else number
        position = corner + normal * along * k
        image = header(
            number, StudyInstanceUID=study, SeriesInstanceUID=derive_uid(study, "series"),
            FrameOfReferenceUID=derive_uid(study, "frame"), SOPInstanceUID=derive_uid(study, str(number)),
            PatientName=f"{name.capitalize()}^Synthetic", PatientID=f"SEEN-{name.upper()}", StudyDescription=name,
            SeriesDescription=f"{name}, two bodies", InstanceNumber=number + 1, Rows=rows, Columns=columns,
            PixelSpacing=[down, across], SliceThickness=along,
            ImageOrientationPatient=[*cut.row, *cut.column],
            ImagePositionPatient=[round(float(value), 6) for value in position],
            SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2", BitsAllocated=16, BitsStored=12, HighBit=11,
            PixelRepresentation=0, WindowCenter=500, WindowWidth=1000,
        )  # fmt: skip
        r, c = np.indices((rows, columns))[..., None]
        image.PixelData = _patient(position + r * down * column + c * across * row).astype(np.uint16).tobytes()
        files.append(image)
    return save(files, folder)


def _patient(points: Array) -> Array:
    """Stored values at points (..., 3) of the patient: grey, brighter to the left, with two bright bodies."""
    body = ((points / (46.0, 40.0, 34.0)) ** 2).sum(-1) < 1
    values = np.where(body, 220 + points[..., 0], 20)
    for centre, axes, value in BODIES:
        values[(((points - centre) / axes) ** 2).sum(-1) < 1] = value
    return np.asarray(values)


def _places(volume: Volume, label_map: npt.NDArray[np.uint8]) -> tuple[Finding, ...]:
    """On the slice with most of the ellipsoid its box and longest row; on that with most of the ball its middle."""
    k, (top, bottom, left, right) = _widest(label_map == 1)
    ball_k, (ball_top, ball_bottom, ball_left, ball_right) = _widest(label_map == 2)
    middle = (top + bottom) / 2
    width, height = (
        float(np.linalg.norm(volume.grid.affine[:3, axis] * extent))
        for axis, extent in ((2, right - left), (1, bottom - top))
    )
    box = Location(GraphicType.POLYGON, ((k, top, left), (k, top, right), (k, bottom, right), (k, bottom, left)))
    line = Location(GraphicType.POLYLINE, ((k, middle, left), (k, middle, right)))
    point = Location(GraphicType.POINT, ((ball_k, (ball_top + ball_bottom) / 2, (ball_left + ball_right) / 2),))
    return (
        Finding(NODULE, (Measurement(AREA, round(width * height, 1), MM2),), location=box, tracking_id="box"),
        Finding(NODULE, (Measurement(LENGTH, round(width, 1), MILLIMETRE),), location=line, tracking_id="line"),
        Finding(NODULE, location=point, tracking_id="point"),
    )


def _widest(body: npt.NDArray[np.bool_]) -> tuple[int, tuple[float, float, float, float]]:
    """The slice with most of it, and there its first and last row, and first and last column."""
    k = int(body.sum((1, 2)).argmax())
    rows, columns = np.nonzero(body[k])
    return k, (float(rows.min()), float(rows.max()), float(columns.min()), float(columns.max()))
