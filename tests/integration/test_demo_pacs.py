"""The embedded PACS before DCMTK's tools."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from node.demo.pacs import EmbeddedPacs
from node.demo.send import send
from tests.objects import MR, SC, data_set, part10
from tests.peers import require_program


def test_dcmtk_stores_and_finds(tmp_path: Path) -> None:
    storescu, findscu, echoscu = (require_program(name) for name in ("storescu", "findscu", "echoscu"))
    files = []
    for number, kind in enumerate((MR, MR, SC)):
        files.append(tmp_path / f"{number}.dcm")
        files[-1].write_bytes(part10(data_set(kind, number)))
    with EmbeddedPacs(tmp_path / "pacs") as pacs:
        address = ["-aec", pacs.ae_title, "127.0.0.1", str(pacs.port)]
        subprocess.run([echoscu, *address], check=True, timeout=30)
        subprocess.run([storescu, *address, *map(str, files)], check=True, timeout=30)
        found = {
            level: _find(findscu, address, level, keys)
            for level, keys in (
                ("STUDY", ["StudyInstanceUID", "NumberOfStudyRelatedInstances", "PatientID=TEST*"]),
                ("SERIES", [f"StudyInstanceUID={data_set().StudyInstanceUID}", "NumberOfSeriesRelatedInstances"]),
                ("IMAGE", ["StudyInstanceUID"]),
            )
        }
        assert len(pacs.instances()) == 3
        assert not any(held.committed for held in pacs.instances())
    assert found["STUDY"].count("NumberOfStudyRelatedInstances") == 1
    assert re.search(r"\[3 ?\] .*NumberOfStudyRelatedInstances", found["STUDY"])
    assert found["SERIES"].count("NumberOfSeriesRelatedInstances") == 2
    assert "DataSetDoesNotMatchSOPClass" in found["IMAGE"]


def test_a_stopped_pacs_takes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.dcm"
    file.write_bytes(part10(data_set()))
    with EmbeddedPacs(tmp_path / "pacs") as pacs:
        port = pacs.port
    sent = send([file], ("127.0.0.1", port), "DEMOPACS", lambda done, of: None)
    assert (sent.instances, len(sent.problems)) == (0, 1)


def _find(findscu: str, address: list[str], level: str, keys: list[str]) -> str:
    asked = [option for key in (f"QueryRetrieveLevel={level}", *keys) for option in ("-k", key)]
    command = [findscu, "-v", "-S", *asked, *address]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    received = done.stdout + done.stderr
    return received[received.index("Find Response") :] if "Find Response" in received else received
