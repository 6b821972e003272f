"""A real Orthanc on free loopback ports, for as long as a test needs it."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

from tests.peers import free_port, require_program
from tests.waiting import wait_for

DICOM_WEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


class Orthanc:
    """An Orthanc process with a folder of its own; use it as a context, or ``start`` and ``stop`` it.

    The modality ``node`` (AE title, host and port) is known to it from the start, so that its storage commitment
    reports reach that address. Its DICOM and HTTP servers answer on loopback only, without passwords.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ae_title: str = "ORTHANC",
        node: tuple[str, str, int] | None = None,
        dicom_web: bool = False,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.program = require_program("Orthanc")
        self.folder = folder
        self.ae_title = ae_title
        self.host = "127.0.0.1"
        self.dicom_port = free_port()
        self.http_port = free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        self._node = node
        self._dicom_web = dicom_web
        self._settings = settings or {}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process; returns when it answers REST requests. What it held before is there again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "orthanc.json"
        configuration.write_text(json.dumps(self._configuration()), encoding="utf-8")
        with (self.folder / "orthanc.log").open("ab") as log:
            self._process = subprocess.Popen([self.program, str(configuration)], stdout=log, stderr=log)
        wait_for(self._answers, f"Orthanc does not start, see {self.folder}/orthanc.log", timeout_s=90)

    def stop(self) -> None:
        """End this process, by its pid."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def kill(self) -> None:
        """SIGKILL, as a crash; ``start`` finds again what it held."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def fall_silent(self) -> None:
        """Stop the process: connections open, and nothing is answered until ``answer_again``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def answer_again(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def get(self, path: str) -> Any:
        """The JSON under ``path``, e.g. ``/studies``."""
        return json.loads(self.get_bytes(path))

    def get_bytes(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return bytes(answer.read())

    def post(self, path: str, body: object) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data=data), timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def delete(self, path: str) -> None:
        with urllib.request.urlopen(urllib.request.Request(self.url + path, method="DELETE"), timeout=30):
            pass

    def studies(self) -> list[str]:
        """Study Instance UIDs."""
        return [study["MainDicomTags"]["StudyInstanceUID"] for study in self.get("/studies?expand")]

    def instances(self) -> dict[str, str]:
        """SOP Instance UIDs, with Orthanc's own identifiers."""
        return {one["MainDicomTags"]["SOPInstanceUID"]: one["ID"] for one in self.get("/instances?expand")}

    def part10(self, sop_instance_uid: str) -> bytes:
        """The file that it holds."""
        return self.get_bytes(f"/instances/{self.instances()[sop_instance_uid]}/file")

    def lose(self, sop_instance_uid: str) -> None:
        """Delete an instance."""
        self.delete(f"/instances/{self.instances()[sop_instance_uid]}")

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise AssertionError((self.folder / "orthanc.log").read_text(errors="replace")[-2000:])
        try:
            return "Version" in self.get("/system")
        except (urllib.error.URLError, OSError):
            return False

    def _configuration(self) -> dict[str, Any]:
        modalities = {} if self._node is None else {"node": list(self._node)}
        return {
            "Name": "test",
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "index"),
            "DicomAet": self.ae_title,
            "DicomPort": self.dicom_port,
            "HttpPort": self.http_port,
            "HttpServerEnabled": True,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomServerEnabled": True,
            "DicomModalities": modalities,
            "DicomAlwaysAllowStore": True,
            "DicomCheckCalledAet": False,
            "ConcurrentJobs": 2,
            "Plugins": [str(DICOM_WEB_PLUGIN)] if self._dicom_web else [],
        } | self._settings
