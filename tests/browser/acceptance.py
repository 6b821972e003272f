"""How many of our objects real receivers take: DCMTK's ``storescp``, and Orthanc."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pydicom import dcmread

from node.app.conformance import in_words
from tests.conformance.golden import SCRIPTS, write_study
from tests.orthanc import Orthanc
from tests.peers import free_port, require_program, run_program
from tests.waiting import wait_for

# storescp and storescu of DCMTK 3.6.7 are older than this SOP class; it is not written by default.
UNKNOWN = "label map"


def ask(folder: Path, pacs: Orthanc) -> dict[str, dict[str, int]]:
    """Send one object of each case and kind that is written by default, and every picture, to both.

    Returns:
        Objects by SOP class: those written, and those that ``storescp`` and ``orthanc`` have afterwards.
    """
    study = write_study(folder / "written", SCRIPTS["UTF-8"])
    files = [one.path for one in study.objects if one.case != UNKNOWN or one.modality != "SEG"]
    _send(files, pacs.host, pacs.dicom_port, pacs.ae_title)
    held = pacs.instances()
    return {
        "written": _kinds(files),
        "storescp": _kinds(_received(folder / "received", files)),
        "orthanc": _kinds([path for path in files if _uid(path) in held]),
    }


def _received(folder: Path, files: Sequence[Path]) -> list[Path]:
    """What storescp has in its folder in the end; it is asked nothing but its defaults."""
    folder.mkdir()
    port = free_port()
    program = require_program("storescp")
    with subprocess.Popen([program, "--output-directory", str(folder), str(port)]) as receiver:
        try:
            wait_for(lambda: _answers(port), "storescp does not answer")
            _send(files, "127.0.0.1", port, "ANY-SCP")
        finally:
            receiver.terminate()
            receiver.wait(20)
    return sorted(folder.iterdir())


def _answers(port: int) -> bool:
    command = [require_program("echoscu"), "127.0.0.1", str(port)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _send(files: Sequence[Path], host: str, port: int, called: str) -> None:
    """Each one's own SOP class is proposed."""
    program = [require_program("storescu"), "--required", "--aetitle", "TEST", "--call", called]
    run_program([*program, host, str(port), *map(str, files)])


def _kinds(files: Sequence[Path]) -> dict[str, int]:
    return dict(Counter(in_words(str(dcmread(path, stop_before_pixels=True).SOPClassUID)) for path in files))


def _uid(path: Path) -> str:
    return str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)
