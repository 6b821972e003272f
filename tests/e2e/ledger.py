"""A modality that remembers: drawn studies, sent until the last instance is acknowledged, and a ledger of every answer.

The ledger is the other side's truth: what stands in it was answered with Success, and must exist for ever.
"""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

import numpy as np
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from node.domain.identity import derive_uid
from tests.fakes.series import mr_slice
from tests.integration.raw_scu import ASSOCIATE_AC, MR_STORAGE, RawScu

SUCCESS = 0x0000
# A receiver that was killed while it read leaves its peer without an answer for as long as this.
PEER_PATIENCE_S = 20.0
# One image in a hundred is as large as many PDUs and many blocks.
LARGE_SHARE = 0.01


# What is left over after an association follows soon; now and then so late that the series was closed meanwhile.
AGAIN_AFTER_S = (0.02, 0.3)
LATE_AFTER_S = (2.0, 5.0)
LATE_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class DrawnInstance:
    """``data_set`` is what goes over the wire, without file meta information (explicit VR little endian)."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    data_set: bytes

    @property
    def digest(self) -> str:
        return sha256(self.data_set).hexdigest()


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """An instance that was answered with Success; ``tries`` counts how often it had been sent until then."""

    study_instance_uid: str
    series_instance_uid: str
    digest: str
    at: datetime
    tries: int


@dataclass(slots=True)
class Ledger:
    """What was acknowledged, by SOP Instance UID, and what went wrong on the way; safe for many threads."""

    acknowledged: dict[str, Acknowledged] = field(default_factory=dict)
    studies: set[str] = field(default_factory=set)
    broken_associations: int = 0
    refusals: dict[int, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def success(self, instance: DrawnInstance, tries: int) -> None:
        """Also of one that was answered before: a modality may send an instance twice."""
        answered = Acknowledged(
            instance.study_instance_uid, instance.series_instance_uid, instance.digest, datetime.now(UTC), tries
        )
        with self._lock:
            self.acknowledged.setdefault(instance.sop_instance_uid, answered)
            self.studies.add(instance.study_instance_uid)

    def broken(self) -> None:
        with self._lock:
            self.broken_associations += 1

    def refused(self, status: int) -> None:
        with self._lock:
            self.refusals[status] = self.refusals.get(status, 0) + 1


def drawn_series(seed: str, slices: int, chance: random.Random) -> list[DrawnInstance]:
    """A regular axial MR series of a study of its own: every UID and every pixel follows from ``seed``."""
    study, series, frame = (derive_uid(word, seed) for word in ("study", "series", "frame of reference"))
    side = 256 if chance.random() < LARGE_SHARE * slices else 16
    noise = np.random.default_rng(chance.getrandbits(32))
    made = []
    for k in range(slices):
        image = mr_slice(k)
        image.SOPInstanceUID = derive_uid("image", seed, str(k))
        image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = study, series, frame
        image.PatientName, image.PatientID, image.AccessionNumber = "Drawn^Study", "DRAWN", seed[-16:]
        image.PatientBirthDate, image.PatientSex, image.StudyID = "", "O", "1"
        image.StudyDate = image.SeriesDate = image.ContentDate = "20260105"
        image.StudyTime = image.SeriesTime = image.ContentTime = "101500"
        image.ReferringPhysicianName, image.SeriesNumber, image.Manufacturer = "", 1, "ainode tests"
        image.Rows = image.Columns = side
        image.PixelData = noise.integers(0, 4096, (side, side), np.uint16).tobytes()
        image["PixelData"].VR = "OW"
        made.append(DrawnInstance(study, series, str(image.SOPInstanceUID), _encoded(image)))
    return made


def _encoded(image: object) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    with contextlib.suppress(AttributeError):
        del image.file_meta  # type: ignore[attr-defined]
    write_dataset(buffer, image)  # type: ignore[arg-type]
    return buffer.getvalue()


class Modality(threading.Thread):
    """Sends one drawn series after another until ``stopping`` is set; one that was begun is sent to its end.

    No other is begun while ``may_begin`` is cleared; ``giving_up`` ends everything at once, when a test has failed.
    After a lost connection it sends again what was not acknowledged, and pauses as a modality does when refused. A
    ``brisk`` one takes no time over its images, and sends none late.
    """

    def __init__(
        self, name: str, port: int, ledger: Ledger, chance: random.Random, pause_s: float, brisk: bool = False
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.stopping = threading.Event()
        self.may_begin = threading.Event()
        self.may_begin.set()
        self.giving_up = threading.Event()
        self.error: BaseException | None = None
        self._calling = name
        self._address = ("127.0.0.1", port)
        self._ledger = ledger
        self._chance = chance
        self._pause_s = pause_s
        self._brisk = brisk
        self._number = 0

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                if self.may_begin.wait(0.1):
                    self.send_one()
                self.stopping.wait(self._chance.expovariate(1.0 / self._pause_s))
        except BaseException as error:  # told to the test, which fails by it
            self.error = error
            raise

    def send_one(self) -> list[DrawnInstance]:
        """Draw a series and send it until the last instance is acknowledged."""
        self._number += 1
        seed = f"{self._chance.getrandbits(64):016x}/{self._calling}/{self._number}"
        series = drawn_series(seed, self._chance.randint(3, 6), self._chance)
        self.send(series)
        return series

    def send(self, series: Sequence[DrawnInstance]) -> None:
        """Every instance, over as many associations as it takes."""
        waiting = list(series)
        tries: dict[str, int] = {}
        # Now and then a series comes over two associations, as some modalities do.
        divided = not self._brisk and self._chance.random() < 0.2
        first = self._chance.randint(1, len(waiting)) if divided else len(waiting)
        while waiting and not self.giving_up.is_set():
            for instance in self._over_one_association(waiting[:first], tries):
                waiting.remove(instance)
            first = len(waiting)
            if waiting:
                late = not self._brisk and self._chance.random() < LATE_SHARE
                self.giving_up.wait(self._chance.uniform(*(LATE_AFTER_S if late else AGAIN_AFTER_S)))

    def _over_one_association(self, batch: Sequence[DrawnInstance], tries: dict[str, int]) -> Iterator[DrawnInstance]:
        """Those that were acknowledged, until the association breaks."""
        try:
            with RawScu(self._address, PEER_PATIENCE_S) as scu:
                answer = scu.associate(MR_STORAGE, calling=self._calling)
                if answer[0] != ASSOCIATE_AC:
                    return
                for instance in batch:
                    tries[instance.sop_instance_uid] = tries.get(instance.sop_instance_uid, 0) + 1
                    scu.store(MR_STORAGE, instance.sop_instance_uid, instance.data_set)
                    status = scu.status()
                    if status is None:
                        self._ledger.broken()
                        return
                    if status != SUCCESS:
                        self._ledger.refused(status)
                        return
                    self._ledger.success(instance, tries[instance.sop_instance_uid])
                    yield instance
                    if not self._brisk and self._chance.random() < 0.6:
                        self.giving_up.wait(self._chance.uniform(0.0, 0.8))
                scu.release()
        except (OSError, AssertionError):
            # Refused, reset or silent for too long; RawScu asserts that a connection answers.
            self._ledger.broken()
