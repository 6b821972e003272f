"""Whether work goes on: roles, jobs, deliveries, circuits, alerts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from node.app.doctor.finding import Finding, fail, ok, warn
from node.config import Config, commits
from node.database.destination_rows import SqlDestinations
from node.database.soundness import SqlSoundness, Standstill
from node.jobs.queue import SqlJobQueue
from node.ports import Clock
from node.show.destinations import Destinations
from node.show.worklist import Worklist

# The roles of a node; on several hosts each stands on at least one.
WANTED = ("receive", "work", "deliver", "timers", "web")
RESCUE_GRACE = timedelta(seconds=60)
ALERTS_OF = timedelta(days=1)


class Work:
    def __init__(self, config: Config, engine: Engine, clock: Clock) -> None:
        self._config = config
        self._engine = engine
        self._clock = clock
        self._sound = SqlSoundness(engine)
        self._worklist = Worklist(engine, clock, [one.name for one in config.destinations if commits(one)])

    def roles(self) -> Iterator[Finding]:
        found = self._worklist.roles()
        if not any(role["state"] == "up" for role in found.values()):
            yield warn("roles", "nothing serves", "Start the node with 'ainode run', or its service.")
            return
        for name in dict.fromkeys((*WANTED, *found)):
            yield _role(name, found.get(name))

    def queue(self) -> Iterator[Finding]:
        now = self._clock.now()
        stands = self._sound.standstill(now, RESCUE_GRACE)
        yield self._waiting(stands, now)
        lost = stands.jobs_without_lease + stands.deliveries_without_lease
        if lost:
            advice = "Start the timers role, which takes lost work up again, and look at its log."
            yield fail("queue.leases", f"{lost} jobs or deliveries belong to a process that is gone", advice)
        else:
            yield ok("queue.leases", "every lease is kept")
        quarantined, given_up = self._worklist.quarantined(), self._worklist.documents()["given_up"]
        if quarantined:
            advice = "Look at 'ainode queue list --state FAILED', then 'queue retry' or 'queue cancel' them."
            yield warn("queue.quarantined", f"{quarantined} jobs ended their process at every attempt", advice)
        if given_up:
            advice = "Retry the job, or withdraw the result again: until then no destination knows of it."
            yield warn("queue.documents", f"{given_up} failures or withdrawals could not be written down", advice)

    def _waiting(self, stands: Standstill, now: datetime) -> Finding:
        if SqlJobQueue(self._engine, self._clock).paused():
            return warn("queue", f"paused; {stands.due_jobs} jobs are due", "Let it go on with 'ainode queue resume'.")
        if stands.oldest_due_at is None:
            return ok("queue", "no job waits")
        waits_s = (now - stands.oldest_due_at).total_seconds()
        told = f"{stands.due_jobs} jobs are due, the oldest for {waits_s:.0f} s"
        if waits_s > self._config.work.max_wait_s:
            advice = "See with 'ainode status' whether the work role runs, and give it another device or host."
            return fail("queue", told, advice)
        return ok("queue", told)

    def deliveries(self) -> Iterator[Finding]:
        circuits = SqlDestinations(self._engine, self._clock).circuits()
        for one in Destinations(self._engine, self._config).all():
            yield _delivering(one, circuits.get(one["name"]))

    def alerts(self) -> Iterator[Finding]:
        found = self._sound.alerts_since(self._clock.now() - ALERTS_OF)
        if found:
            told = ", ".join(f"{amount} {kind}" for kind, amount in found.items())
            yield warn("alerts", f"in the last day: {told}", "Read on the page /queue what each is about.")
        else:
            yield ok("alerts", "none in the last day")


def _role(name: str, role: Mapping[str, Any] | None) -> Finding:
    check = f"roles.{name}"
    if role is None:
        return warn(check, "does not run anywhere", f"Start it with 'ainode run --role {name}'.")
    if role["state"] != "up":
        told = f"no heartbeat since {role['heartbeat_at']:%Y-%m-%d %H:%M:%SZ}"
        return fail(check, told, "Look at its log, and start the node again.")
    return ok(check, f"up, processes: {role['processes']}")


def _delivering(one: Mapping[str, Any], circuit: Mapping[str, Any] | None) -> Finding:
    check = f"deliveries.{one['name']}"
    told = f"{one['waiting']} wait, {one['retrying']} of them were tried in vain, {one['failed']} failed for good"
    if circuit is not None and circuit["open"]:
        advice = f"Bring the destination back; what waits then goes by itself, seen by 'ainode echo {one['name']}'."
        return fail(check, f"away since {circuit['since']} ({circuit['error_code']}); {told}", advice)
    if one["trouble"] is not None:
        trouble = f"{one['trouble']['error_code']}: {one['trouble']['error']}"
        advice = "Mend what the error names; it is tried again by itself, or now by 'ainode deliveries retry'."
        return warn(check, f"{told}; {trouble}", advice)
    if one["failed"]:
        advice = "Read the errors with 'ainode deliveries list --state FAILED', mend them, then 'deliveries retry'."
        return warn(check, told, advice)
    return ok(check, told)
