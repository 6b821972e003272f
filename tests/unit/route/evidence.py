"""Open series and evidence about them, for tests of completeness."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from node.domain.completeness import InstanceCount, SourceAnswer
from node.domain.study import OpenSeries
from node.route.completeness import CompletenessRule
from node.route.images import Images

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RULE = CompletenessRule(5.0, 60.0)
# One association brought 40 images and was released one second after the last.
SERIES = OpenSeries(
    series_id=1,
    study_instance_uid="1.2.3",
    series_instance_uid="1.2.3.4",
    revision=1,
    instances=40,
    last_instance_at=T0,
    open_associations=0,
    last_association_ended_at=T0 + timedelta(seconds=1),
    calling_ae="CT1",
    modality="CT",
    associations=1,
    last_release_at=T0 + timedelta(seconds=1),
)
GRID = Images(instances=40, numbered=True, highest_number=40, positions=40, each=1, spacing_mm=1.25)
STATED = Images(instances=40, stated=40, stated_by="ImagesInAcquisition")
UNKNOWN = Images(instances=40)


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def said(of_series: int | None = None, of_study: int | None = None, error: str = "") -> SourceAnswer:
    return SourceAnswer("archive", after(1), InstanceCount(of_series, of_study), error)
