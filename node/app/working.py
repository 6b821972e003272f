"""The work role: one worker for one device, inference in its spawned child."""

from __future__ import annotations

from node.app.packages import open_models
from node.app.place import Heartbeat, Place
from node.app.records import Records
from node.app.writing import result_writer
from node.database.history import SqlResultHistory
from node.domain.retry import RetryPolicy
from node.infer.executor import SpawnedExecutor
from node.infer.worker import Worker


def serve(records: Records, place: Place) -> None:
    """Work until the process is told to stop."""
    work = records.config.work
    worker = Worker(
        records.queue,
        records.catalogue,
        records.instances,
        records.results,
        SpawnedExecutor(),
        result_writer(),
        SqlResultHistory(records.engine),
        open_models(records.config),
        RetryPolicy(work.max_attempts, work.retry_base_s, work.retry_cap_s),
        owner=f"{place.host}/{place.instance}",
        lease_s=work.lease_s,
        device=place.device,
        timeout_s=work.timeout_s,
    )
    with Heartbeat(records.roles, place, lambda: {"device": place.device}):
        place.ready()
        worker.run(place.stop)
