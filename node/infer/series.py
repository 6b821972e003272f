"""One series through one model, in the inference child: as a volume, or picture by picture."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from node.domain.model import InputKind, ModelDescription
from node.domain.quality import Check
from node.domain.result import InferenceResult, Outcome, Reason
from node.domain.study import ByteRange, Grid, Picture, Prior, SopRef
from node.errors import GeometryError, InputError, UnsupportedImage
from node.infer.engine import Engine, choose_device
from node.infer.joining import Part, joined
from node.infer.pictures import ImageFile, read_file, read_pictures
from node.infer.priors import Told, read_priors
from node.infer.quality.checks import Checks, accepted, refused
from node.infer.quality.gate import picture_checks, volume_checks
from node.infer.volume import Loaded, load_series
from node.infer.wire import failure
from node.ports.inference import PriorImages

READABLE, CAN_BE_READ = "readable images", "headers and pixels that can be read"
# Heat maps cross to the worker as pictures do: more of them nobody looks at.
MOST_HEAT_MAPS = 16


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of one picture; ``ref`` is None where not even its header could be read."""

    part: Part
    ref: SopRef | None


@dataclass(frozen=True, slots=True)
class SeriesRun:
    """``durations`` in seconds by stage, of all pictures together; ``pictures`` is empty for a volume.

    ``checks`` are the quality gate's, of pictures with the image that each is of; ``priors`` tells which were read.
    """

    result: InferenceResult
    grid: Grid | None
    device: str
    precision: str
    durations: dict[str, float]
    pictures: tuple[Said, ...] = ()
    checks: tuple[Check, ...] = ()
    priors: Sequence[Told] = ()

    def provenance(self) -> dict[str, object]:
        """The checks, and what was said of each picture, as plain data."""
        told: dict[str, object] = {"checks": [check.plain() for check in self.checks]}
        told |= {"priors": list(self.priors)} if self.priors else {}
        return told | ({"pictures": [_plain(said) for said in self.pictures]} if self.pictures else {})


def run_series(
    engine: Engine,
    model: ModelDescription,
    images: Sequence[ByteRange],
    device: str,
    stage: Callable[[str], None] = lambda name: None,
    priors: Sequence[PriorImages] = (),
) -> SeriesRun:
    """``priors`` are of a model that wants them.

    Raises:
        ModelError: the package or its output is wrong.
        DeviceOutOfMemory: the device, or the host, has too little memory.
        ObjectMissing: an image is gone.
    """
    stage("read")
    found, told = read_priors(model, priors)
    if model.kind is InputKind.IMAGE:
        run = _Pictures(engine, model, device, stage, found).run(images)
    else:
        run = _run_volume(engine, model, images, device, found)
    return replace(run, priors=told)


def _run_volume(
    engine: Engine, model: ModelDescription, images: Sequence[ByteRange], device: str, priors: tuple[Prior, ...]
) -> SeriesRun:
    grid: Grid | None = None
    durations: dict[str, float] = {}
    checks = Checks()
    begin = time.perf_counter()
    try:
        loaded = _loaded(images, checks)
        grid = loaded.volume.grid
        checks.require(volume_checks(loaded.volume, loaded.burned_in, model.limits))
        durations["read"] = round(time.perf_counter() - begin, 4)
        run = engine.run(model, replace(loaded.volume, priors=priors), device, checks=checks)
    except InputError as error:
        place, precision = str(choose_device(device)), model.runtime.precision
        return SeriesRun(not_evaluable(error), grid, place, precision, durations, checks=tuple(checks.made))
    return SeriesRun(run.result, grid, run.device, run.precision, durations | run.durations, checks=tuple(checks.made))


def _loaded(images: Sequence[ByteRange], checks: Checks) -> Loaded:
    """The volume; what keeps it from being read is a check that failed, unless the geometry has told so."""
    try:
        loaded = load_series(images, checks)
    except GeometryError:
        raise
    except InputError as error:
        checks.add(refused(READABLE, CAN_BE_READ, error))
        raise
    checks.add(accepted(READABLE, CAN_BE_READ))
    return loaded


