"""An in-memory ``Catalogue`` with the whole meaning of the port."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from node.domain.admission import Admission
from node.domain.job import NewJob
from node.domain.study import Closure, OpenSeries, Series, SeriesState, StoredInstance, Value
from node.errors import NotFound
from node.ports import Recorded


@dataclass
class FakeAssociation:
    calling_ae: str
    called_ae: str
    peer_host: str
    receiver: str
    ended: str | None = None
    ended_at: datetime | None = None


@dataclass
class FakeSeries:
    series_id: int
    study_instance_uid: str
    series_instance_uid: str
    state: SeriesState = SeriesState.RECEIVING
    revision: int = 1
    closure: Closure | None = None
    instances: list[StoredInstance] = field(default_factory=list)


@dataclass(frozen=True)
class Alert:
    kind: str
    subject: str
    detail: Mapping[str, Value]


class FakeCatalogue:
    """``fail_with`` is raised by every ``record`` as long as it is set; ``until`` is what ``recorded_until`` says."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._lock = threading.RLock()
        self.associations: dict[str, FakeAssociation] = {}
        self.all_series: dict[int, FakeSeries] = {}
        self.alerts: list[Alert] = []
        self.admissions: list[Admission] = []
        self.jobs: list[NewJob] = []
        self.fail_with: Exception | None = None
        self.until: datetime | None = None

    # ------------------------------------------------------------ associations

    def open_association(
        self, association_id: str, calling_ae: str, called_ae: str, peer_host: str, receiver: str
    ) -> None:
        with self._lock:
            self.associations[association_id] = FakeAssociation(calling_ae, called_ae, peer_host, receiver)

    def end_association(self, association_id: str, how: str) -> None:
        with self._lock:
            association = self.associations[association_id]
            association.ended, association.ended_at = how, self._now()

    def end_associations_of(self, receiver: str) -> int:
        with self._lock:
            left = [each for each in self.associations.values() if each.receiver == receiver and each.ended is None]
            for association in left:
                association.ended, association.ended_at = "lost", self._now()
            return len(left)

    # ------------------------------------------------------------ instances

    def _classify(self, sop_instance_uid: str, sha256: str) -> Recorded:
        with self._lock:
            known = [each for each in self.stored() if each.instance.sop_instance_uid == sop_instance_uid]
        if any(each.sha256 == sha256 for each in known):
            return Recorded.DUPLICATE
        return Recorded.CONFLICT if known else Recorded.NEW

    def record(self, stored: StoredInstance) -> Recorded:
        with self._lock:
            if self.fail_with is not None:
                raise self.fail_with
            uid = stored.instance.sop_instance_uid
            recorded = self._classify(uid, stored.sha256)
            if recorded is Recorded.DUPLICATE:
                return recorded
            series = self._series_of(stored)
            variant = sum(1 for each in self.stored() if each.instance.sop_instance_uid == uid)
            series.instances.append(replace(stored, variant=variant))
            if recorded is Recorded.CONFLICT:
                self.raise_alert("instance_conflict", uid, {"variant": variant})
            elif series.state is SeriesState.CLOSED:
                series.state, series.closure = SeriesState.RECEIVING, None
                series.revision += 1
            return recorded

    def stored(self) -> list[StoredInstance]:
        """Everything recorded, in the order in which it came."""
        return [instance for series in self.all_series.values() for instance in series.instances]

    def _series_of(self, stored: StoredInstance) -> FakeSeries:
        uids = stored.instance.study_instance_uid, stored.instance.series_instance_uid
        for series in self.all_series.values():
            if (series.study_instance_uid, series.series_instance_uid) == uids:
                return series
        series = FakeSeries(len(self.all_series) + 1, *uids)
        self.all_series[series.series_id] = series
        return series

    # ------------------------------------------------------------ series

    def open_series(self) -> Sequence[OpenSeries]:
        with self._lock:
            receiving = [each for each in self.all_series.values() if each.state is SeriesState.RECEIVING]
            return [self._open(series) for series in receiving]

    def recorded_until(self) -> datetime | None:
        return self.until

    def _open(self, series: FakeSeries) -> OpenSeries:
        senders = {each.association_id for each in series.instances} & set(self.associations)
        ended = [self.associations[sender].ended_at for sender in senders if sender]
        of_all = [self.associations[sender] for sender in senders if sender]
        released = [one.ended_at for one in of_all if one.ended == "released"]
        return OpenSeries(
            series_id=series.series_id,
            study_instance_uid=series.study_instance_uid,
            series_instance_uid=series.series_instance_uid,
            revision=series.revision,
            instances=len(_originals(series)),
            last_instance_at=max(each.received_at for each in series.instances),
            open_associations=sum(1 for at in ended if at is None),
            last_association_ended_at=max((at for at in ended if at is not None), default=None),
            calling_ae=series.instances[-1].calling_ae,
            modality=series.instances[0].instance.text("Modality"),
            associations=len(ended),
            last_release_at=max((at for at in released if at is not None), default=None),
        )

    def series(self, series_id: int) -> Series:
        with self._lock:
            if series_id not in self.all_series:
                raise NotFound("no such series")
            series = self.all_series[series_id]
            originals = _originals(series)
            return Series(
                series_id=series_id,
                study_instance_uid=series.study_instance_uid,
                series_instance_uid=series.series_instance_uid,
                revision=series.revision,
                accession_number=series.instances[0].instance.text("AccessionNumber"),
                calling_ae=series.instances[-1].calling_ae,
                instances=tuple(sorted(originals, key=_instance_number)),
            )

    def close_series(
        self, series_id: int, revision: int, closure: Closure, admissions: Sequence[Admission], jobs: Sequence[NewJob]
    ) -> bool:
        with self._lock:
            series = self.all_series[series_id]
            if series.state is not SeriesState.RECEIVING or series.revision != revision:
                return False
            if closure.evidence.get("instances", len(_originals(series))) != len(_originals(series)):
                return False
            series.state, series.closure = SeriesState.CLOSED, closure
            self.admissions.extend(admissions)
            known = {job.key for job in self.jobs}
            self.jobs.extend(job for job in jobs if job.key not in known)
            return True

    def instances(self, study_instance_uid: str, series_instance_uids: Sequence[str]) -> Sequence[StoredInstance]:
        with self._lock:
            return [
                instance
                for series in self.all_series.values()
                if series.study_instance_uid == study_instance_uid
                and series.series_instance_uid in series_instance_uids
                for instance in _originals(series)
            ]

    def raise_alert(self, kind: str, subject: str, detail: Mapping[str, Value]) -> None:
        with self._lock:
            self.alerts.append(Alert(kind, subject, dict(detail)))


def _originals(series: FakeSeries) -> list[StoredInstance]:
    return [instance for instance in series.instances if instance.variant == 0]


def _instance_number(stored: StoredInstance) -> tuple[int, str]:
    number = stored.instance.attributes.get("InstanceNumber")
    return (number if isinstance(number, int) else 0, stored.instance.sop_instance_uid)
