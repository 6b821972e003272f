"""``python -m tests.bench.turnaround``: from the last acknowledged image to the result in Orthanc, and its parts.

Series with full evidence of their completeness (numbered 1 to n on a regular grid, association released) come one
after the other, as a scanner sends them. The model's own time (preprocessing, network, postprocessing) is taken off;
reading the images, writing and verifying the objects is ours and stays. The first series, for which the child process
imports torch and loads the model, is sent before the clock and left out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from pynetdicom import AE
from sqlalchemy import Engine, create_engine, select

from node.database.tables import delivery, job, series
from tests.bench.facts import machine_facts, write_json
from tests.e2e.pacs import Pacs
from tests.e2e.site import Site
from tests.orthanc import Orthanc
from tests.peers import REPOSITORY, free_port
from tests.waiting import wait_for

MODELS = REPOSITORY / "tests" / "fakes" / "models"
OWN_STAGES = ("import", "preprocess", "network", "postprocess")
PARTS = ("acknowledged to closed", "closed to claimed", "claimed to finished", "finished to stored", "whole")


def drawn_series(slices: int, size: int) -> list[Dataset]:
    """An MR series with a bright block in it, numbered from 1, 1 mm apart."""
    study, series_uid, frame = generate_uid(), generate_uid(), generate_uid()
    pixels = np.random.default_rng(1).integers(0, 90, (size, size), dtype=np.uint16)
    pixels[size // 4 : size // 2, size // 4 : size // 2] = 200
    made = []
    for number in range(slices):
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.SOPClassUID, image.SOPInstanceUID = MRImageStorage, generate_uid()
        image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = study, series_uid, frame
        image.Modality, image.InstanceNumber, image.SeriesNumber = "MR", number + 1, 1
        image.PatientName, image.PatientID = "BENCH^NOBODY", "BENCH-0"
        image.ImageOrientationPatient, image.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, float(number)]
        image.PixelSpacing, image.SliceThickness = [1.0, 1.0], 1.0
        image.Rows = image.Columns = size
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 0
        image.PixelData = pixels.tobytes()
        made.append(image)
    return made


def send(site: Site, images: Sequence[Dataset]) -> float | None:
    """Send over one association and release it; when the last image was acknowledged (Unix time).

    None: this sender has lost an answer. pynetdicom's own threads race for it where it comes within microseconds.
    """
    entity = AE(ae_title="BENCH")
    entity.dimse_timeout = 3
    entity.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", site.port, ae_title="AINODE")
    assert association.is_established, "the node does not accept the association"
    for image in images:
        answer = association.send_c_store(image)
        if "Status" not in answer:
            return None
        assert answer.Status == 0
    acknowledged = time.time()
    association.release()
    return acknowledged


def times_of(engine: Engine, series_uid: str) -> Mapping[str, Any] | None:
    """The times in the tables, when every delivery of the series' job is stored."""
    with engine.connect() as connection:
        found = connection.execute(
            select(series.c.closed_at, series.c.close_reason, job.c.id, job.c.started_at, job.c.finished_at)
            .add_columns(job.c.state, job.c.provenance)
            .join(job, job.c.study_instance_uid == series.c.study_instance_uid)
            .where(series.c.series_instance_uid == series_uid)
        ).first()
        if found is None or found.state != "COMPLETED":
            return None
        sent = connection.execute(
            select(delivery.c.state, delivery.c.updated_at).where(delivery.c.job_id == found.id)
        ).all()
    if any(one.state != "STORED" for one in sent):
        return None
    return {**found._mapping, "stored_at": max(one.updated_at for one in sent)}


def parts(acknowledged: float, times: Mapping[str, Any]) -> dict[str, float]:
    """Seconds of each part; the model's own time is taken off the run and the whole."""
    own = sum(times["provenance"]["durations_s"].get(stage, 0.0) for stage in OWN_STAGES)
    closed, started, finished, stored = (
        times[name].timestamp() for name in ("closed_at", "started_at", "finished_at", "stored_at")
    )
    split = (closed - acknowledged, started - closed, finished - started - own, stored - finished)
    return dict(zip(PARTS, (*split, sum(split)), strict=True))


def measure(count: int, slices: int, size: int) -> dict[str, object]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-turnaround-", dir=Path.cwd())))
        node_port = free_port()
        peer = stack.enter_context(Orthanc(folder / "orthanc", node=("AINODE", "127.0.0.1", node_port)))
        site = Pacs(peer, node_port).site(folder / "site", f'[models]\npath = ["{MODELS}"]\nenabled = ["threshold"]\n')
        site.extra_environment = {"AINODE_DESTINATIONS__0__COMMITMENT": "false"}
        site.start()
        stack.callback(site.kill)
        engine = create_engine(f"sqlite:///{folder}/site/var/ainode.db")
        stack.callback(engine.dispose)
        found, reasons = [], set()
        for number in range(count + 1):
            while (acknowledged := send(site, images := drawn_series(slices, size))) is None:
                print("the sender has lost an answer: another series", file=sys.stderr)
            uid = images[0].SeriesInstanceUID
            times = wait_for(lambda uid=uid: times_of(engine, uid), "the result is stored", timeout_s=60)
            if number:
                found.append(parts(acknowledged, times))
                reasons.add(str(times["close_reason"]))
                print(json.dumps({part: round(value, 3) for part, value in found[-1].items()}), file=sys.stderr)
        held = len(peer.instances())
    return {
        "machine": machine_facts(),
        "series": count,
        "images": slices,
        "closed_by": sorted(reasons),
        "objects_in_orthanc": held,
        "seconds": {part: _percentiles([one[part] for one in found]) for part in PARTS},
    }


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return {"p50": round(statistics.median(ordered), 3), "p95": round(p95, 3), "max": round(ordered[-1], 3)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.turnaround")
    parser.add_argument("--series", type=int, default=40)
    parser.add_argument("--slices", type=int, default=40)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    report = measure(arguments.series, arguments.slices, arguments.size)
    if arguments.json:
        write_json(arguments.json, report)
    print("| part | p50, s | p95, s | max, s |\n|---|---|---|---|")
    for part, figures in report["seconds"].items():  # type: ignore[attr-defined]
        print(f"| {part} | {figures['p50']:.3f} | {figures['p95']:.3f} | {figures['max']:.3f} |")


if __name__ == "__main__":
    main()
