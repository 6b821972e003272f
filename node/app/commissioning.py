"""Work that others ask for: a workitem that they create becomes a job, judged like one that admission makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from node.domain.admission import Route, Verdict
from node.domain.model import ModelDescription
from node.domain.study import Series
from node.domain.workitem import Commission, NewWorkitem
from node.errors import InvalidAttributeValue, NotFound
from node.ports import Catalogue
from node.route.close_series import judge_series, new_job

MODEL, INPUT = "ScheduledWorkitemCodeSequence", "InputInformationSequence"


class Commissioning:
    """``series_ids`` are the numbers of a study's series, ``patient_id`` is that of a study.

    ``priors_wait_s``: so long a job waits for earlier studies, where its model wants them.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        models: Mapping[str, ModelDescription],
        routes: Sequence[Route],
        series_ids: Callable[[str], Sequence[int]],
        patient_id: Callable[[str], str],
        priors_wait_s: float,
    ) -> None:
        self._catalogue = catalogue
        self._models = models
        self._routes = routes
        self._series_ids = series_ids
        self._patient_id = patient_id
        self._priors_wait_s = priors_wait_s

    def __call__(self, commission: Commission) -> NewWorkitem:
        model = self._models.get(commission.model)
        if model is None:
            raise InvalidAttributeValue("the node has no such model", attribute=MODEL)
        if commission.model_version not in ("", model.version):
            raise InvalidAttributeValue("the node has another version of the model", attribute=MODEL)
        series = self._series(commission, model)
        known = self._patient_id(commission.study_instance_uid)
        if commission.patient_id and commission.patient_id != known:
            raise InvalidAttributeValue("the images are of another patient", attribute="PatientID")
        [(_, admission)] = judge_series(series, [model], self._routes)
        job = new_job(series, model, admission, priors_wait_s=self._priors_wait_s)
        if job is None:
            unmet = ", ".join(condition.name for condition in admission.unmet)
            raise InvalidAttributeValue(f"the model does not take this series: {unmet}", attribute=INPUT)
        key = f"{job.key}/ups-{commission.uid}"
        return NewWorkitem(replace(job, key=key, workitem_uid=commission.uid, priority=commission.priority), {})

    def _series(self, commission: Commission, model: ModelDescription) -> Series:
        """The one that is named; of a whole study, the only one that the model takes."""
        try:
            ids = self._series_ids(commission.study_instance_uid)
        except NotFound as error:
            raise InvalidAttributeValue("the node does not hold this study", attribute=INPUT) from error
        wanted = commission.series_instance_uid
        found = [self._catalogue.series(one) for one in ids]
        if wanted:
            fitting = [one for one in found if one.series_instance_uid == wanted]
        else:
            fitting = [one for one in found if self._takes(model, one)]
        if len(fitting) != 1:
            problem = "the node does not hold this series" if wanted else "name the series: not exactly one fits"
            raise InvalidAttributeValue(problem, attribute=INPUT)
        if fitting[0].series_id in {one.series_id for one in self._catalogue.open_series()}:
            raise InvalidAttributeValue("images of the series are still coming", attribute=INPUT)
        return fitting[0]

    def _takes(self, model: ModelDescription, series: Series) -> bool:
        [(_, admission)] = judge_series(series, [model], self._routes)
        return admission.verdict is not Verdict.NOT_WANTED
