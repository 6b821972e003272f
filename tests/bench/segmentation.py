"""``python -m tests.bench.segmentation``: writing a SEG, beside highdicom and dcmqi.

A CT series of 300 x 512 x 512 lies on the disk, and a label map of bodies that each lie in many slices. Every program
reads the headers of the series and writes one BINARY SEG of all segments, in turns; each run is a process of its own.
Ours and highdicom's seconds begin when the label map is in memory and a SEG of two slices has been written, as in a
node that runs: highdicom reads its tables of the standard at its first use. dcmqi is a program: its seconds are those
of its process, and hold the reading of the label map (raw NRRD). "Peak" is the resident memory above that, in MiB; of
dcmqi that of the whole process, label map and all.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from node.domain.identity import derive_uid
from node.domain.result import CodedConcept, Finding, InferenceResult, Outcome, Segment, Segmentation
from node.domain.study import Grid
from node.ports import Run
from node.results.context import ResultContext
from node.results.seg import SegmentationEncoder
from node.results.source import read_headers
from node.results.verify_images import verify_segmentation
from node.results.writer import DicomResultWriter
from node.results.written import read_back
from tests.bench.facts import machine_facts, write_json
from tests.peers import REPOSITORY
from tests.unit.results.runs import MAKER, MODEL, STRUCTURE, positive, run_on

LABEL_MAP = "label-map.npy"
NRRD = "label-map.nrrd"
META = "meta.json"
PROGRAMS = ("ours, encoded", "ours, encoded and verified", "ours, SEG and SR", "highdicom", "dcmqi")
MIB = 2**20


# ---------------------------------------------------------------- input


def save_series(folder: Path, slices: int, size: int) -> None:
    folder.mkdir()
    for number in range(slices):
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, derive_uid("bench image", str(number))
        image.StudyInstanceUID, image.SeriesInstanceUID = derive_uid("bench study"), derive_uid("bench series")
        image.FrameOfReferenceUID, image.PositionReferenceIndicator = derive_uid("bench frame"), ""
        image.Modality, image.InstanceNumber, image.SeriesNumber = "CT", number + 1, 1
        image.PatientName, image.PatientID, image.PatientBirthDate, image.PatientSex = "BENCH^NOBODY", "BENCH-0", "", ""
        image.StudyDate, image.StudyTime, image.StudyID, image.AccessionNumber = "20260101", "100000", "1", "1"
        image.ReferringPhysicianName = ""
        image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        image.ImageOrientationPatient, image.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, float(number)]
        image.PixelSpacing, image.SliceThickness = [0.8, 0.8], 1.0
        image.Rows = image.Columns = size
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
        image.PixelData = bytes(2 * size * size)
        image.save_as(folder / f"{number:04}.dcm", enforce_file_format=True)


def draw(slices: int, size: int, count: int) -> npt.NDArray[np.uint8]:
    """``count`` round bodies side by side; up to ten reach through all slices, of more each through a fifth of them."""
    label_map = np.zeros((slices, size, size), np.uint8)
    across = int(np.ceil(np.sqrt(count)))
    cell = size // across
    r, c = np.indices((cell, cell))
    span = slices if count <= 10 else slices // 5
    for number in range(1, count + 1):
        top, left = (cell * index for index in divmod(number - 1, across))
        first = 0 if span == slices else (number * 37) % (slices - span)
        for k in range(first, first + span):
            radius = cell * (0.25 + 0.2 * np.sin(np.pi * (k - first + 0.5) / span))
            inside = (r - cell / 2) ** 2 + (c - cell / 2) ** 2 < radius**2
            label_map[k, top : top + cell, left : left + cell][inside] = number
    return label_map


def segments(count: int) -> tuple[Segment, ...]:
    return tuple(
        Segment(number, f"Body {number}", STRUCTURE, CodedConcept(f"BODY-{number}", "99AINODE", f"Body {number}"))
        for number in range(1, count + 1)
    )


def prepare(folder: Path, slices: int, size: int, count: int) -> None:
    """The label map of one case as each program wants it; the series lies beside it."""
    label_map = draw(slices, size, count)
    np.save(folder / LABEL_MAP, label_map)
    nrrd = (
        f"NRRD0004\ntype: uint8\ndimension: 3\nspace: left-posterior-superior\nsizes: {size} {size} {slices}\n"
        "space directions: (0.8,0,0) (0,0.8,0) (0,0,1)\nkinds: domain domain domain\nencoding: raw\n"
        "space origin: (0,0,0)\n\n"
    )
    (folder / NRRD).write_bytes(nrrd.encode() + label_map.tobytes())
    meta = {
        "ContentCreatorName": "BENCH", "ClinicalTrialSeriesID": "1", "ClinicalTrialTimePointID": "1",
        "SeriesDescription": "Bench", "SeriesNumber": "300", "InstanceNumber": "1", "BodyPartExamined": "",
        "segmentAttributes": [[_attributes(segment) for segment in segments(count)]],
    }  # fmt: skip
    (folder / META).write_text(json.dumps(meta))


def _attributes(segment: Segment) -> dict[str, Any]:
    return {
        "labelID": segment.number,
        "SegmentDescription": segment.label,
        "SegmentLabel": segment.label,
        "SegmentAlgorithmType": "AUTOMATIC",
        "SegmentAlgorithmName": "bench",
        "SegmentedPropertyCategoryCodeSequence": _code(segment.category),
        "SegmentedPropertyTypeCodeSequence": _code(segment.type),
        "recommendedDisplayRGBValue": [200, 100, 50],
    }


def _code(concept: CodedConcept) -> dict[str, str]:
    return {"CodeValue": concept.value, "CodingSchemeDesignator": concept.scheme, "CodeMeaning": concept.meaning}


# ---------------------------------------------------------------- one run, in a process of its own


def job_of(folder: Path, count: int) -> Run:
    label_map = np.load(folder / LABEL_MAP)
    described = segments(count)
    model = replace(MODEL, segments=described)
    run = run_on(sorted((folder.parent / "series").iterdir()), InferenceResult(Outcome.NEGATIVE), model)
    findings = tuple(Finding(segment.type, segment=segment.number) for segment in described)
    return replace(run, result=InferenceResult(Outcome.POSITIVE, findings, Segmentation(described, label_map)))


def encode(run: Run, target: Path) -> None:
    with disable_value_validation():
        context = ResultContext(run, read_headers(run.sources, run.locations), MAKER, UTC)
        (written,) = SegmentationEncoder().encode(context)
    target.write_bytes(written.part10)


def encode_and_verify(run: Run, target: Path) -> None:
    with disable_value_validation():
        context = ResultContext(run, read_headers(run.sources, run.locations), MAKER, UTC)
        (written,) = SegmentationEncoder().encode(context)
        verify_segmentation(context, read_back(written))
    target.write_bytes(written.part10)


def write_all(run: Run, target: Path) -> None:
    written, _ = DicomResultWriter(MAKER, zone=UTC).write(run)
    target.write_bytes(written.part10)


def highdicom(run: Run, target: Path) -> None:
    assert run.result.segmentation is not None
    headers = [pydicom.dcmread(location.path, stop_before_pixels=True) for location in run.locations]
    dataset = hd.seg.Segmentation(
        source_images=headers,
        pixel_array=run.result.segmentation.label_map,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[
            hd.seg.SegmentDescription(
                segment_number=segment.number,
                segment_label=segment.label,
                segmented_property_category=hd.sr.CodedConcept(
                    segment.category.value, segment.category.scheme, segment.category.meaning
                ),
                segmented_property_type=hd.sr.CodedConcept(
                    segment.type.value, segment.type.scheme, segment.type.meaning
                ),
                algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
                algorithm_identification=hd.AlgorithmIdentificationSequence(
                    name="bench", family=pydicom.sr.codedict.codes.DCM.ArtificialIntelligence, version="1"
                ),
            )
            for segment in run.result.segmentation.segments
        ],
        series_instance_uid=hd.UID(),
        series_number=300,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="bench",
        manufacturer_model_name="bench",
        software_versions="1",
        device_serial_number="1",
    )
    dataset.save_as(target)


RUNNERS: dict[str, Callable[[Run, Path], None]] = {
    "ours, encoded": encode,
    "ours, encoded and verified": encode_and_verify,
    "ours, SEG and SR": write_all,
    "highdicom": highdicom,
}


def measure_here(program: str, folder: Path, count: int) -> dict[str, float]:
    run = job_of(folder, count)
    RUNNERS[program](warm_up(run), folder / "written.dcm")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    before = _resident("VmRSS")
    used, begin = _cpu(resource.RUSAGE_SELF), time.perf_counter()
    RUNNERS[program](run, folder / "written.dcm")
    seconds = time.perf_counter() - begin
    return {
        "seconds": seconds,
        "cpu_s": _cpu(resource.RUSAGE_SELF) - used,
        "peak_mib": (_resident("VmHWM") - before) / 1024,
    }


def warm_up(run: Run) -> Run:
    """The first two slices: highdicom reads its tables of the standard when it is used for the first time."""
    assert run.grid is not None
    assert run.result.segmentation is not None
    grid = Grid((2, *run.grid.shape[1:]), run.grid.affine, run.grid.frame_of_reference_uid, run.grid.sources[:2])
    label_map = np.zeros(grid.shape, np.uint8)
    label_map[:, 5:9, 5:9] = 1
    few = Segmentation(run.result.segmentation.segments, label_map)
    result = replace(run.result, segmentation=few)
    return replace(run, grid=grid, sources=run.sources[:2], locations=run.locations[:2], result=result)


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1])


def _cpu(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def measure_dcmqi(folder: Path) -> dict[str, float]:
    program = Path(sys.executable).with_name("itkimage2segimage")
    # The package's own launcher is a Python script: its program is asked itself.
    binary = next((program.parent.parent / "lib").glob("python*/site-packages/dcmqi/bin/itkimage2segimage"), program)
    begin = time.perf_counter()
    process = subprocess.Popen(
        [binary, "--inputImageList", folder / NRRD, "--inputDICOMDirectory", folder.parent / "series",
         "--inputMetadata", folder / META, "--outputDICOM", folder / "written.dcm"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - begin
    assert process.returncode == 0, said.decode(errors="replace")
    return {"seconds": seconds, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_mib": usage.ru_maxrss / 1024}


# ---------------------------------------------------------------- all of them


def measure_apart(program: str, folder: Path, count: int) -> dict[str, float]:
    if program == "dcmqi":
        return measure_dcmqi(folder)
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.segmentation", "--one", program, "--folder", folder,
         "--segments", str(count)],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure_case(base: Path, slices: int, size: int, count: int, rounds: int) -> dict[str, Any]:
    folder = base / f"{count}-segments"
    folder.mkdir()
    prepare(folder, slices, size, count)
    found: dict[str, list[dict[str, float]]] = {program: [] for program in PROGRAMS}
    written: dict[str, dict[str, int]] = {}
    for _ in range(rounds):
        for program in PROGRAMS:
            found[program].append(measure_apart(program, folder, count))
            print(count, program, found[program][-1], file=sys.stderr)
            dataset = pydicom.dcmread(folder / "written.dcm", stop_before_pixels=True)
            size_written = (folder / "written.dcm").stat().st_size
            written[program] = {"frames": int(dataset.NumberOfFrames), "bytes": size_written}
    return {
        "segments": count,
        "label_map_mib": slices * size * size / MIB,
        "programs": {
            program: {
                name: round(statistics.median(run[name] for run in runs), 3)
                for name in ("seconds", "cpu_s", "peak_mib")
            }
            | written[program]
            for program, runs in found.items()
        },
    }


def size_of_a_report(base: Path) -> int:
    """Bytes of the SR with two delineated findings on 300 images."""
    run = run_on(sorted((base / "series").iterdir()))
    assert run.grid is not None
    run = replace(run, result=positive(run.grid))
    return next(len(one.part10) for one in DicomResultWriter(MAKER, zone=UTC).write(run) if one.modality == "SR")


def print_rows(cases: Sequence[dict[str, Any]]) -> None:
    print("| segments | frames | program | s | CPU s | peak MiB | s, of dcmqi's | CPU, of dcmqi's |")
    print("|---|---|---|---|---|---|---|---|")
    for case in cases:
        other = case["programs"]["dcmqi"]
        for program, row in case["programs"].items():
            print(
                f"| {case['segments']} | {row['frames']} | {program} | {row['seconds']:.2f} | {row['cpu_s']:.2f} "
                f"| {row['peak_mib']:.0f} | {row['seconds'] / other['seconds']:.2f}x "
                f"| {row['cpu_s'] / other['cpu_s']:.2f}x |"
            )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.segmentation")
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--segments", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", choices=RUNNERS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure_here(arguments.one, arguments.folder, arguments.segments[0])))
        return
    with tempfile.TemporaryDirectory(prefix="bench-segmentation-") as name:
        base = Path(name)
        save_series(base / "series", arguments.slices, arguments.size)
        size = [arguments.slices, arguments.size]
        cases = [measure_case(base, *size, count, arguments.rounds) for count in arguments.segments]
        report = {
            "machine": machine_facts(base) | {"highdicom": hd.__version__},
            "slices": arguments.slices,
            "size": arguments.size,
            "rounds": arguments.rounds,
            "report_bytes": size_of_a_report(base),
            "cases": cases,
        }
    if arguments.json:
        write_json(arguments.json, report)
    print_rows(cases)
    print(f"SR without an image library, 300 images, two findings: {report['report_bytes']} bytes")


if __name__ == "__main__":
    main()
