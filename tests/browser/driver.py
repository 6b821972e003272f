"""What a reader does in OHIF, by its buttons where it has them, else by the services that its page offers."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser

from tests.browser.overlap import Pixels

DERIVED = "[data-cy=study-browser-thumbnail-no-image]"
FAILED = "Something went wrong"
VIEWPORTS = "window.cornerstone.getEnabledElements().map(one => one.viewport)"
# Software rendering beside other work: nothing is late before this many seconds.
PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Annotation:
    """A place of a report as the viewer has it: its graphic type, and whether anything is drawn of it.

    ``values``: the grey value of the picture where the viewer would draw each point; of a line, at its middle.
    """

    graphic_type: str
    values: tuple[int, ...]
    drawn: bool


class Ohif:
    """The viewer, in a new page for each study that is opened: nothing is left of the one before."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._url = url
        self.page = browser.new_page()
        self.said: list[str] = []

    def open(self, study_instance_uid: str) -> None:
        self.page.close()
        self.page = self._browser.new_page(viewport={"width": 1280, "height": 800})
        self.page.set_default_timeout(PATIENCE_S * 1000)
        self.said = []
        self.page.on("console", lambda one: self.said.append(one.text) if one.type == "warning" else None)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.goto(f"{self._url}/viewer?StudyInstanceUIDs={study_instance_uid}")
        self.page.locator(DERIVED).first.wait_for()
        self.page.get_by_text("Skip all").click()

    def load_segmentation(self) -> None:
        """The double click and "Yes" by which a reader gets it."""
        self.page.locator(DERIVED, has_text="SEG").first.dblclick()
        self.page.get_by_role("button", name="Yes").click()
        self._until("window.services.segmentationService.getSegmentations().length > 0")

    def open_report(self, words: str) -> bool:
        """The report (SR) of which the series description has these words; False: the viewer says that it failed.

        ``said`` has what the console says meanwhile.
        """
        self.said.clear()
        self.page.locator(DERIVED, has_text=words).filter(has_text="SR").first.dblclick()
        self._until(f"document.body.innerText.includes('{FAILED}') || {_ANNOTATIONS}.length > 0")
        self.page.wait_for_timeout(2000)
        return self.page.get_by_text(FAILED).count() == 0

    def slices(self) -> int:
        return int(self.page.evaluate(f"{VIEWPORTS}[0].getNumberOfSlices()"))

    def show_slice(self, index: int, viewport: int = 0) -> None:
        self.page.evaluate(
            f"async ([n, imageIndex]) => {{ const viewport = {VIEWPORTS}[n];"
            "await window.cornerstone.utilities.jumpToSlice(viewport.element, {imageIndex}); viewport.render(); }",
            [viewport, index],
        )

    def show_planes(self) -> None:
        """The layout of three planes of the patient, in which the series is a volume."""
        self.page.evaluate("window.commandsManager.run('toggleHangingProtocol', {protocolId: 'mpr'})")
        self._until(f"{VIEWPORTS}.length == 3 && {VIEWPORTS}.every(one => one.getImageData())")

    def look_at(self, point: tuple[float, float, float]) -> None:
        """All planes through this point of the patient."""
        self.page.evaluate(
            f"point => {{ for (const one of {VIEWPORTS}) {{ one.jumpToWorld(point); one.render(); }} }}", list(point)
        )

    def toggle_segmentation(self) -> None:
        """Its eye, in every viewport."""
        self.page.evaluate(
            f"() => {{ const service = window.services.segmentationService; for (const one of {VIEWPORTS})"
            "for (const {segmentationId, type} of service.getSegmentationRepresentations(one.id))"
            "service.toggleSegmentationRepresentationVisibility(one.id, {segmentationId, type}); }"
        )

    def look_at_segment(self) -> None:
        """The slice through the middle of the first segment."""
        self.page.evaluate(
            "() => { const service = window.services.segmentationService;"
            "service.jumpToSegmentCenter(service.getSegmentations()[0].segmentationId, 1); }"
        )

    def canvas(self, viewport: int = 0) -> Pixels:
        """The picture without the texts over it, RGB (rows, columns, 3), once it no longer changes."""
        before, deadline = "", time.monotonic() + PATIENCE_S
        while True:
            self.page.wait_for_timeout(250)
            now = str(self.page.evaluate(f"n => {VIEWPORTS}[n].canvas.toDataURL()", viewport))
            if now == before:
                return np.asarray(Image.open(BytesIO(base64.b64decode(now.split(",", 1)[1]))).convert("RGB"))
            if time.monotonic() > deadline:
                raise AssertionError("the picture changes without end")
            before = now

    def annotations(self) -> list[Annotation]:
        """What it has of the report that is open, each looked at on the image whose plane it lies in."""
        found: list[Annotation] = []
        for number in range(int(self.page.evaluate(_ANNOTATIONS + ".length"))):
            index = int(self.page.evaluate(_SLICE_OF, number))
            if index >= 0:
                self.show_slice(index)
            picture = self.canvas()
            graphic_type, points = self.page.evaluate(_POINTS_OF, number)
            places = [np.mean(points, 0)] if graphic_type == "POLYLINE" else [np.array(point) for point in points]
            values = tuple(int(picture[round(float(y)), round(float(x))].max()) for x, y in places)
            found.append(Annotation(graphic_type, values, bool(self.page.evaluate(_DRAWN))))
        return found

    def screenshot(self, path: Path) -> None:
        self.page.screenshot(path=path)

    def _until(self, condition: str) -> Any:
        return self.page.wait_for_function(f"() => {condition}")


_ANNOTATIONS = (
    "Object.values(Object.fromEntries(window.cornerstoneTools.annotation.state.getAllAnnotations()"
    ".filter(one => one.metadata.toolName === 'DICOMSRDisplay')"
    ".filter(one => Object.values(one.data.renderableData)[0]?.[0]?.length)"
    ".map(one => [one.data.TrackingUniqueIdentifier, one])))"
)
# The image whose plane is nearest to the first point.
_SLICE_OF = (
    f"n => {{ const one = {_ANNOTATIONS}[n], viewport = {VIEWPORTS}[0];"
    "const [point] = Object.values(one.data.renderableData)[0][0]; let best = -1, least = Infinity;"
    "viewport.getImageIds().forEach((id, i) => { const p = window.cornerstone.metaData.get('imagePlaneModule', id);"
    "if (!p || !p.imagePositionPatient || !p.rowCosines) return; const [a, b] = [p.rowCosines, p.columnCosines];"
    "const normal = [a[1]*b[2]-a[2]*b[1], a[2]*b[0]-a[0]*b[2], a[0]*b[1]-a[1]*b[0]];"
    "const far = Math.abs(normal.reduce((sum, x, j) => sum + x * (point[j] - p.imagePositionPatient[j]), 0));"
    "if (far < least) { least = far; best = i; } }); return best; }"
)
_POINTS_OF = (
    f"n => {{ const one = {_ANNOTATIONS}[n], viewport = {VIEWPORTS}[0];"
    "const [type, graphics] = Object.entries(one.data.renderableData)[0]; const ratio = window.devicePixelRatio;"
    "return [type, graphics[0].map(point => viewport.worldToCanvas(point).map(x => x * ratio))]; }"
)
_DRAWN = (
    "() => [...document.querySelectorAll('.viewport-element .svg-layer')].some("
    "layer => layer.querySelector('circle, line, polyline, path, ellipse, g > *'))"
)
