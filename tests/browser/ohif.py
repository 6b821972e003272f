"""``python -m tests.browser.ohif OUT``: our results in OHIF over Orthanc's DICOMweb, in headless chromium.

It downloads OHIF with npm (into ``--cache``), so no run of pytest does it. Programs: npm, Orthanc with its DICOMweb
plugin, chromium, DCMTK; from PyPI: playwright, which drives the chromium that is installed. Screenshots and
``seen.json`` come to OUT; the exit status is 1 if an overlay is not where it belongs.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright
from pydicom import dcmread

from node.results.reading import walk
from tests.browser import acceptance, viewer
from tests.browser.driver import Ohif
from tests.browser.overlap import BODY, Overlap, overlaps
from tests.browser.scenes import BODIES, Scene, cuts, write_picture, write_scene
from tests.orthanc import Orthanc
from tests.peers import require_program

# Without a graphics card.
SOFTWARE = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
# A slice that cuts less of a body, in pixels of the screen, has a rim that is most of it.
LEAST = 600
# In its own slices an overlay covers the body voxel by voxel; across them both are interpolated, each in its own way.
SAME_SLICES, OTHER_PLANES = 0.9, 0.6
EVERY = 4


def main() -> int:
    arguments = _arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        seen = _seen(Path(folder), arguments)
    (arguments.out / "seen.json").write_text(json.dumps(seen, indent=2) + "\n", encoding="utf-8")
    wrong = list(_wrong(seen))
    sys.stdout.write("\n".join([json.dumps(seen, indent=2), *wrong, ""]))
    return 1 if wrong else 0


def _seen(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    dist = viewer.fetched(arguments.cache)
    viewer.configure(dist, folder / "application")
    scenes = [write_scene(folder / name, name, cut) for name, cut in cuts().items()]
    picture = write_picture(folder / "picture")
    with Orthanc(folder / "orthanc", dicom_web=True) as pacs:
        accepted = acceptance.ask(folder / "accepted", pacs)
        for scene in (*scenes, picture):
            _store(pacs, [*scene.images, *scene.objects])
        real = _store(pacs, sorted(path for given in arguments.study for path in given.rglob("*.dcm")))
        with viewer.serve(folder / "application", pacs.url) as url, _browser(url) as ohif:
            return {
                "ohif": viewer.version_of(dist),
                "accepted": accepted,
                "segmentations": {scene.name: _segmentation(ohif, scene, arguments.out) for scene in scenes},
                "reports": {scene.name: _reports(ohif, scene, arguments.out) for scene in (*scenes, picture)},
                "looked at": [_look(ohif, study, arguments.out) for study in real],
            }


def _segmentation(ohif: Ohif, scene: Scene, out: Path) -> dict[str, Any]:
    """How well each body is covered, in the slices of the series and in the three planes of the patient."""
    ohif.open(scene.study_instance_uid)
    ohif.load_segmentation()
    shown = range(1, ohif.slices(), EVERY)
    covered = []
    for index in shown:
        ohif.show_slice(index)
        covered.append(ohif.canvas())
    fullest = max(shown, key=lambda index: int((np.ptp(covered[shown.index(index)], -1) > 20).sum()))
    ohif.show_slice(fullest)
    ohif.canvas()
    ohif.screenshot(out / f"{scene.name}-seg.png")
    ohif.toggle_segmentation()
    pairs = []
    for index, picture in zip(shown, covered, strict=True):
        ohif.show_slice(index)
        pairs.append(overlaps(ohif.canvas(), picture))
    ohif.toggle_segmentation()
    return {"slices": _least(pairs), "planes": _least(_planes(ohif, scene, out))}


def _planes(ohif: Ohif, scene: Scene, out: Path) -> list[tuple[Overlap, Overlap]]:
    """Through the middle of each body."""
    ohif.show_planes()
    pairs = []
    for number, (centre, _, _) in enumerate(BODIES, 1):
        ohif.look_at(centre)
        covered = [ohif.canvas(viewport) for viewport in range(3)]
        ohif.screenshot(out / f"{scene.name}-planes-{number}.png")
        ohif.toggle_segmentation()
        pairs += [overlaps(ohif.canvas(viewport), picture) for viewport, picture in enumerate(covered)]
        ohif.toggle_segmentation()
    return pairs


def _least(pairs: list[tuple[Overlap, Overlap]]) -> dict[str, Any]:
    """Of each body: in how many pictures it was compared, and the least intersection over union in them."""
    said: dict[str, Any] = {}
    for name, of_body in zip(("ellipsoid", "ball"), zip(*pairs, strict=True), strict=True):
        compared = [one.of_union for one in of_body if max(one.body, one.overlay) >= LEAST]
        said[name] = {"pictures": len(compared), "least": round(min(compared, default=0.0), 3)}
    return said


def _reports(ohif: Ohif, scene: Scene, out: Path) -> dict[str, Any]:
    """What it makes of each report: whether it opens, what the console says, and the places that it has of it."""
    seen: dict[str, Any] = {}
    for path in scene.objects:
        report = dcmread(path)
        if report.Modality == "SR":
            name = str(report.SeriesDescription)
            ohif.open(scene.study_instance_uid)
            opened = ohif.open_report(name)
            seen[name] = {
                "on images": any(item.ValueType == "SCOORD" for item in walk(report)),
                "opened": opened,
                "said": sorted({words[:200] for words in ohif.said}),
                "places": [dataclasses.asdict(one) for one in ohif.annotations()],
            }
            ohif.screenshot(out / f"{scene.name}-sr-{len(seen)}.png")
    return seen


def _look(ohif: Ohif, study_instance_uid: str, out: Path) -> str:
    """A study without a known truth: the middle of its first segment, for a person's eyes."""
    ohif.open(study_instance_uid)
    ohif.load_segmentation()
    ohif.look_at_segment()
    ohif.canvas()
    path = out / f"study-{study_instance_uid[-12:]}.png"
    ohif.screenshot(path)
    return path.name


