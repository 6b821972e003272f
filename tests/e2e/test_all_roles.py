"""``ainode run`` without ``--role``: every role, two receivers on one port, the web role's three addresses."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator

import httpx
import pytest
from pynetdicom.sop_class import Verification

from node.deliver.association import ClosingEntity
from tests.e2e.processes import children, command_line
from tests.e2e.site import Site
from tests.waiting import wait_for


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("all")
    share = folder / "share"
    share.mkdir()
    started = Site(folder / "site", f'[[destinations]]\nname = "share"\ntype = "folder"\npath = "{share}"\n')
    try:
        started.start(roles=())
        yield started
    finally:
        started.kill()


def roles_of(site: Site) -> dict[int, str]:
    """Process id -> role, for every process of the node."""
    assert site.process is not None
    lines = {pid: command_line(pid).split() for pid in children(site.process.pid)}
    return {pid: words[words.index("node.app.serve") + 1] for pid, words in lines.items() if "node.app.serve" in words}


def echoes(site: Site) -> bool:
    """Whether a C-ECHO is answered."""
    client = ClosingEntity(ae_title="ECHO")
    client.add_requested_context(Verification)
    association = client.associate("127.0.0.1", site.port, ae_title="AINODE")
    if not association.is_established:
        return False
    answered = association.send_c_echo().get("Status") == 0
    association.release()
    return bool(answered)


def test_every_role_has_its_processes(site: Site) -> None:
    assert sorted(roles_of(site).values()) == ["deliver", "receive", "receive", "record", "timers", "web", "work"]
    document = site.when_well()
    assert document["roles"]["receive"]["processes"] == 2
    assert document["roles"]["record"]["waiting"] == 0
    assert document["devices"]


def test_health_readiness_and_metrics(site: Site) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{site.web_port}", timeout=60) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["state"]) == (200, "ok")
        metrics = client.get("/metrics").text.splitlines()
        assert "ainode_state 2" in metrics
        assert 'ainode_role_up{role="receive"} 1' in metrics
        assert "/readyz" in json.loads(client.get("/api/openapi.json").text)["paths"]


def examined(site: Site) -> tuple[int, dict[str, str], dict[str, str]]:
    """The exit code of ``ainode doctor --json``; the status and the finding of each check."""
    done = site.run("doctor", "--json", timeout_s=240)
    document = json.loads(done.stdout)
    assert set(document) == {"ok", "checks"}
    assert document["ok"] == (done.returncode == 0)
    assert all(list(one) == ["id", "status", "found", "advice"] for one in document["checks"])
    assert all(bool(one["advice"]) == (one["status"] != "OK") for one in document["checks"])
    checks = {one["id"]: one for one in document["checks"]}
    return done.returncode, *({check: one[key] for check, one in checks.items()} for key in ("status", "found"))


def test_the_doctor_finds_nothing_wrong(site: Site) -> None:
    code, statuses, found = examined(site)
    assert code == 0, found
    for check in ("receive", "web", "destination.share", "models", "journal", "roles.work", "queue", "queue.leases"):
        assert statuses[check] == "OK", found
    assert "C-ECHO" in found["receive"]
    assert statuses["accounts"] == "WARN"
    assert not list((site.folder.parent / "share").iterdir()), "a probe leaves nothing behind"


def test_a_killed_receiver_comes_back_and_the_port_never_closes(site: Site) -> None:
    before = {pid for pid, role in roles_of(site).items() if role == "receive"}
    os.kill(min(before), signal.SIGKILL)
    wait_for(lambda: not command_line(min(before)), "it is dead, and takes no connection with it")
    assert echoes(site), "the other receiver answers"
    wait_for(lambda: len({pid for pid, role in roles_of(site).items() if role == "receive"} - before) == 1, "restarted")
    wait_for(lambda: any(record.get("event") == "process.died" for record in site.records()), "the log says so")


def test_sigterm_ends_everything_with_0(site: Site) -> None:
    processes = list(roles_of(site))
    assert site.stop() == 0
    assert not any(command_line(pid) for pid in processes)


def test_the_doctor_names_what_is_broken(site: Site) -> None:
    (site.folder.parent / "share").rmdir()
    first = min((site.folder / "var" / "journal" / "segments").iterdir())
    first.write_bytes(bytes(8192))
    code, statuses, found = examined(site)
    assert code == 1
    assert {check for check, status in statuses.items() if status == "FAIL"} == {"destination.share", "journal"}, found
    assert first.name in found["journal"]
    assert statuses["receive"] == statuses["web"] == "OK", "the ports are free"
