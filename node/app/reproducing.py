"""``ainode results verify``: what is kept is what was written, and a second run says the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from node.app.devices import resolve
from node.app.packages import scan_models
from node.app.records import Records
from node.app.writing import rejection_writer, result_writer
from node.database.history import SqlResultHistory
from node.database.plain import documents_from_plain
from node.database.result_rows import Row
from node.domain.audit import Action, Use
from node.domain.document import RejectionTitle, ResultKind, Withdrawal, failure_reason
from node.domain.model import ModelDescription
from node.domain.rendition import SETS, Rendition
from node.domain.result import EarlierResult, InferenceResult, Outcome
from node.domain.study import ByteRange, StoredInstance
from node.errors import AinodeError, NotFound, ObjectMissing
from node.infer import given_priors
from node.infer.due_documents import UNKNOWN, absent_model
from node.infer.executor import SpawnedExecutor
from node.infer.parameters import package_digest
from node.infer.record import not_evaluable, wanted_model
from node.ports import InferenceReply, InferenceRequest, Run
from node.receive import part10
from node.results.compare import Difference, compare

NAMES = {
    ResultKind.RESULT: "second run",
    ResultKind.FAILED: "document of the failure",
    ResultKind.REJECTION: "rejection note",
    ResultKind.ASSESSMENT: "assessed report",
}
SAME_COMPUTATION = ("device", "precision", "libraries")


@dataclass(frozen=True, slots=True)
class Finding:
    """One check; ``code`` names what is wrong where it did not pass."""

    check: str
    ok: bool
    code: str | None = None
    detail: str = ""


def verify(records: Records, uid: str, device: str) -> dict[str, Any]:
    """The document of ``ainode results verify``: the latest job that said what ``uid`` names.

    Raises:
        NotFound: no result has this UID.
    """
    named = records.written.of(uid)
    if not named:
        raise NotFound(f"no result has this UID: {uid}")
    rows = [row for row in named if row["job_id"] == named[-1]["job_id"]]
    found = list(_Reproduction(records, rows, device).findings())
    job, ok = rows[0]["job_id"], all(one.ok for one in found)
    detail = {"uid": uid, "device": device, "ok": ok}
    records.audit.record(Use(Action.RESULT_VERIFIED, f"job {job}", rows[0]["study_instance_uid"], detail))
    return {
        "uid": uid,
        "job": job,
        "ok": ok,
        "findings": [asdict(one) for one in found],
    }


class _Reproduction:
    """Every check of one job, in the order in which one depends on another."""

    def __init__(self, records: Records, rows: Sequence[Row], device: str) -> None:
        self._records = records
        self._rows = rows
        self._device = device
        self._job = records.written.job(rows[0]["job_id"])
        self._told: Mapping[str, Any] = rows[0]["provenance"] or {}
        self._kept: dict[str, bytes] = {}

    def findings(self) -> Iterator[Finding]:
        objects = [self._object(row) for row in self._rows]
        yield from objects
        inputs = list(self._inputs())
        yield from inputs
        if all(one.ok for one in (*objects, *inputs)):
            yield from self._again()

    # ------------------------------------------------------------ what is kept

    def _object(self, row: Row) -> Finding:
        name = f"stored object {row['sop_instance_uid']}"
        try:
            with self._records.results.open(row["storage_key"]) as file:
                content = file.read()
        except ObjectMissing as error:
            return Finding(name, False, error.code, error.message)
        if sha256(content).hexdigest() != row["sha256"]:
            return Finding(name, False, "DigestDiffers", "the bytes are not those that were written")
        self._kept[row["sop_instance_uid"]] = content
        return Finding(name, True)

    def _inputs(self) -> Iterator[Finding]:
        wanted = {one["sop_instance_uid"]: one["sha256"] for one in self._told.get("inputs", [])}
        job = self._job
        removed = set(self._records.written.removed_inputs(job.study_instance_uid, job.series_instance_uids))
        if removed & set(wanted):
            words = f"retention has removed {len(removed & set(wanted))} of {len(wanted)} images"
            yield Finding("inputs", False, "InputsRemoved", words)
            return
        sources = {one.instance.sop_instance_uid: one for one in self._sources()}
        problems = [problem for uid in wanted if (problem := self._input(sources.get(uid), uid, wanted[uid]))]
        yield from problems
        if not problems:
            yield Finding("inputs", True, detail=f"{len(wanted)} images have their digests")

    def _sources(self) -> Sequence[StoredInstance]:
        return self._records.catalogue.instances(self._job.study_instance_uid, self._job.series_instance_uids)

    def _input(self, source: StoredInstance | None, uid: str, digest: str) -> Finding | None:
        name = f"input {uid}"
        if source is None:
            return Finding(name, False, ObjectMissing.code, "no row names it")
        try:
            location = self._records.instances.locate(source.storage_key)
            with Path(location.path).open("rb") as file:
                file.seek(location.offset)
                content = file.read(location.length)
        except (ObjectMissing, OSError) as error:
            return Finding(name, False, ObjectMissing.code, type(error).__name__)
        if sha256(content[part10.data_set_offset(content) :]).hexdigest() != digest:
            return Finding(name, False, "DigestDiffers", "the bytes are not those that the model was given")
        return None

    # ------------------------------------------------------------ what a second run says

    def _again(self) -> Iterator[Finding]:
        for kind, attempt in dict.fromkeys((row["kind"], row["attempt"]) for row in self._rows):
            rows = [row for row in self._rows if (row["kind"], row["attempt"]) == (kind, attempt)]
            name = NAMES[ResultKind(kind)]
            if kind == ResultKind.ASSESSMENT:
                # A person's word: no run says it again.
                yield Finding(name, True, detail="kept as it was written")
                continue
            if kind == ResultKind.FAILED and (attempt != self._job.attempt or "error_code" not in self._told):
                yield Finding(name, True, detail=f"of attempt {attempt}, whose provenance a later attempt replaced")
                continue
            try:
                again, same_computation, where = self._written_again(ResultKind(kind), rows)
            except AinodeError as error:
                yield Finding(name, False, error.code, error.message)
                continue
            kept = [self._kept[row["sop_instance_uid"]] for row in rows]
            yield from compared(name, compare(kept, again), same_computation, where)

    def _written_again(self, kind: ResultKind, rows: Sequence[Row]) -> tuple[list[bytes], bool, str]:
        """The objects once more, whether they were computed as they were the first time, and on what."""
        if kind is ResultKind.REJECTION:
            return self._rejections(), True, ""
        if kind is ResultKind.FAILED:
            reason = failure_reason(self._told["error_code"] or UNKNOWN)
            reply = InferenceReply(InferenceResult(Outcome.FAILED, reason=reason), None)
            model = self._model_or_words()
        elif self._job.unfit is not None:
            model, reply = wanted_model(self._job, self._models()), not_evaluable(self._job.unfit)
        else:
            model = wanted_model(self._job, self._models())
            self._require_same_package(model)
            reply = self._infer(model)
        written = result_writer().write(self._run(model, reply, rows))
        same = all(reply.provenance.get(key) == self._told.get(key) for key in SAME_COMPUTATION)
        computed = kind is ResultKind.RESULT and self._job.unfit is None
        return [one.part10 for one in written], same or not computed, str(reply.provenance.get("device") or "")

    def _run(self, model: ModelDescription, reply: InferenceReply, rows: Sequence[Row]) -> Run:
        wanted = {one["sop_instance_uid"] for one in self._told.get("inputs", [])}
        sources = tuple(one for one in self._sources() if one.instance.sop_instance_uid in wanted)
        renditions = {Rendition(row["rendition"]) for row in rows if row["rendition"]} - {Rendition.AS_DECLARED}
        return Run(
            self._job,
            model,
            reply.result,
            reply.grid,
            sources,
            self._locations(sources),
            self._earlier(rows),
            frozenset(renditions),
            given_priors.instances_of(self._priors()),
        )

    def _priors(self) -> list[given_priors.OfSeries]:
        return given_priors.images_of(self._job.priors, self._records.catalogue)

    def _locations(self, sources: Sequence[StoredInstance]) -> tuple[ByteRange, ...]:
        return tuple(self._records.instances.locate(source.storage_key) for source in sources)

    def _earlier(self, rows: Sequence[Row]) -> tuple[EarlierResult, ...]:
        """What the report named as its predecessors stands for all that was said before, beside what was withdrawn."""
        withdrawn = [one for one in SqlResultHistory(self._records.engine).earlier(self._job) if one.withdrawn]
        named = {row["rendition"]: documents_from_plain(row["predecessors"]) for row in rows if row["predecessors"]}
        sets = {Rendition(one): EarlierResult(reports) for one, reports in named.items() if one in SETS}
        main = next((reports for one, reports in named.items() if one not in SETS), ())
        return (*withdrawn, *([EarlierResult(main, sets=sets)] if main else []))

    def _infer(self, model: ModelDescription) -> InferenceReply:
        executor = SpawnedExecutor()
        try:
            timeout_s = model.runtime.timeout_s or self._records.config.work.timeout_s
            locations = self._locations(self._sources())
            priors = given_priors.located(self._priors(), self._records.instances)
            request = InferenceRequest(model, locations, resolve(self._device)[0], timeout_s, priors)
            return executor.run(request, lambda: None)
        finally:
            executor.close()

    def _models(self) -> Mapping[str, ModelDescription]:
        known = scan_models(self._records.config)
        return {**known.demonstrations, **known.models}

    def _model_or_words(self) -> ModelDescription:
        model = self._models().get(self._job.model)
        as_told = self._told.get("weights_sha256")
        if model is not None and (model.version, model.algorithm.weights_sha256) == (self._job.model_version, as_told):
            return model
        return absent_model(self._job)

    def _require_same_package(self, model: ModelDescription) -> None:
        """
        Raises:
            NotFound: the weights or the code are others than those of the first run.
        """
        if model.algorithm.weights_sha256 != self._told.get("weights_sha256"):
            raise NotFound(f"the weights of {model.id} {model.version} are not those of the result")
        digest = (self._told.get("parameters") or {}).get("package_sha256")
        if digest is not None and digest != package_digest(Path(model.folder)):
            raise NotFound(f"the package {model.id} {model.version} changed since the result was made")

    def _rejections(self) -> list[bytes]:
        """One note for each rendition, as they were written."""
        row = self._rows[0]
        title = RejectionTitle(row["withdrawn_title"])
        withdrawal = Withdrawal(row["withdrawn_at"], row["withdrawn_by"], row["withdrawn_reason"], title)
        rejected: dict[str | None, list[bytes]] = {}
        for one in self._rows:
            if one["kind"] != ResultKind.REJECTION:
                rejected.setdefault(one["rendition"], []).append(self._kept[one["sop_instance_uid"]])
        return [rejection_writer().reject(objects, withdrawal).part10 for objects in rejected.values()]


def compared(name: str, found: Sequence[Difference], same_computation: bool, where: str) -> Iterator[Finding]:
    """On the same device with the same libraries every bit; elsewhere what is within the tolerance."""
    on = f" on {where}" if where else ""
    if not found:
        yield Finding(name, True, detail=f"equal to the bit{on}")
        return
    for one in found:
        words = f"{one.sop_instance_uid} {one.what}: {one.kept}, now {one.again}"
        if one.tolerated and not same_computation:
            yield Finding(name, True, detail=f"{words}; within the tolerance{on}, which is not what it was made on")
        else:
            yield Finding(name, False, "ResultDiffers", words + on)