def _wrong(seen: dict[str, Any]) -> Iterator[str]:
    accepted = seen["accepted"]
    for receiver in ("storescp", "orthanc"):
        if accepted[receiver] != accepted["written"]:
            yield f"{receiver} holds {accepted[receiver]} of {accepted['written']}"
    for name, by_kind in seen["segmentations"].items():
        for kind, least in (("slices", SAME_SLICES), ("planes", OTHER_PLANES)):
            for body, found in by_kind[kind].items():
                if found["pictures"] == 0 or found["least"] < least:
                    yield f"{name}, {kind}: the overlay is not on the {body}: {found}"
    for name, reports in seen["reports"].items():
        for words, report in reports.items():
            yield from (f"{name}, {words}: {problem}" for problem in _wrong_in(report))


def _wrong_in(report: dict[str, Any]) -> Iterator[str]:
    places = report["places"]
    if report["on images"] and not (report["opened"] and places and all(place["drawn"] for place in places)):
        yield "what lies on images is not drawn"
    for place in places:
        if min(place["values"]) < BODY:
            yield f"a {place['graphic_type']} is not on a bright body: {place['values']}"


def _store(pacs: Orthanc, files: list[Path]) -> list[str]:
    """Into the PACS; the Study Instance UIDs, in the order of their first file."""
    studies: dict[str, None] = {}
    for path in files:
        answer = pacs.post("/instances", path.read_bytes())
        if answer["Status"] not in ("Success", "AlreadyStored"):
            raise AssertionError(f"{path}: {answer}")
        studies[str(dcmread(path, stop_before_pixels=True).StudyInstanceUID)] = None
    return list(studies)


@contextmanager
def _browser(url: str) -> Iterator[Ohif]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=require_program("chromium"), args=[*SOFTWARE, "--ignore-gpu-blocklist"]
        )
        try:
            yield Ohif(chromium, url)
        finally:
            chromium.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.ohif", description=__doc__)
    parser.add_argument("out", type=Path, help="where the screenshots go")
    parser.add_argument("--cache", type=Path, required=True, help="where the viewer is, or comes to")
    parser.add_argument(
        "--study", type=Path, action="append", default=[], help="a folder of images with a SEG of them, to look at too"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
