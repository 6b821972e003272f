"""The decisions of ``status``, and its Prometheus form."""

from __future__ import annotations

from datetime import UTC, datetime

from node.show.health import exposition
from node.show.state import node_state, why_not_ok

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
UP = {"state": "up", "processes": 1, "heartbeat_at": AT}
STALE = {"state": "stale", "processes": 1, "heartbeat_at": AT}
DISK = {"free_bytes": 10, "watermark_bytes": 5}


def test_a_node_where_nothing_serves_is_down() -> None:
    assert node_state({}, []) == "down"
    assert node_state({"work": STALE}, ["x"]) == "down"


def test_a_stale_role_degrades_and_is_named_with_its_time() -> None:
    roles = {"work": STALE, "receive": UP}
    found = why_not_ok(roles, DISK, [], paused=False)
    assert found == ["role work: no heartbeat since 2026-01-02 03:04:05Z"]
    assert node_state(roles, found) == "degraded"


def test_disk_models_and_pause_are_reasons() -> None:
    broken = [{"id": "m", "problem": "digest differs"}]
    found = why_not_ok({"work": UP}, {"free_bytes": 1, "watermark_bytes": 5}, broken, paused=True)
    assert len(found) == 3
    assert "A700" in found[0]
    assert found[1] == "model m: digest differs"
    assert "paused" in found[2]


def test_quarantined_jobs_degrade_until_somebody_looks() -> None:
    found = why_not_ok({"work": UP}, DISK, [], paused=False, quarantined=3)
    assert len(found) == 1
    assert "quarantined: 3" in found[0]
    assert node_state({"work": UP}, found) == "degraded"


def test_all_well() -> None:
    assert why_not_ok({"work": UP}, DISK, [], paused=False) == []
    assert node_state({"work": UP}, []) == "ok"


def test_exposition_has_every_state() -> None:
    text = exposition(
        {
            "state": "ok",
            "jobs": {"COMPLETED": 3},
            "deliveries": {"COMMITTED": 2},
            "roles": {"work": UP, "web": STALE},
            "disk": DISK,
        }
    )
    lines = text.splitlines()
    assert "ainode_state 2" in lines
    assert 'ainode_jobs{state="COMPLETED"} 3' in lines
    assert 'ainode_deliveries{state="COMMITTED"} 2' in lines
    assert 'ainode_role_up{role="work"} 1' in lines
    assert 'ainode_role_up{role="web"} 0' in lines