def not_evaluable(error: InputError) -> InferenceResult:
    """The result for an input that cannot be judged."""
    return InferenceResult(Outcome.NOT_EVALUABLE, reason=Reason(failure(error).code, error.message))


@dataclass(slots=True)
class _Pictures:
    """One run over the pictures of a series, one after the other: no two of them are in memory together."""

    engine: Engine
    model: ModelDescription
    device: str
    stage: Callable[[str], None]
    priors: tuple[Prior, ...] = ()
    durations: dict[str, float] = field(default_factory=dict)
    heat_maps: int = 0
    precision: str = ""
    checks: list[Check] = field(default_factory=list)

    def run(self, images: Sequence[ByteRange]) -> SeriesRun:
        said = [one for number, location in enumerate(images) for one in self._image(location, number, len(images))]
        result = joined([one.part for one in said])
        precision = self.precision or self.model.runtime.precision
        durations = {stage: round(seconds, 4) for stage, seconds in self.durations.items()}
        return SeriesRun(
            result, None, str(choose_device(self.device)), precision, durations, tuple(said), tuple(self.checks)
        )

    def _image(self, location: ByteRange, number: int, images: int) -> Iterator[Said]:
        """What is said of each frame; one image that cannot be judged is no reason not to judge the others."""
        words, ref = f"image {number + 1} of {images}", None
        try:
            self.stage("read")
            file = read_file(location, number)
            ref, words = file.image.planes[0].ref, words + _instance_number(file)
            self._require_wanted(file)
            for picture in self._read(file):
                ref = picture.ref
                whose = words + _frame(ref)
                yield Said(Part(whose, self._picture(picture, file, whose)), ref)
                self.stage("read")
        except InputError as error:
            self._keep([refused(READABLE, CAN_BE_READ, error)], words)
            yield Said(Part(words, not_evaluable(error)), None if ref is None else replace(ref, frame=None))

    def _read(self, file: ImageFile) -> Iterator[Picture]:
        pictures = read_pictures(file, self.model.limits.frames_at_most)
        while True:
            begin = time.perf_counter()
            picture = next(pictures, None)
            self._add({"read": time.perf_counter() - begin})
            if picture is None:
                return
            yield picture

    def _picture(self, picture: Picture, file: ImageFile, words: str) -> InferenceResult:
        checks = Checks([accepted(READABLE, CAN_BE_READ)])
        try:
            begin = time.perf_counter()
            checks.require(picture_checks(picture, file.image.burned_in, self.model.limits.quality))
            self._add({"read": time.perf_counter() - begin})
            explained = self.heat_maps < MOST_HEAT_MAPS
            given = replace(picture, priors=self.priors)
            run = self.engine.run(self.model, given, self.device, explained, checks)
        except InputError as error:
            return not_evaluable(error)
        finally:
            self._keep(checks.made, words)
        self._add(run.durations)
        self.heat_maps += len(run.result.heat_maps)
        self.precision = run.precision
        return run.result

    def _keep(self, checks: Sequence[Check], words: str) -> None:
        self.checks += [replace(check, image=words) for check in checks]

    def _add(self, durations: Mapping[str, float]) -> None:
        for stage, seconds in durations.items():
            self.durations[stage] = self.durations.get(stage, 0.0) + seconds

    def _require_wanted(self, file: ImageFile) -> None:
        """Admission took the series for one fitting image; the others of it may be of another kind."""
        wanted = self.model.selection.sop_classes
        if wanted and file.sop_class_uid not in wanted:
            raise UnsupportedImage("an image of a SOP class that this model does not take")


def _instance_number(file: ImageFile) -> str:
    return f" (Instance Number {file.number})" if file.number else ""


def _frame(ref: SopRef) -> str:
    return "" if ref.frame is None else f", frame {ref.frame}"


def _plain(said: Said) -> dict[str, object]:
    result = said.part.result
    return {
        "image": said.part.words,
        "sop_instance_uid": None if said.ref is None else said.ref.sop_instance_uid,
        "frame": None if said.ref is None else said.ref.frame,
        "outcome": result.outcome.value,
        "reason": None if result.reason is None else result.reason.code,
    }
