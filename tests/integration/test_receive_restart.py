"""A receiver that is killed in the middle of an object, and the next one on the same data folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from node.receive.status import Status
from tests.integration.raw_scu import ASSOCIATE_AC, P_DATA, RawScu, pdv, store_request
from tests.integration.receiving import data_set_of, serving
from tests.objects import data_set, part10
from tests.peers import REPOSITORY
from tests.waiting import wait_for

RECEIVER = """
import sys
from pathlib import Path
from tests.integration.receiving import serving
with serving(Path(sys.argv[1]), fast=sys.argv[2] == "fast") as site:
    Path(sys.argv[1], "port").write_text(str(site.address[1]))
    sys.stdin.read()
"""


@pytest.mark.parametrize("way", ["fast", "stock"])
def test_what_a_killed_receiver_left_is_swept_and_what_it_acknowledged_is_there(tmp_path: Path, way: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", RECEIVER, str(tmp_path), way],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert process.stdin is not None
    port_file = tmp_path / "port"
    acknowledged, cut = data_set(number=1), data_set(number=2, size=256)
    try:
        wait_for(lambda: port_file.exists() and port_file.read_text(), "the receiver serves")
        with RawScu(("127.0.0.1", int(port_file.read_text()))) as scu:
            assert scu.associate()[0] == ASSOCIATE_AC
            scu.store(acknowledged.SOPClassUID, acknowledged.SOPInstanceUID, data_set_of(part10(acknowledged)))
            assert scu.status() == Status.SUCCESS
            scu.send(P_DATA, pdv(store_request(cut.SOPClassUID, cut.SOPInstanceUID), command=True, last=True))
            scu.send(P_DATA, pdv(data_set_of(part10(cut))[:50000], command=False, last=False))
            wait_for(
                lambda: any(path.is_file() and path.stat().st_size for path in tmp_path.glob("**/incoming/**/*")),
                "the object is under way",
            )
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=30)
    finally:
        process.kill()
        process.wait(timeout=30)
        process.stdin.close()
        port_file.unlink(missing_ok=True)
    with serving(tmp_path) as site:
        later = data_set(number=3)
        with RawScu(site.address) as scu:
            assert scu.associate()[0] == ASSOCIATE_AC
            scu.store(later.SOPClassUID, later.SOPInstanceUID, data_set_of(part10(later)))
            assert scu.status() == Status.SUCCESS
        assert not site.is_under_way(), "who first needs the folder sweeps it"
        keys = list(site.store.keys())
        kept = {data_set_of(site.bytes_of(key)) for key in keys}
        assert kept == {data_set_of(part10(acknowledged)), data_set_of(part10(later))}
