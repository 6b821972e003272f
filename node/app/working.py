"""The work role: one worker for one device, inference in its spawned child."""

from __future__ import annotations

from node.app.packages import open_models
from node.app.place import Heartbeat, Place
from node.app.records import Records
from node.app.writing import rejection_writer, result_writer
from node.database.history import SqlResultHistory
from node.database.priors import SqlPriors
from node.domain.retry import RetryPolicy
from node.infer.due_documents import DueDocumentWriter
from node.infer.executor import SpawnedExecutor
from node.infer.worker import Worker


def serve(records: Records, place: Place) -> None:
    """Work until the process is told to stop."""
    work = records.config.work
    models, history = open_models(records.config), SqlResultHistory(records.engine)
    worker = Worker(
        records.queue,
        records.catalogue,
        records.instances,
        records.results,
        SpawnedExecutor(),
        result_writer(),
        history,
        models,
        RetryPolicy(work.max_attempts, work.retry_base_s, work.retry_cap_s),
        owner=f"{place.host}/{place.instance}",
        lease_s=work.lease_s,
        device=place.device,
        timeout_s=work.timeout_s,
        documents=DueDocumentWriter(
            records.documents,
            records.catalogue,
            records.instances,
            records.results,
            result_writer(),
            rejection_writer(),
            history,
            models,
            wishes=records.wishes,
        ),
        wishes=records.wishes,
        priors=SqlPriors(records.engine, records.clock),
    )
    with Heartbeat(records.roles, place, lambda: {"device": place.device}):
        place.ready()
        worker.run(place.stop)
