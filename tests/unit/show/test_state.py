"""The decisions of ``status``, and its Prometheus form."""

from __future__ import annotations

from datetime import UTC, datetime

from node.show.health import exposition
from node.show.state import SENTENCES, away, in_chinese, node_state, why_not_ok

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


def destination(name: str, is_open: bool | None) -> dict[str, object]:
    since = AT.isoformat() if is_open else None
    circuit = {"open": is_open, "since": since, "error_code": "DestinationUnreachable" if is_open else None}
    return {"name": name, "type": "dimse", "waiting": 7, "circuit": circuit}


def test_a_destination_that_is_away_is_named_with_what_waits() -> None:
    found = away([destination("pacs", True), destination("ris", False), destination("share", None)])
    assert found == [
        "destination pacs: away since 2026-01-02T03:04:05+00:00 (DestinationUnreachable), 7 deliveries wait"
    ]
    assert node_state({"work": UP}, found) == "degraded"


def test_exposition_has_every_destination_that_somebody_serves() -> None:
    served = [destination("pacs", True), destination("ris", False), destination("share", None)]
    document = {"state": "ok", "jobs": {}, "deliveries": {}, "roles": {}, "disk": DISK, "destinations": served}
    lines = exposition(document).splitlines()
    assert 'ainode_destination_up{destination="pacs"} 0' in lines
    assert 'ainode_destination_up{destination="ris"} 1' in lines
    assert not [line for line in lines if line.startswith('ainode_destination_up{destination="share"}')]
    assert 'ainode_destination_waiting{destination="share"} 7' in lines


def test_every_sentence_is_told_in_chinese_with_what_it_names() -> None:
    broken = [{"id": "m", "problem": "digest {differs}\nby much"}]
    found = why_not_ok({"work": STALE}, {"free_bytes": 1, "watermark_bytes": 5}, broken, True, 3, 4)
    found += why_not_ok({}, DISK, [], paused=False) + away([destination("pacs", True)])
    assert len(found) == len(SENTENCES)
    told = [in_chinese(one) for one in found]
    for english, chinese in zip(found, told, strict=True):
        assert chinese != english
        assert any("\u4e00" <= one <= "\u9fff" for one in chinese), chinese
    assert "work" in told[0]
    assert "2026-01-02 03:04:05Z" in told[0]
    assert "digest {differs}\nby much" in told[2]
    assert told[-1].count("7") == 1
    assert in_chinese("something new") == "something new"
