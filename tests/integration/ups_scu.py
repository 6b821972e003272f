"""pynetdicom's UPS SCU in a process of its own: each line of input is a question, each line of output its answer.

``python -m tests.integration.ups_scu PORT``; data sets are in the DICOM JSON model.
"""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepQuery,
    UnifiedProcedureStepWatch,
)

Answer = dict[str, Any]


class Scu:
    def __init__(self, port: int) -> None:
        self._port = port
        self._known: dict[tuple[str, str], Association] = {}

    def opened(self, title: str = "MANAGER", called: str = "AINODE") -> Association:
        entity = AE(ae_title=title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = 120
        for kind in (
            UnifiedProcedureStepPush,
            UnifiedProcedureStepPull,
            UnifiedProcedureStepWatch,
            UnifiedProcedureStepQuery,
        ):
            entity.add_requested_context(kind)
        return entity.associate("127.0.0.1", self._port, ae_title=called)

    def ask(self, question: dict[str, Any]) -> Answer:
        names = (question.get("title", "MANAGER"), question.get("called", "AINODE"))
        if names not in self._known or not self._known[names].is_established:
            self._known[names] = self.opened(*names)
        association = self._known[names]
        return self._asked(association, question) if association.is_established else {"established": False}

    def close(self) -> None:
        for association in self._known.values():
            if association.is_established:
                association.release()

    def race(self, question: dict[str, Any]) -> Answer:
        """``claimants`` associations that claim one workitem at once."""
        many = question["claimants"]
        together = threading.Barrier(many)

        def claim(number: int) -> str:
            association = self.opened(f"CLAIMANT{number}")
            together.wait(200)
            try:
                data_set = claiming(f"1.2.99.{number}")
                return _status(association.send_n_action(data_set, 1, UnifiedProcedureStepPush, question["uid"])[0])
            finally:
                association.release()

        with ThreadPoolExecutor(many) as pool:
            return {"answers": list(pool.map(claim, range(many)))}

    def _asked(self, association: Association, question: dict[str, Any]) -> Answer:
        uid, kind = question.get("uid", ""), UnifiedProcedureStepPush
        data_set = Dataset.from_json(question.get("data_set", {}))
        match question["do"]:
            case "create":
                status, answered = association.send_n_create(data_set, kind, uid or None)
            case "get":
                status, answered = association.send_n_get(question.get("tags", []), kind, uid)
            case "set":
                status, answered = association.send_n_set(data_set, kind, uid)
            case "action":
                status, answered = association.send_n_action(data_set or None, question["type"], kind, uid)
            case "find":
                found = list(association.send_c_find(data_set, UnifiedProcedureStepPull))
                matches = [each.to_json_dict() for _, each in found if each is not None]
                return {"status": _status(found[-1][0]), "matches": matches}
            case other:
                raise ValueError(other)
        return {
            "status": _status(status),
            "comment": str(status.get("ErrorComment", "")),
            "data_set": None if answered is None else answered.to_json_dict(),
        }


def claiming(transaction_uid: str) -> Dataset:
    made = Dataset()
    made.ProcedureStepState = "IN PROGRESS"
    made.TransactionUID = transaction_uid
    return made


def _status(status: Dataset) -> str:
    return f"{status.Status:04X}" if "Status" in status else "none"


def main() -> None:
    scu = Scu(int(sys.argv[1]))
    for line in sys.stdin:
        question = json.loads(line)
        answer = scu.race(question) if question["do"] == "race" else scu.ask(question)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    scu.close()


if __name__ == "__main__":
    main()
